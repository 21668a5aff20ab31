"""`series.compare` from Python: the answer, tables and figures, and a run folder that resumes."""

import json
import pathlib
import re
import tempfile

import pandas as pd
import pytest
import torch
from tanks import QUICK, TANK, panda, write

from contextual_rnn import InputError
from contextual_rnn.jobs import series

KINDS = ["zero", "warm-up", "context"]


def compared(train, test, **more):
    return series.compare(train, test, **{**TANK, **QUICK, "series": "id", "window": 3, "jobs": 1, "epochs": 1, **more})


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A comparison in a run folder, of settings that were chosen, on several test series."""
    out = tmp_path_factory.mktemp("compare") / "run"
    return compared(panda(6), panda(12, 40), initial_states=KINDS, seeds=5, washout=[0, 2], folds=2, out=out)


def test_the_answer_comes_first_and_every_comparison_follows(found):
    assert found.verdict.startswith("Does the initial state matter? ")
    assert str(found).split()[:5] == ["Does", "the", "initial", "state", "matter?"]
    for words in ("Knowing the targets of the window (warm-up against zero)", "95% interval", "A claim about other series takes at least 40 test series.",
                  "Starting from h0 = g(context), rather than warming up"):  # fmt: skip
        assert words in found.verdict
    words = " ".join(str(found).split())
    (sentence,) = re.findall(r"[^.]* have a higher free-run RMSE than ", words)  # of 2 epochs
    assert all(kind in sentence for kind in KINDS)
    assert max(map(len, str(found).splitlines()[:-2])) <= 80  # the last two lines are paths
    assert found._repr_html_().count("<tr>") == 7


def test_the_results_are_rows_that_frames_are_made_of(found):
    assert len(found.runs) == 15
    assert {row["initial_state"] for row in found.summary} == {*KINDS, "mean", "persistence", "linear"}
    frame = pd.DataFrame(found.differences)
    assert {"a", "b", "metric", "ratio", "low", "high", "seeds", "meaning"} <= set(frame.columns)
    assert "<table>" in found.summary._repr_html_()


def test_the_run_folder_has_everything(found):
    results = json.loads((found.out / "results.json").read_text())
    assert results.keys() == {"runs", "summary", "differences", "baselines", "chosen", "verdict"}
    assert results["verdict"] == found.verdict
    assert all(len(results["chosen"][kind]["validation"]) == 2 for kind in KINDS)
    figures = {path.name for path in (found.out / "figures").iterdir()}
    assert figures == {f"{name}.{end}" for name in ("errors", "learning", "start") for end in ("png", "svg")}


def test_no_test_data_are_read_while_settings_are_chosen(found):
    trials = list((found.out / "tuning").iterdir())
    assert len(trials) == 3 * 2 * 2
    assert not any((trial / "model.safetensors").exists() for trial in trials)
    for trial in trials:
        assert "squared_error_by_series" not in json.loads((trial / "results.json").read_text())


def test_models_predict_and_draw(found):
    assert set(found.models) == {f"{kind}-seed-{seed}" for kind in KINDS for seed in range(5)}
    assert len(found.models["context-seed-0"].predict(panda(2, 20)).frame) == 17 + 18
    figure = found.plot_start(series=1, steps=10)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == "measured"
    assert all(kind in " ".join(legend) for kind in KINDS)
    assert figure.axes[0].get_xlabel()
    assert "y" in figure.axes[0].get_ylabel()


def test_a_resumed_comparison_trains_nothing_again(found, monkeypatch):
    monkeypatch.setattr("contextual_rnn.study.figures.write_figure", lambda figure, folder, name: None)
    times = {path: path.stat().st_mtime_ns for path in found.out.rglob("model.safetensors")}
    more = {"initial_states": KINDS, "seeds": 5, "washout": [0, 2], "folds": 2, "out": found.out}
    again = compared(panda(6), panda(12, 40), **more, resume=True)
    assert again.runs == found.runs
    assert again.verdict == found.verdict
    assert times == {path: path.stat().st_mtime_ns for path in found.out.rglob("model.safetensors")}
    with pytest.raises(InputError, match="already holds a run; give `resume`"):
        compared(panda(6), panda(12, 40), **more)
    with pytest.raises(InputError, match="holds a run with other data in `test`"):
        compared(panda(6), panda(12, 41), **more, resume=True)


@pytest.fixture(scope="module")
def passing(tmp_path_factory):
    """A comparison that was kept nowhere, from a folder that must stay empty."""
    folder = tmp_path_factory.mktemp("nothing")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(tempfile, "tempdir", str(folder))
        result = compared(panda(2), panda(2, 40), initial_states=["zero", "context"], seeds=1)
    return result, list(folder.rglob("*"))


def test_without_a_folder_nothing_is_left_on_disk(passing):
    result, left = passing
    assert left == []
    assert result.out is None
    assert "Not enough runs to tell" in result.answer
    assert "Results:" not in str(result)
    assert len(result.models["zero-seed-0"].predict(panda(1)).frame) == 57


def test_a_comparison_is_saved_later(passing, tmp_path):
    passing[0].save(tmp_path / "saved")
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "config.json", "provenance.json", "results.json", "figures", "runs",
    }  # fmt: skip
    model = series.load(tmp_path / "saved/runs/context-seed-0")
    assert torch.equal(model.head.weight, passing[0].models["context-seed-0"].head.weight)
    with pytest.raises(InputError, match="already holds a run"):
        passing[0].save(tmp_path / "saved")


def test_a_saved_comparison_resumes_without_training(passing, tmp_path, monkeypatch):
    monkeypatch.setattr("contextual_rnn.study.figures.write_figure", lambda figure, folder, name: None)
    passing[0].save(tmp_path / "saved")
    monkeypatch.setattr("contextual_rnn.jobs.series.train.Training.__call__", None)
    more = {"initial_states": ["zero", "context"], "seeds": 1, "out": tmp_path / "saved"}
    assert compared(panda(2), panda(2, 40), **more, resume=True).runs == passing[0].runs
    (tmp_path / "saved/runs/zero-seed-0/results.json").unlink()
    with pytest.raises(TypeError):  # what is missing is trained
        compared(panda(2), panda(2, 40), **more, resume=True)


def test_two_processes_give_the_bytes_of_one(passing, tmp_path, monkeypatch):
    monkeypatch.setattr("contextual_rnn.study.figures.write_figure", lambda figure, folder, name: None)
    out = tmp_path / "run"
    result = compared(panda(2), panda(2, 40), initial_states=["zero", "context"], seeds=1, jobs=2, out=out)
    passing[0].save(tmp_path / "one")
    for name in result.models:
        file = pathlib.Path("runs", name, "model.safetensors")
        assert (out / file).read_bytes() == (tmp_path / "one" / file).read_bytes()
    assert [run["metrics"] for run in result.runs] == [run["metrics"] for run in passing[0].runs]


def test_a_window_longer_than_the_figure_is_drawn():
    result = compared(panda(2, 200), panda(1, 200), initial_states=["zero"], window=160, seeds=1)
    assert result.plot_start()._repr_png_().startswith(b"\x89PNG")
    assert "Only one kind was trained" in result.answer


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"initial_states": ["contxt"]}, "`initial_states` must be among zero, free"),
        ({"initial_states": ["contxt"]}, "found 'contxt'; did you mean 'context'?"),
        (
            {"initial_states": ["context"], "window": 0},
            "initial state 'context' is computed from what is known of a series: name in `context` columns",
        ),
        (
            {"initial_states": ["warm-up"], "window": 0, "context": ["area"]},
            "initial state 'warm-up' needs the targets of a window: give `window`",
        ),
        ({"targets": ["z"]}, "has no column 'z'"),
        ({"window": 100}, "has 60 steps, but at least 102 are needed"),
        ({"washout": 10}, "`washout` (10) must be less than `length` (10)"),
        ({"folds": 1}, "`folds` must be an integer of at least 2"),
        ({"cell": "fast-weights", "layers": 2}, "`layers` must be 1 for `cell` fast-weights; found 2"),
        ({"seeds": 0}, "`seeds` must be an integer of at least 1; found 0"),
        ({"learning_rate": 0}, "`learning_rate` must be greater than 0; found 0"),
        ({"learning_rate": 1e30, "initial_states": ["zero"]}, "zero-seed-0: the loss became"),
        ({"test": None}, "`test` is required"),
        ({"train": None}, "`train` must be a path"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(more, words):
    tables = {"train": panda(2, area=float), "test": panda(2, area=float)}
    more = {**tables, **more}
    with pytest.raises(InputError) as refused:
        compared(more.pop("train"), more.pop("test"), **more)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "--" not in str(refused.value)


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    table = write(tmp_path / "a.csv")
    for out, words in ((table, "is a file"), (pathlib.Path(table) / "in", "cannot be created")):
        with pytest.raises(InputError, match=words):
            compared(table, table, initial_states=["zero"], seeds=1, out=out)
