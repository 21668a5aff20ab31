"""How long the outputs of models depend on their start, and how much of a difference in error lies after that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from ..._core.records import Record, collate, read_targets
from ..._core.state import map_state
from .model import CHUNK, SeriesModel

TOLERANCE = 0.01  # of the standard deviation of the training targets
NOTABLE = 0.2  # the smallest share of a difference that changes how it reads


@dataclasses.dataclass(frozen=True)
class Forgetting:
    """How long outputs depend on the start of the core, and the difference in error after that.

    Attributes:
        steps: the predicted steps after which every model agrees with itself restarted from zero.
        longest: the predicted steps of the longest test series.
        share_after: the share of the difference in squared error that lies after `steps`; None if there is none.
    """

    steps: int
    longest: int
    share_after: float | None

    def in_words(self) -> str:
        """Say what of the difference cannot come from the start; empty if that does not change how it reads."""
        if self.share_after is None or self.share_after < NOTABLE or self.steps >= self.longest:
            return ""
        share = f"{self.share_after:.0%}" if self.share_after < 0.995 else "All"
        return (
            f"The outputs depend on the start for the first {self.steps} of {self.longest} predicted steps; after "
            f"them, a core that was restarted from zero agrees within {TOLERANCE:.0%} of the standard deviation of "
            f"the targets. {share} of the difference in squared error lies after these steps, and so comes from how "
            "well each kind trained, not from the start at test time."
        )


def forgetting(first: Sequence[SeriesModel], second: Sequence[SeriesModel], records: Sequence[Record]) -> Forgetting:
    """Return how long the outputs of models depend on their start, on the first 64 of the records.

    Args:
        first, second: the trained models of two kinds.
        records: the test series, each of at least one step after the window.
    """
    records = records[:CHUNK]
    runs = [[_run(model, records) for model in models] for models in (first, second)]
    steps = max(_last(distance) for several in runs for distance, _ in several)
    low, high = (torch.stack([error for _, error in several]).mean(0) for several in runs)
    difference = high - low
    total, after = float(difference.sum()), float(difference[steps:].sum())
    return Forgetting(steps, len(difference), after / total if total else None)


@torch.no_grad()
def _run(model: SeriesModel, records: Sequence[Record]) -> tuple[Tensor, Tensor]:
    """Return two values of each predicted step, (T - k,) each.

    They are the distance from the same model restarted from zero after its first predicted step, which is the root mean
    square over series and targets in standard deviations of the training targets; and the sum of squared errors.
    """
    k = model.settings.window
    batch = tuple(part.to(model.device) for part in collate(model.with_levels(records)))
    inputs, targets, context, lengths = batch[:4]
    opening = read_targets(batch)[:, :k]
    own, _ = model(inputs, opening, context, lengths)
    restarted, (core, carried) = model(inputs[:, : k + 1], opening, context, lengths.clamp(max=k + 1))
    if inputs.shape[1] > k + 1:
        rest, _ = model.carry_on(inputs[:, k + 1 :], (map_state(torch.zeros_like, core), carried), None)
        restarted = torch.cat([restarted, rest], dim=1)
    there = (torch.arange(k, inputs.shape[1], device=inputs.device) < lengths.unsqueeze(1)).unsqueeze(2)
    moved = ((own - restarted) / model.target_scale).square().where(there, 0).sum((0, 2))
    distance = (moved / (there.sum((0, 2)) * targets.shape[2])).sqrt()
    error = ((own - targets[:, k:]) / model.target_scale).square()
    return distance.cpu(), error.where(there & ~error.isnan(), 0).sum((0, 2)).double().cpu()


def _last(distance: Tensor) -> int:
    """Return the number of steps up to the last one at which the distance is more than the tolerance."""
    far = torch.nonzero(distance > TOLERANCE)
    return int(far[-1]) + 1 if len(far) else 0
