"""The columns of a table of series, by their role."""

from __future__ import annotations

import dataclasses
from typing import Literal

from .._core.settings import setting
from ..table_files.settings import FileSettings

CALENDAR = ("hour", "weekday", "monthday", "month", "yearday", "week")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TargetSettings(FileSettings):
    """The target and context columns of a table, and the column that identifies its series; there are no inputs."""

    targets: tuple[str, ...] = setting(
        dataclasses.MISSING, "Columns to predict.", group="data", least=1, metavar="COLUMN"
    )
    context: tuple[str, ...] = setting(
        (),
        "Columns that are constant within a series; numeric columns are standardised (quantities), columns of text, "
        "categories or booleans are one-hot encoded (labels).",
        group="data",
        metavar="COLUMN",
    )
    labels: tuple[str, ...] = setting(
        (),
        "Context or input columns whose numbers are labels, such as the number of a class.",
        group="data",
        metavar="COLUMN",
    )
    quantities: tuple[str, ...] = setting(
        (),
        "Context or input columns whose values are quantities, such as integers of few distinct values.",
        group="data",
        metavar="COLUMN",
    )
    series: str | None = setting(
        None,
        "Column that identifies the series of each row; without it, the table is one series.",
        group="data",
        metavar="COLUMN",
    )
    time: tuple[str, ...] | None = setting(
        None,
        "Column with the time of each row: dates, datetimes, durations, periods such as 2024-W52, or numbers, such as "
        "seconds; several columns are joined, such as a date and a time of day. Rows are sorted by it within each "
        "series. Without it, rows must be in order; `none` says that no column is a time.",
        group="data",
        least=1,
        metavar="COLUMN ...",
    )
    missing: Literal["refuse", "hold", "interpolate", "zero"] = setting(
        "refuse",
        "What is done about missing values of inputs, and of targets that the model reads: they are refused, or filled "
        "with the last known value of the series (hold; before the first one, with the training mean), by linear "
        "interpolation (interpolate), or with the training mean, which is 0 after scaling (zero). Each filled column "
        "has an indicator input, 1 where it was filled. Targets that are only predicted may always be missing.",
        group="data",
    )
    missing_values: tuple[str | float, ...] = setting(
        (),
        "Numbers or texts that stand for a missing value in input and target columns, such as -200; empty cells, NaN, "
        "NA and null always do.",
        group="data",
        metavar="VALUE",
    )

    gaps: Literal["refuse", "missing"] = setting(
        "refuse",
        "What is done about absent rows of a table with times: they are refused, or inserted with all inputs and "
        "targets missing (missing).",
        group="data",
    )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Input columns: none."""
        return ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ColumnSettings(TargetSettings):
    """The input, target and context columns of a table, and the column that identifies its series."""

    inputs: tuple[str, ...] = setting(
        (),
        "Input columns, known at every step; columns of text, categories or booleans are one-hot encoded (labels).",
        group="data",
        metavar="COLUMN",
    )
    calendar: tuple[str, ...] = setting(
        (),
        "Inputs that are computed from the times: the sine and cosine of the position in the day (hour), week "
        "(weekday), month (monthday) or year (month, yearday, week).",
        group="data",
        choices=CALENDAR,
    )
