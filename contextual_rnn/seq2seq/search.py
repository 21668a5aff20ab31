"""Searches for the sequence that a model gives: greedy, ancestral sampling, beam.

They know one thing of the model: `step(tokens (N,), state) -> (log_probs (N, V), state)`, whose state is a nest of
batch-first tensors. Sequences that ended leave the batch, so that they cost nothing more.

    score of a sequence = log p(y) / length^alpha, the end counted; alpha = 0 is the log probability itself
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .._core.categorical import draw_category
from .._core.noise import TrajectorySeeds
from .._core.state import State, leaves, select_rows

StepFunction = Callable[[Tensor, State], tuple[Tensor, State]]
_NEVER = float("-inf")


@dataclasses.dataclass(frozen=True)
class Found:
    """What a search found: K sequences for each of B sources, the best first.

    Attributes:
        tokens: (B, K, T), without start and end; 0 past a sequence's end.
        lengths: (B, K) how many tokens each has.
        log_probs: (B, K) the log probability, the end's in it; -inf where there is no such sequence.
        scores: (B, K) by which they are ranked.
        ended: (B, K) false where a sequence was cut at `max_steps`.
    """

    tokens: Tensor
    lengths: Tensor
    log_probs: Tensor
    scores: Tensor
    ended: Tensor

    def texts(self, place: int = 0) -> list[list[int]]:
        """Return the tokens of each source's sequence number `place`."""
        pairs = zip(self.tokens[:, place].tolist(), self.lengths[:, place].tolist(), strict=True)
        return [tokens[:length] for tokens, length in pairs]


def greedy(
    step: StepFunction, state: State, size: int, *, start: int, end: int, max_steps: int, alpha: float = 0.0
) -> Found:
    """Take the likeliest token at every step, of equal ones the first.

    Args:
        step: of the model.
        state: its first, `size` rows.
        size: B.
        start: the token that is fed first.
        end: the token that ends a sequence.
        max_steps: how many tokens a sequence has at most, the end counted.
        alpha: of the score, above.

    Raises:
        ValueError: `max_steps` is less than 1, `size` not the state's, or `end` no token that the step predicts.
    """

    def choose(log_probs: Tensor, t: int, rows: Tensor) -> Tensor:
        return log_probs.argmax(dim=1)

    return _one_by_one(step, state, size, choose, start, end, max_steps, alpha)


def sample(
    step: StepFunction,
    state: State,
    size: int,
    *,
    start: int,
    end: int,
    max_steps: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    first_row: int = 0,
) -> Found:
    """Draw every token from the model (ancestral sampling).

    Args:
        step: of the model.
        state: its first, `size` rows.
        size: B.
        start: the token that is fed first.
        end: the token that ends a sequence.
        max_steps: how many tokens a sequence has at most, the end counted.
        temperature: divides the log probabilities; 0 is greedy.
        top_k: draw among the k likeliest only, of equal ones the first; None is all.
        seed: row i of a seed is drawn by the same numbers whatever the batch.
        first_row: the number of the first row, where the work is split.

    Raises:
        ValueError: the temperature is negative or not finite, or `top_k` less than 1, or as `greedy`.
    """
    if not 0 <= temperature < math.inf or (top_k is not None and top_k < 1):
        found = f"found {temperature} and {top_k}"
        raise ValueError(f"temperature must be at least 0 and finite, and top_k at least 1; {found}")
    seeds = TrajectorySeeds(seed, first_row)

    def choose(log_probs: Tensor, t: int, rows: Tensor) -> Tensor:
        if not temperature:
            return log_probs.argmax(dim=1)
        uniform = seeds.next_stream(t).uniform(size, 1).to(log_probs.device)[rows, 0]
        scaled = (log_probs - log_probs.amax(dim=1, keepdim=True)) / temperature  # the likeliest stays 0 however cold
        if top_k is not None and top_k < scaled.shape[1]:
            rest = log_probs.sort(dim=1, descending=True, stable=True).indices[:, top_k:]
            scaled = scaled.scatter(1, rest, _NEVER)
        return draw_category(scaled, uniform)

    return _one_by_one(step, state, size, choose, start, end, max_steps, 0.0)


