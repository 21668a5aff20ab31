"""Forecasts of series: an encoder reads the past, and a decoder writes the future.

>>> import polars as pl
>>> from contextual_rnn.jobs import forecast
>>> swing = pl.DataFrame({"y": [0.0, 1.0, 0.0, -1.0] * 4})
>>> model = forecast.fit(swing, targets=["y"], past=4, horizon=2, hidden=2, epochs=1, updates=1)
>>> model.forecast(swing).columns
['step', 'y_predicted']
"""

from .compare import ForecastComparison, compare
from .forecast import forecast_file
from .model import ForecastModel
from .settings import ForecastSettings
from .train import fit

__all__ = ["ForecastComparison", "ForecastModel", "ForecastSettings", "compare", "fit", "load"]

COMMANDS = {"fit forecast": fit, "compare forecast": compare, "forecast": forecast_file}

load = ForecastModel.load
