"""The columns of a table of series, by their role."""

from __future__ import annotations

import dataclasses

from .._core.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetSettings(Settings):
    """Which columns of a table are targets and context, and which one tells series apart; there are no inputs."""

    targets: tuple[str, ...] = setting(
        dataclasses.MISSING, "Columns to predict.", group="data", least=1, metavar="COLUMN"
    )
    context: tuple[str, ...] = setting(
        (),
        "Columns that are constant within a series; numbers are quantities, text is labels.",
        group="data",
        metavar="COLUMN",
    )
    series: str | None = setting(
        None,
        "Column that identifies the series of each row; without it, the table is one series.",
        group="data",
        metavar="COLUMN",
    )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Input columns: none."""
        return ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnSettings(TargetSettings):
    """Which columns of a table are inputs, targets and context, and which one tells series apart."""

    inputs: tuple[str, ...] = setting((), "Input columns, known at every step.", group="data", metavar="COLUMN")
