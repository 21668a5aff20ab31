"""The command `export`: a trained model as files that run without this library."""

from __future__ import annotations

import pathlib

from .export.files import Exported, Format
from .serialization import SavedModel, load


def export_run(
    run: pathlib.Path,
    out: pathlib.Path,
    format: Format = "onnx",
    int8: bool = False,
) -> Exported:
    """Write a trained model to files that run without this library, after a check of every file against the model.

    Args:
        run: Run folder that `fit` made, or a model file.
        out: File to write, such as model.onnx; other graphs are written next to it, such as model-step.onnx.
        format: Format of the files: onnx (.onnx), or torch (.pt2), a program of torch.export.
        int8: Store the weights of ONNX files in 8 bits, and report what that costs.

    Returns:
        The files, with their inputs, outputs and largest differences from the model.

    Raises:
        InputError: if there is no such model, a file exists, or the model cannot be exported.

    Example:
        contextual-rnn export runs/tank --out tank.onnx
    """
    model: SavedModel = load(run, SavedModel)
    return model.export(out, format=format, int8=int8)


COMMANDS = {"export": export_run}
