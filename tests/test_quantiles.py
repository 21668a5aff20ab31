"""Quantiles of forecasts."""

import numpy as np
import polars as pl
import pytest
import torch
from forecasts import TINY, model, records

from contextual_rnn import InputError
from contextual_rnn.cli import main
from contextual_rnn.jobs import forecast
from contextual_rnn.jobs.forecast.quantiles import fit_quantiles, number_in_words, quantile_forecasts
from contextual_rnn.jobs.forecast.windows import cut_windows, every_window

LEVELS = (0.1, 0.5, 0.9)


def noise(steps=900, seed=0):
    return pl.DataFrame({"y": np.random.default_rng(seed).normal(10, 2, steps)})


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantiles") / "run"
    options = {"targets": ["y"], "past": 4, "horizon": 3, "base": "linear", "quantiles": LEVELS, **TINY}
    return forecast.fit(noise(), test=noise(seed=1), out=folder, **options), folder


def test_a_share_of_new_values_lies_below_each_quantile(fitted):
    network, _ = fitted
    words = " ".join(str(network.report).split())
    shares = [
        float(part.split("%")[0].split()[-1])
        for part in words.split("Of the targets of the 298 windows of the test table")[1].split(",")[1:4]
    ]
    assert shares == pytest.approx([10, 50, 90], abs=4)


def test_quantiles_are_columns_of_the_forecast_in_ascending_order(fitted, tmp_path, capsys):
    network, folder = fitted
    found = network.forecast(noise(40))
    names = [f"y_quantile_{level:g}" for level in LEVELS]
    assert found.columns == ["step", "y_predicted", *names]
    assert (np.diff(found.select(names).to_numpy(), axis=1) > 0).all()
    noise(40).write_csv(tmp_path / "past.csv")
    main(["forecast", str(folder), "--past", str(tmp_path / "past.csv"), "--out", str(tmp_path / "o.csv")])
    assert pl.read_csv(tmp_path / "o.csv").columns == found.columns


@pytest.mark.parametrize("scale", ["global", "window"])
def test_quantiles_are_those_of_the_errors_of_held_out_windows(scale):
    network, held_out = model(scale=scale, quantiles=LEVELS), records(3)
    held_out[0].targets[-1] = torch.nan
    fit_quantiles(network, held_out)
    windows = every_window(held_out, network.settings, 10**6)
    forecasts = torch.stack(list(network.forecasts(windows)))
    found = quantile_forecasts(network, windows, forecasts)
    measured = torch.stack([window.targets[network.settings.past :] for window in windows]).unsqueeze(1)
    below = torch.where(measured.isnan(), torch.nan, (measured <= found).float()).nanmean(0)
    wanted = torch.tensor(LEVELS).view(3, 1, 1).expand_as(below)
    assert torch.allclose(below, wanted, atol=0.03)


@pytest.mark.parametrize(
    ("quantiles", "words"),
    [((0.0,), "must lie between 0 and 1; found 0"), ((0.9, 0.1), "must ascend")],
)
def test_quantiles_that_are_none_are_refused(quantiles, words):
    with pytest.raises(InputError, match=words):
        forecast.fit(noise(60), targets=["y"], past=4, horizon=3, quantiles=quantiles, **TINY)


def test_the_number_of_windows_of_quantiles_is_said(fitted):
    words = " ".join(str(fitted[0].report).split())
    assert "Quantiles are those of the errors of 174 held-out windows, which overlap." in words
    assert "These are few" not in words
    options, held_out = model(quantiles=LEVELS).settings, records(3)
    assert number_in_words(held_out, options) == [
        "Quantiles are those of the errors of 63 held-out windows, which overlap.",
        "These are few: the quantile 0.1 needs at least 100, so that 10 errors lie beyond it.",
    ]
    few = number_in_words(held_out[:1], options.replace(past=20, quantiles=(0.05, 0.5)))
    assert "13 held-out windows, which overlap, of all steps of the horizon together." in few[0]
    assert "the quantile 0.05 needs at least 200" in few[1]


def test_few_windows_share_the_errors_of_all_steps():
    network = model(quantiles=(0.5,))
    fit_quantiles(network, records(1))
    assert len(cut_windows(records(1), network.settings)) < 20 < len(every_window(records(1), network.settings, 99))
    fit_quantiles(network, [records(1)[0].part(0, 25)])
    assert torch.equal(network.offsets[:, 0], network.offsets[:, -1])
