"""Series with inputs and targets: simulate the targets from the inputs and from what is known at the start."""

from __future__ import annotations

import os

from ...serialization import load as load_module
from .compare import SeriesComparison, compare
from .fit import fit
from .model import SeriesModel
from .predict import Prediction, States
from .predict_file import predict_file
from .settings import SeriesSettings

__all__ = ["Prediction", "SeriesComparison", "SeriesModel", "SeriesSettings", "States", "compare", "fit", "load"]

COMMANDS = {"fit series": fit, "compare series": compare, "predict": predict_file}


def load(path: str | os.PathLike[str]) -> SeriesModel:
    """Read a model that `SeriesModel.save` wrote, or that of a run folder of `fit`."""
    return load_module(path, SeriesModel)
