"""A training table that stays on the disk: its parts to train on and to validate on, and the windows of training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..._core.records import Batch
from ...data.series import Datasets
from ...data.series_scales import levels_vary
from ...data.stored import StoredSeries
from ...data.stored_tables import FIRST, read_stored, stored_in_words
from ...data.table import Source
from .settings import ForecastSettings
from .windows import beginnings_and_ends, held_out_in_words, not_validated_in_words

Read = Callable[[Source, ForecastSettings], Datasets]


def read_from_disk(train: Source, settings: ForecastSettings, held_out: bool, read: Read) -> Datasets:
    """Read the tables, the training table from the disk.

    `training` holds parts of its series that have about 100,000 rows, at equal distances. So does `validation` of their
    ends, if these are held out.

    Args:
        train: the training table.
        settings: of the model.
        held_out: whether the ends of the series are held out, for there is no validation table.
        read: reads all tables, of a data frame in place of the training table.
    """
    in_memory = settings.replace(memory=None)
    data = read_stored(
        train, settings, settings.past + 1, (None, "global", "window"), lambda first: read(first, in_memory)
    )
    assert data.stored is not None
    size, stored, validation = settings.past + settings.horizon, data.stored, data.validation
    said, whole, notes = stored_in_words(stored), stored.sample(FIRST, size), list(data.notes)
    if held_out:
        kept, ends = beginnings_and_ends(stored.sizes, size)
        notes.append(held_out_in_words(size))
        notes += not_validated_in_words(stored.names, stored.sizes, size)
        validation, stored = stored.parts(ends).sample(FIRST, size), stored.parts(kept)
        said += " but the ends of the series, which are held out"
    stored, means, deviations = stored.measured()
    long, targets = [place for place, steps in enumerate(stored.sizes) if steps > 1], slice(stored.inputs, None)
    differ = levels_vary(*(torch.from_numpy(each[long, targets]) for each in (means, deviations)))
    training = stored.sample(FIRST, size)
    rows = sum(map(len, training))
    note = (
        f"{said}; `scale` window, the linear model, MASE and training errors come from {rows} of them, at equal "
        f"distances, and validation errors from {sum(map(len, validation))} rows."
    )
    return dataclasses.replace(
        data,
        stored=stored,
        whole_stored=data.stored,
        training=training,
        whole=tuple(whole),
        validation=validation,
        levels_differ=differ,
        notes=(*notes, note),
    )


def windows_on_disk(stored: StoredSeries, settings: ForecastSettings) -> Callable[[], Iterator[Batch]]:
    """Return what draws an epoch's minibatches of windows; a series shorter than a window is continued.

    See `windows.padded`.
    """
    size = settings.past + settings.horizon
    drawn = stored.random_windows(size, settings.batch_size, settings.updates)

    def batches() -> Iterator[Batch]:
        for inputs, targets, context, lengths in drawn():
            if bool((lengths < size).any()):
                inputs, targets = _continued(inputs, targets, lengths, size)
            yield inputs, targets, context, torch.full_like(lengths, size)

    return batches


def _continued(inputs: Tensor, targets: Tensor, lengths: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return windows of `size` steps: after its end, a series keeps its last inputs, and its targets are missing."""
    last, rows = (lengths - 1).unsqueeze(1), torch.arange(len(lengths)).unsqueeze(1)
    steps = torch.minimum(torch.arange(size), last)
    missing = torch.arange(size) > last
    return inputs[rows, steps], targets[rows, steps].masked_fill(missing.unsqueeze(2), torch.nan)
