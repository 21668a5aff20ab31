"""What is chosen without being asked is said: the data that are held out, the start of a prediction, the number drawn."""

import math

import polars as pl
import pytest

from contextual_rnn.cli import main
from contextual_rnn.jobs import forecast, generation, pairs, series, texts

WAVES = pl.DataFrame(
    [(f"s{one}", math.sin(one + step), math.cos(one + step)) for one in range(12) for step in range(20)],
    schema=["id", "u", "y"],
    orient="row",
)
SPELLED = [(a + b, f"{a} {b}".upper()) for a in "abcd" for b in "abcde"]
TRAINED = {"epochs": 1, "hidden": 2, "jobs": 1}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave out the figures, which take longer than the training."""
    monkeypatch.setattr("contextual_rnn.study.figures.write_figure", lambda figure, folder, name: None)


def report(model):
    return " ".join(str(model.report).split())


@pytest.mark.parametrize(
    ("fit", "data", "options", "words"),
    [
        (
            series.fit,
            WAVES,
            {"inputs": "u", "targets": "y", "series": "id", "updates": 1, "folds": 3, "hidden": [2, 3]},
            "Chosen on 3 folds of the training table, each of which holds out one in 3 series: hidden ",
        ),
        (
            series.fit,
            WAVES,
            {"inputs": "u", "targets": "y", "series": "id", "updates": 1},
            "The errors are those of rows that were trained on; a `test` table gives those of others.",
        ),
        (
            forecast.fit,
            WAVES,
            {"targets": "y", "series": "id", "past": 4, "horizon": 2, "updates": 1},
            "The last 20% of each series (at least 6 steps) are held out to validate on.",
        ),
        (
            generation.fit,
            WAVES,
            {"targets": "y", "series": "id"},
            "the lowest error on the 2 held-out series (one in 5 of the training table).",
        ),
        (
            pairs.fit,
            SPELLED,
            {"embedding": 2},
            "2 of the 20 training sources are held out to validate on, drawn at random, always the same ones.",
        ),
        (
            texts.fit,
            pl.DataFrame({"name": [one for one, _ in SPELLED]}),
            {"text": "name"},
            "2 of the 20 distinct training texts are held out to validate on, drawn at random, always the same ones.",
        ),
    ],
    ids=["folds", "nothing", "forecast", "generation", "pairs", "texts"],
)
def test_a_report_says_what_is_held_out(fit, data, options, words):
    assert words in report(fit(data, **{**TRAINED, **options}))


def test_nothing_is_said_to_be_held_out_where_there_is_a_table_for_it():
    model = forecast.fit(WAVES, validation=WAVES, targets="y", series="id", past=4, horizon=2, updates=1, **TRAINED)
    assert "held out" not in report(model)
    assert "held out" not in report(pairs.fit(SPELLED, validation=SPELLED[:4], embedding=2, **TRAINED))


def test_predictions_say_what_they_start_from(tmp_path, capsys):
    table, run, state, out = (str(tmp_path / name) for name in ("a.csv", "run", "state", "out.csv"))
    WAVES.write_csv(table)
    series.fit(table, inputs="u", targets="y", series="id", window=1, updates=1, out=run, **TRAINED)
    main(["predict", run, "--inputs", table, "--out", out, "--end", state])
    said = capsys.readouterr().out
    assert "Each series starts from initial state 'context', and its first 1 row is read and not predicted.\n" in said
    main(["predict", run, "--inputs", table, "--out", out, "--start", state])
    said = capsys.readouterr().out
    assert f"Each series goes on from its state in {state}, as that prediction left it after its last row.\n" in said


def test_samples_say_how_many_they_are(tmp_path, capsys):
    run, out = str(tmp_path / "run"), str(tmp_path / "out.csv")
    generation.fit(WAVES, targets="y", series="id", out=run, **TRAINED)
    main(["sample", run, "--out", out, "--steps", "2"])
    assert "steps of 100 series (--n), drawn with --seed 0.\n" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["sample", run, "--out", out, "--context", "a=1"])
    assert "--context names 'a', but the model has no context columns; leave --context out" in capsys.readouterr().err
    texts.fit(pl.DataFrame({"name": [one for one, _ in SPELLED]}), text="name", out=f"{run}2", **TRAINED)
    main(["sample", f"{run}2", "--out", out])
    assert "100 texts (--n), " in capsys.readouterr().out
