"""Parquet tables that do not fit into the memory: their rows as single precision in a file, read window by window.

One pass over the table, piece by piece, checks its numbers, sums up their moments, and writes them row by row to a
temporary file. A window is then a single read at its place, so that all windows are equally likely, as they are for a
table in memory, wherever the table has its row groups.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch

from .._core.records import Batch, Record
from ..errors import InputError
from ..table_files.open import reading
from ..table_files.precision import beyond, merged
from ..table_files.unchanged import Unchanged
from .moments import Moments
from .parquet import PIECE, pieces
from .scratch import Scratch, read_into

PIECES = 100  # parts of a table that are kept in memory, at equal distances


@dataclasses.dataclass(frozen=True)
class StoredSeries:
    """Series whose rows are in a file, (N, U + Y) float32: the inputs, and then the targets.

    Attributes:
        scratch: the folder of the file.
        inputs: U.
        names: of the series.
        starts: the rows of the file that they start at.
        sizes: their numbers of steps.
        mean: of every column, (U + Y,).
        deviation: the standard deviation of every column, (U + Y,).
    """

    scratch: Scratch
    inputs: int
    names: tuple[str, ...]
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    mean: np.ndarray
    deviation: np.ndarray

    @property
    def path(self) -> pathlib.Path:
        """The path of the file."""
        return self.scratch.folder / "rows"

    def standardise(self, model: Any) -> None:
        """Set the means and scales of a model of the columns; the scale of a constant column is 1."""
        scale = np.where(self.deviation > 0, self.deviation, 1)
        for name, part in (("input", slice(0, self.inputs)), ("target", slice(self.inputs, None))):
            getattr(model, f"{name}_mean").copy_(torch.from_numpy(self.mean[part]))
            getattr(model, f"{name}_scale").copy_(torch.from_numpy(scale[part]))

    def random_windows(
        self, steps: int, batch_size: int, updates: int, least: int = 1
    ) -> Callable[[], Iterator[Batch]]:
        """Return what draws an epoch's minibatches of windows, as `records.random_windows` draws those in memory.

        Args:
            steps: of a window; a shorter series is taken whole.
            batch_size: windows in a minibatch.
            updates: minibatches in an epoch.
            least: the steps that a series needs to be drawn from.

        Raises:
            InputError: no series is long enough.
        """
        every = torch.tensor(self.sizes)
        chosen = (every >= least).nonzero()[:, 0]
        if not len(chosen):
            raise InputError(f"the longest series has {int(every.max())} steps, but training takes {least}")
        sizes, first_rows = every[chosen], torch.tensor(self.starts)[chosen]
        windows = (sizes - steps).clamp(min=0) + 1  # how many start in each series
        ends, width = windows.cumsum(0), len(self.mean)

        def batches() -> Iterator[Batch]:
            with self.path.open("rb", buffering=0) as file:
                for _ in range(updates):
                    drawn = torch.randint(int(ends[-1]), (batch_size,))
                    series = torch.searchsorted(ends, drawn, right=True)
                    starts = first_rows[series] + drawn - (ends - windows)[series]
                    lengths = sizes[series].clamp(max=steps)
                    found = np.zeros((batch_size, int(lengths.max()), width), np.float32)
                    for window, start, length in zip(found, starts.tolist(), lengths.tolist(), strict=True):
                        read_into(file, 4 * width * start, window[:length])
                    rows = torch.from_numpy(found)
                    context = torch.zeros(batch_size, 0)
                    yield rows[..., : self.inputs], rows[..., self.inputs :], context, lengths

        return batches

    def parts(self, places: Sequence[tuple[int, int, int]]) -> StoredSeries:
        """Return parts of series as series: of each, the number of the series, the first step and their number."""
        return dataclasses.replace(
            self,
            names=tuple(self.names[place] for place, _, _ in places),
            starts=tuple(self.starts[place] + first for place, first, _ in places),
            sizes=tuple(count for _, _, count in places),
        )

    def measured(self) -> tuple[StoredSeries, np.ndarray, np.ndarray]:
        """Return the series with their own means and deviations, and those of each series, (S, U + Y) each."""
        total, levels = Moments(len(self.mean)), []
        with self.path.open("rb", buffering=0) as file:
            for start, size in zip(self.starts, self.sizes, strict=True):
                own = Moments(len(self.mean))
                for first in range(0, size, PIECE):
                    own.add(self._rows(file, start + first, min(PIECE, size - first)).astype(float))
                levels.append(own.found())
                total.join(own)
        mean, deviation = total.found()
        means, deviations = (np.stack(each) for each in zip(*levels, strict=True))
        return dataclasses.replace(self, mean=mean, deviation=deviation), means, deviations

    def sample(self, rows: int, least: int) -> list[Record]:
        """Return series as records; if they have more than a number of rows, parts of them at equal distances.

        Args:
            rows: about the number of all steps.
            least: steps of a part, unless its series is shorter.
        """
        total = sum(self.sizes)
        ends = np.cumsum(self.sizes)
        places = [(place, 0, size) for place, size in enumerate(self.sizes)]
        if total > rows:
            steps, places = max(least, rows // PIECES), []
            for row in range(0, total, max(steps, total // max(rows // steps, 1))):
                place = int(np.searchsorted(ends, row, side="right"))
                size = self.sizes[place]
                first = max(min(row - int(ends[place] - size), size - steps), 0)
                places.append((place, first, min(steps, size)))
        with self.path.open("rb", buffering=0) as file:
            return [self._record(file, *one) for one in dict.fromkeys(places)]

    def _record(self, file: Any, place: int, first: int, count: int) -> Record:
        rows = torch.from_numpy(self._rows(file, self.starts[place] + first, count))
        inputs, targets = (part.contiguous() for part in (rows[:, : self.inputs], rows[:, self.inputs :]))
        return Record(self.names[place], inputs, targets, torch.zeros(0))

    def _rows(self, file: Any, start: int, count: int) -> np.ndarray:
        found = np.empty((count, len(self.mean)), np.float32)
        read_into(file, found.itemsize * found.shape[1] * start, found)
        return found


def store(path: pathlib.Path, inputs: Sequence[str], targets: Sequence[str], series: str | None) -> StoredSeries:
    """Write the columns of a Parquet table to a temporary file, which is removed when the result is.

    Args:
        path: of the table.
        inputs: names of columns.
        targets: names of columns.
        series: the column that names the series, whose rows lie together; None if the table is one series.

    Raises:
        InputError: the table cannot be read, lacks a column or a number, or the rows of a series do not lie together.
    """
    scratch, names = Scratch(), [*inputs, *targets]
    runs, moments, unchanged = _Runs(path, series), Moments(len(names)), Unchanged(path)
    with reading(path), (scratch.folder / "rows").open("wb") as out:
        for row, frame in pieces(path, [*names, *filter(None, [series])], PIECE):
            values = _numbers(frame, names, path, row)
            runs.add(frame, row)
            moments.add(values)
            out.write(values.astype(np.float32).tobytes())
    merged = moments.merged()
    if merged.any():
        refuse_large(path, names[int(merged.argmax())])
    unchanged.check()
    starts = np.cumsum(runs.sizes) - runs.sizes
    return StoredSeries(
        scratch, len(inputs), tuple(runs.names), tuple(starts.tolist()), tuple(runs.sizes), *moments.found()
    )


def refuse_large(path: pathlib.Path, name: str) -> None:
    """Raise InputError for a column whose numbers single precision does not tell apart."""
    raise InputError(
        f"{path}, column {name!r}: single precision, in which a table that stays on the disk is kept, does not tell "
        "its numbers apart; subtract a constant from them, or give more `memory`"
    )


class _Runs:
    """The series of a table, in the order of its rows."""

    def __init__(self, path: pathlib.Path, column: str | None) -> None:
        self.path, self.column = path, column
        self.names: list[str] = []
        self.sizes: list[int] = []
        self.seen: set[str] = set()

    def add(self, frame: pl.DataFrame, row: int) -> None:
        if self.column is None:
            self.names, self.sizes = [self.path.stem], [sum(self.sizes) + frame.height]
            return
        cells = frame[self.column].cast(pl.String)
        if cells.null_count():
            raise InputError(f"{self.path}, row {row + 1}, column {self.column!r}: a value is missing in these rows")
        for run in cells.rle().struct.unnest().iter_rows():
            size, name = run
            if self.names and name == self.names[-1]:
                self.sizes[-1] += size
            elif name in self.seen:
                raise InputError(
                    f"{self.path}: the rows of series {name!r} do not lie together, which a table that stays on the "
                    f"disk needs; sort it by {self.column!r}, or give more `memory`"
                )
            else:
                self.seen.add(name)
                self.names.append(name)
                self.sizes.append(size)


def _numbers(frame: pl.DataFrame, names: list[str], path: pathlib.Path, row: int) -> np.ndarray:
    """Return columns (N, F) as float64; raise InputError for the first cell that is no finite number."""
    for name in names:
        column = frame[name]
        if not column.dtype.is_numeric():
            raise InputError(f"{path}, row {row + 1}, column {name!r}: expected a number, found {column.dtype}")
        wrong = ~column.cast(pl.Float32, strict=False).is_finite().fill_null(False)
        if wrong.any():
            place = int(wrong.arg_max() or 0)
            raise InputError(
                f"{path}, row {row + place + 1}, column {name!r}: expected a finite number, found {column[place]}; a "
                "table that stays on the disk has no missing numbers"
            )
    values = frame.select(pl.col(names).cast(pl.Float64)).to_numpy()
    for name, column in zip(names, values.T, strict=True):
        if not frame[name].dtype.is_float() and beyond(column) and merged(frame[name]) is not None:
            refuse_large(path, name)
    return values
