"""Generate sequences from a model: greedy search, ancestral sampling and beam search.

The functions call the model as `step(tokens (N,), state) -> (log_probs (N, V), state)`, where the state is a nested
tuple of batch-first tensors. Sequences that have ended are removed from the batch to save time.

    score of a sequence = log p(y) / length^alpha

The length includes the end; with alpha = 0 the score is the log probability. Beam search can add a bonus.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor

from .._core.categorical import draw_category
from .._core.noise import TrajectorySeeds
from .._core.state import State, leaves, select_rows
from ..errors import InputError

StepFunction = Callable[[Tensor, State], tuple[Tensor, State]]
_IMPOSSIBLE = float("-inf")


@dataclasses.dataclass(frozen=True)
class Found:
    """The result of a search: K sequences for each of B sources, the best first.

    Attributes:
        tokens: the tokens without start and end, (B, K, T); 0 past the end of a sequence.
        lengths: the number of tokens of each sequence, (B, K).
        log_probs: the log probability of each sequence including its end, (B, K); -inf where fewer than K were found.
        scores: the score of each sequence, by which they are ranked, (B, K).
        ended: (B, K), false where a sequence was cut off at `max_steps`.
    """

    tokens: Tensor
    lengths: Tensor
    log_probs: Tensor
    scores: Tensor
    ended: Tensor

    def texts(self, place: int = 0) -> list[list[int]]:
        """Return the tokens of the sequence at rank `place` (0 is best) for each source."""
        pairs = zip(self.tokens[:, place].tolist(), self.lengths[:, place].tolist(), strict=True)
        return [tokens[:length] for tokens, length in pairs]


def greedy(
    step: StepFunction, state: State, size: int, *, start: int, end: int, max_steps: int, alpha: float = 0.0
) -> Found:
    """Choose the most probable token at every step; the first of equally probable tokens.

    Args:
        step: one step of the model.
        state: its initial state, with `size` rows.
        size: B, the number of sources.
        start: the token that is fed first.
        end: the token that ends a sequence.
        max_steps: the maximum number of tokens of a sequence, including the end.
        alpha: the exponent of the length penalty of the score.

    Raises:
        InputError: `max_steps` is less than 1, the state does not have `size` rows, or the step does not predict `end`.
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
    """Draw every token from the predicted distribution (ancestral sampling).

    Args:
        step: one step of the model.
        state: its initial state, with `size` rows.
        size: B, the number of sources.
        start: the token that is fed first.
        end: the token that ends a sequence.
        max_steps: the maximum number of tokens of a sequence, including the end.
        temperature: the divisor of the log probabilities; 0 is greedy search.
        top_k: draw from the k most probable tokens only (the first of equally probable tokens); None means all.
        seed: the seed of the draws; row i draws the same numbers in any batch.
        first_row: the index of the first row, for a batch that is part of a larger batch.

    Raises:
        InputError: the temperature is negative or not finite, `top_k` is less than 1, or for the reasons given in
            `greedy`.
    """
    if not 0 <= temperature < math.inf or (top_k is not None and top_k < 1):
        found = f"found {temperature} and {top_k}"
        raise InputError(f"temperature must be at least 0 and finite, and top_k at least 1; {found}")
    seeds = TrajectorySeeds(seed, first_row)

    def choose(log_probs: Tensor, t: int, rows: Tensor) -> Tensor:
        if not temperature:
            return log_probs.argmax(dim=1)
        uniform = seeds.next_stream(t).uniform(size, 1).to(log_probs.device)[rows, 0]
        scaled = (log_probs - log_probs.amax(dim=1, keepdim=True)) / temperature  # the largest is 0 at any temperature
        if top_k is not None and top_k < scaled.shape[1]:
            rest = log_probs.sort(dim=1, descending=True, stable=True).indices[:, top_k:]
            scaled = scaled.scatter(1, rest, _IMPOSSIBLE)
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
    """Extend one sequence per source by the token that `choose(log_probs (N, V), t, rows (N,))` returns at step t.

    The sources `rows` are those whose sequences have not ended.
    """
    _check(state, size, max_steps)
    device = next(leaves(state)).device
    tokens = torch.zeros(size, max_steps, dtype=torch.long, device=device)
    lengths = torch.full((size,), max_steps, device=device)
    ended = torch.zeros(size, dtype=torch.bool, device=device)
    rows, last = torch.arange(size, device=device), torch.full((size,), start, device=device)
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
    bonus: Callable[[State], Tensor] | None = None,
) -> Found:
    """Keep the `width` most probable hypotheses at every step, and return the ended hypotheses with the best scores.

    The search for a source stops when `width` hypotheses have ended, or when none can be extended. Hypotheses that have
    not ended after `max_steps` are ranked with the others. Equally probable extensions are ranked by hypothesis, then
    by token.

    Args:
        step: one step of the model.
        state: its initial state, with `size` rows.
        size: B, the number of sources.
        width: the number of hypotheses that are kept; 1 is greedy search.
        start: the token that is fed first.
        end: the token that ends a sequence.
        max_steps: the maximum number of tokens of a sequence, including the end.
        alpha: the exponent of the length penalty of the score.
        n_best: K, the number of sequences per source, at most `width`.
        bonus: `bonus(state)` returns a number for every row of the state after a step, (N,), which is added to the
            score of a hypothesis that ends there, such as `coverage_penalty`; None adds nothing.

    Raises:
        InputError: `n_best` is not between 1 and `width`, or for the reasons given in `greedy`.
    """
    if not 1 <= n_best <= width:
        raise InputError(f"n_best must be between 1 and the width of the beam, {width}; found {n_best}")
    _check(state, size, max_steps)
    device = next(leaves(state)).device
    ended = [_Ended(width) for _ in range(size)]
    sources = torch.arange(size, device=device)
    state = select_rows(state, sources.repeat_interleave(width))
    tokens = torch.zeros(size, width, 0, dtype=torch.long, device=device)
    last = torch.full((size * width,), start, device=device)
    total: Tensor | None = None
    for t in range(max_steps):
        log_probs, state = step(last, state)
        if total is None:  # all hypotheses are equal at first, so only the first is extended
            _check_end(end, log_probs)
            total = log_probs.new_full((size, width), _IMPOSSIBLE)
            total[:, 0] = 0
        added = torch.zeros_like(total) if bonus is None else bonus(state).view_as(total)
        total, parent, token = _best_extensions(total, log_probs, width, end, ended, sources, tokens, alpha, added)
        tokens = torch.cat([tokens.gather(1, parent.unsqueeze(2).expand(-1, -1, t)), token.unsqueeze(2)], dim=2)
        possible, rows = (total[:, 0] > _IMPOSSIBLE).tolist(), sources.tolist()
        alive = torch.tensor(
            [can and not ended[source].full for can, source in zip(possible, rows, strict=True)], device=device
        )
        if t == max_steps - 1:
            for row, source in enumerate(rows):
                ended[source].add_unfinished(tokens[row], total[row], alpha, added[row][parent[row]])
            break
        going = alive.nonzero().squeeze(1)
        if not len(going):
            break
        index = (going.unsqueeze(1) * width + parent[going]).flatten()
        state, last = select_rows(state, index), token[going].flatten()
        sources, total, tokens = sources[going], total[going], tokens[going]
    return _gather(ended, n_best, max_steps, device)


