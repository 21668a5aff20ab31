"""How files of pairs are written: settings of every verb that reads pairs."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any, Literal

from ..._core.settings import Settings, setting
from ...errors import InputError
from ...table_files.encoding import UTF8, check_encoding
from ...table_files.separator import SEPARATORS, ending_of
from ...table_files.settings import FileSettings
from ..units import PAIR_UNITS, check_unit

NONE = "none"  # a value that switches an inference off
FIELDS = 3  # of a line with a label


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairFileSettings(Settings):
    """The lines, the fields and the symbols of files of pairs. What is not given is inferred, and printed."""

    columns: tuple[str, ...] = setting(
        (),
        "Columns of source, target and, if there are labels, label. Files are then read as tables with a header (CSV, "
        "TSV or Parquet).",
        group="data",
        metavar="COLUMN",
    )
    label_column: int | None = setting(
        None,
        "Number, 1 to 3, of the field of a line that is the label of its source, such as inflection tags, in files "
        "without a header.",
        group="data",
    )
    label_separator: str | None = setting(
        None,
        "Text between the tags of a label, such as ; in V;PRS;NEG: the model reads each tag. With none, a label is "
        "whole. By default, labels with a semicolon are split there.",
        group="data",
        metavar="TEXT",
    )
    file_name: Literal["source", "target", "label", "none"] | None = setting(
        None,
        "What the name of a file, without its ending, is for each of its lines: the source or the target, where lines "
        "hold the other side alone, or the label. Needed for a folder or a pattern such as names/*.txt.",
        group="data",
    )
    separator: str | None = setting(
        None,
        "Text between the fields of a line; the word tab is a tab, and a blank ends the source at the first blanks. By "
        "default, a tab, or a comma in .csv files that have no tab.",
        group="data",
        metavar="TEXT",
    )
    header: Literal["present", "absent"] | None = setting(
        None,
        "Whether the first line of a file without columns is a header, which is skipped. By default, a line that "
        "names its fields, such as word and pronunciation, is one.",
        group="data",
    )
    comment: str | None = setting(
        None,
        "Text that starts a line to skip, or none. By default, lines that start with # and hold no pair are skipped.",
        group="data",
        metavar="TEXT",
    )
    skip_rows: int = setting(0, "Number of lines at the start of a file that are skipped.", group="data", least=0)
    encoding: str = setting(UTF8, "Encoding of text files, such as latin-1 or utf-16.", group="data")
    enclosing: Literal["strip", "keep"] | None = setting(
        None,
        "Whether slashes or brackets around a whole side, such as /bæt/, are removed (strip) or are symbols (keep). By "
        "default, they are removed where every line has them.",
        group="data",
    )
    target_separator: str | None = setting(
        None,
        "Text between several targets of a source, such as a comma, or none. By default, targets that stand each in "
        "slashes or brackets are separate, and a comma between others has to be settled by this setting.",
        group="data",
        metavar="TEXT",
    )
    source_unit: str | None = setting(
        None,
        "Symbols of the sources: characters, graphemes (grapheme clusters), symbols (separated by spaces), words, "
        "subwords, bytes, smiles, whole (the text is one symbol), or re: and a regular expression that matches a "
        "symbol; by default, characters or symbols, as the texts show.",
        group="data",
        metavar="UNIT",
    )
    target_unit: str | None = setting(None, "Symbols of the targets, as for the sources.", group="data", metavar="UNIT")

    def __post_init__(self) -> None:
        """Check the settings, alone and together."""
        super().__post_init__()
        if self.columns and (len(set(self.columns)) < len(self.columns) or len(self.columns) not in (2, 3)):
            raise InputError(
                "`columns` must be two or three different names, of source, target and label; found "
                f"{', '.join(self.columns)}"
            )
        if self.label_column is not None and not 1 <= self.label_column <= FIELDS:
            raise InputError(
                f"`label_column` must be in 1 to {FIELDS}, the fields of a line; found {self.label_column}"
            )
        if self.separator == "tab":
            object.__setattr__(self, "separator", "\t")
        check_encoding(self.encoding)
        self._check_together()
        for name in ("source_unit", "target_unit"):
            if getattr(self, name) is not None:
                check_unit(getattr(self, name), name, PAIR_UNITS)

    def _check_together(self) -> None:
        given = {"header": self.header is not None, "label_column": self.label_column is not None}
        for name, is_given in given.items():
            if self.columns and is_given:
                raise InputError(f"`{name}` is for text files without a header, and `columns` for tables with one")
        if self.columns and self.file_name in ("source", "target"):
            raise InputError(f"`file_name` {self.file_name} is for lists without a header, and `columns` for tables")
        if self.file_name in ("source", "target", "label") and self.label_column is not None:
            raise InputError("`label_column` and `file_name` cannot be given together")
        if self.separator == " " and self.label_column is not None:
            raise InputError("`label_column` needs a `separator` other than a blank")

    @property
    def side_of_name(self) -> str | None:
        """The side that the name of a file gives, "source" or "target"; None if lines hold both sides."""
        return self.file_name if self.file_name in ("source", "target") else None

    def options(self) -> dict[str, Any]:
        """Return these settings alone, by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(PairFileSettings)}

    def table(self) -> FileSettings:
        """Return how files are read as tables."""
        comment = None if self.comment == NONE else self.comment
        return FileSettings(separator=self.separator, comment=comment, skip_rows=self.skip_rows, encoding=self.encoding)

    def usual_separator(self, path: str, first: str) -> str:
        """Return the separator that is given, or that a file has by its ending and its first line."""
        if self.separator is not None:
            return self.separator
        usual = SEPARATORS.get(ending_of(pathlib.Path(path)), "\t")
        return usual if usual in first and "\t" not in first else "\t"


PLAIN = PairFileSettings()
