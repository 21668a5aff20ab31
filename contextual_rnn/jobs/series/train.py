"""Training a model of series: random windows, the loss, and errors of free runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..._core.state import State, move, select_rows
from .model import SeriesModel

CHUNK = 64  # series run at once when scoring, so that memory does not grow with their number
FIRST = 20


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """One series: inputs (T, U), targets (T, Y), and the vector known of the whole of it (C,)."""

    name: str
    inputs: Tensor
    targets: Tensor
    context: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def part(self, start: int, stop: int) -> Record:
        """Return steps `start` to `stop`."""
        return dataclasses.replace(self, inputs=self.inputs[start:stop], targets=self.targets[start:stop])


Batch = tuple[Tensor, Tensor, Tensor, Tensor]


def collate(records: Sequence[Record]) -> Batch:
    """Return inputs (B, T, U), targets (B, T, Y), context (B, C) and lengths (B,), padded with zeros."""
    lengths = torch.tensor([len(record) for record in records])
    inputs = pad_sequence([record.inputs for record in records], batch_first=True)
    targets = pad_sequence([record.targets for record in records], batch_first=True)
    return inputs, targets, torch.stack([record.context for record in records]), lengths


def random_windows(
    records: Sequence[Record], steps: int, batch_size: int, updates: int
) -> Callable[[], Iterator[Batch]]:
    """Return what draws an epoch's batches: `updates` of `batch_size` windows of `steps` steps, all equally likely.

    A series shorter than that is taken whole.
    """
    places = torch.tensor([max(len(record) - steps, 0) + 1 for record in records])
    ends = places.cumsum(0)

    def window(place: int) -> Record:
        index = int(torch.searchsorted(ends, place, right=True))
        start = place - int(ends[index] - places[index])
        return records[index].part(start, start + steps)

    def batches() -> Iterator[Batch]:
        for _ in range(updates):
            drawn = torch.randint(int(ends[-1]), (batch_size,))
            yield collate([window(place) for place in drawn.tolist()])

    return batches


def scored(targets: Tensor, lengths: Tensor, window: int, washout: int = 0) -> Tensor:
    """Return (B, T - window) true at the steps that count: after window and washout, before the end."""
    time = torch.arange(window, targets.shape[1], device=targets.device)
    return (time >= window + washout) & (time < lengths.unsqueeze(-1))


def squared_loss(washout: int) -> Callable[[SeriesModel, Batch], Tensor]:
    """Return the loss: the mean squared error of standardised targets after the window and `washout` further steps."""

    def loss(model: SeriesModel, batch: Batch) -> Tensor:
        inputs, targets, context, lengths = batch
        window = model.settings.window
        predicted, _ = model(inputs, targets[:, :window], context, lengths)
        error = ((predicted - targets[:, window:]) / model.target_scale).square()
        return error[scored(targets, lengths, window, washout)].mean()

    return loss


@torch.no_grad()
def simulate(model: SeriesModel, records: Sequence[Record]) -> Iterator[tuple[Record, Tensor, State]]:
    """Yield every record with its predictions after the window (T - k, Y) and the state it ended in."""
    for start in range(0, len(records), CHUNK):
        chunk = records[start : start + CHUNK]
        inputs, targets, context, lengths = (part.to(model.target_mean.device) for part in collate(chunk))
        predicted, state = model(inputs, targets[:, : model.settings.window], context, lengths)
        predicted, state = predicted.cpu(), move(state, "cpu")
        for row, record in enumerate(chunk):
            rows = torch.tensor([row])
            yield record, predicted[row, : len(record) - model.settings.window], select_rows(state, rows)


def squared_errors(model: SeriesModel, records: Sequence[Record], first: int | None = None) -> list[Tensor]:
    """Return the squared errors (T - k, Y) of each record's free run, or of its first steps only, in `unit`."""
    window, size = model.settings.window, unit(model)
    runs = simulate(model, records)
    return [((predicted - record.targets[window:]) / size).square()[:first] for record, predicted, _ in runs]


def unit(model: Any) -> Tensor:
    """Return what errors are measured in (Y,): the one target's own unit, or, of several, each one's deviation."""
    scale = model.target_scale.cpu()
    return scale if len(scale) > 1 else torch.ones(1)


def root_mean(errors: Sequence[Tensor]) -> float:
    """Return the root of the mean squared error over all steps of all series."""
    return float(torch.cat(list(errors)).mean().sqrt())


def consecutive(records: Sequence[Record], window: int, length: int) -> list[Record]:
    """Cut records into consecutive windows of `length` steps after a context of `window`; the last may be shorter."""
    steps = window + length
    starts = ((record, start) for record in records for start in range(0, len(record) - window, steps))
    return [record.part(start, start + steps) for record, start in starts]


def errors(model: SeriesModel, records: Sequence[Record], length: int) -> dict[str, float]:
    """Return the metrics of free runs, in `unit`.

    `free_run_rmse` is over whole series, `first_20_rmse` over their first 20 steps after the window, and `window_rmse`
    over consecutive windows of the training length, the context read again at each.
    """
    parts = consecutive(records, model.settings.window, length)
    return {
        "free_run_rmse": root_mean(squared_errors(model, records)),
        "first_20_rmse": root_mean(squared_errors(model, records, FIRST)),
        "window_rmse": root_mean(squared_errors(model, parts)),
    }


def hold_last_errors(records: Sequence[Record], window: int, length: int, size: Tensor) -> dict[str, float]:
    """Return the same metrics of holding the window's last targets; `window` is at least 1, `size` is of `unit`."""

    def held(parts: Sequence[Record], first: int | None = None) -> float:
        errors = ((part.targets[window:] - part.targets[window - 1]) / size for part in parts)
        return root_mean([error.square()[:first] for error in errors])

    return {
        "free_run_rmse": held(records),
        "first_20_rmse": held(records, FIRST),
        "window_rmse": held(consecutive(records, window, length)),
    }
