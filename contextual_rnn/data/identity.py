"""The identity of the tables of a run, by which other tables are detected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .table import Source, Table, is_path


def identity_of(sources: dict[str, Source | None], tables: dict[str, Table], names: Sequence[str]) -> dict[str, Any]:
    """Return the paths and the SHA-256 of tables, which can be stored as JSON.

    Args:
        sources: the tables as they were given, by the names of the arguments.
        tables: those that were given.
        names: of the columns that are read.
    """
    files = {name: str(source) if is_path(source) else None for name, source in sources.items()}
    return {"files": files, "sha256": {name: table.fingerprint(names) for name, table in tables.items()}}


def same_tables(hashes: dict[str, str]) -> list[str]:
    """Return a sentence for each table that is the training table, by the hashes of the tables."""
    same = [name for name, found in hashes.items() if name != "train" and found == hashes["train"]]
    return [f"`train` and `{name}` are the same table, so its errors are not those of new data." for name in same]
