"""Missing values: filled as asked, marked by indicators, and left out of losses and errors."""

import numpy as np
import polars as pl
import pytest
import torch

from contextual_rnn import InputError
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
    with pytest.raises(InputError, match="row 0, column 'u': a number is missing"):
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
    with pytest.raises(InputError, match=r"row 0, column 'y': a number is missing"):
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
    assert again.rmse["y"] == pytest.approx(model.report.rows["test table"]["free_run_rmse"], rel=1e-4)


@pytest.mark.parametrize("how", ["hold", "interpolate", "zero"])
def test_forecasts_of_tables_with_missing_values(how, tmp_path):
    sizes = {"past": 4, "horizon": 2}
    gaps = table(u=[3, 21], y=[0, 6, 13, 23])
    model = forecast.fit(gaps, test=gaps, inputs=["u"], missing=how, **sizes, **TINY)
    assert all(np.isfinite(value) for row in model.report.rows.values() for value in row.values())
    assert "In `train`, 2 of 24 input values and 4 of 24 target values are missing" in " ".join(model.report.sentences)
    future = pl.DataFrame({"u": [None, 1.0], "y": [None, None]}, schema={"u": pl.Float64, "y": pl.Float64})
    found = model.forecast(gaps, future)
    assert found["y_predicted"].is_finite().all()
    assert found["y"].is_nan().all() or found["y"].is_null().all()
    with pytest.raises(InputError, match="column 'y': a number is missing"):
        forecast.fit(table(y=[9]), inputs=["u"], **sizes, **TINY)


def test_errors_of_forecasts_are_those_of_known_targets():
    errors = torch.tensor([[[3.0, torch.nan]], [[torch.nan, 1.0]]], dtype=torch.float64)
    assert rmse(errors) == pytest.approx(5**0.5)


def test_a_hold_starts_from_the_past_in_the_future():
    gaps = table(u=[2])
    model = forecast.fit(gaps, inputs=["u"], missing="hold", past=4, horizon=2, **TINY)
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
    with pytest.raises(InputError, match="column 'y': a number is missing"):
        generation.fit(gaps, series="id", **ALONE)


def test_the_command_line_takes_negative_sentinels(tmp_path, capsys):
    gaps = table(u=[1], y=[9])
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
    assert "a.csv, 1 of 24 input values and 1 of 24 target values are missing" in words
