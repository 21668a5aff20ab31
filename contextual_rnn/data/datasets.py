"""The tables of one training: each is read once, and all runs share its records."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..context import Field
from .series import HasColumns, Record, learn_fields, read_series, records
from .table import Source, Table, is_path


@dataclasses.dataclass(frozen=True)
class Datasets:
    """The records of a training, a validation and a test table.

    Attributes:
        training: the series of the training table.
        validation: those of the validation table; empty where there is none.
        test: those of the test table; empty where there is none.
        fields: those of the context columns, which the training table determines.
        identity: the names and the SHA-256 of the tables, so that a run is not resumed on other data.
        backend: the kind of data frame that the training table is, as narwhals names it; polars for a file.
    """

    training: list[Record]
    validation: list[Record]
    test: list[Record]
    fields: dict[str, Field]
    identity: dict[str, Any]
    backend: Any

    @classmethod
    def read(
        cls,
        train: Source,
        validation: Source | None,
        test: Source | None,
        columns: HasColumns,
        *,
        least_training: int = 1,
        least: int = 1,
    ) -> Datasets:
        """Read every table once.

        Args:
            train: the training table.
            validation: the validation table, if there is one.
            test: the test table, if there is one.
            columns: the names of their columns.
            least_training: the smallest number of steps that a series of the training table may have.
            least: the same for the other tables.

        Raises:
            InputError: a table is wrong; says where.
        """
        sources = {"train": train, "validation": validation, "test": test}
        given = [name for name, source in sources.items() if source is not None or name == "train"]
        tables = {name: Table(sources[name], f"`{name}`") for name in given}
        series = {
            name: read_series(table, columns, min_length=least_training if name == "train" else least)
            for name, table in tables.items()
        }
        fields = learn_fields(series["train"])
        found = {name: records(several, fields, columns.context) for name, several in series.items()}
        return cls(
            found["train"],
            found.get("validation", []),
            found.get("test", []),
            fields,
            _identity(sources, tables, columns),
            tables["train"].backend,
        )


def _identity(sources: dict[str, Source | None], tables: dict[str, Table], columns: HasColumns) -> dict[str, Any]:
    names = [*columns.inputs, *columns.targets, *columns.context, *([columns.series] if columns.series else [])]
    files = {name: str(source) if is_path(source) else None for name, source in sources.items()}
    return {"files": files, "sha256": {name: table.fingerprint(names) for name, table in tables.items()}}
