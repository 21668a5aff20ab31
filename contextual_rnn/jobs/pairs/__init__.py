"""Pairs of texts: write the target of a source, such as the pronunciation of a spelling."""

from __future__ import annotations

import os

from ...serialization import load as load_module
from .compare import PairComparison, compare
from .decode import Target
from .model import PairModel
from .settings import PairSettings
from .train import fit
from .transcribe import transcribe, transcribe_lines

__all__ = ["PairComparison", "PairModel", "PairSettings", "Target", "compare", "fit", "load", "transcribe"]

COMMANDS = {"fit pairs": fit, "compare pairs": compare, "transcribe": transcribe_lines}


def load(path: str | os.PathLike[str]) -> PairModel:
    """Read a model that `PairModel.save` wrote, or that of a run folder of `fit`."""
    return load_module(path, PairModel)
