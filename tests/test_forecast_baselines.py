"""Baselines of forecasts, the base that the decoder adds to, and errors that compare series of any level."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
import torch
from forecasts import HORIZON, PAST, TINY, model, records

from contextual_rnn import InputError, load
from contextual_rnn.cli import main
from contextual_rnn.data.scaled_errors import errors_by_series, scaled_errors
from contextual_rnn.data.season import season
from contextual_rnn.data.series import Datasets, Record
from contextual_rnn.jobs import forecast
from contextual_rnn.jobs.forecast.baselines import baselines, known_series, why_not_seasonal
from contextual_rnn.jobs.forecast.direct_linear import PENALTIES, DirectLinear
from contextual_rnn.jobs.forecast.forecast import forecast_file
from contextual_rnn.jobs.forecast.metrics import errors_of, rmse
from contextual_rnn.jobs.forecast.settings import ForecastSettings
from contextual_rnn.jobs.forecast.windows import cut_windows


def tables(training, validation, options):
    """The tables of a job, as windows to validate on."""
    return Datasets(training, cut_windows(validation, options), [], {}, {}, None)


def test_baselines_are_the_last_values_and_the_mean():
    network = model()
    windows = cut_windows(records(), network.settings)
    found = baselines(network, tables(records(), records(), network.settings), of_test=False)
    own = records()[0].targets.mean(0)
    for name, expected in (("persistence", windows[0].targets[PAST - 1]), ("mean", own)):
        errors = errors_of(found[name], windows, network)
        wanted = (expected - windows[0].targets[PAST:]) / network.target_scale
        assert torch.allclose(errors[0], wanted.double(), atol=1e-6)
    new = dataclasses.replace(windows[0], name="new")
    assert torch.allclose(found["mean"]([new])[0][0], new.targets[:PAST].mean(0))
    new.targets[:PAST] = torch.nan
    assert torch.equal(found["mean"]([new])[0][0], network.target_mean)


@pytest.mark.parametrize(
    ("frequency", "rows"),
    [("1 hour", 24), ("15 minutes", 96), ("1 day", 7), ("1 business day", 5), ("1 week", 52), ("1 month", 12),
     ("3 months", 4), ("1 quarter", 4), ("1 year", None), ("7 minutes", None), ("a step of 1", None), (None, None)],
)  # fmt: skip
def test_the_season_of_a_frequency(frequency, rows):
    assert season(frequency) == rows


def test_the_seasonal_baseline_repeats_the_last_season_that_is_known():
    network = model()
    network.frequency = "6 hours"  # four rows a day
    windows = cut_windows(records(), network.settings)
    found = baselines(network, tables(records(), records(), network.settings), of_test=False)["seasonal"](windows)
    day = windows[0].targets[PAST - 4 : PAST]
    assert torch.equal(found[0], torch.cat([day] * HORIZON)[:HORIZON])
    assert why_not_seasonal(network) == []
    network.frequency = "1 hour"
    assert why_not_seasonal(network) == ["A seasonal baseline needs a `past` of at least 24 steps."]
    network.frequency = None
    assert why_not_seasonal(network)[0].startswith("Without a column of times (`time`)")


def test_scaled_errors_are_those_of_their_definition():
    training = [Record("a", torch.zeros(5, 0), torch.tensor([[0.0], [1.0], [3.0], [4.0], [6.0]]), torch.zeros(0))]
    windows = [
        Record(name, torch.zeros(5, 0), torch.tensor([[10.0], [14.0], [18.0], [20.0], [torch.nan]]), torch.zeros(0))
        for name in ("a", "b", "constant")
    ]
    windows[2].targets[:3] = 1.0
    future = torch.stack([window.targets[3:] for window in windows]).double()
    errors = {"one": torch.tensor([[17.0], [0.0]]) - future}
    known, names = known_series(windows, training, 3), [window.name for window in windows]
    found = scaled_errors(errors, names, known, 1)
    assert found.means("one") == pytest.approx({"mase": (3 / 1.5 + 3 / 4) / 2, "rmsse": (3 / 2.5**0.5 + 3 / 4) / 2})
    assert found.in_words("its past") == [
        "MASE and RMSSE divide the errors of a series by its changes over 1 row, in its past; both are plain means over "
        "series.",
        "MASE and RMSSE leave out 1 series, which repeats exactly.",
    ]
    rows = errors_by_series(errors, names, found)
    assert [row["series"] for row in rows] == ["a", "b", "constant"]
    assert [row["RMSE of one"] for row in rows] == [3, 3, 3]
    assert [row["MASE of one"] for row in rows] == [3 / 1.5, 3 / 4, None]
    two = errors_by_series({"one": [torch.tensor([[1.0], [-3.0]])] * 2}, ["a", "a"], found, "forecasts")
    assert two[0] | {"forecasts": 2, "MAE of one": 2.0, "RMSE of one": 5**0.5} == two[0]
    seasonal = scaled_errors({"one": errors["one"][:1]}, names[:1], known, 2)
    assert seasonal.means("one")["mase"] == pytest.approx(3 / 3)
    assert len(seasonal.in_words("")) == 1
    assert "over 2 rows, in" in seasonal.in_words("")[0]
    nothing = scaled_errors({"one": errors["one"][2:]}, names[2:], known, 1)
    assert nothing.means("one") == {}


def waves(steps=200):
    """A day of 6 hours: a shape that repeats, with a slow drift."""
    time = np.arange(steps)
    start = np.datetime64("2024-01-01T00:00:00", "us")
    y = np.array([5.0, 1.0, 9.0, 3.0])[time % 4] + np.sin(time / 40)
    return pl.DataFrame({"when": start + time * np.timedelta64(6, "h"), "y": y})


def test_the_base_is_the_one_with_the_lowest_validation_error(tmp_path):
    options = {"targets": ["y"], "past": 8, "horizon": 6, "time": "when", "jobs": 1, **TINY}
    network = forecast.fit(waves(), **options)
    tried = network.report.validation
    assert [row["base"] for row in tried] == ["last", "seasonal", "linear"]
    assert network.settings.base == min(tried, key=lambda row: row["scaled_validation_rmse"])["base"] == "linear"
    words = " ".join(str(network.report).split())
    assert "The decoder's outputs are added to the forecast of a linear model (base linear)." in words
    assert "Chosen on the validation data: base linear." in words
    found = forecast.compare(waves(), waves(), bridge=["zero"], feeding=["truth"], seeds=1, **options)
    assert "The decoder's outputs are added to the targets of one season ago, 4 rows (base seasonal)." in found.note
    ramp = waves().with_columns(y=pl.int_range(200).cast(float))
    found = forecast.compare(ramp, ramp, bridge=["zero"], feeding=["truth"], seeds=1, **options)
    assert "The decoder's outputs are added to the last known targets (base last)." in found.note


def test_the_season_as_the_base(tmp_path):
    options = {"targets": ["y"], "past": 8, "horizon": 6, "base": "seasonal", **TINY}
    network = forecast.fit(waves(), time="when", **options)
    assert network.report.validation == []
    assert network.report.rows["validation"]["rmse"] < 0.5 * network.report.rows["persistence, validation"]["rmse"]
    network.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").forecast(waves())
    assert again["y_predicted"].to_list() == network.forecast(waves())["y_predicted"].to_list()
    with pytest.raises(InputError, match="`base` seasonal needs a `past` of at least 4 steps"):
        forecast.fit(waves(), time="when", **{**options, "past": 3})
    with pytest.raises(InputError, match="`base` seasonal needs a column of times"):
        forecast.fit(waves().drop("when"), **options)


def test_the_errors_of_a_forecast_are_shown_beside_those_of_the_baselines(tmp_path, capsys):
    table, run, out = waves(), tmp_path / "run", tmp_path / "o.csv"
    options = {"targets": ["y"], "past": 8, "horizon": 6, "time": "when", "base": "last", **TINY}
    forecast.fit(table[:150], out=run, **options)
    table[:150].write_csv(tmp_path / "past.csv")
    table[150:156].write_csv(tmp_path / "future.csv")
    command = ["forecast", str(run), "--past", str(tmp_path / "past.csv"), "--out", str(out)]
    main([*command, "--future", str(tmp_path / "future.csv"), "--errors", str(tmp_path / "errors.csv")])
    said = capsys.readouterr().out
    written = pl.read_csv(out)
    errors = {"the model": written["y_predicted"] - written["y"], "persistence": table["y"][149] - written["y"]}
    errors["seasonal"] = table["y"][[146, 147, 148, 149, 146, 147]] - written["y"]
    errors["mean"] = table["y"][:150].mean() - written["y"]
    known, found = table["y"][:150].to_numpy(), load(run).errors(tmp_path / "past.csv", tmp_path / "future.csv")
    for name, error in errors.items():
        assert f"RMSE of {name}: {(error**2).mean() ** 0.5:.4g} (y)\n" in said
        assert found.rows[name]["mae"] == pytest.approx(error.abs().mean(), rel=1e-4)
        assert found.rows[name]["mase"] == pytest.approx(
            error.abs().mean() / np.abs(known[4:] - known[:-4]).mean(), 1e-4
        )
    assert str(found).replace("`past`", "--past") in said
    assert pl.read_csv(tmp_path / "errors.csv")["MAE of the model"][0] == pytest.approx(found.rows["the model"]["mae"])
    assert "RMSE of linear: 0.0" in said
    assert "The model has a higher RMSE of 'y' than" in said
    main(command)
    assert "RMSE" not in capsys.readouterr().out
    table[150:156].rename({"y": "z"}).write_csv(tmp_path / "future.csv")
    with pytest.raises(SystemExit):
        main([*command, "--future", str(tmp_path / "future.csv")])
    with pytest.raises(InputError, match="`errors` needs a `future` with the targets"):
        forecast_file(run, tmp_path / "past.csv", out, errors=tmp_path / "errors.csv")
    assert "has no targets to compare with" in capsys.readouterr().err


def test_mase_is_scaled_by_all_rows_of_the_training_table():
    """Also by those that are held out, whose changes are ten times as large here."""
    y = np.cumsum(np.where(np.arange(100) < 80, 1.0, 10.0) * np.where(np.arange(100) % 2, 1, -1))
    train, test = pl.DataFrame({"y": y}), pl.DataFrame({"y": y + np.arange(100)})
    network = forecast.fit(train, test=test, targets=["y"], past=4, horizon=3, base="last", **TINY)
    row, words = network.report.rows["test"], " ".join(str(network.report).split())
    assert row["mase"] == pytest.approx(row["mae"] / np.abs(np.diff(y)).mean(), rel=1e-4)
    assert "divide the errors of a series by its changes over 1 row, in all its rows of the training table." in words
    assert "The errors of the test table are those of 32 forecasts, whose horizons do not overlap." in words


def test_trials_of_bases_do_not_read_the_test_table(tmp_path):
    options = {"targets": ["y"], "past": 8, "horizon": 6, "jobs": 1, **TINY}
    forecast.fit(waves(), test=waves(), out=tmp_path / "run", **options)
    trials = [json.loads(path.read_text()) for path in (tmp_path / "run" / "tuning").glob("*/results.json")]
    assert len(trials) == 2
    assert all("rmse" not in trial["metrics"] and "rmse_by_step" not in trial for trial in trials)


@pytest.mark.parametrize("scale", ["global", "window"])
def test_the_linear_baseline_forecasts_a_linear_system(scale):
    """Sums of two waves follow a linear recursion of order 4, whatever their level."""
    network = model(scale=scale)
    training = records(6, steps=80)
    for number, record in enumerate(training):
        record.targets[:, 0] += torch.sin(1.3 * torch.arange(80) + number)
    network.standardise(training)
    windows = cut_windows(training, network.settings)
    found = {
        name: rmse(errors_of(one, windows, network))
        for name, one in baselines(network, tables(training, training, network.settings), of_test=True).items()
    }
    assert found["linear"] < 0.2 * min(found["mean"], found["persistence"])


def test_a_model_starts_from_the_linear_forecast(tmp_path):
    """If no epoch is better, it stays there."""
    options = {"targets": ["y"], "past": 8, "horizon": 6, "time": "when", "base": "linear", **TINY}
    network = forecast.fit(waves(), **options, learning_rate=0.5)
    assert "No epoch has a lower validation error than the linear model" in " ".join(str(network.report).split())
    rows = network.report.rows
    assert rows["linear, validation"]["rmse"] < 0.5 * rows["seasonal, validation"]["rmse"]
    windows = cut_windows(records_of(waves()), network.settings)
    linear = baselines(network, Datasets([], [], [], {}, {}, None), of_test=False)["linear"]
    for found, expected in zip(network.forecasts(windows), linear(windows), strict=True):
        assert torch.allclose(found, expected)
    network.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").forecast(waves())
    assert again["y_predicted"].to_list() == network.forecast(waves())["y_predicted"].to_list()


def test_a_decoder_adds_to_the_linear_forecast_what_it_has_learnt():
    """A product of two targets, which no linear model has."""
    noise = np.random.default_rng(0).normal(size=(2000, 2))
    table = pl.DataFrame(noise, ["a", "b"]).with_columns(y=pl.col("a") * pl.col("b"))
    options = {"targets": ["y"], "inputs": ["a", "b"], "past": 1, "horizon": 1, "hidden": 16, "batch_size": 64}
    network = forecast.fit(table, **options, base="linear", epochs=4, learning_rate=0.02, weight_decay=0.0)
    rows = network.report.rows
    assert rows["validation"]["rmse"] < 0.7 * rows["linear, validation"]["rmse"]


def records_of(table):
    targets = torch.tensor(table["y"].to_list()).unsqueeze(1)
    return [Record("", torch.zeros(len(targets), 0), targets, torch.zeros(0))]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("targets", [("y",), ("y", "z")])
def test_the_linear_model_is_a_ridge_regression(missing, targets):
    """Of each output on the rows in which it is known."""
    options = ForecastSettings(targets=targets, inputs=(), past=3, horizon=2)
    linear, size = DirectLinear(options, inputs=1, ahead=1, context=1), len(targets)
    torch.manual_seed(0)
    read = torch.randn(60, 3, size), torch.randn(60, 3, 1), torch.randn(60, 2, 1), torch.randn(60, 1)
    x = linear.features(*read)
    y = (x @ torch.randn(x.shape[1], 2 * size)).view(60, 2, size) + 0.1 * torch.randn(60, 2, size)
    if missing:
        y[torch.rand(y.shape) < 0.3] = torch.nan
    linear.fit((x, y), (x, y))
    predicted = linear(*read)
    known = ~y.isnan()
    assert float((predicted - y)[known].square().mean()) < 0.02
    for output, weight in zip(y.flatten(1).T, linear.weight.T, strict=True):
        rows = ~output.isnan()
        gram = x[rows].double().T @ x[rows].double()
        penalty = torch.full((len(gram),), min(PENALTIES) * int(rows.sum())).double()
        penalty[-1] = 0
        expected = torch.linalg.solve(gram + torch.diag(penalty), x[rows].double().T @ output[rows].double())
        assert torch.allclose(weight.double(), expected, atol=1e-5)


def test_the_linear_model_reads_what_is_allowed():
    """The last target, its own lags or all; the past of inputs; the future of known ones."""
    options = ForecastSettings(targets=("y", "z"), inputs=("u",), past_inputs=("v",), past=5, horizon=2)
    linear = DirectLinear(options, inputs=2, ahead=1, context=0)
    past = torch.arange(10.0).view(1, 5, 2)
    found = linear.features(past, 100 + past, torch.tensor([[[7.0], [8.0]]]), torch.zeros(1, 0))
    lags = [-8, -8, -6, -6, -4, -4, -2, -2, 8, 9]
    assert found[0].tolist() == [*lags, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 7, 8, 1]
    torch.manual_seed(0)
    x = torch.randn(200, linear.width)
    last = x[:, 8:10].unsqueeze(1).expand(-1, 2, -1)
    linear.fit((x, last), (x, last))
    weights = linear.weight.view(-1, 2, 2)
    assert torch.allclose(weights[8:10].diagonal(dim1=0, dim2=2), torch.ones(2, 2), atol=0.01)
    assert int((linear.weight != 0).any(1).sum()) == 2 + 2 + 2 + 1  # one lag is enough
