"""What a comparison and a report show: the answer first, a table that fits a terminal, and tables in a notebook."""

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch

from contextual_rnn import MLP, InputError, save
from contextual_rnn.errors import InputError as TopInputError
from contextual_rnn.study.comparison import Comparison, Models, Rows
from contextual_rnn.study.differences import Answer, baseline_rows, difference, in_words, summarise
from contextual_rnn.study.figures import subplots, write_figure
from contextual_rnn.study.fit import unsettled
from contextual_rnn.study.metric import Metric
from contextual_rnn.study.parallel import run_directory
from contextual_rnn.study.report import FitReport

ERROR = Metric("error", "test error", "mV")
LATE = Metric("late", "first epoch <= 1%")
assert TopInputError is InputError


def comparison(folder, kinds=("zero", "context"), seeds=5, out=None, metrics=(ERROR, LATE)):
    runs = [
        {
            "initial_state": kind,
            "seed": seed,
            "metrics": {"error": 1.0 + place + 0.01 * seed, "late": 3 if place else None},
        }
        for place, kind in enumerate(reversed(kinds))
        for seed in range(seeds)
    ]
    baselines = {"persistence": {"error": 9.0}}
    row = difference(runs, {"initial_state": kinds[-1]}, {"initial_state": kinds[0]}, ERROR)
    for run in runs:
        path = folder / "runs" / f"{run['initial_state']}-seed-{run['seed']}"
        path.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(run["seed"])
        save(MLP(1, [2]), path / "model.safetensors")
    names = [f"{run['initial_state']}-seed-{run['seed']}" for run in runs]
    reply = Answer("the initial state", row, ERROR, control=kinds[0])
    return Comparison(
        answer=reply.in_words(),
        matters=reply.matters,
        runs=Rows(runs),
        summary=Rows(summarise(runs, ["initial_state"]) + baseline_rows("initial_state", baselines)),
        differences=Rows([row]),
        sentences=[in_words(row, ERROR), "  " + "word " * 40],
        metrics=metrics,
        models=Models(folder / "runs", names),
        config={"seeds": seeds},
        report={"baselines": baselines},
        note="Errors are in mV; lower is better.",
        out=out,
    )


def test_printing_begins_with_the_answer_and_fits_a_terminal(tmp_path):
    found = comparison(tmp_path)
    lines = str(found).splitlines()
    assert lines[0].startswith("Does the initial state matter? Yes. The test error of context is 50% lower")
    assert max(map(len, lines)) <= 80
    assert max(map(len, found.details().splitlines())) <= 80
    assert "word word" in found.details()
    assert "word word" not in str(found)
    assert found.verdict.startswith(found.answer)
    assert "Errors are in mV; lower is better." in lines


def test_kinds_are_ranked_by_the_mean_that_the_table_shows(tmp_path):
    found = comparison(tmp_path)
    for row in found.summary:
        if row["initial_state"] == "context" and row["metric"] == "error":
            row["mean"], row["median"] = 5.0, 0.1  # one seed is far off
    assert found.ranked() == ["zero", "context", "persistence"]


def test_the_table_ranks_kinds_and_shows_what_is_missing(tmp_path):
    found = comparison(tmp_path)
    assert found.ranked() == ["context", "zero", "persistence"]
    table = found.table()
    assert "test error, mV" in table
    assert "first epoch <= 1%" in table
    rows = [line.split() for line in table.splitlines()[-3:]]
    assert [row[0] for row in rows] == ["context", "zero", "persistence"]
    assert (rows[0][-1], rows[2][1:]) == ("-", ["9", "-"])  # context never came under 1%, and nor did persistence
    assert rows[0][1:4] == ["1.02", "[1,", "1.04]"]


def test_a_kind_without_the_first_metric_comes_last(tmp_path):
    found = comparison(tmp_path, metrics=(LATE, ERROR))
    assert found.ranked() == ["zero", "context", "persistence"]
    assert "context" in found.table()


@pytest.mark.parametrize("width", [80, 40])
def test_long_names_do_not_break_the_table(tmp_path, width):
    kinds = ("a" * 30, "a kind [bold] of :smile: " + "b" * 70)
    found = comparison(tmp_path, kinds, seeds=1, metrics=(ERROR, LATE, ERROR, LATE))
    lines = found.table(width).splitlines()
    assert max(map(len, lines)) <= width
    assert "a kind [bold] of" in found.table()


def test_figures_draw_every_run_and_baseline(tmp_path):
    figure = comparison(tmp_path).plot_errors()
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["test error, mV", "first epoch <= 1%"]
    drawn = [len(line.get_xdata()) for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    assert sorted(drawn) == [5, 5]
    bars = [line.get_xdata() for line in figure.axes[0].get_lines() if line.get_marker() == "|"]
    assert len(bars) == 1  # the baseline
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_saving_writes_a_run_folder_and_overwrites_none(tmp_path):
    found = comparison(tmp_path / "work")
    found.save(tmp_path / "saved")
    results = json.loads((tmp_path / "saved/results.json").read_text())
    assert results.keys() == {"runs", "summary", "differences", "baselines", "verdict"}
    assert results["verdict"] == found.verdict
    assert json.loads((tmp_path / "saved/config.json").read_text()) == {"seeds": 5}
    assert (tmp_path / "saved/figures/errors.png").exists()
    assert len(list((tmp_path / "saved/runs").glob("*/model.safetensors"))) == 10
    with pytest.raises(InputError, match="already holds a run"):
        found.save(tmp_path / "saved")


def test_models_are_loaded_when_they_are_used_and_unknown_ones_named(tmp_path):
    models = comparison(tmp_path).models
    assert len(models) == 10
    assert not models.loaded
    one = models["zero-seed-1"]
    assert models["zero-seed-1"] is one
    assert not one.training
    with pytest.raises(KeyError, match="there is no run 'zero-seed-9'; the runs are"):
        models["zero-seed-9"]


def test_the_files_are_named_at_the_end(tmp_path):
    found = comparison(tmp_path, out=tmp_path)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "errors.png").touch()
    assert str(found).endswith(f"Results: {tmp_path}/results.json\nFigures: {tmp_path}/figures (errors.png)")