def _check(state: State, size: int, max_steps: int) -> None:
    if max_steps < 1:
        raise InputError(f"max_steps must be at least 1; found {max_steps}")
    rows = len(next(leaves(state)))
    if rows != size:
        raise InputError(f"size must be {rows}, the number of rows of the state; found {size}")


def _check_end(end: int, log_probs: Tensor) -> None:
    last = log_probs.shape[1] - 1
    if not 0 <= end <= last:
        raise InputError(f"end must be from 0 to {last}, a token that the step predicts; found {end}")


def _best_extensions(
    total: Tensor,
    log_probs: Tensor,
    width: int,
    end: int,
    ended: list[_Ended],
    sources: Tensor,
    tokens: Tensor,
    alpha: float,
    added: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Extend hypotheses by one token; add those that end to `ended`, and return the best of the others.

    What `added` (B, width) holds for a hypothesis is added to its score if it ends.

    Returns:
        The log probabilities of the new hypotheses, the indices of the hypotheses they extend, and the new tokens,
        (B, width) each.
    """
    symbols = log_probs.shape[1]
    joint = total.unsqueeze(2) + log_probs.view(len(total), width, symbols)
    # At least `width` of the best 2 width extensions do not end, because only one extension of each hypothesis ends.
    ranked, index = largest(joint.flatten(1), min(2 * width, width * symbols))
    parent, token = index // symbols, index % symbols
    ends = token == end
    for row, rank in (ends & (ranked > _IMPOSSIBLE)).nonzero().tolist():
        if rank < width:
            place = int(parent[row, rank])
            ended[int(sources[row])].add(tokens[row, place], ranked[row, rank], alpha, added[row, place])
    order = ends.to(torch.uint8).sort(dim=1, stable=True).indices[:, :width]
    ranked = ranked.masked_fill(ends, _IMPOSSIBLE)
    return ranked.gather(1, order), parent.gather(1, order), token.gather(1, order)


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the largest values of every row of (B, N), and their indices, (B, count); equal values by their index.

    It is a stable sort of every row, cut after `count` values, but takes a fraction of the time of a sort.
    """
    found = values.topk(count, dim=1)
    index = found.indices.sort(dim=1).values
    ranked, order = values.gather(1, index).sort(dim=1, descending=True, stable=True)
    index = index.gather(1, order)
    tied = ((values >= ranked[:, -1:]).sum(1) > count).nonzero().squeeze(1)  # `topk` may choose any of equal values
    if len(tied):
        order = values[tied].sort(dim=1, descending=True, stable=True).indices[:, :count]
        index[tied] = order
        ranked[tied] = values[tied].gather(1, order)
    return ranked, index


class _Ended:
    """The hypotheses of one source that have ended."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[tuple[float, float, list[int], bool]] = []

    @property
    def full(self) -> bool:
        return len(self.rows) >= self.width

    def add(self, tokens: Tensor, log_prob: Tensor, alpha: float, added: Tensor, ended: bool = True) -> None:
        length = len(tokens) + ended
        score = float(log_prob) / max(length, 1) ** alpha + float(added)
        self.rows.append((score, float(log_prob), tokens.tolist(), ended))

    def add_unfinished(self, tokens: Tensor, total: Tensor, alpha: float, added: Tensor) -> None:
        """Add hypotheses that have not ended."""
        for one, log_prob, more in zip(tokens, total, added, strict=True):
            if log_prob > _IMPOSSIBLE:
                self.add(one, log_prob, alpha, more, ended=False)


def _gather(ended: list[_Ended], n_best: int, max_steps: int, device: torch.device) -> Found:
    found = Found(
        torch.zeros(len(ended), n_best, max_steps, dtype=torch.long),
        torch.zeros(len(ended), n_best, dtype=torch.long),
        torch.full((len(ended), n_best), _IMPOSSIBLE, dtype=torch.float64),
        torch.full((len(ended), n_best), _IMPOSSIBLE, dtype=torch.float64),
        torch.zeros(len(ended), n_best, dtype=torch.bool),
    )
    for row, one in enumerate(ended):
        ranked = sorted(one.rows, key=lambda each: -each[0])[:n_best]
        for rank, (score, log_prob, tokens, has_ended) in enumerate(ranked):
            found.tokens[row, rank, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
            found.lengths[row, rank], found.ended[row, rank] = len(tokens), has_ended
            found.log_probs[row, rank], found.scores[row, rank] = log_prob, score
    return Found(*(getattr(found, field.name).to(device) for field in dataclasses.fields(Found)))


def better(first: Found, second: Found) -> Found:
    """Return, for every source, the sequence with the better score of two searches; if they are equal, `first`'s."""
    take = (second.scores[:, 0] > first.scores[:, 0]).unsqueeze(1)
    parts = []
    for field in dataclasses.fields(Found):
        a, b = getattr(first, field.name)[:, :1], getattr(second, field.name)[:, :1].to(getattr(first, field.name))
        parts.append(torch.where(take.view(-1, *[1] * (a.dim() - 1)), b, a))
    return Found(*parts)


def _score(log_probs: Tensor, lengths: Tensor, ended: Tensor, alpha: float) -> Tensor:
    return log_probs / (lengths + ended.long()).clamp(min=1).to(log_probs) ** alpha
