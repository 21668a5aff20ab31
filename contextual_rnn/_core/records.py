"""Series as tensors, and minibatches of them or of their windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One series as tensors.

    Attributes:
        name: of the series.
        inputs: (T, U), followed by the indicators of filled inputs if missing values are filled, and by the calendar
            inputs.
        targets: (T, Y), NaN where a target is missing.
        context: (C,), the context vector of the whole series.
        filled: (T, 2Y), the targets with missing ones filled, and their indicators; None if missing values are refused.
            NaN in inputs or filled targets stands for the training mean, which the model puts there.
        times: (T,) datetime64, on the local clock, for figures; None where they are not known.
    """

    name: str
    inputs: Tensor
    targets: Tensor
    context: Tensor
    filled: Tensor | None = None
    times: np.ndarray | None = None

    @property
    def read(self) -> Tensor:
        """The targets as a model reads them, (T, Y) or (T, 2Y)."""
        return self.targets if self.filled is None else self.filled

    def __len__(self) -> int:
        """Return T, the number of time steps."""
        return len(self.inputs)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields for pickle; a tensor that is a part of a series is pickled without the rest of it."""
        return {name: value.clone() if isinstance(value, Tensor) else value for name, value in vars(self).items()}

    def part(self, start: int, stop: int) -> Record:
        """Return the steps from `start` up to `stop`."""
        filled = None if self.filled is None else self.filled[start:stop]
        times = None if self.times is None else self.times[start:stop]
        inputs, targets = self.inputs[start:stop], self.targets[start:stop]
        return dataclasses.replace(self, inputs=inputs, targets=targets, filled=filled, times=times)


def last_known(values: Tensor, otherwise: Tensor) -> Tensor:
    """Return the last value of each column of (T, F) that is not NaN, and `otherwise` (F,) where there is none."""
    steps = torch.arange(len(values), device=values.device)[:, None]
    last = torch.where(values.isnan(), -1, steps).amax(dim=0)
    return torch.where(last < 0, otherwise, values.gather(0, last.clamp(min=0)[None])[0])


def own_means(series: Sequence[Record]) -> dict[str, Tensor]:
    """Return the means of the targets of series, (Y,), by name; several parts of a series count as one."""
    parts: dict[str, list[Tensor]] = {}
    for record in series:
        parts.setdefault(record.name, []).append(record.targets)
    return {name: torch.cat(several).double().nanmean(0).float() for name, several in parts.items()}


# Inputs (B, T, U), targets (B, T, Y), context (B, C) and lengths (B,); and the filled targets (B, T, 2Y), if missing
# values are filled. Padding is 0.
Batch = tuple[Tensor, ...]


def collate(records: Sequence[Record]) -> Batch:
    """Return records as a minibatch."""
    lengths = torch.tensor([len(record) for record in records])
    inputs = pad_sequence([record.inputs for record in records], batch_first=True)
    targets = pad_sequence([record.targets for record in records], batch_first=True)
    context = torch.stack([record.context for record in records])
    if records[0].filled is None:
        return inputs, targets, context, lengths
    return inputs, targets, context, lengths, pad_sequence([record.read for record in records], batch_first=True)


def read_targets(batch: Batch) -> Tensor:
    """Return the targets of a minibatch as a model reads them, (B, T, Y) or (B, T, 2Y)."""
    return batch[4] if len(batch) > 4 else batch[1]


def random_windows(
    records: Sequence[Record], steps: int, batch_size: int, updates: int
) -> Callable[[], Iterator[Batch]]:
    """Return a function that draws an epoch's minibatches: `updates` batches of `batch_size` windows of `steps` steps.

    All windows are equally likely. A series shorter than a window is taken whole.
    """
    kept = [[record.inputs, record.targets, *([] if record.filled is None else [record.filled])] for record in records]
    inputs, targets, *filled = [torch.cat(parts) for parts in zip(*kept, strict=True)]
    context = torch.stack([record.context for record in records])
    sizes = torch.tensor([len(record) for record in records])
    first_rows = sizes.cumsum(0) - sizes
    windows = (sizes - steps).clamp(min=0) + 1  # how many start in each series
    ends = windows.cumsum(0)

    def batches() -> Iterator[Batch]:
        for _ in range(updates):
            drawn = torch.randint(int(ends[-1]), (batch_size,))
            series = torch.searchsorted(ends, drawn, right=True)
            starts = first_rows[series] + drawn - (ends - windows)[series]
            lengths = sizes[series].clamp(max=steps)
            time = torch.arange(int(lengths.max()))
            rows, padding = starts.unsqueeze(1) + time, time >= lengths.unsqueeze(1)
            if not bool(padding.any()):
                yield inputs[rows], targets[rows], context[series], lengths, *(part[rows] for part in filled)
                continue
            rows, padding = rows.masked_fill(padding, 0), padding.unsqueeze(2)
            first, second, *others = (part[rows].masked_fill(padding, 0) for part in (inputs, targets, *filled))
            yield first, second, context[series], lengths, *others

    return batches


def shuffled(records: Sequence[Record], batch_size: int, least: int = 1) -> Callable[[], Iterator[Batch]]:
    """Return a function that gives an epoch's minibatches of whole series, in random order.

    All series are taken equally often: as often as makes at least `least` minibatches.
    """
    passes = -(-least // -(-len(records) // batch_size))
    return lambda: (
        collate([records[row] for row in rows.tolist()])
        for _ in range(passes)
        for rows in torch.randperm(len(records)).split(batch_size)
    )


def consecutive_windows(records: Sequence[Record], window: int, length: int) -> list[Record]:
    """Cut records into consecutive windows of `window + length` steps.

    The last window of a record may be shorter; a remainder of `window` steps or fewer is dropped.
    """
    steps = window + length
    starts = ((record, start) for record in records for start in range(0, len(record) - window, steps))
    return [record.part(start, start + steps) for record, start in starts]
