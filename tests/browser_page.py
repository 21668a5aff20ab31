"""The page in a real browser: every job, every control, by mouse and keyboard. `make test-page` runs this file.

The browser reaches the loopback interface alone; it is Chromium of the system, or that of the variable CHROMIUM.
"""

import contextlib
import os
import shutil

import pytest
from explored_runs import RUNS, pairs_run

from contextual_rnn._core.extras import is_installed
from contextual_rnn.explore.explorable import Explorable
from contextual_rnn.explore.explored import open_run
from contextual_rnn.explore.server import serve

playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'contextual-rnn[page]'")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
ANSWERED = '#main[data-answers][aria-busy="false"]'
JOBS = [*RUNS, "pairs without attention"]
# What moves a control, by its type: keys that are pressed one after the other.
KEYS = {
    "range": ["ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"],
    "checkbox": [" "],
    "select": ["ArrowDown", "ArrowUp"],
}


@pytest.fixture(scope="session")
def browser():
    assert BROWSER, "no Chromium was found: install it, such as with apt-get install chromium, or set CHROMIUM"
    arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--no-first-run"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=BROWSER, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """The run folder of every job, which is trained when it is first asked for."""
    folder, made = tmp_path_factory.mktemp("runs"), {}

    def run(job):
        if job not in made:
            made[job] = RUNS[job](folder) if job in RUNS else pairs_run(folder, "none")
        return made[job]

    return run


@contextlib.contextmanager
def opened(browser, run, expected=None, **options):
    """The page of a run; fails at the end if the console had an error other than the expected one, or another host was asked."""
    explored, wrong = open_run(run, Explorable), []
    with serve(type(explored.first).page(explored)) as running:
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options})
        page.set_default_timeout(30_000)
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(running.url) else wrong.append(asked.url))
        page.goto(running.url)
        page.wait_for_selector(ANSWERED)
        try:
            yield page
            assert [one for one in wrong if not (expected and expected in one)] == []
        finally:
            page.close()


def picture(page):
    """Return what the figures hold, without the controls among them."""
    page.wait_for_selector(ANSWERED)
    return "".join(page.locator(".figures > :not(.controls)").evaluate_all("all => all.map((one) => one.innerHTML)"))


def changes(page, move, what):
    """Do something, and wait until the picture is another one."""
    before = picture(page)
    move()
    for _ in range(100):
        if picture(page) != before:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the picture did not change: {what}")


@pytest.mark.parametrize("job", JOBS)
def test_every_control_changes_the_picture(job, browser, runs):
    with opened(browser, runs(job)) as page:
        assert page.locator("#error").is_hidden()
        count = page.locator(".controls :is(input, select)").count()
        assert count >= 4
        for place in range(count):
            control = page.locator(".controls :is(input, select)").nth(place)
            name = control.evaluate(
                "one => (one.labels && one.labels[0] || {}).textContent || one.getAttribute('aria-label')"
            )
            assert name, "a control has no label"
            kind = control.evaluate("one => one.tagName === 'SELECT' ? 'select' : one.type")
            if control.is_disabled() or (kind == "select" and control.locator("option").count() < 2):
                continue
            before = picture(page)
            control.focus()
            assert control.evaluate("one => getComputedStyle(one).outlineStyle") != "none", f"{name} shows no focus"
            for value in moves(control, kind):
                value()
                page.wait_for_timeout(60)
                if picture(page) != before:
                    break
            changes_or_fails(page, before, f"{job}: {name}")
            if kind == "checkbox":
                changes(page, lambda: page.keyboard.press(" "), f"{job}: {name}, back")


def changes_or_fails(page, before, what):
    for _ in range(60):
        if picture(page) != before:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the picture did not change: {what}")


def moves(control, kind):
    """What moves a control, one after the other until the picture changes."""
    if kind in ("number", "text"):
        value = control.input_value()
        others = (
            [str(float(value or 0) + 1), control.get_attribute("min") or "2"]
            if kind == "number"
            else [value[:1] or "O"]
        )
        others = [one.removesuffix(".0") for one in others] if kind == "number" else [*others, "2024-01-05", "ba"]
        return [lambda one=one: control.fill(one) for one in others]
    return [lambda key=key: control.press(key) for key in KEYS["select" if kind == "select" else kind]]


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_and_has_a_theme(job, width, theme, browser, runs):
    with opened(browser, runs(job), viewport={"width": width, "height": 900}, color_scheme=theme) as page:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        ground = "() => getComputedStyle(document.body).backgroundColor"
        assert (page.evaluate(ground) == "rgb(255, 255, 255)") == (theme == "light")
        before = page.evaluate(ground)
        page.get_by_role("button", name="Dark theme" if theme == "light" else "Light theme").press("Enter")
        assert page.evaluate(ground) != before
        for one in page.locator("svg.chart text").all():
            box = one.bounding_box()
            assert box is None or (box["x"] >= -1 and box["x"] + box["width"] <= width + 1), one.text_content()


@pytest.mark.parametrize("job", ["generation", "texts"])
def test_the_map_starts_sequences_by_mouse_and_by_keys(job, browser, runs):
    with opened(browser, runs(job)) as page:
        chart = page.get_by_role("application", name="Map of h0")
        changes(page, lambda: chart.click(position={"x": 120, "y": 100}), "a click on the map")
        chart.focus()
        for key in ("ArrowRight", "ArrowUp", "n", "p", "n", "Enter"):
            if key == "Enter":  # the context of the point becomes that of the controls
                chart.press(key)
                page.wait_for_selector(ANSWERED)
            else:
                changes(page, lambda key=key: chart.press(key), f"{key} on the map")
        assert "The h0 of" in page.locator("[aria-live]").all_text_contents()[-1]


def test_a_window_is_changed_by_dragging(browser, runs):
    with opened(browser, runs("series")) as page:
        handle = page.locator("circle.handle").first

        def drag():
            box = handle.bounding_box()
            page.mouse.move(box["x"] + 11, box["y"] + 11)
            page.mouse.down()
            page.mouse.move(box["x"] + 11, box["y"] + 60, steps=3)
            page.mouse.up()

        changes(page, drag, "a point of the window was dragged")
        assert "window, changed" in picture(page)
        changes(page, lambda: page.get_by_role("button", name="Measured values again").press("Enter"), "the reset")
        assert "window, changed" not in picture(page)


def test_beam_and_targets_take_each_other_along(browser, runs):
    with opened(browser, runs("pairs")) as page:
        beam, best = (page.get_by_role("slider", name=name) for name in ("Beam", "Targets to show"))
        changes(page, lambda: beam.press("Home"), "a beam of 1")
        assert best.input_value() == "1"
        assert page.locator("tbody tr").count() == 1
        changes(page, lambda: best.press("ArrowRight"), "two targets")
        assert beam.input_value() == "2"
        assert page.locator("tbody tr").count() == 2


def test_a_symbol_shows_what_else_was_likely(browser, runs):
    with opened(browser, runs("texts")) as page:
        changes(page, lambda: page.locator(".symbols button").first.press("Enter"), "a symbol was chosen")
        assert "Most likely as symbol 1" in picture(page)
        changes(page, lambda: page.locator("table.texts button").nth(1).press("Enter"), "another text was chosen")
        assert page.locator(".molecules figure").count() == (8 if is_installed("rdkit") else 0)


def test_wrong_input_is_one_sentence_that_goes_away(browser, runs):
    with opened(browser, runs("texts"), expected="400 (Bad Request)") as page:  # the console names what was refused
        prefix = page.get_by_label("Texts begin with")
        prefix.fill("N")
        page.wait_for_selector("#error:not([hidden])")
        assert "which the training texts lack" in page.locator("#error").text_content()
        prefix.fill("")
        page.wait_for_selector("#error", state="hidden")
