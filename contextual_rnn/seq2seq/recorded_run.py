"""A free run of a decoder of vectors, as one loop of a graph that is exported."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .._core.recording import Recorder, Tensors
from .._core.state import State, fill, leaves
from .decoder import Decoder, Memory


def recorded_run(
    active: Recorder,
    decoder: Decoder,
    first: Tensor,
    steps: int,
    state: State,
    memory: Memory | None,
    known: Tensor | None,
) -> Tensor:
    """Return what `EncoderDecoder.free_run` predicts, (B, steps, D), computed by one loop of a graph.

    Args:
        active: what records the graph.
        decoder: of vectors.
        first: the element before the first prediction, (B, D).
        steps: the number of steps.
        state: the decoder's initial state.
        memory: what its attention reads; None without attention.
        known: features (B, steps, K) that are known in advance for every step.
    """
    core, attentional = state
    has_known = known is not None and known.shape[2] > 0
    of_steps = known.transpose(0, 1) if known is not None and has_known else first.new_zeros(steps, 1)
    shapes = decoder.rnn.state_shapes

    def body(decoder: Any, step: Tensors, carry: Tensors, fixed: Tensors) -> tuple[Tensors, Tensors]:
        last, *rest, vector = carry
        fed = torch.cat([last, step[0]], dim=1) if has_known else last
        one = decoder.step(fed, (fill(shapes, iter(rest)), vector), Memory(*fixed) if fixed else None)
        after, vector = one.state
        return [one.outputs[:, 0]], [one.outputs[:, 0].clone(), *leaves(after), vector.clone()]

    carry, fixed = [first, *leaves(core), attentional], [] if memory is None else list(memory)
    (found,), _ = active.scan(body, [of_steps], carry, fixed, decoder)
    return found.transpose(0, 1)
