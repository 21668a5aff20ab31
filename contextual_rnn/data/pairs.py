"""Pairs of a source text and a target text, read from files, data frames or lists.

A side is a sequence of symbols; see `units`. Whether they are characters or stand between spaces is inferred from the
texts where that is clear; see `infer_unit`.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..errors import InputError
from .infer_unit import UNCLEAR, infer_unit
from .table import Table, is_path
from .units import NAMES, Units, check_unit, cleaned
from .units import split as split_text

LONGEST = 1000  # symbols of a side
FIELDS = 3  # of a line with a label

# A path or `LABEL=PATH`, several `LABEL=PATH`, a data frame, a list of tuples, or a dict from labels to any of these.
PairSource = str | os.PathLike[str] | Sequence[str] | Any


@dataclasses.dataclass(frozen=True)
class Pair:
    """A source and a target, each a tuple of symbols, and the label of the source, such as its language."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The pairs of a source of data.

    Attributes:
        pairs: in order.
        labels: the distinct labels, in the order in which they first appear; empty if pairs have none.
        units: of both sides.
        files: the files that were read, as they were named.
    """

    pairs: list[Pair]
    labels: list[str]
    units: Units
    files: list[str]

    def fingerprint(self) -> str:
        """Return the SHA-256 of the pairs, to detect that data have changed."""
        rows = [(pair.source, pair.target, pair.label) for pair in self.pairs]
        return hashlib.sha256(repr(rows).encode("utf-8", "backslashreplace")).hexdigest()


class Row(NamedTuple):
    """A pair as text, and where it stands, for errors."""

    place: str
    source: str
    target: str
    label: str | None


def read_pairs(
    source: PairSource,
    *,
    columns: Sequence[str] = (),
    units: Units | None = None,
    source_unit: str | None = None,
    target_unit: str | None = None,
    label_column: int | None = None,
    name: str = "`train`",
) -> Pairs:
    """Read pairs.

    Args:
        source: one of

            - the path of a text file, UTF-8, one pair per line: source, tab, target; empty lines are skipped; a name
              that ends in .gz is decompressed;
            - `"LABEL=PATH"`, or a list of several, which labels the pairs of each file;
            - a pandas or polars data frame, or an Arrow table, with a column for each side;
            - a list of tuples `(source, target)` or `(source, target, label)`;
            - a dict from labels to any of these.
        columns: the names of the columns of source, target and, if there are labels, label. It is needed for a data
            frame that has more than two columns. A path is then read as a table with a header, CSV, TSV or Parquet.
        units: of both sides, such as those of the training pairs; None infers those that are not given.
        source_unit: of the sources; None infers it.
        target_unit: of the targets; None infers it.
        label_column: the number, 1 to 3, of the field of a line that is the label; the two others are source and
            target. It is for text files without a header.
        name: what errors call `source` if it is no file.

    Raises:
        InputError: the source of data is missing, empty or of no such kind, a text is missing, empty or too long,
            labels are incomplete, or the unit of a side is not clear.
    """
    parts = _parts(source, name)
    if label_column is not None and not 1 <= label_column <= FIELDS:
        raise InputError(f"`label_column` must be in 1 to {FIELDS}, the fields of a line; found {label_column}")
    tables = [_labelled(_rows(part, columns, label_column, part_name), label) for label, part, part_name in parts]
    rows = [row for table in tables for row in table]
    labels = [row.label for row in rows if row.label is not None]
    if labels and len(labels) < len(rows):
        place = next(row.place for row in rows if row.label is None)
        raise InputError(f"{place} has no label, but other pairs have one; give every pair a label, or none")
    names = [part_name for _, _, part_name in parts]
    units = units or Units(
        _unit_of("source", source_unit, [[row.source for row in table] for table in tables], names),
        _unit_of("target", target_unit, [[row.target for row in table] for table in tables], names),
    )
    pairs = [
        Pair(
            split(f"{row.place}: the source", row.source, units.source),
            split(f"{row.place}: the target", row.target, units.target),
            row.label,
        )
        for row in rows
    ]
    return Pairs(
        pairs, list(dict.fromkeys(labels)), units, [part_name for _, part, part_name in parts if is_path(part)]
    )


def _parts(source: PairSource, name: str) -> list[tuple[str | None, Any, str]]:
    """Return the label, the data and the name of every file, data frame or list."""
    if isinstance(source, Mapping):
        if not source or not all(isinstance(label, str) and label for label in source):
            raise InputError(f"{name} must be a dict from labels to pairs, with text for labels; found {list(source)}")
        return [(label, part, str(part) if is_path(part) else f"{name}[{label!r}]") for label, part in source.items()]
    files = [source] if is_path(source) else source
    if isinstance(files, (list, tuple)) and files and all(map(is_path, files)):
        parts = [label_and_path(file) for file in files]
        _check_labels(parts)
        return [(label, path, path) for label, path in parts]
    return [(None, source, name)]


def label_and_path(file: str | os.PathLike[str]) -> tuple[str | None, str]:
    """Return the label and the path of `LABEL=PATH`; the label is None if there is none, or a file has that name."""
    text = os.fspath(file)
    label, sign, path = text.partition("=")
    return (None, text) if not sign or not label or os.path.exists(text) else (label, path)


def _check_labels(parts: Sequence[tuple[str | None, str]]) -> None:
    labels = [label for label, _ in parts if label is not None]
    if len(labels) < len(parts) > 1:
        path = next(path for label, path in parts if label is None)
        raise InputError(f"{path}: with several files, each needs a label, LABEL=PATH, such as fre={path}")
    if len(set(labels)) < len(labels):
        raise InputError(f"the labels {', '.join(labels)} must differ; give one file per label")


def _labelled(rows: list[Row], label: str | None) -> list[Row]:
    """Return rows with the label of their file, data frame or list."""
    if label is None:
        return rows
    for row in rows:
        if row.label is not None:
            raise InputError(f"{row.place} has the label {row.label!r}, and all these pairs have the label {label!r}")
    return [row._replace(label=label) for row in rows]


def _rows(source: Any, columns: Sequence[str], label_column: int | None, name: str) -> list[Row]:
    """Return the rows of one file, data frame or list."""
    if is_path(source) and not columns:
        return _file_rows(source, label_column)
    if label_column is not None:
        raise InputError(
            f"{name}: `label_column` is for text files without a header; name the column of the label third in "
            "`columns`, or put it third in each tuple"
        )
    if isinstance(source, (list, tuple)):
        return _listed_rows(source, name)
    return _table_rows(Table(source, name), columns)


def _file_rows(path: str | os.PathLike[str], label_column: int | None) -> list[Row]:
    rows = [_line_row(f"{path}, line {number}", line, label_column) for number, line in _lines(path) if line]
    if not rows:
        raise InputError(f"{path} is empty; each line must have a source, a tab and a target")
    return rows


def _line_row(place: str, line: str, label_column: int | None) -> Row:
    parts = line.split("\t")
    if label_column is None:
        return _pair_row(place, parts)
    if len(parts) != FIELDS:
        raise InputError(f"{place} has {_tabs(parts)}; with `label_column`, it must have {FIELDS - 1}")
    label = parts.pop(label_column - 1).strip()
    if not label:
        raise InputError(f"{place}: the label is empty")
    return _pair_row(place, parts)._replace(label=label)


def _pair_row(place: str, parts: Sequence[str]) -> Row:
    if len(parts) != 2:
        hint = "; give `label_column` if one of the three fields is a label" if len(parts) == FIELDS else ""
        raise InputError(f"{place} has {_tabs(parts)}; it must have one, between source and target{hint}")
    for side, text in zip(("source", "target"), parts, strict=True):
        if not text:
            raise InputError(f"{place}: the {side} is empty")
    return Row(place, parts[0], parts[1], None)


def _tabs(parts: Sequence[str]) -> str:
    return {1: "no tab", 2: "one tab"}.get(len(parts), f"{len(parts) - 1} tabs")


def _listed_rows(source: Sequence[Any], name: str) -> list[Row]:
    if not source:
        raise InputError(f"{name} is empty; it must hold at least one pair")
    rows = []
    for number, item in enumerate(source):
        place = f"{name}, row {number}"
        is_pair = isinstance(item, (list, tuple)) and len(item) in (2, 3)
        if not is_pair or not all(isinstance(text, str) for text in item):
            raise InputError(f"{place}: expected a tuple of texts, (source, target), found {item!r}")
        text = [_one_line(place, side) for side in item]
        rows.append(Row(place, text[0], text[1], text[2] if len(text) == 3 else None))
    return rows


def _table_rows(table: Table, columns: Sequence[str]) -> list[Row]:
    names = list(columns) or table.frame.columns
    if isinstance(columns, str) or len(set(names)) < len(names) or (columns and len(names) not in (2, 3)):
        raise InputError(
            f"`columns` must be two or three different names, of source, target and label; found {columns!r}"
        )
    if not columns and len(names) != 2:
        listed = ", ".join(map(repr, names[:20]))
        raise InputError(f"{table.name} has the columns {listed}; name those of source and target with `columns`")
    table.check_columns(names)
    labels = table.labels(names[2]) if len(names) == 3 else [None] * len(table)
    rows = zip(_texts(table, names[0]), _texts(table, names[1]), labels, strict=True)
    return [Row(table.where(number), source, target, label) for number, (source, target, label) in enumerate(rows)]


def _texts(table: Table, column: str) -> list[str]:
    texts = table.frame[column].to_list()
    for row, text in enumerate(texts):
        place = table.where(row, column)
        if text is None:
            raise InputError(f"{place}: a text is missing")
        if not isinstance(text, str):
            raise InputError(f"{place}: expected text, found {text!r}")
        _one_line(place, text)
    return texts


def _one_line(place: str, text: str) -> str:
    """Return a text; raise InputError if a line of a file could not hold it."""
    if not text:
        raise InputError(f"{place}: the text is empty")
    if any(mark in text for mark in "\t\r\n"):
        raise InputError(f"{place}: a text must have no tab and no line break; found {text!r}")
    return text


def _unit_of(side: str, given: str | None, tables: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    """Return the unit of a side: the given one, or what all files, frames or lists agree on."""
    argument = f"{side}_unit"
    if given is not None:
        return check_unit(given, argument)
    found: dict[str, str] = {}  # from units to the first name that has it
    for name, texts in zip(names, tables, strict=True):
        unit = infer_unit(texts)
        if unit == UNCLEAR:
            example = next(text for text in texts if len(text.split()) > 1)
            raise InputError(
                f"{name}: it is not clear what the symbols of the {side}s are, such as {example!r}; give `{argument}`, "
                f"one of {NAMES}"
            )
        if unit is not None:
            found.setdefault(unit, name)
    if len(found) > 1:
        raise InputError(
            f"{found['symbols']}: the {side}s seem to be symbols separated by spaces, but those of "
            f"{found['characters']} characters; give `{argument}` for all files, one of {NAMES}"
        )
    return next(iter(found), "characters")


class SourceLine(NamedTuple):
    """A source to transcribe: where it stands, its text, and its symbols, of which an empty line has none."""

    place: str
    text: str
    symbols: tuple[str, ...]


def read_sources(lines: Iterable[bytes], name: str, unit: str) -> Iterator[SourceLine]:
    """Yield every line of a stream.

    Args:
        lines: such as `open(path, "rb")` or `sys.stdin.buffer`.
        name: what errors call the stream.
        unit: of the sources.

    Raises:
        InputError: a line is not UTF-8, has a tab, or is too long.
    """
    for number, line in enumerate(lines, start=1):
        yield source_line(f"{name}, line {number}", _decoded(name, number, line), unit)


def source_line(place: str, text: str, unit: str) -> SourceLine:
    """Return a source to transcribe, split into symbols; raise InputError if it has a tab or is too long."""
    if "\t" in text:
        raise InputError(f"{place} has a tab, as pairs have; it must hold a source alone")
    return SourceLine(place, text, split(f"{place}: the source", text, unit) if text.strip() else ())


def split(what: str, text: str, unit: str) -> tuple[str, ...]:
    """Return the symbols of a text; raise InputError, about `what`, if there are none or more than `LONGEST`."""
    if not cleaned(text):
        raise InputError(f"{what} has nothing but spaces")
    try:
        symbols = split_text(text, unit)
    except InputError as error:
        raise InputError(f"{what} {text!r}: {error}") from None
    if len(symbols) > LONGEST:
        kind = unit if unit.isalpha() else "symbols"
        raise InputError(f"{what} has {len(symbols)} {kind}; at most {LONGEST} are allowed")
    return symbols


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "a pipe or a device"
        raise InputError(f"{path} is {kind}; give a regular file")
    try:
        with gzip.open(path) if str(path).endswith(".gz") else open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, _decoded(path, number, line)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _decoded(name: str | os.PathLike[str], number: int, line: bytes) -> str:
    encoding = "utf-8-sig" if number == 1 else "utf-8"  # a byte order mark at the start is no symbol
    try:
        return line.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}, line {number}: byte {error.start + 1} is not UTF-8") from None
