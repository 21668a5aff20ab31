"""Tables that are written to files, and checks of the files that a command writes."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable
from typing import IO, Any

import polars as pl

from .._core.files import replacing
from ..errors import InputError
from ..serialization import MODEL
from ..study.run_folder import is_run_file
from ..table_files.separator import SEPARATORS


def _check_ending(path: pathlib.Path) -> None:
    if path.suffix.lower() not in (*SEPARATORS, ".parquet"):
        raise InputError(f"{path}: the name of a table to write must end in .csv, .tsv or .parquet")


def write_table(path: str | os.PathLike[str], columns: dict[str, Any] | pl.DataFrame) -> None:
    """Write named columns, or a frame, atomically, as CSV, TSV or Parquet by the ending of the path."""
    target = pathlib.Path(path)
    _check_ending(target)
    frame = pl.DataFrame(columns)
    try:
        with replacing(target) as file:
            _write(frame, file, target.suffix.lower())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def write_parts(path: str | os.PathLike[str], parts: Iterable[pl.DataFrame]) -> None:
    """Write frames with the same columns one after the other, as `write_table` does; a CSV file needs one at a time."""
    target = pathlib.Path(path)
    _check_ending(target)
    ending = target.suffix.lower()
    if ending == ".parquet":
        write_table(path, pl.concat(parts))
        return
    try:
        with replacing(target) as file:
            for number, part in enumerate(parts):
                part.write_csv(file, separator=SEPARATORS[ending], include_header=not number)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def _write(frame: pl.DataFrame, file: IO[bytes], ending: str) -> None:
    if ending == ".parquet":
        frame.write_parquet(file)
    else:
        frame.write_csv(file, separator=SEPARATORS[ending])


def check_files(
    read: dict[str, str | os.PathLike[str] | None], written: dict[str, str | os.PathLike[str] | None]
) -> None:
    """Raise InputError if writing would overwrite an input, another output or a file of a run, or a folder is missing.

    Args:
        read: the paths that are read, by the name of their argument; a run folder stands for its model.
        written: the paths that are written, by the name of their argument.
    """
    inputs = {_file(path).resolve(): name for name, path in read.items() if path and _file(path).exists()}
    outputs: dict[pathlib.Path, str] = {}
    for name, path in written.items():
        if not path:
            continue
        place = pathlib.Path(path)
        # States may be read from a file and written back to it.
        if place.resolve() in inputs and {name, inputs[place.resolve()]} != {"start", "end"}:
            raise InputError(f"`{name}` {path} is the file of `{inputs[place.resolve()]}`; give another name")
        if place.resolve() in outputs:
            raise InputError(f"`{name}` {path} is also the file of `{outputs[place.resolve()]}`; give another name")
        if not place.parent.is_dir():
            raise InputError(f"`{name}` {path}: there is no folder {place.parent}; make it, or give another name")
        if is_run_file(place):
            raise InputError(f"`{name}` {path} is a file of the run in {place.parent}; give another name")
        outputs[place.resolve()] = name


def _file(path: str | os.PathLike[str]) -> pathlib.Path:
    """Return a path; for a run folder, that of its model file."""
    file = pathlib.Path(path)
    return file / MODEL if file.is_dir() else file
