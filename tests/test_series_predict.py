"""Predictions of series: carrying on from states, frames with their index, and files."""

import copy
import csv

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from tanks import QUICK, TANK, columns, panda, write

from contextual_rnn import InputError
from contextual_rnn._core.state import leaves
from contextual_rnn.jobs import series
from contextual_rnn.jobs.series import States
from contextual_rnn.jobs.series.predict_file import predict_file
from contextual_rnn.study.run_folder import RunFolder


def fitted(**more):
    train = panda(3, place=lambda number: "ab"[number % 2], area=float)
    return series.fit(train, **{**TANK, **QUICK, "epochs": 1, "jobs": 1, "series": "id", "window": 3, **more})


@pytest.fixture(scope="module")
def model():
    return fitted()


@pytest.mark.parametrize(
    ("cell", "kind"), [("lstm", "every-step"), ("lstm", "zero"), ("gru", "warm-up"), ("fast-weights", "context")]
)
def test_today_and_tomorrow_equal_the_whole(cell, kind):
    tank = fitted(cell=cell, initial_state=kind, context=["place", "area"])
    table = panda(3, place=lambda number: "ab"[number % 2], area=float)
    today = table.groupby("id").head(20)
    tomorrow = table.drop(today.index).drop(columns="y")
    whole, first = tank.predict(table), tank.predict(today)
    rest = tank.predict(tomorrow, start=first.state)
    assert list(whole.frame.columns) == ["id", "step", "y", "y_predicted"]
    assert list(rest.frame.columns) == ["id", "step", "y_predicted"]
    assert rest.rmse is None
    joined = pd.concat([first.frame, rest.frame])["y_predicted"].sort_index()
    assert joined.index.equals(whole.frame.index.sort_values())
    assert np.allclose(joined, whole.frame["y_predicted"].sort_index(), atol=1e-5)


def test_measured_and_predicted_values_stand_in_their_rows(model):
    table = panda(2)
    found = model.predict(table)
    assert found.frame["y"].to_numpy() == pytest.approx(table.loc[found.frame.index, "y"].to_numpy(), rel=1e-6)
    assert found.frame["step"].tolist() == [*range(3, 60), *range(3, 61)]
    error = found.frame["y_predicted"] - found.frame["y"]
    assert found.rmse == {"y": pytest.approx(float((error**2).mean() ** 0.5), rel=1e-5)}


def test_predictions_are_scored_beside_the_baselines_that_the_file_keeps(model, tmp_path):
    model.save(tmp_path / "model")
    kept, table = series.SeriesModel.load(tmp_path / "model"), panda(5).query("id in ['s3', 's4']")
    found = kept.predict(table)
    assert list(found.baselines) == ["mean", "persistence", "linear"]
    groups = [group["y"].to_numpy() for _, group in table.groupby("id")]
    held = np.concatenate([y[3:] - y[2] for y in groups])
    assert found.baselines["persistence"]["y"] == pytest.approx(float(np.sqrt((held**2).mean())), rel=1e-5)
    assert found.baselines["linear"]["y"] < 0.05  # the tanks are linear
    assert model.report.rows["linear, training table"]["mase"] < model.report.rows["mean, training table"]["mase"]
    assert found.baselines == model.predict(table).baselines
    assert kept.predict(table, start=found.state).baselines == {}
    write(tmp_path / "a.csv", 2)
    printed = predict_file(tmp_path / "model", tmp_path / "a.csv", tmp_path / "out.csv")
    assert "RMSE of linear: " in printed
    assert "The model has a higher RMSE of 'y' than " in printed


