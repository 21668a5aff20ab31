"""Parquet files and folders of them, read lazily, and the memory that a training table may take."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from .._core.settings import Settings, setting
from ..errors import InputError
from ..table_files.binary import BYTES
from ..table_files.open import reading

PIECE = 1 << 20  # rows that are read at once
OF_A_SYMBOL = 12  # bytes of memory


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemorySettings(Settings):
    """How much memory the training table may take."""

    memory: float | None = setting(
        None,
        "Gigabytes that the training table may take in memory. A Parquet file that takes more, or a folder of Parquet "
        "files, stays on the disk, where training data are drawn. By default, every table is read.",
        group="data",
        above=0,
    )


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


def check_cluster(cluster: str | None) -> None:
    """Raise InputError if other machines are to read a training table that stays on the disk of this one."""
    if cluster is not None:
        raise InputError(
            "`memory` leaves the training table on the disk of this machine, which the workers of `cluster` do not "
            "read; give one of them"
        )


def scan(path: pathlib.Path) -> pl.LazyFrame:
    """Return a Parquet file or a folder of such files, in the order of their names, to be read lazily.

    Folders inside the folder that are named COLUMN=VALUE make a column.
    """
    if path.is_dir():
        files = files_in(path)
        is_partitioned = any("=" in part for part in files[0].relative_to(path).parts[:-1])
        return pl.scan_parquet(files, hive_partitioning=is_partitioned)
    return pl.scan_parquet(path, glob=False)


def pieces(path: pathlib.Path, names: Sequence[str], rows: int = PIECE) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the first row and the rows of every piece of columns; see `scan_columns`."""
    kept, first = scan_columns(path, names), 0
    while True:
        frame = kept.slice(first, rows).collect()
        if not frame.height:
            break
        yield first, frame
        first += frame.height
    if not first:
        raise InputError(f"{path} has no rows")


def texts_are_larger(source: Any, names: Sequence[str], memory: float) -> bool:
    """Return whether the texts of columns take more than a number of gigabytes as symbols; see `is_larger`."""
    if is_larger(source, 2 * len(names), memory):
        return True
    path = pathlib.Path(source)
    with reading(path):
        texts = scan_columns(path, names).select(pl.col(names).cast(pl.String).str.len_bytes().sum())
        return sum(texts.collect().row(0)) * OF_A_SYMBOL > memory * 1e9


def files_in(path: pathlib.Path) -> list[pathlib.Path]:
    """Return the Parquet files of a folder and its folders; raise InputError if there are none."""
    files = sorted(path.rglob("*.parquet"))
    if not files:
        raise InputError(f"{path} is a folder without Parquet files")
    return files


def scan_columns(path: pathlib.Path, names: Sequence[str]) -> pl.LazyFrame:
    """Return columns of a Parquet file or a folder of such files; see `scan`.

    Raises:
        InputError: a file lacks a column, or has another type of it than the first file.
    """
    found = scan(path)
    known = found.collect_schema()
    for name in names:
        if name not in known:
            raise InputError(f"{path} has no column {name!r}; it has {', '.join(map(repr, known.names()[:20]))}")
    first, *others = files_in(path) if path.is_dir() else [path]
    wanted = pl.read_parquet_schema(first)
    for file in others:
        schema = pl.read_parquet_schema(file)
        for name in dict.fromkeys([*wanted, *schema]):
            if schema.get(name) != wanted.get(name):
                here, there = (str(one.get(name, "absent")) for one in (schema, wanted))
                raise InputError(
                    f"{file}: column {name!r} is {here}, but in {first} it is {there}; all files of {path} must have "
                    "the same columns"
                )
    return found.select(names)


def hash_of(path: pathlib.Path) -> str:
    """Return the SHA-256 of a file, or of the names and hashes of the Parquet files of a folder."""
    if path.is_dir():
        listed = "".join(f"{file.relative_to(path)} {hash_of(file)}\n" for file in files_in(path))
        return hashlib.sha256(listed.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
