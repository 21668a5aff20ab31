"""Decoding: the targets that a model, or an ensemble of models, gives to sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..._core.state import State, map_state
from ...data.encoded_pairs import END, START, UNKNOWN, PairBatch, collate
from ...data.pairs import Pair
from ...data.units import join
from ...seq2seq import Ensemble, Found, beam, better, greedy
from ...seq2seq.search import StepFunction
from .network import PairNetwork


class Target(NamedTuple):
    """A target that a search found.

    Attributes:
        text: the target.
        symbols: its symbols.
        score: the log probability, in nats, over the length to the power of alpha, and the coverage penalty; targets
            are ranked by it.
        ended: False if the target was cut at the largest length.
    """

    text: str
    symbols: tuple[str, ...]
    score: float
    ended: bool


def decode(
    models: Sequence[PairNetwork],
    sources: Sequence[Sequence[str]],
    labels: Sequence[str | None] | None = None,
    *,
    width: int = 1,
    alpha: float = 0.0,
    coverage: float = 0.0,
    n_best: int = 1,
    batch_size: int = 100,
    max_steps: int = 100,
    from_zero: bool = False,
) -> list[list[Target]]:
    """Return the targets of every source, the best first.

    Args:
        models: with the same vocabularies; several are an ensemble, whose probabilities are averaged.
        sources: the symbols of each source.
        labels: of the sources, for models that read labels.
        width: of the beam; 1 is greedy search. With `n_best` 1, the better result of beam and greedy search is taken.
        alpha: the exponent of the length penalty; see `seq2seq.search`.
        coverage: the weight of the coverage penalty, which is added to the scores of targets that do not attend to all
            of their source; see `seq2seq.step.coverage_penalty`. It needs a beam of at least 2.
        n_best: the number of different targets per source, at most `width`.
        batch_size: the number of sources decoded at once.
        max_steps: the largest number of symbols of a target, its end included.
        from_zero: whether the decoder starts from zero instead of from its bridge.

    Raises:
        ValueError: `n_best` is not in 1 to `width`.
    """
    if not 1 <= n_best <= width:
        raise ValueError(f"n_best must be in 1 to the width of the beam, {width}; found {n_best}")
    of_sources = labels or [None] * len(sources)
    pairs = [Pair(tuple(source), (), label) for source, label in zip(sources, of_sources, strict=True)]
    order = sorted(range(len(pairs)), key=lambda row: len(pairs[row].source))  # so that a minibatch has little padding
    found: dict[int, list[Target]] = {}
    for at in range(0, len(pairs), batch_size):
        rows = order[at : at + batch_size]
        chosen, penalties = [pairs[row] for row in rows], (alpha, coverage)
        targets = _decode_batch(models, chosen, width, penalties, n_best, max_steps, from_zero)
        found |= zip(rows, targets, strict=True)
    return [found[row] for row in range(len(pairs))]


def _decode_batch(
    models: Sequence[PairNetwork],
    pairs: Sequence[Pair],
    width: int,
    penalties: tuple[float, float],
    n_best: int,
    max_steps: int,
    from_zero: bool,
) -> list[list[Target]]:
    alpha, coverage = penalties
    batch = PairBatch(*(part.to(models[0].device) for part in collate(models[0].encode(pairs))))
    with torch.no_grad():
        begun = [model.pairs.begin(batch.source, batch.source_lengths, model.context(batch.label)) for model in models]
    if from_zero:
        begun = [(step, (map_state(torch.zeros_like, state), sources)) for step, (state, sources) in begun]
    steps = [step for step, _ in begun]
    step = _without_start_and_unknown(Ensemble(steps))
    state = tuple(step.covering(state) if coverage else state for step, state in begun)

    def bonus(states: State) -> Tensor:
        found = [step.covered(one) for step, one in zip(steps, states, strict=True)]
        return coverage * torch.stack(found).mean(0)

    options: dict[str, Any] = {"start": START, "end": END, "max_steps": max_steps, "alpha": alpha}
    if width == 1:
        return _targets(greedy(step, state, len(pairs), **options), models[0])
    more = bonus if coverage else None
    found = beam(step, state, len(pairs), width=width, n_best=n_best, bonus=more, **options)
    if n_best == 1 and not coverage:
        found = better(found, greedy(step, state, len(pairs), **options))
    return _targets(found, models[0])


def _without_start_and_unknown(step: StepFunction) -> StepFunction:
    """Return a step that never predicts the start or the unknown symbol."""

    def allowed(tokens: Tensor, state: State) -> tuple[Tensor, State]:
        log_probs, state = step(tokens, state)
        log_probs[:, [START, UNKNOWN]] = float("-inf")
        return log_probs, state

    return allowed


def _targets(found: Found, model: PairNetwork) -> list[list[Target]]:
    """Return the targets that a search found for every source."""
    numbers = [found.texts(place) for place in range(found.tokens.shape[1])]
    scores, ended = found.scores.tolist(), found.ended.tolist()
    decoded = [[model.target.decode(text) for text in texts] for texts in numbers]
    return [
        [
            Target(join(decoded[place][row], model.units.target), decoded[place][row], score, ended[row][place])
            for place, score in enumerate(of_row)
            if score > float("-inf")
        ]
        for row, of_row in enumerate(scores)
    ]
