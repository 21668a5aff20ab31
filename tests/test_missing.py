"""Missing values: filled as asked, marked by indicators, and left out of losses and errors."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from contextual_rnn import InputError, load
from contextual_rnn.cli import main
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.missing import filled_with_indicators, hold_the_end
from contextual_rnn.data.series import Record, read_series
from contextual_rnn.jobs import forecast, generation, series
from contextual_rnn.jobs.forecast.metrics import rmse
from contextual_rnn.jobs.series.metrics import Scoring, free_run_rmse, persistence
from contextual_rnn.jobs.series.train import SquaredLoss

TINY = {"hidden": 2, "epochs": 1, "updates": 2, "targets": ["y"]}
ALONE = {"hidden": 2, "epochs": 1, "targets": ["y"], "jobs": 1}
STEPS = np.arange(24.0)


def table(u=(), y=(), steps=24):
    """Return a table of a ramp and a square wave, with values missing at the given rows."""
    columns = {"u": (STEPS % 4)[:steps].tolist(), "y": STEPS[:steps].tolist()}
    for name, rows in (("u", u), ("y", y)):
        for row in rows:
            columns[name][row] = None
    return pl.DataFrame(columns)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("hold", [np.nan, 1, 1, 1, 4, 4]),
        ("interpolate", [1, 1, 2, 3, 4, 4]),
        ("zero", [np.nan, 1, np.nan, np.nan, 4, np.nan]),
    ],
)
def test_values_are_filled_as_asked_and_marked(how, expected):
    values = np.array([[np.nan, 1, np.nan, np.nan, 4, np.nan]], np.float32).T
    found = filled_with_indicators(values, how)
    np.testing.assert_array_equal(found[:, 0], np.array(expected, np.float32))
    assert found[:, 1].tolist() == [1, 0, 1, 1, 0, 1]
    never = filled_with_indicators(np.full((3, 1), np.nan, np.float32), how)
    assert np.isnan(never[:, 0]).all()


def test_values_interpolated_beyond_a_window_are_not_read():
    read = torch.tensor([[[1.0, 0], [2, 0], [3, 1], [4, 1]], [[1, 1], [2, 1], [3, 1], [4, 1]]])
    found = hold_the_end(read, 1)
    assert found[0, :, 0].tolist() == [1, 2, 2, 2]
    assert found[1, :, 0].isnan().all()
    assert torch.equal(found[..., 1], read[..., 1])


def test_sentinels_are_numbers_or_texts():
    frame = pl.DataFrame({"u": ["-200", "-200.0", "?", "1", "-20"], "y": [-200.0, 1, 2, 3, 4]})
    columns = ColumnSettings(inputs=["u"], targets=["y"], missing="zero", missing_values=[-200, "?"])
    (one,) = read_series(frame, columns)
    assert np.isnan(one.inputs[:, 0]).tolist() == [True, True, True, False, False]
    assert np.isnan(one.targets[:, 0]).tolist() == [True, False, False, False, False]
    with pytest.raises(InputError, match="row 0, column 'u': the number is missing"):
        read_series(frame, columns.replace(missing="refuse"))


def test_the_training_mean_is_0_after_scaling_and_is_that_of_known_values():
    model = series.fit(table(u=[1, 2]), inputs=["u"], jobs=1, missing="zero", **TINY)
    known = table()["u"].to_numpy()[[0, *range(3, 24)]]
    assert float(model.input_mean[0]) == pytest.approx(known.mean())
    assert float(model.input_scale[0]) == pytest.approx(known.std())
    assert model.standardised_inputs(torch.tensor([torch.nan, 1.0])).tolist() == [0, 1]


def test_missing_targets_are_neither_trained_on_nor_scored():
    model = series.fit(table(), inputs=["u"], jobs=1, **TINY).requires_grad_(True)
    batch = (torch.zeros(1, 4, 1), torch.tensor([[[1.0], [torch.nan], [3], [torch.nan]]]), torch.zeros(1, 0))
    loss = SquaredLoss(0, sparse=True)(model, (*batch, torch.tensor([4])))
    predicted = model(batch[0], batch[1][:, :0], batch[2], torch.tensor([4]))[0][0, :, 0]
    errors = (predicted[[0, 2]] - torch.tensor([1.0, 3])) / model.target_scale
    assert loss.item() == pytest.approx(errors.square().mean().item())
    loss.backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters() if parameter.grad is not None)
    record = Record("a", torch.zeros(4, 0), batch[1][0], torch.zeros(0))
    scoring = Scoring(0, 4, torch.ones(1))
    assert free_run_rmse(lambda _: [torch.zeros(4, 1)], [record], scoring) == pytest.approx(5**0.5)
    held = persistence(3)([Record("a", record.inputs, record.targets[[0, 1, 1, 3]], record.context)])
    assert held[0].tolist() == [[1]]
    assert free_run_rmse(lambda _: [torch.full((4, 1), torch.nan)], [record], scoring) != 0  # NaN is no missing error


def test_a_series_model_trains_on_sparse_targets_without_being_asked():
    sparse = table(y=range(0, 24, 2))
    model = series.fit(sparse, inputs=["u"], jobs=1, **TINY)
    sentence = "In `train`, 0 of 24 input values and 12 of 24 target values are missing; missing targets are neither "
    assert sentence in " ".join(model.report.sentences)
    found = model.predict(sparse)
    errors = (found.frame["y_predicted"] - sparse["y"]).drop_nulls().drop_nans()
    assert found.rmse == {"y": pytest.approx(float((errors**2).mean()) ** 0.5, rel=1e-4)}
    with pytest.raises(
        InputError, match=r"row 0, column 'y': the number is missing; correct the cell, or give `missing` hold"
    ):
        series.fit(sparse, inputs=["u"], jobs=1, window=2, **TINY)
    with pytest.raises(InputError, match=r"column 'y': every value of series 'series' is missing"):
        series.fit(table(y=range(24)), inputs=["u"], jobs=1, **TINY)


@pytest.mark.parametrize("how", ["hold", "interpolate", "zero"])
def test_a_window_with_missing_targets_is_filled(how, tmp_path):
    gaps = table(u=[0, 5], y=[1, 2, 7])
    model = series.fit(gaps, test=gaps, inputs=["u"], jobs=1, window=3, missing=how, **TINY)
    assert model.rnn.core.input_size == 2
    assert f"(missing {how})" in " ".join(model.report.sentences)
    model.save(tmp_path / "model.safetensors")
    again = series.load(tmp_path / "model.safetensors").predict(gaps)
    assert again.frame.equals(model.predict(gaps).frame)
    assert "in `table`, 2 of 24 input values and 2 of 3 target values were missing, and filled" in again.remarks[0]
    assert model.predict(table()).remarks == []
    assert again.rmse["y"] == pytest.approx(model.report.rows["test table"]["free_run_rmse"], rel=1e-4)


@pytest.mark.parametrize("how", ["hold", "interpolate", "zero"])
def test_forecasts_of_tables_with_missing_values(how, tmp_path):
    sizes = {"past": 4, "horizon": 2}
    gaps = table(u=[3, 21], y=[0, 6, 13, 23])
    model = forecast.fit(gaps, test=gaps, inputs=["u"], missing=how, **sizes, base="last", **TINY)
    assert all(np.isfinite(value) for row in model.report.rows.values() for value in row.values())
    assert "In `train`, 2 of 24 input values and 4 of 24 target values are missing" in " ".join(model.report.sentences)
    future = pl.DataFrame({"u": [None, 1.0], "y": [None, None]}, schema={"u": pl.Float64, "y": pl.Float64})
    found = model.forecast(gaps, future)
    assert found["y_predicted"].is_finite().all()
    assert found["y"].is_nan().all() or found["y"].is_null().all()
    with pytest.raises(InputError, match="column 'y': the number is missing"):
        forecast.fit(table(y=[9]), inputs=["u"], **sizes, base="last", **TINY)


def test_errors_of_forecasts_are_those_of_known_targets():
    errors = torch.tensor([[[3.0, torch.nan]], [[torch.nan, 1.0]]], dtype=torch.float64)
    assert rmse(errors) == pytest.approx(5**0.5)


def test_a_hold_starts_from_the_past_in_the_future():
    gaps = table(u=[2])
    model = forecast.fit(gaps, inputs=["u"], missing="hold", base="last", past=4, horizon=2, **TINY)
    held = model.forecast(gaps, pl.DataFrame({"u": [None, 1.0]}))
    assert not held.equals(model.forecast(gaps, pl.DataFrame({"u": [3.0, 1.0]})))  # the indicator tells them apart
    read = {}
    model.forecasts = lambda windows: read.update(windows=windows) or [torch.zeros(2, 1)]
    model.forecast(gaps, pl.DataFrame({"u": [None, 1.0]}))
    assert read["windows"][0].inputs[-2:].tolist() == [[3, 1], [1, 0]]


def test_a_generator_reads_held_targets_and_is_scored_on_known_ones():
    gaps = pl.DataFrame({"id": ["a"] * 6 + ["b"] * 6, "y": [0, 1, None, 3, 4, 5, None, 7, 8, 9, 10, 11]})
    model = generation.fit(gaps, series="id", missing="hold", components=1, **ALONE)
    assert np.isfinite(model.report.rows["training table"]["nats_per_step"])
    assert model.sequences.rnn.core.input_size == 2
    assert len(model.sample(n=2, steps=3)) >= 2
    with pytest.raises(InputError, match="`missing` interpolate reads later targets"):
        generation.fit(gaps, series="id", missing="interpolate", **ALONE)
    with pytest.raises(InputError, match="column 'y': the number is missing"):
        generation.fit(gaps, series="id", **ALONE)


def test_the_command_line_takes_negative_sentinels(tmp_path, capsys):
    gaps = table(u=[1], y=[9])
    with pytest.raises(InputError, match="column 'u': every value is missing"):
        forecast.fit(table(u=range(24)), inputs=["u"], missing="hold", past=4, horizon=2, base="last", **TINY)
    gaps.with_columns(pl.all().fill_null(-200)).write_csv(tmp_path / "a.csv")
    options = [
        "--inputs",
        "u",
        "--targets",
        "y",
        "--past",
        "4",
        "--horizon",
        "2",
        "--hidden",
        "2",
        "--epochs",
        "1",
        "--updates",
        "1",
        "--accelerator",
        "cpu",
    ]
    read = ["--missing", "hold", "--missing-values", "-200", "?"]
    main(["fit", "forecast", "--train", str(tmp_path / "a.csv"), *options, *read, "--out", str(tmp_path / "run")])
    words = " ".join(capsys.readouterr().out.split())
    future = pl.DataFrame({"u": ["-200", "?"]})
    future.write_csv(tmp_path / "b.csv")
    past = ["--past", str(tmp_path / "a.csv"), "--future", str(tmp_path / "b.csv")]
    main(["forecast", str(tmp_path / "run"), *past, "--out", str(tmp_path / "c.csv")])
    assert "b.csv, 2 of 6 input values were missing, and filled with the last known value." in capsys.readouterr().out
    assert "a.csv, 1 of 24 input values and 1 of 24 target values are missing" in words


DAYS = [f"2024-01-{day:02}" for day in range(1, 25)]


def dated(days=DAYS, absent=(), **more):
    return (
        table(steps=len(days))
        .with_columns(t=pl.Series(days), **more)
        .with_row_index()
        .filter(~pl.col("index").is_in(list(absent)))
        .drop("index")
    )


def test_absent_rows_become_missing_values_and_have_no_predictions():
    gaps = dated(absent=[5, 6])
    options = {"inputs": ["u"], "jobs": 1, "time": "t", **TINY}
    with pytest.raises(InputError, match=r"rows are absent between .* give `gaps` missing"):
        series.fit(gaps, missing="hold", **options)
    with pytest.raises(InputError, match="`gaps` missing needs a way to fill the values of absent rows"):
        series.fit(gaps, gaps="missing", **options)
    model = series.fit(gaps, missing="hold", gaps="missing", window=2, **options)
    assert "(2 absent rows included), 2 of 24 input values and 2 of 24 target values" in str(model.report.sentences)
    found = model.predict(gaps).frame
    assert found["t"].to_list() == gaps["t"].to_list()[2:]
    assert found["step"].to_list() == [2, 3, 4, *range(7, 24)]
    whole = model.predict(dated(u=pl.Series([*(STEPS[:5] % 4), 0, 0, *(STEPS[7:] % 4)]))).frame
    assert not found["y_predicted"].equals(whole["y_predicted"].gather(range(20)))


def test_a_table_whose_rows_are_nearly_all_absent_is_refused():
    wrong = dated(["0024-01-01", *DAYS[1:]])
    with pytest.raises(InputError, match="730485 rows are absent, and 24 are there; check the times"):
        read_series(wrong, ColumnSettings(inputs=["u"], targets=["y"], time="t", gaps="missing", missing="zero"))


@pytest.mark.parametrize(
    ("cells", "name", "angles"),
    [
        (["2024-01-01", "2024-01-02"], "weekday", [0, 1 / 7]),
        (["2024-01-01", "2024-01-02"], "monthday", [0, 1 / 31]),
        (["2024-01-01 06:00", "2024-01-01 18:30"], "hour", [0.25, 18.5 / 24]),
        (["2024-W02", "2024-W03"], "week", [1 / 53, 2 / 53]),
        (["2024-02", "2024-03"], "month", [1 / 12, 2 / 12]),
        (["2023Q4", "2024Q1"], "month", [9 / 12, 0]),
        (["2023-12-31", "2024-01-01"], "yearday", [364 / 365, 0]),
        (["04/30/2021", "05/01/2021"], "month", [3 / 12, 4 / 12]),
    ],
)
def test_calendar_inputs_are_sine_and_cosine_of_the_position_in_a_period(cells, name, angles):
    frame = pl.DataFrame({"t": cells, "u": [1, 2], "y": [1, 2]})
    (one,) = read_series(frame, ColumnSettings(inputs=["u"], targets=["y"], time="t", calendar=[name]))
    expected = [[np.sin(2 * np.pi * angle), np.cos(2 * np.pi * angle)] for angle in angles]
    np.testing.assert_allclose(one.calendar, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"calendar": ["hour"], "time": "t"}, "`calendar` hour does not suit .* frequency is 1 day; .* weekday"),
        ({"calendar": ["hour"]}, "`calendar` hour is computed from the times"),
        ({"calendar": ["month"], "time": "u"}, "`calendar` needs dates"),
        ({"calendar": ["minute"], "time": "t"}, "minute"),
    ],
)
def test_calendar_inputs_that_the_times_do_not_have_are_refused(more, words):
    frame = dated(v=pl.Series(STEPS)).with_columns(u=pl.Series(range(24)))
    with pytest.raises(InputError, match=words):
        read_series(frame, ColumnSettings(inputs=["v"], targets=["y"], **more))


def test_a_forecast_computes_the_calendar_of_the_future_and_of_absent_rows(tmp_path):
    gaps = dated(absent=[5])
    options = {"time": "t", "gaps": "missing", "missing": "hold", "calendar": ["weekday"], "past": 4, "horizon": 2}
    model = forecast.fit(gaps, out=tmp_path / "run", base="last", **options, **TINY)
    assert model.pairs.decoder.rnn.core.input_size == 1 + 2
    again, read = forecast.load(tmp_path / "run"), {}
    assert again.forecast(gaps).equals(model.forecast(gaps))
    again.forecasts = lambda windows: read.update(windows=windows) or [torch.zeros(2, 1)]
    assert again.forecast(gaps)["t"].to_list() == ["2024-01-25", "2024-01-26"]
    angles = 2 * np.pi * np.array([3, 4]) / 7
    np.testing.assert_allclose(read["windows"][0].inputs[-2:], np.stack([np.sin(angles), np.cos(angles)], 1), atol=1e-6)


@pytest.mark.parametrize("base", ["last", "linear"])
@pytest.mark.parametrize("how", ["refuse", "hold", "interpolate"])
def test_past_inputs_are_read_of_the_past_alone(how, base):
    known = table().with_columns(p=pl.Series((STEPS % 5).tolist()))
    options = {"inputs": ["u"], "past_inputs": ["p"], "missing": how, "past": 4, "horizon": 2, "base": base}
    model = forecast.fit(known, **options, **TINY)
    wide = 1 if how == "refuse" else 2
    assert model.pairs.decoder.rnn.core.input_size == 1 + wide + (base == "linear")
    assert model.pairs.encoder.rnn.core.input_size == 3 * wide
    future = pl.DataFrame({"u": [0.0, 1.0]})
    found = model.forecast(known, future)
    assert found["y_predicted"].is_finite().all()
    assert found.equals(model.forecast(known, future.with_columns(p=pl.Series([9.0, 9.0]))))
    if base == "last":  # the linear model has learnt that y grows by 1 a step, whatever p is
        assert not found.equals(model.forecast(known.with_columns(p=pl.col("p") + 1), future))


def test_a_model_refuses_a_table_of_another_frequency(tmp_path):
    options = {"inputs": ["u"], "time": "t", "jobs": 1, **TINY}
    series.fit(dated(), out=tmp_path / "run", **options)
    weeks = pl.DataFrame({"t": ["2024-01-01", "2024-01-08", "2024-01-15"], "u": [1, 2, 3]})
    with pytest.raises(InputError, match=r"frequency of `table` is 1 week, but the model was trained on rows .* 1 day"):
        series.load(tmp_path / "run").predict(weeks)
    working = [day for day in DAYS if (int(day[-2:]) - 1) % 7 < 5]
    model = forecast.fit(dated(working), test=dated(working[:5]), time="t", past=3, horizon=2, base="last", **TINY)
    assert model.frequency == "1 business day"
    assert model.forecast(dated(working[:5]))["t"].to_list() == ["2024-01-08", "2024-01-09"]


@pytest.mark.parametrize("days", [DAYS, [f"01/{day:02}/2024" for day in range(1, 25)]])
def test_dates_as_text_align_past_and_future(days):
    model = forecast.fit(dated(days[:20]), inputs=["u"], time="t", past=4, horizon=2, base="last", **TINY)
    found = model.forecast(dated(days[:20]), dated(days).reverse())
    assert found["t"].to_list() == days[20:22]
    assert list(found["y"]) == [20, 21]


@pytest.mark.parametrize("as_text", [True, False])
def test_a_date_and_a_time_of_day_in_two_columns_are_one_time(as_text):
    hours = pl.datetime_range(pl.datetime(2024, 1, 1, 20), pl.datetime(2024, 1, 2, 19), "1h", eager=True)
    parts = table().with_columns(day=hours.dt.date(), clock=hours.dt.time()).sample(fraction=1, shuffle=True, seed=0)
    if as_text:
        parts = pd.DataFrame(parts.with_columns(pl.col("day", "clock").cast(pl.String)).to_dict(as_series=False))
    model = forecast.fit(
        parts, inputs=["u"], time=["day", "clock"], calendar=["hour"], past=4, horizon=2, base="last", **TINY
    )
    assert model.frequency == "1 hour"
    past, future = (
        (parts[parts["y"] < 20], parts[parts["y"] > 10])
        if as_text
        else (parts.filter(pl.col("y") < 20), parts.filter(pl.col("y") > 10))
    )
    found = model.forecast(past, future)
    assert list(found["day clock"]) == ["2024-01-02 16:00:00", "2024-01-02 17:00:00"]
    assert list(found["y"]) == [20, 21]


def test_compare_says_what_was_inferred_and_missing():
    options = {"bridge": ["zero"], "feeding": ["truth"], "seeds": 1, "jobs": 1, "past": 4, "horizon": 2}
    found = forecast.compare(dated(), dated(absent=[9]), time="t", gaps="missing", missing="hold", **options, **TINY)
    assert "The frequency of the rows is 1 day." in found.note
    assert "In `test` (1 absent row included), 1 of 24 target values are missing" in found.note


def test_with_the_scale_of_windows_zero_is_the_mean_of_the_past():
    model = forecast.fit(table(y=[2]), missing="zero", scale="window", base="last", past=4, horizon=2, **TINY)
    past = torch.tensor([[[100.0, 0], [torch.nan, 1], [104, 0], [torch.nan, 1]], [[torch.nan, 1]] * 4])
    source, *_, last, _ = model._prepared(torch.zeros(2, 6, 0), past, torch.zeros(2, 0))
    assert source[0, [1, 3], 0].tolist() == [0, 0]
    assert last[:, 0, 0].tolist() == [102, model.target_mean.item()]


def test_targets_that_are_measured_at_every_third_step_only():
    sparse = table(y=[step for step in range(24) if step % 3])
    for model in (
        series.fit(sparse, inputs=["u"], window=6, missing="hold", jobs=1, **TINY),
        forecast.fit(sparse, inputs=["u"], past=5, horizon=3, missing="hold", base="last", **TINY),
    ):
        assert any(name.startswith("linear") for name in model.report.rows)


@pytest.mark.parametrize("how", ["hold", "interpolate", "zero"])
def test_an_indicator_that_never_varied_in_training_is_read_as_0(how, tmp_path):
    """A filled value then gives the prediction of the same value that is known."""
    sizes = {"inputs": ["u"], "past": 4, "horizon": 2, "base": "last", "scale": "global"}
    model = forecast.fit(table(), missing=how, **sizes, **TINY)
    model.save(tmp_path / "model")
    filled = float(model.input_mean[0]) if how == "zero" else 3.0
    for network in (model, load(tmp_path / "model")):
        found, known = (network.forecast(table(), pl.DataFrame({"u": [3.0, u]})) for u in (None, filled))
        assert found["y_predicted"].to_list() == known["y_predicted"].to_list()
    past = table(y=[23])
    held = past.with_columns(y=pl.col("y").fill_null(float(model.target_mean[0]) if how == "zero" else 22.0))
    future = pl.DataFrame({"u": [0.0, 1.0]})
    np.testing.assert_allclose(*(model.forecast(one, future)["y_predicted"] for one in (past, held)), rtol=1e-6)
    trained = forecast.fit(table(u=[5], y=[7]), missing=how, **sizes, **TINY)
    found, known = (trained.forecast(one, future)["y_predicted"].to_list() for one in (past, held))
    assert found != known


def test_series_and_generators_read_untrained_indicators_as_0():
    options = {"inputs": ["u"], "window": 3, "missing": "hold", "scale": "global", **ALONE, "updates": 2}
    simulator = series.fit(table(), **options)
    for name, filled in (("u", {"u": (1.0,), "y": ()}), ("y", {"u": (), "y": (1.0,)})):
        holes = table(**{name: [2]})
        known = holes.with_columns(pl.col(name).fill_null(filled[name][0]))
        found, expected = (simulator.predict(one).frame["y_predicted"] for one in (holes, known))
        assert found.to_list() == expected.to_list()
    holes, simulator = table(y=[2]), series.fit(table(), initial_state="zero", **options)
    found, expected = (simulator.predict(one, estimate_weight=1.0).frame["y_predicted"] for one in (holes, table()))
    assert found.is_finite().all()
    assert found.to_list() != expected.to_list()  # a filled target of the window is not fitted
    whole = generation.fit(
        pl.concat([table().with_columns(s=pl.lit(str(n))) for n in range(4)]), series="s", missing="hold", **ALONE
    )
    x, unknown = torch.ones(1, 2, 1), torch.zeros(1, 2, 1, dtype=torch.bool)
    assert whole.sequences.embedding(x, unknown)[..., 1].tolist() == [[0.0, 0.0]]
