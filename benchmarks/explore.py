"""How fast the page of `explore` is: the first paint after the command, and the answer to a slider that is moved.

    python -m benchmarks explore

The model generates 100 series of 100 steps, of two targets, with the default sizes. Without Playwright and Chromium
(`make test-page` installs them), the answers are timed over HTTP alone. Stop other work on the machine first.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import polars as pl
import torch

from contextual_rnn.jobs import generation

MOVES = 40
WATCH = """() => { window.painted = new Promise((done) => {
  const main = document.getElementById("main");
  new MutationObserver((_, watch) => { watch.disconnect(); done(main.dataset.took); })
    .observe(main, { attributeFilter: ["data-took"] });
}); }"""  # the milliseconds from the move of a control to the frame that shows the answer
ASKED = {"temperature": 1, "seed": 0, "n": 100, "steps": 100}


def main() -> None:
    """Print the times."""
    with tempfile.TemporaryDirectory() as folder:
        model = _model(pathlib.Path(folder))
        started = time.perf_counter()
        with _command(model) as url:
            print(f"address printed after the command: {time.perf_counter() - started:.1f} s")
            with contextlib.suppress(ImportError):
                _in_browser(url, started)
            for zero in (False, True):
                times = _over_http(url, zero)
                words = "with the same from h0 = 0" if zero else "alone"
                print(f"answer over HTTP, {words}: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms")
    print(f"load of the machine: {', '.join(f'{one:.1f}' for one in os.getloadavg())}; {os.cpu_count()} processors")


def _model(folder: pathlib.Path) -> pathlib.Path:
    """Return the file of a model whose series do not end before the last step."""
    rows = [
        (number, 5.0 + number, math.cos(step / (5 + number)), math.sin(step / (5 + number)))
        for number in range(20)
        for step in range(100)
    ]
    table = pl.DataFrame(rows, schema=["id", "period", "x", "y"], orient="row")
    model = generation.fit(table, targets=["x", "y"], context=["period"], series="id", epochs=1, jobs=1)
    with torch.no_grad():
        model.sequences.flag.bias.fill_(-50)
    model.save(folder / "model.safetensors")
    return folder / "model.safetensors"


@contextlib.contextmanager
def _command(model: pathlib.Path) -> Iterator[str]:
    command = [sys.executable, "-m", "contextual_rnn", "explore", str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[4].rstrip(",")
        process.terminate()


def _over_http(url: str, zero: bool) -> list[float]:
    """Return the milliseconds of calls one after the other, of which the first ones are left out."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    times = []
    for move in range(MOVES + 5):
        body = json.dumps({**ASKED, "zero": zero, "context": {"period": 5 + move / 4}})
        started = time.perf_counter()
        connection.request("POST", "/api/sample", body, {"content-type": "application/json"})
        found = json.loads(connection.getresponse().read())
        times.append(1000 * (time.perf_counter() - started))
        assert len(found["trajectories"][0][99]) == 100
    connection.close()
    return times[5:]


def _in_browser(url: str, started: float) -> None:
    """Print the time of the first paint, and of the pictures that follow a slider."""
    from playwright.sync_api import sync_playwright

    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("no Chromium was found")
        return
    with sync_playwright() as playwright:
        before = time.perf_counter()
        page = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        launch = time.perf_counter() - before
        page.goto(url)
        page.wait_for_selector('#main[data-answers][aria-busy="false"]')
        print(f"first picture after the command, less the {launch:.1f} s that the browser took to start: "
              f"{time.perf_counter() - started - launch:.1f} s")  # fmt: skip
        paint = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
        print(f"first paint after the page was asked for: {page.evaluate(paint):.0f} ms")
        page.get_by_label("Steps at most, as a number").fill("100")
        page.wait_for_timeout(1000)
        page.wait_for_selector('#main[aria-busy="false"]')
        slider = page.get_by_role("slider", name="period")
        for zero in (True, False):
            times = []
            for _ in range(MOVES):
                page.evaluate(WATCH)
                slider.press("ArrowRight")
                times.append(float(page.evaluate("() => window.painted")))
                page.wait_for_timeout(50)
            words = "with the same from h0 = 0" if zero else "alone"
            print(f"slider to picture, {words}: median {statistics.median(times):.0f} ms, worst {max(times):.0f} ms")
            page.get_by_label("also from h0 = 0").press(" ")
            page.wait_for_timeout(1000)
