"""Series with inputs and targets: simulate the targets from the inputs and from what is known at the start."""

from .compare import SeriesComparison, compare
from .fit import fit
from .model import SeriesModel
from .predict import Prediction, States
from .predict_file import predict_file
from .settings import SeriesSettings

__all__ = ["Prediction", "SeriesComparison", "SeriesModel", "SeriesSettings", "States", "compare", "fit", "load"]

COMMANDS = {"fit series": fit, "compare series": compare, "predict": predict_file}

load = SeriesModel.load
