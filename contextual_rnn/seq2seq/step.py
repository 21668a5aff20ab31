"""Step functions for the searches: one step of a decoder, or of an ensemble of decoders."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .._core.categorical import at_least_single
from .._core.state import State
from .decoder import Decoder, Memory


class Step:
    """Take one step of a decoder: `step(tokens (N,), state) -> (log_probs (N, V), state)`.

    The state is a tuple of the decoder's state and the index of each row's source (N,), so that a search can select and
    repeat rows while the memory has one row per source.
    """

    def __init__(self, decoder: Decoder, memory: Memory | None) -> None:
        self.decoder, self.memory = decoder, memory

    @torch.no_grad()
    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the log probabilities (N, V) of the tokens after `tokens` (N,), and the next state."""
        decoder_state, sources = state
        memory = None if self.memory is None else self.memory.rows(sources)
        one = self.decoder.step(tokens, decoder_state, memory)
        return at_least_single(one.outputs[:, 0]).log_softmax(dim=1), (one.state, sources)


class Ensemble:
    """Average the probabilities of several step functions. The state is the tuple of their states."""

    def __init__(self, steps: list[Any]) -> None:
        self.steps = steps

    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the log probabilities (N, V) of the tokens after `tokens` (N,), and the next states."""
        found = [step(tokens, one) for step, one in zip(self.steps, state, strict=True)]
        mean = torch.stack([log_probs for log_probs, _ in found]).logsumexp(0)
        return mean - math.log(len(found)), tuple(one for _, one in found)
