"""Step functions for the searches: one step of a decoder, or of an ensemble of decoders."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .._core.categorical import at_least_single
from .._core.state import State
from ..errors import InputError
from .decoder import Decoder, Memory


class Step:
    """Take one step of a decoder: `step(tokens (N,), state) -> (log_probs (N, V), state)`.

    The state is a tuple of the decoder's state and the index of each row's source (N,), so that a search can select and
    repeat rows while the memory has one row per source. After `covering`, its third part is the sum of the attention
    weights of all steps so far, (N, S).

    Args:
        decoder: the decoder.
        memory: what its attention reads; None without attention.
    """

    def __init__(self, decoder: Decoder, memory: Memory | None) -> None:
        self.decoder, self.memory = decoder, memory

    @torch.no_grad()
    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the log probabilities (N, V) of the tokens after `tokens` (N,), and the next state."""
        decoder_state, sources, *covered = state
        memory = None if self.memory is None else self.memory.rows(sources)
        one = self.decoder.step(tokens, decoder_state, memory)
        after: State = (one.state, sources)
        if covered and one.weights is not None:
            after = (one.state, sources, covered[0] + one.weights[:, 0])
        return at_least_single(one.outputs[:, 0]).log_softmax(dim=1), after

    def covering(self, state: State) -> State:
        """Return an initial state with sums of attention weights, which are 0.

        Raises:
            InputError: the decoder has no attention.
        """
        if self.memory is None:
            raise InputError("coverage needs a model with attention, since it is the sum of the attention weights")
        decoder_state, sources = state
        return decoder_state, sources, self.memory.values.new_zeros(len(sources), self.memory.mask.shape[1])

    def covered(self, state: State) -> Tensor:
        """Return how well each row of a state covers its source, (N,); see `coverage_penalty`."""
        assert self.memory is not None
        return coverage_penalty(state[2], self.memory.mask[state[1]])


def coverage_penalty(weights: Tensor, mask: Tensor) -> Tensor:
    """Return sum_s log min(sum_t a_ts, 1) over the elements of a source: 0 if each was attended to, else less.

    (Wu et al. 2016, arXiv 1609.08144, equation 14.)

    Args:
        weights: the sums of the attention weights over the steps, (N, S).
        mask: (N, S), true where the source has an element.
    """
    return weights.clamp(min=1e-6, max=1).log().masked_fill(~mask, 0).sum(1)


class Ensemble:
    """Average the probabilities of several step functions. The state is the tuple of their states."""

    def __init__(self, steps: list[Any]) -> None:
        self.steps = steps

    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the log probabilities (N, V) of the tokens after `tokens` (N,), and the next states."""
        found = [step(tokens, one) for step, one in zip(self.steps, state, strict=True)]
        if len(found) == 1:
            return found[0][0], (found[0][1],)
        mean = torch.stack([log_probs for log_probs, _ in found]).logsumexp(0)
        return mean - math.log(len(found)), tuple(one for _, one in found)
