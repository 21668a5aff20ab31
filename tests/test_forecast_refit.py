"""The last fit of a model that forecasts, to all rows of the training table."""

import json

import numpy as np
import polars as pl
import pytest
import torch

from contextual_rnn import InputError
from contextual_rnn.jobs import forecast
from contextual_rnn.jobs.forecast.report import BEFORE

OPTIONS = {"targets": ["y"], "past": 4, "horizon": 3, "base": "last", "quantiles": (0.5,)}
OPTIONS |= {"hidden": 4, "updates": 2, "epochs": 3, "batch_size": 4}


def walk(seed):
    return pl.DataFrame({"y": np.cumsum(np.random.default_rng(seed).normal(size=80))})


@pytest.fixture(scope="module")
def plain():
    return forecast.fit(walk(0), test=walk(1), **OPTIONS)


def test_a_refit_trains_on_all_rows_for_the_best_number_of_epochs(plain, tmp_path):
    again = forecast.fit(walk(0), refit=True, out=tmp_path / "run", **OPTIONS)
    before, after = plain.state_dict(), again.state_dict()
    kept = ("offsets", "target_mean", "target_scale")
    assert all(torch.equal(before[name], after[name]) for name in kept)
    assert not torch.equal(before["linear.weight"], after["linear.weight"])
    assert not torch.equal(before["pairs.decoder.output.weight"], after["pairs.decoder.output.weight"])
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    epochs = (tmp_path / "run" / "final" / "refit" / "metrics.jsonl").read_text().splitlines()
    assert len(epochs) == results["metrics"]["epoch"]
    assert again.report.rows["validation"]["rmse"] == plain.report.rows["validation"]["rmse"]  # of the model before
    words = " ".join(str(again.report).split())
    assert f"fitted again to all rows of the training table, for {len(epochs)} epoch" in words
    assert "It has no validation error: all errors are those of the model before" in words
    assert "forecasts" not in str(sorted((tmp_path / "run" / "figures").iterdir()))
    assert forecast.load(tmp_path / "run").settings.refit


def test_the_test_error_is_that_of_the_model_after_the_refit(plain):
    again = forecast.fit(walk(0), test=walk(1), refit=True, **OPTIONS)
    rows = again.report.rows
    assert list(rows)[:3] == ["training", BEFORE, "test"]
    assert rows[BEFORE]["rmse"] == plain.report.rows["validation"]["rmse"]
    assert rows["test"]["rmse"] != plain.report.rows["test"]["rmse"]
    errors = []
    for start in range(0, 80 - 7 + 1, 3):
        past, future = walk(1)[start : start + 4], walk(1)[start + 4 : start + 7]
        errors.append(again.forecast(past)["y_predicted"] - future["y"])
    assert rows["test"]["rmse"] == pytest.approx(float(np.sqrt(np.mean(np.square(errors)))), rel=1e-4)


def test_without_held_out_rows_there_is_nothing_to_refit():
    with pytest.raises(InputError, match="leave out `refit` or `validation`"):
        forecast.fit(walk(0), validation=walk(1), refit=True, **OPTIONS)


@pytest.mark.parametrize("refits", [False, True])
def test_the_mean_is_that_of_all_that_comes_before_the_forecasts(refits):
    def rmse(rows, mean):
        return np.sqrt(np.mean((rows["y"].to_numpy() - mean) ** 2))

    options, train = {**OPTIONS, "quantiles": (), "refit": refits}, walk(0)
    kept, held_out = train[:64], train[64:][4 : 4 + 12]  # four horizons of three rows
    found = forecast.fit(train, **options).report.rows["mean, validation"]["rmse"]
    assert found == pytest.approx(rmse(held_out, kept["y"].mean()), rel=1e-5)
    test = pl.concat([train[-4:], train[:12] + 7])
    rows = forecast.fit(train, test=test, **options).report.rows
    assert rows["mean, test"]["rmse"] == pytest.approx(rmse(test[4:], train["y"].mean()), rel=1e-5)
