"""How a table file is written: the settings that every job on tables has."""

from __future__ import annotations

import dataclasses
from typing import Literal

from .._core.settings import Settings, setting
from ..errors import InputError

BLANKS = " "  # the separator that stands for any number of blanks and tabs


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSettings(Settings):
    """The separator, the decimal mark and the header of text tables; files of other formats ignore them."""

    separator: str | None = setting(
        None,
        "Character between the cells of a text table, such as ; or |; tab is a tab, and a blank is any number of "
        "blanks and tabs. By default, a comma in .csv files and a tab in .tsv files; other text files need it.",
        group="data",
        metavar="CHARACTER",
    )
    decimal: Literal[".", ","] = setting(".", "Decimal mark of the numbers of a text table.", group="data")
    no_header: bool = setting(
        False, "The first line of a text table is a row; columns names its columns, in order.", group="data"
    )
    columns: tuple[str, ...] = setting(
        (), "Names of all columns of a text table without a header.", group="data", metavar="NAME"
    )
    skip_rows: int = setting(
        0, "Number of lines at the start of a text table that are skipped, before the header.", group="data", least=0
    )
    comment: str | None = setting(
        None, "Text that starts a line of a text table that is skipped, such as #.", group="data", metavar="TEXT"
    )

    def __post_init__(self) -> None:
        """Check the settings that belong together."""
        super().__post_init__()
        if self.separator == "tab":
            object.__setattr__(self, "separator", "\t")
        if self.separator is not None and (len(self.separator) != 1 or self.separator in '"\r\n'):
            raise InputError(f"`separator` must be one character, or tab; found {self.separator!r}")
        if self.separator == self.decimal == ",":
            raise InputError("`decimal` , needs another `separator`, such as ;")
        if self.no_header != bool(self.columns):
            raise InputError("`no_header` and `columns`, which names the columns, must be given together")
        if len(set(self.columns)) < len(self.columns):
            raise InputError("the names in `columns` must differ")
        if self.comment == "":
            raise InputError("`comment` must not be empty; give the text that starts a comment, such as #")


PLAIN = FileSettings()
