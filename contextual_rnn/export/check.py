"""Compare a file with the model that it was made from, at batch sizes and lengths that it was not made with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from .graph_spec import GraphSpec

TOLERANCE = 1e-5  # of the largest difference, relative to the largest output if that is more than 1
Sizes = Sequence[tuple[int, int]]
CHECKED: Sizes = ((1, 1), (5, 12))  # batch sizes and numbers of steps, of which the traced graph has seen neither

Run = Callable[[Sequence[Tensor]], Sequence[Any]]


@torch.no_grad()
def difference(spec: GraphSpec, run: Run, batch: int, steps: int, seed: int = 1) -> float:
    """Return the largest difference of a file from the model, relative to the largest output if that is over 1.

    Args:
        spec: the graph.
        run: runs the file, and returns arrays.
        batch: B.
        steps: the number of time steps.
        seed: of the inputs.
    """
    inputs = spec.examples(spec.sizes(batch, steps), seed)
    largest = 0.0
    for mine, theirs in zip(spec.module(*inputs), run(inputs), strict=True):
        expected = mine.detach().numpy().astype(np.float64)
        if theirs.shape != expected.shape:
            return float("inf")
        scale = max(1.0, float(np.abs(expected).max(initial=0)))
        away = np.abs(theirs.astype(np.float64) - expected).max(initial=0) / scale
        largest = float("inf") if np.isnan(away) else max(largest, float(away))
    return largest


def largest_difference(spec: GraphSpec, run: Run, sizes: Sizes = CHECKED) -> float:
    """Return the largest difference of a file from the model at some batch sizes and numbers of steps."""
    return max(difference(spec, run, batch, steps) for batch, steps in sizes)


def check(spec: GraphSpec, run: Run, where: str, sizes: Sizes = CHECKED) -> float:
    """Return the largest difference of a file from the model.

    Raises:
        InputError: it is more than 1e-5.
    """
    largest = largest_difference(spec, run, sizes)
    if not largest <= TOLERANCE:
        raise InputError(
            f"the graph {spec.name or 'of the model'} differs from the model by {largest:.2g} in {where}, more than "
            f"{TOLERANCE:g}; no file was written"
        )
    return largest