def test_a_window_that_holds_a_season_gives_a_seasonal_baseline():
    hours = pd.date_range("2024-01-01", periods=80, freq="6h")
    table = pd.DataFrame({"when": hours, "u": np.arange(80.0), "y": np.tile([5.0, 1.0, 9.0, 3.0], 20)})
    options = {**TANK, **QUICK, "epochs": 1, "jobs": 1, "time": ["when"]}
    daily = series.fit(table, window=6, **options)
    assert daily.predict(table).baselines["seasonal"]["y"] == 0
    assert daily.report.rows["seasonal, training table"]["free_run_rmse"] == 0
    assert "MASE and RMSSE leave out 1 series, which repeats exactly." in daily.report.sentences
    assert daily.report.rows["persistence, training table"]["mae"] >= 0
    assert "seasonal" not in series.fit(table, window=3, **options).predict(table).baselines


def test_interleaved_rows_keep_their_index_whatever_it_is(model):
    when = pd.date_range(
        "2024-03-30", periods=119 + 2, freq="h", tz="Europe/Berlin", name="when"
    )  # over a clock change
    table = panda(2).sample(frac=1, random_state=0).set_index(when)
    table["id"] = table["id"].astype("category")
    table["note"] = "text"
    found = model.predict(table)
    assert found.frame.index.isin(table.index).all()
    assert found.frame.index.tz == when.tz
    assert found.frame.index.name == "when"
    rows = table.loc[found.frame.index]
    assert (rows["id"].astype(str) == found.frame["id"]).all()
    assert np.allclose(rows["y"], found.frame["y"])
    several = table.reset_index().set_index(["id", "when"])
    with pytest.raises(InputError, match="has no column 'id'"):
        model.predict(several)
    several["id"] = table["id"].to_numpy()
    assert model.predict(several).frame.index.names == ["id", "when"]


def test_identifiers_that_are_numbers_stay_numbers(model):
    for kind in ("int64", "Int64"):
        frame = panda(2)
        frame["id"] = (frame["id"] == "s1").astype(kind)
        found = model.predict(frame)
        assert found.frame["id"].dtype == "int64"
        assert len(frame.merge(found.frame, on="id")) > 0
        assert list(found.state) == ["0", "1"]


def test_polars_and_files_give_polars_and_the_same_numbers(model, tmp_path):
    pandas = model.predict(panda(2)).frame
    for source in (pl.DataFrame(columns(2)), write(tmp_path / "a.csv", 2), write(tmp_path / "a.parquet", 2)):
        found = model.predict(source)
        assert isinstance(found.frame, pl.DataFrame)
        assert found.frame.columns == list(pandas.columns)
        assert np.array_equal(found.frame["y_predicted"], pandas["y_predicted"])
        assert found.frame["id"].to_list() == pandas["id"].tolist()


def test_an_arrow_table_gives_an_arrow_table(model):
    pyarrow = pytest.importorskip("pyarrow")
    found = model.predict(pyarrow.table(columns(2)))
    assert isinstance(found.frame, pyarrow.Table)
    assert "pyarrow" in found._repr_html_()


def test_a_notebook_shows_the_frame(model):
    assert model.predict(panda(1))._repr_html_().count("<tr") > 10
    assert "y_predicted" in model.predict(pl.DataFrame(columns(1)))._repr_html_()


