"""How a table file is written: the settings that every job on tables has."""

from __future__ import annotations

import dataclasses
from typing import Literal

from .._core.settings import Settings, setting
from ..errors import InputError
from .encoding import UTF8, check_encoding

BLANKS = " "  # the separator that stands for any number of blanks and tabs


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSettings(Settings):
    """The separator, the decimal mark and the header of text tables, and whether files are series."""

    separator: str | None = setting(
        None,
        "Character between the cells of a text table, such as ;. The word tab is a tab, and a blank is any number of "
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

    encoding: str = setting(UTF8, "Encoding of text tables, such as latin-1 or utf-16.", group="data")
    series_from_file: str | None = setting(
        None,
        "Name for a column with the name of each file, without its ending. Each file is one series then, and a table "
        "may be a folder or a pattern such as camels/*.txt.",
        group="data",
        metavar="NAME",
    )

    def __post_init__(self) -> None:
        """Check the settings that belong together."""
        super().__post_init__()
        check_encoding(self.encoding)
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
        if self.series_from_file is not None:  # it takes the place of `series`, which tables of series have
            if getattr(self, "series", None) not in (None, self.series_from_file):
                raise InputError("`series` and `series_from_file` both name the series; give one of them")
            object.__setattr__(self, "series", self.series_from_file)


PLAIN = FileSettings()
