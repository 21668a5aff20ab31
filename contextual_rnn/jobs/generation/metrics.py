"""Metrics of generated series. A new metric of `compare generation` is one function and one entry of `METRICS`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from ..._core.records import Batch, Record, collate
from ...study.calibration import crps
from ...study.metric import ItemMetric, Metric
from .baselines import NormalSteps
from .model import SeriesGenerator

CHUNK = 64  # series scored at once, which bounds the memory


Generator = SeriesGenerator | NormalSteps  # what metrics are computed of: a model, or a baseline


@torch.no_grad()
def nats_per_step(generator: Generator, records: Sequence[Record]) -> Tensor:
    """Return the negative log-likelihood of every series, a mean over its known steps, (N,), in nats."""
    found = []
    for _, (_, *batch) in _chunks(records):
        losses = generator.losses(*(part.to(generator.device) for part in batch))
        found.append(losses.sum(1).cpu() / known_steps(*batch).sum(1))
    return torch.cat(found)


def known_steps(targets: Tensor, context: Tensor, lengths: Tensor, filled: Tensor | None = None) -> Tensor:
    """Return where all targets of a series are known, (B, T), from a minibatch without its inputs."""
    inside = torch.arange(targets.shape[1], device=targets.device) < lengths.unsqueeze(1)
    return inside if filled is None else inside & ~targets.isnan().any(2)


def ranked_probability(generator: Generator, records: Sequence[Record], samples: int = 50) -> Tensor:
    """Return the CRPS of every series, a mean over its steps and targets, (N,), in standard deviations of the targets.

    It scores the distribution of every step given the context alone, by trajectories sampled from the start.

    Args:
        generator: what is scored.
        records: the N series.
        samples: trajectories per series.
    """
    found = []
    for start, (_, targets, context, lengths, *filled) in _chunks(records):
        repeated = context.to(generator.device).repeat_interleave(samples, dim=0)
        drawn = generator.trajectories(repeated, len(repeated), targets.shape[1], seed=start, stop=False).elements
        drawn = drawn.unflatten(0, (-1, samples))
        scores = (crps(drawn.cpu(), targets) / generator.target_scale.cpu()).mean(2)
        known = known_steps(targets, context, lengths, *filled)
        found.append(torch.where(known, scores, 0).sum(1) / known.sum(1))
    return torch.cat(found)


@dataclasses.dataclass(frozen=True)
class GenerationMetric(Metric):
    """A metric of generated series: `compute(generator, records)` returns its value for every record, (N,)."""

    compute: Callable[[Generator, Sequence[Record]], Tensor] = nats_per_step


LIKELIHOOD = GenerationMetric(
    "nats_per_step", "negative log-likelihood per step", "nats", "difference", compute=nats_per_step
)
METRICS = (LIKELIHOOD, GenerationMetric("crps", "CRPS", "standard deviations", compute=ranked_probability))
BY_SERIES = ItemMetric(
    LIKELIHOOD.key,
    f"{LIKELIHOOD.name} of a series",
    LIKELIHOOD.unit,
    LIKELIHOOD.compared_by,
    values="nats_by_series",
    items="series",
    item="series",
)


def scores(
    generator: Generator, records: Sequence[Record], metrics: Sequence[GenerationMetric] = METRICS
) -> dict[str, float]:
    """Return the mean of every metric over series, by its key."""
    return {metric.key: float(metric.compute(generator, records).mean()) for metric in metrics}


def _chunks(records: Sequence[Record]) -> Iterator[tuple[int, Batch]]:
    """Yield the series in minibatches, each with the number of its first series."""
    for start in range(0, len(records), CHUNK):
        yield start, collate(records[start : start + CHUNK])
