"""Draw texts from a model, symbol by symbol."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..._core.categorical import draw_category
from ..._core.evaluation import evaluation_mode
from ..._core.noise import TrajectorySeeds
from ..._core.settings import check_count
from ..._core.state import State
from ...errors import InputError
from ...sequence_model import SequenceModel, select_batch
from .batches import END

KEPT = 0.8  # texts that have ended are run on, until fewer than this share of those that are run has not


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How symbols are drawn.

    Attributes:
        temperature: logits are divided by it; at 0, the most likely symbol is taken.
        top_k: draw among the k most likely symbols; None allows all.
        top_p: draw among the most likely symbols whose probabilities sum to p (Holtzman et al. 2020).

    Raises:
        InputError: a value is out of range.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < math.inf:
            raise InputError(f"`temperature` must be at least 0 and finite; found {self.temperature}")
        if self.top_k is not None:
            check_count(top_k=self.top_k)
        if not 0 < self.top_p <= 1:
            raise InputError(f"`top_p` must be greater than 0 and at most 1; found {self.top_p}")

    def draw(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """Draw a category for every row of logits (N, K) with uniform random numbers (N,)."""
        if not self.temperature:
            return logits.argmax(1)
        return draw_category(restricted(logits / self.temperature, self.top_k, self.top_p), uniform)


def restricted(logits: Tensor, top_k: int | None, top_p: float) -> Tensor:
    """Return logits (N, K), in which those of the categories that may not be drawn are minus infinity."""
    if top_k is not None and top_k < logits.shape[1]:
        least = logits.topk(top_k, dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    if top_p < 1:
        ordered, order = logits.sort(dim=1, descending=True)
        before = ordered.softmax(dim=1).cumsum(dim=1) - ordered.softmax(dim=1)  # of the categories above
        out = torch.zeros_like(logits, dtype=torch.bool).scatter(1, order, before >= top_p)
        logits = logits.masked_fill(out, -math.inf)
    return logits


@torch.no_grad()
def draw(
    sequences: SequenceModel, context: Tensor | None, size: int, steps: int, how: Sampling, seeds: TrajectorySeeds,
    prefix: Sequence[int] = (), state: State | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Draw texts.

    Args:
        sequences: the model, whose category `END` ends a text.
        context: (size, C), or None.
        size: B, the number of texts.
        steps: the largest number of symbols, with the prefix and the end.
        how: how symbols are drawn.
        seeds: the random numbers. They depend on the number of a text, not on `size`.
        prefix: the numbers of the symbols that every text starts with.
        state: a state to start from instead of h0, of one row or `size` rows.

    Returns:
        The numbers of the symbols, (B, T), `END` past the end of a text, and whether each text has ended, (B,).
    """
    assert sequences.start is not None
    with evaluation_mode(sequences):
        h0 = select_batch(state, 0, size, size)
        if state is None:
            h0 = sequences.rnn.start(size, context, sample=how.temperature > 0, generator=seeds)
        step, control = sequences.rnn.stepper(h0), sequences.control(context)
        inputs = sequences.start.expand(size, -1)
        device = inputs.device
        rows, found = torch.arange(size, device=device), []  # rows: the numbers of the texts that are run
        running = torch.ones(size, dtype=torch.bool, device=device)
        for at in range(steps):
            hidden = step(inputs if control is None else torch.cat([inputs, control], dim=1))
            if at < len(prefix):
                symbols = torch.full((len(rows),), prefix[at], device=device)
            else:
                uniform = seeds.next_stream(1 + at).uniform(size, 1).to(device)[rows, 0]
                logits = sequences.head(hidden).logits
                if not at:
                    logits[:, END] = -math.inf  # no text is empty
                symbols = how.draw(logits, uniform).masked_fill(~running, END)
                running = running & (symbols != END)
            found.append(torch.full((size,), END, device=device).index_copy_(0, rows, symbols))
            if not running.any():
                break
            keep = getattr(step, "keep", None)
            if keep is not None and running.sum() < KEPT * len(rows):
                step = keep(running)
                rows, symbols, control = rows[running], symbols[running], None if control is None else control[running]
                running = running[running]
            inputs = sequences.inputs(symbols)
    ended = torch.ones(size, dtype=torch.bool, device=device).index_copy_(0, rows, ~running)
    return torch.stack(found, dim=1), ended