def _one_by_one(
    step: StepFunction,
    state: State,
    size: int,
    choose: Callable[[Tensor, int, Tensor], Tensor],
    start: int,
    end: int,
    max_steps: int,
    alpha: float,
) -> Found:
    """Extend one sequence a source by the token chosen from `log_probs (N, V)`, at step t, for the sources `rows`."""
    _check(state, size, max_steps)
    place = next(leaves(state)).device
    tokens = torch.zeros(size, max_steps, dtype=torch.long, device=place)
    lengths = torch.full((size,), max_steps, device=place)
    ended = torch.zeros(size, dtype=torch.bool, device=place)
    rows, last = torch.arange(size, device=place), torch.full((size,), start, device=place)
    total: Tensor | None = None
    for t in range(max_steps):
        log_probs, state = step(last, state)
        if total is None:
            _check_end(end, log_probs)
            total = log_probs.new_zeros(size)
        last = choose(log_probs, t, rows)
        total[rows] += log_probs.gather(1, last.unsqueeze(1)).squeeze(1)
        stops = last == end
        tokens[rows, t] = last.where(~stops, 0)
        lengths[rows[stops]], ended[rows[stops]] = t, True
        if stops.any():
            going = (~stops).nonzero().squeeze(1)
            rows, last, state = rows[going], last[going], select_rows(state, going)
        if not len(rows):
            break
    assert total is not None
    scores = _score(total, lengths, ended, alpha)
    return Found(*(part.unsqueeze(1) for part in (tokens, lengths, total, scores, ended)))


def beam(
    step: StepFunction,
    state: State,
    size: int,
    *,
    width: int,
    start: int,
    end: int,
    max_steps: int,
    alpha: float = 0.0,
    n_best: int = 1,
) -> Found:
    """Keep the `width` likeliest beginnings at every step; of what ended, return the best by score.

    A source is done when `width` sequences have ended, or none of its beginnings can be extended; sequences that had
    not ended at `max_steps` compete as they are. Equal ones are ranked by beginning, then by token.

    Args:
        step: of the model.
        state: its first, `size` rows.
        size: B.
        width: how many beginnings are kept; 1 is greedy.
        start: the token that is fed first.
        end: the token that ends a sequence.
        max_steps: how many tokens a sequence has at most, the end counted.
        alpha: of the score, above.
        n_best: K, how many sequences are returned, at most `width`.

    Raises:
        ValueError: `n_best` is not in 1 to `width`, or as `greedy`.
    """
    if not 1 <= n_best <= width:
        raise ValueError(f"n_best must be in 1 to the width of the beam, {width}; found {n_best}")
    _check(state, size, max_steps)
    place = next(leaves(state)).device
    kept = [_Kept(width) for _ in range(size)]
    sources = torch.arange(size, device=place)
    state = select_rows(state, sources.repeat_interleave(width))
    tokens = torch.zeros(size, width, 0, dtype=torch.long, device=place)
    last = torch.full((size * width,), start, device=place)
    total: Tensor | None = None
    for t in range(max_steps):
        log_probs, state = step(last, state)
        if total is None:  # at first all beginnings are one
            _check_end(end, log_probs)
            total = log_probs.new_full((size, width), _NEVER)
            total[:, 0] = 0
        total, parent, token = _best_extensions(total, log_probs, width, end, kept, sources, tokens, alpha, t)
        tokens = torch.cat([tokens.gather(1, parent.unsqueeze(2).expand(-1, -1, t)), token.unsqueeze(2)], dim=2)
        alive = torch.tensor(
            [not kept[source].full and bool(total[row, 0] > _NEVER) for row, source in enumerate(sources.tolist())],
            device=place,
        )
        if t == max_steps - 1:
            for row, source in enumerate(sources.tolist()):
                kept[source].cut(tokens[row], total[row], alpha)
            break
        going = alive.nonzero().squeeze(1)
        if not len(going):
            break
        index = (going.unsqueeze(1) * width + parent[going]).flatten()
        state, last = select_rows(state, index), token[going].flatten()
        sources, total, tokens = sources[going], total[going], tokens[going]
    return _gathered(kept, n_best, max_steps, place)


