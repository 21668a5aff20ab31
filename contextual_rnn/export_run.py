"""The command `export`: a trained model as files that run without this library."""

from __future__ import annotations

import pathlib

from .export.files import Exported
from .serialization import SavedModel, load


def export_run(run: pathlib.Path, out: pathlib.Path) -> Exported:
    """Write a trained model to files that run without this library, after a check of every file against the model.

    Args:
        run: Run folder that `fit` made, or a model file.
        out: File to write, such as model.onnx; other graphs are written next to it, such as model-step.onnx.

    Returns:
        The files, with their inputs, outputs and largest differences from the model.

    Raises:
        InputError: if there is no such model, a file exists, or the model cannot be exported.

    Example:
        contextual-rnn export runs/tank --out tank.onnx
    """
    model: SavedModel = load(run, SavedModel)
    return model.export(out)


COMMANDS = {"export": export_run}