EVIL = "<script>&"


def test_a_notebook_shows_tables_with_escaped_names(tmp_path):
    found = comparison(tmp_path, ("zero", EVIL.replace("/", "")), metrics=(Metric("error", EVIL),))
    found.answer = EVIL
    shown = found._repr_html_()
    assert shown.count("&lt;script&gt;&amp;") == 3
    assert EVIL not in shown
    assert shown.count("<tr>") == 4  # the head and three rows


def test_rows_are_a_list_and_a_table(tmp_path):
    rows = Rows([{"a": 1.23456, EVIL: None}, {"a": EVIL, "b": 2}])
    assert rows[0] == {"a": 1.23456, EVIL: None}
    shown = rows._repr_html_()
    assert "<th>a</th><th>&lt;script&gt;&amp;</th><th>b</th>" in shown
    assert "<tr><td>1.235</td><td></td><td></td></tr>" in shown
    assert EVIL not in shown
    assert Rows()._repr_html_().startswith("<table>")
    pandas = pytest.importorskip("pandas")
    assert pandas.DataFrame(rows).shape == (2, 3)


def report(**more):
    rows = {"training table": {"error": 1.0, "late": 2.0}, f"mean {EVIL}, training table": {"error": 3.14159}}
    history = [{"epoch": 1, "loss": 2.0, "free_run_rmse": 3.0}, {"epoch": 2, "loss": 1.0, "free_run_rmse": 2.0}]
    return FitReport(["Trained it.", "Errors are in mV."], (ERROR, LATE), rows, history, **more)


def test_a_report_shows_what_was_trained_and_its_errors(tmp_path):
    shown = str(report())
    assert shown.startswith("Trained it. Errors are in mV.\n\n")
    assert f"mean {EVIL}, training table" in shown
    assert shown.splitlines()[-1].split()[-2:] == ["3.142", "-"]
    assert max(map(len, shown.splitlines())) <= 80
    assert str(report(out=tmp_path)).endswith(f"Model:   {tmp_path}/model.safetensors")


def test_a_report_in_a_notebook_escapes_and_draws_its_history():
    shown = report()._repr_html_()
    assert "<td>mean &lt;script&gt;&amp;, training table</td><td>3.142</td><td>-</td>" in shown
    assert EVIL not in shown
    labels = [axes.get_ylabel() for axes in report().plot_history().axes]
    assert labels == ["training loss", "free run RMSE"]


def test_work_without_an_out_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    state = torch.random.get_rng_state()
    with run_directory(None) as folder:
        folder.mkdir()
        (folder / "file").touch()
        torch.rand(1)
    assert not list(tmp_path.iterdir())
    assert torch.equal(torch.random.get_rng_state(), state)
    with run_directory(tmp_path / "kept") as folder:
        assert folder == tmp_path / "kept"


def test_a_figure_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    (tmp_path / "a.svg").write_text("kept")
    figure, _ = subplots()
    whole = figure.savefig

    def stop(file, **options):
        whole(file, **options)
        if options["format"] == "svg":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", stop)
    with pytest.raises(OSError, match="No space left"):
        write_figure(figure, tmp_path, "a")
    assert (tmp_path / "a.svg").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg"]


def course(*values, name="validation_rmse"):
    """The metrics of every epoch of a run."""
    return [{"epoch": epoch + 1, "loss": 1.0, name: value} for epoch, value in enumerate(values)]


def test_runs_that_were_still_learning_are_counted():
    falling, settled = course(8, 6, 4, 3, 2, 1, 0.5, 0.3), course(8, 3, 1, 0.5, 0.49, 0.5, 0.49, 0.48)
    said = unsettled([falling, falling, settled])
    assert said == "In 2 of 3 runs, the validation error still fell by more than 5% in the last quarter of the epochs."
    assert unsettled([falling]).startswith("The validation error still fell")
    assert unsettled([falling, settled, settled]) == unsettled([falling[:3]]) == unsettled([]) == ""
    score = course(1, 2, 3, 4, 3, 2, 1, 0.5, name="validation_bleu")
    assert unsettled([score], higher=["validation_bleu"]) == ""
    assert "training loss still fell by more than 25%" in unsettled([[{"loss": 1 / n**2} for n in range(1, 5)]])
    assert unsettled([course(3, 2, -1, -2)]) == ""  # a log likelihood has no percentages


@pytest.mark.parametrize("better", [True, False])
def test_a_comparison_of_runs_that_were_still_learning_says_so(tmp_path, better):
    found = dataclasses.replace(comparison(tmp_path), matters=better)
    for name in found.models.names:
        lines = "".join(json.dumps(row) + "\n" for row in course(4, 3, 2, 1))
        (tmp_path / "runs" / name / "metrics.jsonl").write_text(lines)
    found.keep(SimpleNamespace(out=None))
    said = "In 10 of 10 runs, the validation error still fell by more than 5% in the last quarter of the epochs."
    assert (said in found.note, said in found.answer) == (better, not better)
