"""Folds of a training table, for the choice of settings."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from .records import Record


def folds_in_words(training: Sequence[Record], folds: int) -> str:
    """Return in words what `fold` holds out in each of several folds."""
    part = f"one in {folds} series" if len(training) >= 2 * folds else f"one of {folds} blocks of time of every series"
    return f"{folds} folds of the training table, each of which holds out {part}"


def can_fold(training: Sequence[Record], folds: int, window: int) -> bool:
    """Return whether records can be divided into folds, by series or in time; see `fold`."""
    return len(training) >= 2 * folds or min(map(len, training)) >= folds * (window + 2)


def fold(
    training: Sequence[Record], index: int, folds: int, window: int, *, whole: bool = False
) -> tuple[list[Record], list[Record]]:
    """Return the records to train on and the held-out records of fold `index` of `folds`.

    With at least two series per fold, whole series are held out, every `folds`-th one. Otherwise a block of time is
    held out of every series, and the parts before and after it are trained on. The later part is no leak: a model of
    series reads the start of every part anew.

    Args:
        training: the records of the training table.
        index: of the fold.
        folds: their number.
        window: the known steps at the start of a part.
        whole: never cut a series.

    Raises:
        InputError: a series is too short to be cut, or there are too few series to hold whole ones out.
    """
    if len(training) >= 2 * folds:
        rest = [record for place, record in enumerate(training) if place % folds != index]
        return rest, list(training[index::folds])
    if whole:
        raise InputError(
            f"the training table has {len(training)} series, too few for {folds} folds of whole series: at least "
            f"{2 * folds} are needed; give fewer `folds`, or a `validation` table"
        )
    shortest = min(training, key=len)
    least = folds * (window + 2)
    if len(shortest) < least:
        raise InputError(
            f"series {shortest.name!r} has {len(shortest)} steps, too few for {folds} folds with a `window` of "
            f"{window}: at least {least} are needed; give fewer `folds`, or a `validation` table"
        )
    rest, held_out = [], []
    for record in training:
        start, stop = len(record) * index // folds, len(record) * (index + 1) // folds
        held_out.append(record.part(start, stop))
        around = (record.part(0, start), record.part(stop, len(record)))
        rest += [part for part in around if len(part) > window + 1]
    return rest, held_out
