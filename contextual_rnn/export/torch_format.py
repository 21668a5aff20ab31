"""Make the file of a graph that PyTorch alone runs: a program of `torch.export`."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .._core.recording import recording
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


class Loaded:
    """A program that was read from the content of its file."""

    def __init__(self, content: bytes) -> None:
        self.module = torch.export.load(io.BytesIO(content)).module()

    def __call__(self, inputs: Sequence[Tensor]) -> list[Any]:
        """Return the outputs for inputs in order."""
        with torch.no_grad():
            return [one.numpy() for one in self.module(*inputs)]
