"""Baselines of forecasts, the base that the decoder adds to, and errors that compare series of any level."""

import numpy as np
import polars as pl
import pytest
import torch
from forecasts import HORIZON, PAST, TINY, model, records

from contextual_rnn import InputError, load
from contextual_rnn.data.series import Datasets, Record
from contextual_rnn.jobs import forecast
from contextual_rnn.jobs.forecast.base import season
from contextual_rnn.jobs.forecast.baselines import baselines, why_not_seasonal
from contextual_rnn.jobs.forecast.metrics import errors_of, rmse
from contextual_rnn.jobs.forecast.scaled_errors import scaled_errors
from contextual_rnn.jobs.forecast.windows import cut_windows


def tables(training, validation, options):
    """The tables of a job, as windows to validate on."""
    return Datasets(training, cut_windows(validation, options), [], {}, {}, None)


def test_baselines_are_the_last_values_and_the_mean():
    network = model()
    windows = cut_windows(records(), network.settings)
    found = baselines(network, tables(records(), records(), network.settings))
    for name, expected in (("persistence", windows[0].targets[PAST - 1]), ("mean", network.target_mean)):
        errors = errors_of(found[name], windows, network)
        wanted = (expected - windows[0].targets[PAST:]) / network.target_scale
        assert torch.allclose(errors[0], wanted.double(), atol=1e-6)


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
    found = baselines(network, tables(records(), records(), network.settings))["seasonal"](windows)
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
    found, left_out = scaled_errors(errors, windows, training, 3, 1)
    assert found["one"] == pytest.approx({"mase": (3 / 1.5 + 3 / 4) / 2, "rmsse": (3 / 2.5**0.5 + 3 / 4) / 2})
    assert left_out == ["MASE and RMSSE leave out 1 series, which repeats exactly."]
    seasonal, left_out = scaled_errors({"one": errors["one"][:1]}, windows[:1], training, 3, 2)
    assert seasonal["one"]["mase"] == pytest.approx(3 / 3)
    assert left_out == []
    nothing, _ = scaled_errors({"one": errors["one"][2:]}, windows[2:], training, 3, 1)
    assert nothing == {"one": {}}


def waves(steps=200):
    """A day of 6 hours: a shape that repeats, with a slow drift."""
    time = np.arange(steps)
    start = np.datetime64("2024-01-01T00:00:00", "us")
    y = np.array([5.0, 1.0, 9.0, 3.0])[time % 4] + np.sin(time / 40)
    return pl.DataFrame({"when": start + time * np.timedelta64(6, "h"), "y": y})


def test_the_base_is_the_last_season_where_that_is_nearer(tmp_path):
    options = {"targets": ["y"], "past": 8, "horizon": 6, **TINY}
    network = forecast.fit(waves(), time="when", **options)
    assert network.settings.base == "seasonal"
    words = " ".join(str(network.report).split())
    assert "Forecasts start from the targets of one season ago, 4 rows (base seasonal), because" in words
    assert network.report.rows["validation"]["rmse"] < 0.5 * network.report.rows["persistence, validation"]["rmse"]
    network.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").forecast(waves())
    assert again["y_predicted"].to_list() == network.forecast(waves())["y_predicted"].to_list()
    assert forecast.fit(waves(), time="when", base="last", **options).settings.base == "last"
    ramp = waves().with_columns(y=pl.int_range(200).cast(float))
    assert forecast.fit(ramp, time="when", **options).settings.base == "last"
    with pytest.raises(InputError, match="`base` seasonal needs a `past` of at least 4 steps"):
        forecast.fit(waves(), time="when", base="seasonal", **{**options, "past": 3})
    with pytest.raises(InputError, match="`base` seasonal needs a column of times"):
        forecast.fit(waves().drop("when"), base="seasonal", **options)


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
        for name, one in baselines(network, tables(training, training, network.settings)).items()
    }
    assert found["linear"] < 0.2 * min(found["mean"], found["persistence"])