def _check(state: State, size: int, max_steps: int) -> None:
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1; found {max_steps}")
    rows = len(next(leaves(state)))
    if rows != size:
        raise ValueError(f"size is {size} where the number of the state's rows, {rows}, is right")


def _check_end(end: int, log_probs: Tensor) -> None:
    symbols = log_probs.shape[1]
    if not 0 <= end < symbols:
        raise ValueError(f"end is {end} where one of the {symbols} tokens that the step predicts, from 0, is right")


def _best_extensions(
    total: Tensor,
    log_probs: Tensor,
    width: int,
    end: int,
    kept: list[_Kept],
    sources: Tensor,
    tokens: Tensor,
    alpha: float,
    t: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Put by what ends here, and return the best beginnings: their log probability, parent and token, (B, width)."""
    symbols = log_probs.shape[1]
    joint = total.unsqueeze(2) + log_probs.view(len(total), width, symbols)
    # Twice the width: of so many, at least `width` go on, since each beginning can end in one way only.
    count = min(2 * width, width * symbols)
    ranked, place = joint.flatten(1).sort(dim=1, descending=True, stable=True)
    ranked, place = ranked[:, :count], place[:, :count]
    parent, token = place // symbols, place % symbols
    ends = token == end
    for row, rank in (ends & (ranked > _NEVER)).nonzero().tolist():
        if rank < width:
            kept[int(sources[row])].add(tokens[row, parent[row, rank]], ranked[row, rank], alpha)
    order = ends.to(torch.uint8).sort(dim=1, stable=True).indices[:, :width]
    ranked = ranked.masked_fill(ends, _NEVER)
    return ranked.gather(1, order), parent.gather(1, order), token.gather(1, order)


class _Kept:
    """The sequences of one source that ended."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[tuple[float, float, list[int], bool]] = []

    @property
    def full(self) -> bool:
        return len(self.rows) >= self.width

    def add(self, tokens: Tensor, log_prob: Tensor, alpha: float, ended: bool = True) -> None:
        length = len(tokens) + ended
        self.rows.append((float(log_prob) / max(length, 1) ** alpha, float(log_prob), tokens.tolist(), ended))

    def cut(self, tokens: Tensor, total: Tensor, alpha: float) -> None:
        """Take beginnings as they are."""
        for one, log_prob in zip(tokens, total, strict=True):
            if log_prob > _NEVER:
                self.add(one, log_prob, alpha, ended=False)


def _gathered(kept: list[_Kept], n_best: int, max_steps: int, place: Any) -> Found:
    found = Found(
        torch.zeros(len(kept), n_best, max_steps, dtype=torch.long),
        torch.zeros(len(kept), n_best, dtype=torch.long),
        torch.full((len(kept), n_best), _NEVER, dtype=torch.float64),
        torch.full((len(kept), n_best), _NEVER, dtype=torch.float64),
        torch.zeros(len(kept), n_best, dtype=torch.bool),
    )
    for row, one in enumerate(kept):
        ranked = sorted(one.rows, key=lambda each: -each[0])[:n_best]
        for rank, (score, log_prob, tokens, ended) in enumerate(ranked):
            found.tokens[row, rank, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            found.lengths[row, rank], found.ended[row, rank] = len(tokens), ended
            found.log_probs[row, rank], found.scores[row, rank] = log_prob, score
    return Found(*(getattr(found, field.name).to(place) for field in dataclasses.fields(Found)))


def better(first: Found, second: Found) -> Found:
    """Return, source by source, the better best sequence of two searches by score; of equal ones the first's."""
    take = (second.scores[:, 0] > first.scores[:, 0]).unsqueeze(1)
    parts = []
    for field in dataclasses.fields(Found):
        a, b = getattr(first, field.name)[:, :1], getattr(second, field.name)[:, :1].to(getattr(first, field.name))
        parts.append(torch.where(take.view(-1, *[1] * (a.dim() - 1)), b, a))
    return Found(*parts)


def _score(log_probs: Tensor, lengths: Tensor, ended: Tensor, alpha: float) -> Tensor:
    return log_probs / (lengths + ended.long()).clamp(min=1).to(log_probs) ** alpha
