"""The scale in which a model sees targets: one for the table, one for each series, or one for each window."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .._core.module_config import register
from .._core.records import Record
from ..errors import InputError
from ..scaling import std_mean
from .columns import TargetSettings

FLOOR = 0.1  # the smallest spread of a window, as a share of the usual one at its level


@register
class SeriesScales(nn.Module):
    """The mean and the standard deviation of the targets of every series of a training table.

    Args:
        names: of the N series.
        targets: Y, the number of targets.

    Attributes:
        mean: (N, Y).
        scale: (N, Y), positive.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, names: Sequence[str], targets: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.places = {name: place for place, name in enumerate(self.names)}
        self.register_buffer("mean", torch.zeros(len(self.names), targets))
        self.register_buffer("scale", torch.ones(len(self.names), targets))

    @classmethod
    def of(cls, records: Sequence[Record]) -> SeriesScales:
        """Return the scales of training records; several parts of a series count as one."""
        parts: dict[str, list[Tensor]] = {}
        for record in records:
            parts.setdefault(record.name, []).append(record.targets)
        scales = cls(tuple(parts), records[0].targets.shape[1])
        for place, several in enumerate(parts.values()):
            level = level_of(torch.cat(several))
            scales.mean[place], scales.scale[place] = level[0], level[1]
        return scales

    def with_levels(self, records: Sequence[Record], known: int) -> list[Record]:
        """Return records whose context vectors (C,) are followed by the mean and the scale of their series, (C + 2Y,).

        For a series that is not in the training table, they are those of the steps that the model reads.

        Args:
            records: series or windows.
            known: the steps at the start of a record whose targets the model reads.

        Raises:
            InputError: a series is not in the training table, and the model reads fewer than 2 of its targets.
        """
        found = []
        for record in records:
            place = self.places.get(record.name)
            if place is not None:
                level = torch.stack([self.mean[place], self.scale[place]]).cpu()
            elif known < 2:
                raise InputError(
                    f"`scale` series: the scale of series {record.name!r} is unknown, since it is not in the training "
                    f"table, and the model reads {known} of its targets; train with `scale` global"
                )
            else:
                level = level_of(record.targets[:known])
            context = torch.cat([record.context, level.flatten().to(record.context.dtype)])
            found.append(dataclasses.replace(record, context=context))
        return found


def level_of(targets: Tensor) -> Tensor:
    """Return the mean and the standard deviation of targets (T, Y), (2, Y); missing ones are left out.

    The deviation of a constant target is the magnitude of its value, or 1 if that is 0.
    """
    scale, mean = std_mean(targets)
    instead = torch.where(mean == 0, torch.ones_like(mean), mean.abs())
    return torch.stack([mean, torch.where(scale > 0, scale, instead)])


def split_level(context: Tensor, targets: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return context vectors (B, C), and the means and scales of their series, (B, 1, Y) each, from (B, C + 2Y)."""
    size = context.shape[1] - 2 * targets
    mean, scale = context[:, size:].unsqueeze(1).split(targets, dim=2)
    return context[:, :size], mean, scale


def usual_spread(past: Tensor) -> Tensor:
    """Return the median over windows (N, past, Y) of the standard deviation divided by the mean magnitude, (Y,)."""
    ratio = past.std(1, correction=0) / past.abs().mean(1).clamp(min=torch.finfo(past.dtype).tiny)
    return ratio.median(0).values


def window_scale(past: Tensor, usual: Tensor, otherwise: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the scale of windows of known targets, (B, 1, Y) each.

    The scale is the standard deviation, but at least a tenth of the usual one at that mean magnitude, so that a
    constant past does not make small errors large.

    Args:
        past: (B, past, Y).
        usual: (Y,), the result of `usual_spread` for the training windows.
        otherwise: (Y,), the scale where all known targets are 0.
    """
    spread, mean = torch.std_mean(past, dim=1, correction=0, keepdim=True)
    level = past.abs().mean(1, keepdim=True)
    scale = torch.maximum(spread, FLOOR * usual * level)
    return mean, torch.where(scale > 0, scale, otherwise)


def levels_differ(training: Sequence[Record]) -> bool:
    """Return whether the means of the series vary more than the values within them, for any target."""
    long = [record.targets.double() for record in training if len(record) > 1]
    if len(long) < 2:
        return False
    within, means = zip(*(std_mean(targets) for targets in long), strict=True)
    return levels_vary(torch.stack(means), torch.stack(within))


def levels_vary(means: Tensor, deviations: Tensor) -> bool:
    """Return whether the means of series (N, Y) vary more than the values within them, for any target.

    Args:
        means: of the targets of each series.
        deviations: their standard deviations, (N, Y).
    """
    return len(means) > 1 and bool((means.std(0, correction=0) > deviations.mean(0)).any())


def check_scale(scale: str | None, known: int, name: str, settings: TargetSettings) -> None:
    """Raise InputError if a scale needs what is not there.

    Args:
        scale: global, series, window or None.
        known: the steps whose targets the model reads.
        name: of the setting that gives their number.
        settings: the columns.
    """
    if scale == "window" and known < 2:
        raise InputError(
            f"`scale` window needs a `{name}` of at least 2 steps, since a single value has no spread; found {known}"
        )
    if scale == "series" and settings.series is None:
        raise InputError("`scale` series needs `series`, the column that identifies the series of each row")


def scale_in_words(scale: str | None, given: str | None, known: str) -> str:
    """Return a sentence that says the scale, and why it was chosen if it was not given.

    Args:
        scale: of the model.
        given: the scale that the user asked for; None if it was chosen.
        known: what the model reads at the start, such as "past".
    """
    if scale == "window":
        why = "" if given else ", because the levels of the series differ more than the values within a series"
        return f"Targets are scaled by the mean and standard deviation of each window's {known} (scale window){why}."
    of = "each series of " if scale == "series" else ""
    return f"Targets are scaled by the mean and standard deviation of {of}the training table (scale {scale})."
