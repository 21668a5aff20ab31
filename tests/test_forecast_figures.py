"""Figures of forecasts: dates, and axes of series of different levels."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from forecasts import PAST, model, records
from matplotlib.dates import ConciseDateFormatter

from contextual_rnn.data.clock import read_clock
from contextual_rnn.jobs.forecast.figures import plot_forecasts
from contextual_rnn.jobs.forecast.settings import ForecastSettings
from contextual_rnn.jobs.forecast.train import read_tables
from contextual_rnn.jobs.forecast.windows import cut_windows


def windows(factor, days=None):
    network = model()
    made = [dataclasses.replace(one, times=days, targets=one.targets * factor**k) for k, one in enumerate(records(2))]
    return network, cut_windows(made, network.settings)[::3]


def limits(network, drawn):
    return [[axes.get_ylim() for axes in plot_forecasts(network, drawn).axes[row : row + 2]] for row in (0, 2)]


def test_panels_share_their_y_axis_unless_a_curve_is_flat_then():
    for first, second in limits(*windows(1)):
        assert first == second
    for first, second in limits(*windows(100)):
        assert first[1] - first[0] < 0.1 * (second[1] - second[0])


def test_dates_are_on_the_x_axis_where_they_are_known():
    days = np.datetime64("2024-02-20T00:00:00", "us") + np.arange(40) * np.timedelta64(1, "D")
    for axes in plot_forecasts(*windows(1, days)).axes:
        assert isinstance(axes.xaxis.get_major_formatter(), ConciseDateFormatter)
        assert not axes.get_xlabel()
        start = next(line for line in axes.lines if line.get_linestyle() == ":").get_xdata()[0]
        assert start == days[PAST] - np.timedelta64(12, "h")
    assert {axes.get_xlabel() for axes in plot_forecasts(*windows(1)).axes} == {"step"}


def test_windows_of_a_dated_table_have_their_times():
    days = [f"2024-01-{day:02}" for day in range(1, 32) if day != 20]
    table = pl.DataFrame({"day": days, "y": np.arange(30.0)})
    options = ForecastSettings(targets=("y",), time=("day",), past=3, horizon=2, gaps="missing", missing="hold")
    data = read_tables(table, None, None, options)
    wanted = np.arange("2024-01-26", "2024-01-31", dtype="datetime64[D]")
    assert (data.validation[0].times == wanted).all()
    assert (data.whole[0].times == np.arange("2024-01-01", "2024-02-01", dtype="datetime64[D]")).all()


@pytest.mark.parametrize(
    ("cells", "date"),
    [(["2024-12", "2025-01"], "2024-12-01"), (["2024Q4"], "2024-10-01"), (["2024-W52"], "2024-12-23")],
)
def test_periods_begin_on_a_date(cells, date):
    assert read_clock(pl.Series(cells)).local[0] == np.datetime64(date, "us").astype(int)