def test_predicting_changes_neither_the_table_nor_the_random_state(model):
    table, state = panda(2), torch.random.get_rng_state()
    before = table.copy(deep=True)
    first = model.predict(table)
    pd.testing.assert_frame_equal(table, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    pd.testing.assert_frame_equal(model.predict(table).frame, first.frame)


def test_states_are_saved_and_loaded(model, tmp_path):
    table = panda(2)
    state = model.predict(table).state
    state.save(tmp_path / "state")
    again = States.load(tmp_path / "state", model)
    assert list(again) == ["s0", "s1"]
    one, other = (model.predict(table, start=start).frame for start in (state, again))
    pd.testing.assert_frame_equal(one, other)


def test_states_of_another_model_and_states_that_are_not_numbers_are_refused(model, tmp_path):
    table = panda(2)
    state = model.predict(table).state
    state.save(tmp_path / "state")
    other = copy.deepcopy(model)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    with pytest.raises(InputError, match="state belongs to another model of the same sizes"):
        States.load(tmp_path / "state", other)
    with pytest.raises(InputError, match="`start` belongs to another model of the same sizes"):
        other.predict(table, start=state)
    next(leaves(state["s1"]))[0, 0] = float("nan")
    with pytest.raises(InputError, match="the state of series 's1' has values that are not finite numbers"):
        model.predict(table, start=state)


def test_files_of_a_run_are_not_overwritten(model, tmp_path):
    table, run = write(tmp_path / "a.csv", 2), tmp_path / "run"
    RunFolder.open(run, {}, resume=False)
    model.save(run / "model.safetensors")
    for name in ("model.safetensors", "checkpoint.safetensors", "config.json"):
        with pytest.raises(InputError, match=r"`end` .*(is a file of the run in|is the file of `run`)"):
            predict_file(run, table, tmp_path / "out.csv", end=run / name)


def test_wrong_tables_and_states_are_refused_in_one_sentence(model, tmp_path):
    table = panda(2)
    with pytest.raises(InputError, match="`table` has no column 'u'"):
        model.predict(table.drop(columns="u"))
    with pytest.raises(InputError, match="`table` has no column 'y'"):  # the window needs it
        model.predict(table.drop(columns="y"))
    with pytest.raises(InputError, match="series 's0' has 3 steps, but at least 4 are needed"):
        model.predict(panda(1, steps=3))
    with pytest.raises(InputError, match=r"`table` must be a path, .* found NoneType"):
        model.predict(None)
    with pytest.raises(InputError, match="`start` has no state of series 's1'; it has those of 's0'"):
        model.predict(table, start=model.predict(panda(1)).state)
    with pytest.raises(InputError, match="`start` must be the `state` of an earlier prediction; found Prediction"):
        model.predict(table, start=model.predict(table))
    with pytest.raises(InputError, match=r"`start` belongs to another model: .*6"):
        model.predict(table, start=fitted(hidden=6).predict(table).state)
    with pytest.raises(InputError, match="there is no such file of states"):
        States.load(tmp_path / "none", model)
    model.save(tmp_path / "model")
    with pytest.raises(InputError, match="is not a file of states"):
        States.load(tmp_path / "model", model)
    fitted(hidden=6).predict(table).state.save(tmp_path / "six")
    with pytest.raises(InputError, match="six belongs to another model"):
        States.load(tmp_path / "six", model)


def test_files_are_predicted_and_nothing_is_overwritten(model, tmp_path):
    run, state, out = tmp_path / "model", tmp_path / "state", tmp_path / "out.csv"
    model.save(run)
    table = tmp_path / "a.csv"
    write(table, 2)
    printed = predict_file(run, table, out, end=state)
    assert printed.startswith("115 predicted steps of 2 series.\nEach series starts from initial state ")
    assert printed.endswith(f"\nPredictions: {out}\nStates:      {state}")
    assert pl.read_csv(out).columns == ["id", "step", "y", "y_predicted"]
    with pytest.raises(InputError, match=r"`out` .*a.csv is the file of `inputs`; give another name"):
        predict_file(run, table, table)
    with pytest.raises(InputError, match=r"`end` .* there is no folder"):
        predict_file(run, table, out, end=tmp_path / "no/where")
    with pytest.raises(InputError, match=r"`end` .* is also the file of `out`"):
        predict_file(run, table, out, end=out)
    only = tmp_path / "one.csv"
    pl.read_csv(table).filter(pl.col("id") == "s1").write_csv(only)
    predict_file(run, only, out, start=state, end=state)  # the state of s0 is kept
    predict_file(run, table, out, start=state)
    assert set(pl.read_csv(out)["id"]) == {"s0", "s1"}
    with open(tmp_path / "gap.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "u", "y"], ["a", 1, 1], ["a", 1, ""], ["a", 1, 1], ["a", 1, 1]])
    out.unlink()
    with pytest.raises(InputError, match=r"gap.csv, line 3, column 'y': the number is missing"):
        predict_file(run, tmp_path / "gap.csv", out)
    assert not out.exists()


def test_a_target_called_step_keeps_its_name():
    table = panda(2).rename(columns={"y": "step"})
    found = series.fit(table, inputs=["u"], targets=["step"], series="id", jobs=1, **QUICK).predict(table)
    assert list(found.frame.columns) == ["id", "step_", "step", "step_predicted"]


def test_a_table_without_a_series_column_carries_on_under_another_name(tmp_path):
    tank = fitted(series=None, window=0)
    write(tmp_path / "b.csv"), write(tmp_path / "c.csv")
    first = tank.predict(tmp_path / "b.csv")
    assert len(tank.predict(tmp_path / "c.csv", start=first.state).frame) == 60
    assert first.frame.columns == ["step", "y", "y_predicted"]


def test_a_prediction_is_drawn_by_series(model):
    found = model.predict(panda(3))
    measured, predicted = found.plot("s1").axes[0].get_lines()
    rows = found.frame[found.frame["id"] == "s1"]
    assert measured.get_ydata() == pytest.approx(rows["y"])
    assert predicted.get_ydata() == pytest.approx(rows["y_predicted"])
    assert [line.get_label() for line in (measured, predicted)] == ["measured", "predicted"]
    assert found.plot(steps=5).axes[0].get_title() == "series s0"
    with pytest.raises(InputError, match="no series 's9'; the prediction has s0, s1, s2"):
        found.plot("s9")


def test_the_advice_of_predict_is_what_it_takes(model):
    short, gap = panda(1, 3), panda(1, 20)
    gap.loc[5, "u"] = np.nan
    end = "change this table, or `fit` another model with `{}` (a model reads every table as it was fitted)"
    for table, setting in ((short, "window"), (gap, "missing")):
        with pytest.raises(InputError) as refused:
            model.predict(table)
        *what, advice = str(refused.value).split("; ")
        assert advice == end.format(setting)
        assert "give `" not in "; ".join(what)


def test_the_folder_of_a_comparison_names_a_model(tmp_path):
    options = {**TANK, **QUICK, "jobs": 1, "seeds": 1, "initial_states": ["zero", "free"], "epochs": 1}
    series.compare(panda(1), panda(1), **options, out=tmp_path / "run")
    table = write(tmp_path / "a.csv")
    first = tmp_path / "run" / "runs" / "free-seed-0"
    with pytest.raises(InputError, match=f"folder of a comparison, with 2 models inside: give .* such as {first}$"):
        predict_file(tmp_path / "run", table, tmp_path / "b.csv")
    predict_file(first, table, tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("times", "late"),
    [
        ([0.5 * n for n in range(60)], "20.0, but the state in `start` ended at 14.5, so that 15.0 must follow"),
        (
            [f"{4 * n}.0" for n in range(60)],
            "160.0, but the state in `start` ended at 116.0, so that 120.0 must follow",
        ),
        (list(range(60)), "40, but the state in `start` ended at 29, so that 30 must follow"),
        (
            pd.date_range("2024-01-31", periods=60, freq="D"),
            "2024-03-11 .* ended at 2024-02-29 .* 2024-03-01 .* follow",
        ),
    ],
)
def test_rows_that_do_not_follow_the_state_are_refused(times, late, tmp_path):
    table = panda(1).drop(columns="id").assign(t=times)
    tank = fitted_alone(table, time="t")
    first = tank.predict(table[:30])
    first.state.save(tmp_path / "end.safetensors")
    for state in (first.state, States.load(tmp_path / "end.safetensors", tank)):
        assert len(tank.predict(table[30:], start=state).frame) == 30
        with pytest.raises(InputError, match=late):
            tank.predict(table[40:], start=state)
        with pytest.raises(InputError, match="must follow"):
            tank.predict(table[29:], start=state)
    unknown = States(first.state, first.state.model)  # as in files of earlier versions
    assert len(tank.predict(table[40:], start=unknown).frame) == 20


def fitted_alone(table, **more):
    return series.fit(table, **{**TANK, **QUICK, "epochs": 1, "jobs": 1, "window": 3, **more})
