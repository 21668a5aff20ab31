"""Tables of series as records for training, and the folds of a training table."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import torch

from ...data.series import Columns, Series, read_series
from ...data.static_context import StaticContext
from ...errors import InputError
from ...study.run_folder import read_json, write_json
from .train import Record


def records(series: Sequence[Series], context: StaticContext) -> list[Record]:
    """Return series as records of tensors."""
    return [
        Record(
            one.name,
            torch.from_numpy(one.inputs),
            torch.from_numpy(one.targets),
            torch.from_numpy(context.vector(one.name, one.context)),
        )
        for one in series
    ]


def read_training(path: str, columns: Columns, window: int) -> tuple[list[Record], StaticContext]:
    """Read the training table, and learn from it how its context columns are turned into a vector."""
    series = read_series(path, columns, min_length=window + 2)
    context = StaticContext.learn([one.context for one in series])
    return records(series, context), context


def read_held_out(path: str, columns: Columns, context: StaticContext, window: int) -> list[Record]:
    """Read a validation or test table."""
    return records(read_series(path, columns, min_length=window + 1), context)


def fold(
    training: Sequence[Record], index: int, folds: int, window: int, *, whole: bool = False
) -> tuple[list[Record], list[Record]]:
    """Return what is trained on and what is held out in fold `index` of `folds`.

    Where there are two series a fold or more, whole series are held out, every `folds`-th. Otherwise a block of time is
    held out of every series, and what lies before and after it is trained on: a model of series is told the start of
    each anew, so that it may be trained on what came later. With `whole`, no series is ever cut.

    Raises:
        InputError: a series is too short to be cut so, or there are too few for whole ones to be held out.
    """
    if len(training) >= 2 * folds:
        rest = [record for place, record in enumerate(training) if place % folds != index]
        return rest, list(training[index::folds])
    if whole:
        raise InputError(
            f"there are {len(training)} series to train on, too few for {folds} folds of whole series: it needs "
            f"{2 * folds}; give fewer folds, or a validation table"
        )
    shortest = min(training, key=len)
    least = folds * (window + 2)
    if len(shortest) < least:
        raise InputError(
            f"series {shortest.name!r} has {len(shortest)} steps, too few for {folds} folds with a window of {window}: "
            f"it needs {least}; give fewer folds, or a validation table"
        )
    rest, held_out = [], []
    for record in training:
        start, stop = len(record) * index // folds, len(record) * (index + 1) // folds
        held_out.append(record.part(start, stop))
        around = (record.part(0, start), record.part(stop, len(record)))
        rest += [part for part in around if len(part) > window + 1]
    return rest, held_out


def write_columns(folder: pathlib.Path, columns: Columns, context: StaticContext) -> None:
    """Keep in a run folder what `predict` needs to read a table as training read it."""
    write_json(folder / "columns.json", {**dataclasses.asdict(columns), "fields": context.fields})


def read_columns(folder: pathlib.Path) -> tuple[Columns, StaticContext]:
    """Read back what `write_columns` kept."""
    kept = read_json(folder / "columns.json")
    context = StaticContext(kept.pop("fields"))
    return Columns.from_json(kept), context
