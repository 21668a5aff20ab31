"""Functions of a text in another process: what they may do, and what is made of it in a comparison."""

import sys

import polars as pl
import pytest
import torch

from contextual_rnn import InputError
from contextual_rnn.cli import main
from contextual_rnn.jobs import texts
from contextual_rnn.jobs.texts import check
from contextual_rnn.jobs.texts.answer import further
from contextual_rnn.jobs.texts.check import Check, Checker
from contextual_rnn.jobs.texts.compare import PRIMARY, QUESTIONS
from contextual_rnn.jobs.texts.figures import asked_and_obtained
from contextual_rnn.jobs.texts.metrics import BITS, BY_TEXT
from contextual_rnn.jobs.texts.obtained import FEWEST_TEXTS, correlation, error_of, tenths
from contextual_rnn.jobs.texts.over_texts import with_intervals_over_texts
from contextual_rnn.study.differences import findings, summarise
from contextual_rnn.study.figures import plot_learning

FUNCTIONS = """
import os, sys, time

def size(text):
    if text == "raises":
        raise KeyError("no such thing")
    if text == "prints":
        print("looking at", text)
        os.write(2, b"and more")
    if text == "exits":
        sys.exit(3)
    if text == "dies":
        os._exit(1)
    if text == "hangs":
        time.sleep(60)
    if text == "reads":
        input()
    odd = {"text": "five", "truth": True, "nan": float("nan"), "none": None}
    return odd.get(text, len(text))

def letters(text):
    return len(set(text)) if len(set(text)) == 1 else None

number = 3
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """A module of functions in the working directory, which is on the path of the other process alone."""
    (tmp_path / "sizes.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    return "sizes:size"


def test_a_function_that_fails_costs_the_value_of_one_text(functions, capfd):
    given = [
        "ab",
        "raises",
        "prints",
        "exits",
        "dies",
        "hangs",
        "reads",
        "text",
        "truth",
        "nan",
        "none",
        "raises",
        "abc",
    ]
    with Checker([functions, "builtins:len"], timeout=1.5) as checker:
        own, builtin = checker.values(given)
        said = checker.sentences()
    assert own == [2, None, 6, *[None] * 9, 3]
    assert builtin == [len(text) for text in given]
    assert capfd.readouterr() == ("", "")
    rest = "; these texts count as not valid."
    assert said == [
        f"`check` sizes:size raised KeyError: 'no such thing' for the text 'raises' and 1 others{rest}",
        "`check` sizes:size printed 'looking at prints and more' for the text 'prints'; what it prints is left out.",
        f"`check` sizes:size raised SystemExit: 3 for the text 'exits'{rest}",
        f"`check` sizes:size ended its process for the text 'dies'{rest}",
        f"`check` sizes:size took more than 1.5 s for the text 'hangs'{rest}",
        f"`check` sizes:size raised EOFError: EOF when reading a line for the text 'reads'{rest}",
        "`check` sizes:size returned 'five', which is neither a finite number nor None, for the text 'text' and 2 "
        f"others{rest}",
    ]
    assert "sizes" not in sys.modules


def test_a_function_that_hangs_again_and_again_is_left_out(functions, monkeypatch):
    monkeypatch.setattr(check, "MOST_HANGS", 2)
    with Checker([functions, "builtins:len"], timeout=0.1) as checker:
        assert checker.values(["hangs", "a", "hangs", "b"]) == [None, [5, 1, 5, 1]]
        assert "it was not called for the other texts" in checker.sentences()[0]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("sizes:other", "`check` sizes:other cannot be imported: AttributeError"),
        ("sizes:number", "`check` sizes:number cannot be imported: TypeError: number is no function"),
        ("nowhere.at.all:size", "`check` nowhere.at.all:size cannot be imported: ModuleNotFoundError"),
    ],
)
def test_functions_that_cannot_be_imported(functions, place, message):
    with pytest.raises(InputError, match=message):
        Checker([place], timeout=1)


@pytest.mark.parametrize(
    ("text", "column"),
    [("m:weight", "weight"), ("weight=m.n:f", "weight"), ("m:f", None), ("m:Class.weight", "weight"), ("m:kind", None)],
)
def test_the_column_of_a_function(text, column):
    assert Check.parse(text, ["weight", "size"], ["weight", "size", "kind"]).column == column
    assert [one.column for one in Check.parse_all(["m:f"], ["size"], ["size", "kind"])] == ["size"]
    assert [one.column for one in Check.parse_all(["m:f", "m:g"], ["size"], ["size"])] == [None, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m.weight", "`check` must be package.module:function"),
        ("kind=m:f", "the context column 'kind' has labels"),
        ("wieght=m:f", "there is no context column 'wieght'; did you mean 'weight'"),
    ],
)
def test_wrong_functions(text, message):
    with pytest.raises(InputError, match=message):
        Check.parse(text, ["weight"], ["weight", "kind"])


def test_tenths_and_correlations():
    values = torch.arange(100, dtype=torch.float64).numpy()
    parts = tenths(values)
    assert [(low, high) for low, high, _ in parts] == [(10 * part, 10 * part + 9) for part in range(10)]
    assert [low for low, _, _ in tenths(values // 40)] == [0, 1, 2]
    assert correlation(values, 3 - 2 * values) == pytest.approx(-1)
    assert correlation(values, 0 * values) is None


def test_a_comparison_reports_what_was_asked_for_and_obtained(functions, tmp_path, capsys):
    rows = [(letter * size, letter, size) for size in (2, 3, 4, 5) for letter in "ab"] * 8
    pl.DataFrame(rows, schema=["name", "first", "size"], orient="row").write_csv("a.csv")
    out = tmp_path / "run"
    arguments = [
        "compare",
        "texts",
        "--train",
        "a.csv",
        "--test",
        "a.csv",
        "--text",
        "name",
        "--context",
        "first",
        "size",
    ]
    arguments += ["--hidden", "12", "--embedding", "4", "--context-hidden", "8", "--epochs", "12", "--batch-size", "16"]
    arguments += ["--learning-rate", "0.03", "--jobs", "1", "--seeds", "1", "--context-in", "h0", "none"]
    arguments += ["--out", str(out), "--tolerance", "0"]
    main([*arguments, "--check", functions, "sizes:letters"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "sizes:size with 'size', sizes:letters with no column; COLUMN= before a function names one." in shown
    assert "asked for (tolerance)" in shown
    assert "size (±0)" in shown
    assert "The tolerance is 0 standard deviations of the column" in shown
    assert "A text is new if it is equal, symbol by symbol, to none of the training and validation texts." in shown
    assert "…" not in shown
    files = {kind: pl.read_csv(out / "written" / f"{kind}-seed-0.csv") for kind in ("h0", "none")}
    assert files["h0"].columns == ["text", "valid", "new", "asked size", "obtained size"]
    for table in files.values():
        assert table["valid"].to_list() == [len(set(text)) == 1 for text in table["text"]]
        assert table.filter("valid")["obtained size"].to_list() == [len(text) for text in table.filter("valid")["text"]]
    results = pl.read_json(out / "results.json")["summary"][0]
    found = {(row["initial_state"], row["metric"]): row["mean"] for row in results}
    kept = files["h0"].filter("valid")
    assert found["h0", "valid"] == pytest.approx(100 * len(kept) / 64)
    assert found["h0", "within_size"] == pytest.approx(100 * (kept["asked size"] == kept["obtained size"]).mean())
    assert found["h0", "error_size"] < found["none", "error_size"]
    assert (out / "figures" / "asked.png").exists()
    capsys.readouterr()
    main([*arguments, "--check", "sizes:size", "--check-texts", "8", "--resume"])  # no run is trained again
    assert "No correlation is given for fewer than 20 valid texts" in " ".join(capsys.readouterr().out.split())
    assert pl.read_csv(out / "written" / "h0-seed-0.csv").height == 8


def test_wrong_arguments_of_checks(functions):
    data = pl.DataFrame({"name": ["aa", "aaa"], "size": [2.0, 2.5]})
    options = {"text": "name", "context": ["size"], "epochs": 1, "jobs": 1}
    for given, message in (
        ({"check_timeout": 0}, "`check_timeout` must be greater than 0"),
        ({"tolerance": -1}, "`tolerance` must be at least 0"),
        ({"check_texts": 0}, "`check_texts` must be an integer of at least 1"),
        ({"check": ["size=sizes:size", "size=sizes:letters"]}, "two functions are compared with the context column"),
        ({"check": "sizes:other"}, "cannot be imported"),
    ):
        with pytest.raises(InputError, match=message):
            texts.compare(data, data, **options, **given)


def test_few_valid_texts_have_no_correlation():
    values = torch.arange(FEWEST_TEXTS, dtype=torch.float64).numpy()
    assert correlation(values, values) == pytest.approx(1)
    assert correlation(values[1:], values[1:]) is None


def _run(kind, seed, **metrics):
    return {"initial_state": kind, "seed": seed, "metrics": metrics}


def test_intervals_over_texts_where_seeds_are_few():
    runs = [_run("h0", 0, valid=50.0, valid_texts=20, texts_size=20, correlation_size=0.5, within_size=100.0)]
    summary = summarise(runs, ["initial_state"])
    assert with_intervals_over_texts(summary, runs, 40, ["size"])
    found = {row["metric"]: (row["low"], row["high"]) for row in summary if row.get("over") == "texts"}
    assert found == {
        "valid": pytest.approx((35.2, 64.8), abs=0.05),  # Wilson, 20 of 40
        "correlation_size": pytest.approx((0.0738, 0.7717), abs=1e-3),  # tanh(atanh(0.5) +- 1.96 / sqrt(17))
        "within_size": pytest.approx((83.9, 100), abs=0.05),
    }


def test_an_answer_has_the_comparison_with_none_and_the_errors():
    def values(kind, bits, error):
        noise = [0.01, -0.01, 0.02, -0.02, 0.0]
        own = [{"bits_per_symbol": bits + one, "error_size": error * (1 + one)} for one in noise]
        return [
            {**_run(kind, seed, **metrics), "bits_by_text": [metrics["bits_per_symbol"]]}
            for seed, metrics in enumerate(own)
        ]

    runs = [*values("h0", 1.0, 0.5), *values("every-step", 1.1, 0.4), *values("none", 1.5, 2.0)]
    pairs = [(a, b, meaning) for (a, b), meaning in QUESTIONS.items() if "both" not in (a, b)]
    found = findings(runs, pairs, [BITS, error_of("size")], BY_TEXT, {}, "the place", PRIMARY)
    said = further(found["differences"], ["size"])
    assert (
        "Mean absolute errors of h0 as ratios to those of every-step, with simultaneous 95% intervals: size 1.25"
        in said
    )
    assert "The negative log-likelihood per symbol of h0 is 0.5 bits lower than that of none" in said
    assert "Mean absolute errors of h0 as ratios to those of none, with simultaneous 95% intervals: size 0.25 (" in said
    before = "No." + said.replace(" The negative log-likelihood", " But the negative log-likelihood")
    assert "negative log-likelihood" not in further(found["differences"], ["size"], before)
    assert further([], ["size"]) == ""


def test_a_place_has_one_colour_in_all_figures():
    deciles = [
        {"context_in": kind, "column": "size", "asked": asked, "obtained": {"middle": asked}}
        for kind in ("none", "h0")
        for asked in (1.0, 2.0)
    ]
    axes = asked_and_obtained(deciles, {"size": 0.25}).axes[0]
    drawn = {line.get_label(): line.get_color() for line in axes.get_lines()}
    history = [{"epoch": epoch, "loss": 1.0} for epoch in (1, 2)]
    learning = plot_learning({kind: [history] for kind in ("h0", "both", "none")}).axes[0]
    assert drawn["h0"] == learning.get_lines()[0].get_color() != drawn["none"]
    assert drawn["none"] == learning.get_lines()[2].get_color()
    assert axes.get_title() == "tolerance ±0.25"
