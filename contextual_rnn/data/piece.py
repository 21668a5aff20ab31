"""Rows of a Parquet table that are read piece by piece."""

from __future__ import annotations

import pathlib

import polars as pl

from ..table_files.settings import PLAIN, FileSettings
from .table import Table


class Piece(Table):
    """Some rows of a Parquet table, as a table. Errors name their places in the whole table.

    Args:
        frame: the rows.
        path: of the table.
        first: the number of rows before them.
        files: how text files are written.
    """

    def __init__(self, frame: pl.DataFrame, path: pathlib.Path, first: int, files: FileSettings = PLAIN) -> None:
        super().__init__(frame, str(path), files)
        self.first = first

    def where(self, row: int, column: str | None = None) -> str:
        """Return the name of a cell or row, from 1."""
        place = f"{self.name}, row {self.first + row + 1}"
        return place if column is None else f"{place}, column {column!r}"
