"""Parquet tables that do not fit into the memory: their rows as single precision in a file, read window by window.

One pass over the table, piece by piece, checks its numbers, sums up their moments, and writes them row by row to a
temporary file. A window is then a single read at its place, so that all windows are equally likely, as they are for a
table in memory, wherever the table has its row groups.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import tempfile
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .._core.records import Batch
from ..errors import InputError
from ..table_files.binary import BYTES
from ..table_files.open import reading
from ..table_files.unchanged import Unchanged
from . import doubles

PIECE = 1 << 20  # rows that are read at once
ROUNDED = 3e-4  # of the range of a column, by which single precision may round its numbers


@dataclasses.dataclass(frozen=True)
class StoredSeries:
    """Series whose rows are in a file, (N, U + Y) float32: the inputs, and then the targets.

    Attributes:
        path: of the file.
        inputs: U.
        names: of the series.
        sizes: their numbers of steps.
        mean: of every column, (U + Y,).
        deviation: the standard deviation of every column, (U + Y,).
    """

    path: pathlib.Path
    inputs: int
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    mean: np.ndarray
    deviation: np.ndarray

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
        sizes, first_rows = every[chosen], (every.cumsum(0) - every)[chosen]
        windows = (sizes - steps).clamp(min=0) + 1  # how many start in each series
        ends = windows.cumsum(0)

        def batches() -> Iterator[Batch]:
            with self.path.open("rb", buffering=0) as file:
                for _ in range(updates):
                    drawn = torch.randint(int(ends[-1]), (batch_size,))
                    series = torch.searchsorted(ends, drawn, right=True)
                    starts = first_rows[series] + drawn - (ends - windows)[series]
                    lengths = sizes[series].clamp(max=steps)
                    parts = [self._read(file, *place) for place in zip(starts.tolist(), lengths.tolist(), strict=True)]
                    rows = pad_sequence(parts, batch_first=True)
                    context = torch.zeros(batch_size, 0)
                    yield rows[..., : self.inputs], rows[..., self.inputs :], context, lengths

        return batches

    def _read(self, file: Any, start: int, count: int) -> Tensor:
        width = len(self.mean)
        file.seek(4 * width * start)
        return torch.from_numpy(np.fromfile(file, np.float32, count * width).reshape(count, width))


def is_larger(source: Any, columns: int, memory: float) -> bool:
    """Return whether columns of a Parquet file take more than a number of gigabytes; a folder always counts as larger.

    Raises:
        InputError: the source is no Parquet file or folder, or cannot be read.
    """
    path = pathlib.Path(source) if isinstance(source, (str, os.PathLike)) else None
    if path is None or not (path.is_dir() or path.suffix.lower() == ".parquet"):
        raise InputError("`memory` needs a training table that is a Parquet file or a folder of such files")
    with reading(path):
        return path.is_dir() or scan(path).select(pl.len()).collect().item() * columns * BYTES > memory * 1e9


def scan(path: pathlib.Path) -> pl.LazyFrame:
    """Return a Parquet file or a folder of such files, in the order of their names, to be read lazily.

    Folders inside the folder that are named COLUMN=VALUE make a column.
    """
    if path.is_dir():
        files = files_in(path)
        return pl.scan_parquet(files, hive_partitioning=any("=" in part for part in files[0].parts))
    return pl.scan_parquet(path, glob=False)


def files_in(path: pathlib.Path) -> list[pathlib.Path]:
    """Return the Parquet files of a folder and its folders; raise InputError if there are none."""
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise InputError(f"{path} is a folder without Parquet files")
    return files


def hash_of(path: pathlib.Path) -> str:
    """Return the SHA-256 of a file, or of the names and hashes of the Parquet files of a folder."""
    if path.is_dir():
        listed = "".join(f"{file.relative_to(path)} {hash_of(file)}\n" for file in files_in(path))
        return hashlib.sha256(listed.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def store(path: pathlib.Path, inputs: tuple[str, ...], targets: tuple[str, ...], series: str | None) -> StoredSeries:
    """Write the columns of a Parquet table to a temporary file, which is removed when the result is.

    Args:
        path: of the table.
        inputs: names of columns.
        targets: names of columns.
        series: the column that names the series, whose rows lie together; None if the table is one series.

    Raises:
        InputError: the table cannot be read, lacks a column or a number, or the rows of a series do not lie together.
    """
    folder = tempfile.mkdtemp(prefix="contextual-rnn-")
    file = pathlib.Path(folder, "rows")
    names = [*inputs, *targets]
    runs, moments, row, unchanged = _Runs(path, series), _Moments(len(names)), 0, Unchanged(path)
    try:
        with reading(path), file.open("wb") as out:
            table = scan(path)
            missing = [name for name in (*names, *filter(None, [series])) if name not in table.collect_schema().names()]
            if missing:
                raise InputError(f"{path} has no column {missing[0]!r}")
            kept = table.select([*names, *filter(None, [series])])
            while True:
                frame = kept.slice(row, PIECE).collect()
                if not frame.height:
                    break
                values = _numbers(frame, names, path, row)
                runs.add(frame, row)
                moments.add(values)
                out.write(values.astype(np.float32).tobytes())
                row += frame.height
        if not row:
            raise InputError(f"{path} has no rows")
        moments.check(path, names)
        unchanged.check()
    except BaseException:
        _remove(file)
        raise
    found = StoredSeries(file, len(inputs), tuple(runs.names), tuple(runs.sizes), *moments.found())
    weakref.finalize(found, _remove, file)
    return found


def refuse_large(path: pathlib.Path, name: str) -> None:
    """Raise InputError for a column whose numbers single precision does not tell apart."""
    raise InputError(
        f"{path}, column {name!r}: single precision, in which a table that stays on the disk is kept, does not tell "
        "its numbers apart; subtract a constant from them, or give more `memory`"
    )


class _Moments:
    """The mean and the standard deviation of columns, of pieces one after the other."""

    def __init__(self, width: int) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(width), np.zeros(width)
        self.low, self.high = np.full(width, np.inf), np.full(width, -np.inf)

    def add(self, values: np.ndarray) -> None:
        count, mean = len(values), values.mean(0)
        difference, total = mean - self.mean, self.count + count
        self.squares += np.square(values - mean).sum(0) + difference**2 * self.count * count / total
        self.mean, self.count = self.mean + difference * count / total, total
        self.low, self.high = np.minimum(self.low, values.min(0)), np.maximum(self.high, values.max(0))

    def check(self, path: pathlib.Path, names: list[str]) -> None:
        """Raise InputError if single precision, in which rows are stored, does not tell a column's numbers apart."""
        spread = self.high - self.low
        rounded = np.spacing(np.maximum(np.abs(self.low), np.abs(self.high)).astype(np.float32))
        merged = (rounded > ROUNDED * spread) & (spread > 0)
        if merged.any():
            refuse_large(path, names[int(merged.argmax())])

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        return self.mean, np.sqrt(self.squares / self.count)


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
        if not frame[name].dtype.is_float() and doubles.beyond(column) and doubles.merged(frame[name]) is not None:
            refuse_large(path, name)
    return values


def _remove(file: pathlib.Path) -> None:
    file.unlink(missing_ok=True)
    file.parent.rmdir()
