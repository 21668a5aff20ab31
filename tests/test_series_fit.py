"""`series.fit` from Python: frames and paths, one training where there is nothing to choose, and nothing left behind."""

import dataclasses
import json
import os
import pathlib
import re
import sys
import tempfile

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from tanks import QUICK, TANK, columns, panda, records, write

from contextual_rnn import InputError, load
from contextual_rnn.jobs import series
from contextual_rnn.jobs.series.figures import plot_prediction
from contextual_rnn.linear import LinearModel


def fitted(train, **more):
    return series.fit(train, **{**TANK, **QUICK, "jobs": 1, **more})


def the_bytes(folder):
    return (pathlib.Path(folder) / "model.safetensors").read_bytes()


PAIRS = (("a", 0.0), ("b", 1000.0), ("new", 1e6))


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the figures of run folders, which take longer than the training."""
    monkeypatch.setattr("contextual_rnn.study.figures.write_figure", lambda figure, folder, name: None)


def the_same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_the_same_seed_gives_the_same_bytes_from_frames_and_files(tmp_path):
    settings = {"series": "id", "context": ["area"], "window": 2, "initial_state": "gaussian", "seed": 3}
    frame = panda(3, area=float)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    pl.DataFrame(columns(3, area=float)).write_parquet(tmp_path / "a.parquet")
    sources = [frame, frame.astype({"u": "Float64", "id": "string"}), pl.DataFrame(columns(3, area=float))]
    sources += [str(tmp_path / "a.csv"), tmp_path / "a.tsv", tmp_path / "a.parquet"]
    for source in sources:
        fitted(source, **settings).save(tmp_path / "tank")
        (tmp_path / "tank").rename(tmp_path / f"tank-{len(list(tmp_path.glob('tank-*')))}")
    assert len({path.read_bytes() for path in tmp_path.glob("tank-*")}) == 1
    assert len(list(tmp_path.glob("tank-*"))) == len(sources)
    assert not the_same(fitted(frame, **settings), fitted(frame, **{**settings, "seed": 4}))


def test_an_arrow_table_gives_the_same_model():
    pyarrow = pytest.importorskip("pyarrow")
    assert the_same(fitted(pyarrow.table(columns())), fitted(panda()))


def test_nothing_is_chosen_where_there_is_nothing_to_choose(tmp_path):
    model = fitted(panda(), out=tmp_path / "run")
    assert not (tmp_path / "run/tuning").exists()
    assert model.report.validation == []
    assert len(model.report.history) == 2
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert results.keys() == {"chosen", "metrics", "errors", "validation", "seconds", "report"}
    assert {path.name for path in (tmp_path / "run/figures").iterdir()} == {
        "history.png", "history.svg", "prediction.png", "prediction.svg",
    }  # fmt: skip


def test_the_report_has_fit_baselines_and_files(tmp_path):
    model = fitted(panda(), test=panda(steps=40), window=3, out=tmp_path / "run")
    baselines = ["mean, test table", "persistence, test table", "linear, test table"]
    assert list(model.report.rows) == ["training table", "test table", *baselines]
    assert all(np.isfinite(list(row.values())).all() for row in model.report.rows.values())
    shown = str(model.report)
    assert " ".join(shown.split()).startswith(
        "Trained a GRU of 4 units, with initial state 'context', on 1 series for 2 epochs."
    )
    error = {name: row["free_run_rmse"] for name, row in model.report.rows.items()}
    assert error["linear, test table"] < error["test table"]
    assert "On the test table, the model has a higher free-run RMSE than " in " ".join(shown.split())
    assert f"{tmp_path}/run/model.safetensors" in shown
    assert f"{tmp_path}/run/figures (history.png, prediction.png)" in shown
    assert "free-run RMSE" in model.report._repr_html_()


def test_several_values_are_chosen_on_folds_without_the_test_table(tmp_path, undrawn):
    model = fitted(panda(), test=panda(), hidden=[3, 5], folds=2, out=tmp_path / "run")
    assert model.settings.hidden in (3, 5)
    assert [row["hidden"] for row in model.report.validation] == [3, 5]
    assert f"every series: hidden {model.settings.hidden}." in " ".join(str(model.report).split())
    configs = [json.loads(path.read_text()) for path in (tmp_path / "run/tuning").glob("*/config.json")]
    assert len(configs) == 4
    assert "test" not in json.dumps(configs)
    for path in (tmp_path / "run/tuning").glob("*/results.json"):
        assert json.loads(path.read_text())["metrics"].keys() >= {"free_run_rmse", "first_20_rmse", "window_rmse"}


def test_a_validation_table_takes_the_place_of_folds(tmp_path, undrawn):
    model = fitted(panda(), validation=panda(steps=40), hidden=[3, 5], out=tmp_path / "run")
    assert len(list((tmp_path / "run/tuning").iterdir())) == 2
    assert "Chosen on the validation data" in str(model.report)


def test_settings_that_diverge_are_not_chosen():
    model = fitted(panda(), learning_rate=[1e30, 0.01], folds=2)
    assert [row["free_run_rmse"] is None for row in model.report.validation] == [True, False]
    assert model.settings.learning_rate == 0.01
    with pytest.raises(InputError, match="model: training diverged with all 2 settings"):
        fitted(panda(), learning_rate=[1e30, 2e30], folds=2)
    with pytest.raises(InputError, match="final: the loss became"):
        fitted(panda(), learning_rate=1e30)


def test_without_a_folder_nothing_is_left_on_disk(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    model = fitted(panda(), hidden=[3, 5], folds=2)
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]
    assert model.report.out is None
    model.report.plot_history()


def test_nothing_outside_the_package_changes():
    matplotlib = pytest.importorskip("matplotlib")
    pytest.importorskip("lightning_fabric")  # it sets an environment variable when it is imported

    before = dict.copy(matplotlib.rcParams), dict(os.environ), torch.random.get_rng_state()  # the backend as it stands
    has_pyplot = "matplotlib.pyplot" in sys.modules
    torch.set_num_threads(2)
    try:
        model = fitted(panda(), test=panda(), window=3)
        model.report.plot_history()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert dict.copy(matplotlib.rcParams) == before[0]
    assert dict(os.environ) == before[1]
    assert torch.equal(torch.random.get_rng_state(), before[2])
    assert ("matplotlib.pyplot" in sys.modules) is has_pyplot


def test_a_run_resumes_on_the_same_data_only(tmp_path, undrawn):
    fitted(panda(), out=tmp_path / "run")
    before = the_bytes(tmp_path / "run")
    with pytest.raises(InputError, match="already holds a run; give `resume` to continue it"):
        fitted(panda(), out=tmp_path / "run")
    again = fitted(panda(other=float), out=tmp_path / "run", resume=True)
    assert the_bytes(tmp_path / "run") == before
    assert len(again.report.history) == 2
    with pytest.raises(
        InputError, match="holds a run with other data in `train`; give the settings and data of that run"
    ):
        fitted(panda(steps=61), out=tmp_path / "run", resume=True)
    with pytest.raises(InputError, match=r"holds a run with `hidden` 4, but 5 was requested"):
        fitted(panda(), hidden=5, out=tmp_path / "run", resume=True)


def test_rows_of_a_report_are_computed_on_windows_of_one_length():
    table = panda()
    model = fitted(table, test=table, validation=table, length=[3, 9], washout=2)
    assert model.settings.length == 3  # and 9 is the largest candidate, on which all candidates are scored
    rows = model.report.rows
    assert rows["training table"] == rows["validation table"]
    assert {name: rows["test table"][name] for name in rows["training table"]} == rows["training table"]


def test_an_interrupted_run_resumes_to_the_same_bytes(tmp_path, monkeypatch, undrawn):
    fitted(panda(), out=tmp_path / "whole")
    from contextual_rnn.jobs.series import train

    inner = train.random_windows

    def interrupted(*args):
        batches, count = inner(*args), []

        def epoch():
            count.append(0)
            if len(count) == 2:
                raise KeyboardInterrupt
            yield from batches()

        return epoch

    monkeypatch.setattr(train, "random_windows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fitted(panda(), out=tmp_path / "run")
    monkeypatch.setattr(train, "random_windows", inner)
    fitted(panda(), out=tmp_path / "run", resume=True)
    assert the_bytes(tmp_path / "run") == the_bytes(tmp_path / "whole")


def test_a_model_is_saved_and_loaded_alone_and_from_its_run_folder(tmp_path, undrawn):
    table = panda(2)
    model = fitted(table, series="id", window=2, out=tmp_path / "run")
    model.save(tmp_path / "tank")
    alone, of_run, plain = series.load(tmp_path / "tank"), series.load(tmp_path / "run"), load(str(tmp_path / "run"))
    assert alone.report is None
    assert str(of_run.report) == str(model.report)
    for again in (alone, of_run, plain):
        assert the_same(again, model)
        pd.testing.assert_frame_equal(again.predict(table).frame, model.predict(table).frame)
    with pytest.raises(InputError, match="there is no such file"):
        series.load(tmp_path / "none")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"train": None}, "`train` must be a path, a pandas or polars data frame, or an Arrow table; found NoneType"),
        ({"train": "none.csv"}, "none.csv: there is no such file"),
        ({"targets": ["z"]}, "`train` has no column 'z'"),
        ({"targets": ["u"]}, "column 'u' is named in `inputs` and `targets`"),
        ({"window": 100}, "has 60 steps, but at least 102 are needed"),
        ({"test": panda(steps=3), "window": 3}, "`test` has 3 steps, but at least 4 are needed"),
        ({"folds": 1}, "`folds` must be an integer of at least 2; found 1"),
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"jobs": 0}, "`jobs` must be an integer of at least 1; found 0"),
        ({"hidden": []}, "`hidden` needs at least one value"),
        ({"window": 40, "epochs": [1, 2], "folds": 2}, "too few for 2 folds with a `window` of 40"),
        ({"washout": 35, "length": 40, "epochs": [1, 2], "folds": 2}, "which leaves nothing to learn from"),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(more, words):
    train = more.pop("train", panda()) if "train" in more else panda()
    with pytest.raises(InputError) as refused:
        fitted(train, **more)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "--" not in str(refused.value)


def test_unknown_arguments_are_named_with_the_nearest():
    with pytest.raises(TypeError, match=r"fit\(\) has no argument 'hiden'; did you mean 'hidden'"):
        fitted(panda(), hiden=3)
    with pytest.raises(TypeError, match="'targets' is required"):
        series.fit(panda(), inputs=["u"])


def test_one_name_counts_as_a_list_and_numpy_numbers_as_numbers():
    by_names = fitted(panda(), inputs="u", targets="y", hidden=np.int64(4), learning_rate=np.float64(0.01))
    assert the_same(by_names, fitted(panda()))


def test_a_file_of_labels_that_are_numerals_is_known_in_a_later_table(tmp_path):
    train = write(tmp_path / "a.csv", 4, place=lambda number: "12b2"[number])
    model = fitted(train, series="id", context="place")
    later = model.predict(write(tmp_path / "b.csv", 1, place=lambda number: "1"))
    assert len(later.frame) == 60
    with pytest.raises(InputError, match="series 's0', column 'place': the training table has no label '9'; it has"):
        model.predict(write(tmp_path / "c.csv", 1, place=lambda number: "9"))


def test_series_too_short_to_train_on_are_left_out_and_named():
    table = pd.DataFrame({"id": list("aaaabb"), "u": [0, 1, 2, 3, 0, 1], "y": [0, 1, 2, 3, 1, 2]})
    table = pd.concat([table.assign(id=table["id"] + str(number)) for number in range(7)])
    model = series.fit(table, series="id", inputs=["u"], targets=["y"], window=1, epochs=1, updates=1, hidden=2)
    words = " ".join(str(model.report).split())
    assert (
        "7 series of `train` are left out, with fewer than 3 steps: 'b0', 'b1', 'b2', 'b3', 'b4' and 2 more." in words
    )
    assert "on 7 series for 1 epoch." in words
    with pytest.raises(InputError, match="series 'b0' has 2 steps, but at least 3 are needed"):
        series.fit(table[table["id"].str[0] == "b"], series="id", inputs=["u"], targets=["y"], window=1)


@pytest.mark.parametrize("time", [None, "t"])
def test_with_times_the_mean_baseline_of_a_training_series_is_its_own_mean(time):
    frames = [
        pl.DataFrame({"id": [name] * 20, "t": np.arange(20), "u": np.zeros(20), "y": y + np.arange(20.0)})
        for name, y in PAIRS
    ]
    test = pl.concat(frames[1:]).with_columns(pl.col("t") + 20)
    options = {"inputs": ["u"], "targets": ["y"], "series": "id", "time": time, "initial_state": "zero"}
    network = series.fit(pl.concat(frames[:2]), test=test, epochs=1, updates=1, hidden=2, **options)
    rows = network.report.tables["Errors by series"]
    assert [row["id"] for row in rows] == [name for name, _ in PAIRS[1:]]
    known, new, overall = 1000 + np.arange(20.0), 1e6 + np.arange(20.0), 500 + 9.5
    of_known = known.mean() if time else overall  # without times, a series of that name may be another run
    wanted = [np.sqrt(np.mean((known - of_known) ** 2)), np.sqrt(np.mean((new - overall) ** 2))]
    assert [row["RMSE of mean"] for row in rows] == pytest.approx(wanted, rel=1e-4)


def test_a_test_table_that_is_the_training_table_is_remarked_on():
    words = " ".join(str(fitted(panda(), test=panda()).report).split())
    assert "`train` and `test` are the same table, so its errors are not those of new data." in words
    assert "same table" not in " ".join(str(fitted(panda(), test=panda(steps=40)).report).split())


def test_several_targets_are_shown_in_their_own_units_too():
    table = pd.DataFrame({"u": np.arange(80) % 9, "a": 1000.0 * (np.arange(80) % 9), "b": np.arange(80) % 9})
    model = series.fit(table, inputs=["u"], targets=["a", "b"], epochs=1, updates=1, hidden=2)
    words = " ".join(str(model.report).split())
    assert "Errors are in standard deviations of each target." in words
    shown = re.search(r"on the training table is ([\d.]+) \(a\), ([\d.]+) \(b\)\.", words)
    np.testing.assert_allclose(
        [float(one) for one in shown.groups()], list(model.predict(table).rmse.values()), rtol=1e-3
    )


def test_a_length_beyond_the_series_is_said():
    said = (
        "`length` is 2000, but no training series has more than 57 steps after the window, so windows of whole series"
    )
    options = {**TANK, **QUICK, "jobs": 1, "window": 3, "epochs": 1}
    assert any(said in one for one in series.fit(panda(1), **{**options, "length": [10, 2000]}).report.sentences)
    assert "`length`" not in str(series.fit(panda(1), **{**options, "length": 128}).report)
    compared = series.compare(panda(1), panda(1), **{**options, "length": 2000}, seeds=1, initial_states=["zero"])
    assert said in compared.note


def test_the_report_says_what_the_linear_baseline_reads_and_the_figure_which_steps():
    model = series.fit(panda(1, 200), **{**TANK, **QUICK, "jobs": 1, "window": 3, "epochs": 1})
    (said,) = [one for one in model.report.sentences if one.startswith("The baseline linear reads ")]
    assert said == model.linear.in_words()
    assert LinearModel(3, 2, 1, 0.1).in_words() == (
        "The baseline linear reads the last 2 targets, from the window and then its own outputs, and the inputs of the "
        "step and of 1 before it."
    )
    assert LinearModel(0, 0, 0, 0.1).in_words() == "The baseline linear reads the inputs, and not the window."
    record = dataclasses.replace(records(1, 200)[0], context=torch.zeros(0))
    titles = [
        plot_prediction({"context": model}, record, steps).axes[0].get_title(loc)
        for steps in (50, 197)
        for loc in ("left", "center")
    ]
    assert "".join(titles) == "first 50 of 197 predicted steps"
