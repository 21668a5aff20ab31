"""Make the file of a graph that PyTorch alone runs: a program of `torch.export`."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._core.recording import recording
from ..errors import InputError
from .check import CHECKED, check
from .graph_spec import GraphSpec
from .loop_recorder import LoopRecorder
from .program import exported_program

METADATA = "contextual_rnn.json"
REMARK = (
    "Batch size and time are dynamic. Every loop over time is one `scan` of PyTorch, since the `nn.LSTM`, `nn.GRU` and "
    "`nn.RNN` of a program of torch.export have a fixed number of steps."
)


def torch_bytes(spec: GraphSpec, metadata: dict[str, Any]) -> bytes:
    """Return a graph as the content of a .pt2 file; `extra_files` of `torch.export.load` reads its metadata."""
    with recording(LoopRecorder()):
        program = exported_program(spec)
    buffer = io.BytesIO()
    described = json.dumps({**metadata, **spec.described()})
    torch.export.save(program, buffer, extra_files={METADATA: described})
    return buffer.getvalue()


def check_program(spec: GraphSpec, content: bytes) -> tuple[float, list[str]]:
    """Return the largest difference of a program from the model, and sentences on its limits.

    `torch.export` takes sizes of 1 for constants, so that some programs need at least two steps.

    Raises:
        InputError: the difference is more than 1e-5, or `torch.export` has fixed a size.
    """
    run = Loaded(content)
    try:
        return check(spec, run, "PyTorch"), [REMARK]
    except AssertionError as error:
        limit = _named(spec, error)
    try:
        found = check(spec, run, "PyTorch", [(batch, max(steps, 2)) for batch, steps in CHECKED])
    except AssertionError as error:
        raise InputError(
            f"the model cannot be exported, since torch.export fixes a size: {_named(spec, error)}"
        ) from error
    return found, [REMARK, f"The graph {spec.name or 'of the model'} has a limit that torch.export sets: {limit}."]


def _named(spec: GraphSpec, error: AssertionError) -> str:
    """Return the condition of a failed guard, with the names of the inputs."""
    condition = str(error).removeprefix("Guard failed: ")
    return re.sub(r"arguments_(\d+)", lambda found: spec.inputs[int(found[1])].name, condition)


class Loaded:
    """A program that was read from the content of its file."""

    def __init__(self, content: bytes) -> None:
        self.module = torch.export.load(io.BytesIO(content)).module()

    def __call__(self, inputs: Sequence[Tensor]) -> list[Any]:
        """Return the outputs for inputs in order."""
        with torch.no_grad():
            return [one.numpy() for one in self.module(*inputs)]
