"""The rows of a text file without columns: its fields, and the lines that are blank or comments."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence

from ..._core.counted import counted
from ...errors import InputError
from ...table_files.csv_rows import quotation
from .lines import lines_of
from .notes import Notes
from .pair import Row
from .parts import Parallel, Part
from .settings import FIELDS, NONE, PairFileSettings

SHOWN = 20  # characters of a field
SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "vertical bar", " ": "blank"}


def text_rows(part: Part, settings: PairFileSettings, notes: Notes) -> list[Row]:
    """Return the rows of a text file, or of two parallel ones; add to `notes` what was inferred.

    Blank lines are skipped, and comments.

    Raises:
        InputError: a file cannot be read or has no rows, or a line has a wrong number of fields, or may be a comment.
    """
    if isinstance(part.data, Parallel):
        rows = list(_parallel_rows(part.data, settings))
    else:
        rows = list(_rows(part, settings, notes))
    if not rows:
        what = "a text" if settings.side_of_name else "a source, a tab and a target"
        raise InputError(f"{part.name} is empty; each line must have {what}")
    return rows


def _kept(path: str | os.PathLike[str], settings: PairFileSettings) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not skipped: neither the first ones, nor those that the setting `comment` names."""
    comment = None if settings.comment == NONE else settings.comment
    for number, line in lines_of(path, settings.encoding):
        if number > settings.skip_rows and not (comment is not None and line.startswith(comment)):
            yield number, line


def _rows(part: Part, settings: PairFileSettings, notes: Notes) -> Iterator[Row]:
    path, separator, needed = part.data, None, FIELDS if settings.label_column else 1 + (not settings.side_of_name)
    comments, cut = 0, 0
    for number, line in _kept(path, settings):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        separator = separator or settings.usual_separator(str(path), line)
        fields = _fields(place, line, separator) if needed > 1 else [line]
        if needed > 1 and len(fields) > needed and not any(field.strip() for field in fields[needed:]):
            fields, cut = fields[:needed], cut or number
        if line.startswith("#") and settings.comment is None:
            _check_comment(place, fields, needed)
            if len(fields) != needed:
                comments += 1
                continue
        yield _row(place, fields, separator, part, settings)
    if comments:
        skipped = "line that starts with # was" if comments == 1 else f"{comments} lines that start with # were"
        notes.add(part.name, f"{'a ' if comments == 1 else ''}{skipped} skipped (`comment` changes this)")
    if cut:
        notes.add(part.name, f"line {cut} has empty fields at its end, which are ignored")
    if separator not in (None, "\t", settings.separator):
        notes.add(part.name, f"fields are separated by a {SEPARATORS[separator]} (`separator` changes this)")


def _check_comment(place: str, fields: Sequence[str], needed: int) -> None:
    """Raise InputError if a line that starts with # may be a pair."""
    if len(fields) == needed and not _may_be_names(fields):
        raise InputError(
            f'{place} starts with #: give `comment` "#" to skip such lines, or `comment` none if # belongs to the text'
        )


def _may_be_names(fields: Sequence[str]) -> bool:
    from .header import is_name

    return len(fields) > 1 and all(map(is_name, fields))


def _fields(place: str, line: str, separator: str) -> list[str]:
    """Return the fields of a line; unlike those between tabs, fields between other marks may be quoted."""
    if separator == " ":
        return line.strip().split(None, 1)
    if separator == "\t" or len(separator) > 1 or '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"{place}: {quotation(error)}") from None


def _row(place: str, fields: list[str], separator: str, part: Part, settings: PairFileSettings) -> Row:
    """Return the row of a line from its fields."""
    if settings.side_of_name and part.label is not None:
        _check_list_line(place, fields[0])
        sides = (part.label, fields[0]) if settings.side_of_name == "source" else (fields[0], part.label)
        return Row(place, *sides)
    if settings.label_column is None:
        return _pair_row(place, fields, separator)
    if len(fields) != FIELDS:
        mend = _mend(fields, separator)
        raise InputError(
            f"{place} has {_marks(fields, separator)}; with `label_column`, it must have {FIELDS - 1}{mend}"
        )
    label = fields.pop(settings.label_column - 1).strip()
    if not label:
        raise InputError(f"{place}: the label is empty")
    return _pair_row(place, fields, separator)._replace(label=label)


def _check_list_line(place: str, text: str) -> None:
    if "\t" in text:
        raise InputError(
            f"{place} has a tab, as pairs have; with `file_name` source or target, a line is the other side alone"
        )


def _pair_row(place: str, fields: Sequence[str], separator: str) -> Row:
    if len(fields) != 2:
        name = SEPARATORS.get(separator, f"separator {separator!r}")
        raise InputError(
            f"{place} has {_marks(fields, separator)}; it must have one {name}, between source and target"
            f"{_mend(fields, separator) or _mend_of_more(fields)}"
        )
    for side, text in zip(("source", "target"), fields, strict=True):
        if not text:
            raise InputError(f"{place}: the {side} is empty; write it, or delete the line")
        if not text.strip():
            raise InputError(f"{place}: the {side} has nothing but spaces; write it, or delete the line")
    return Row(place, fields[0], fields[1])


def _mend(fields: Sequence[str], separator: str) -> str:
    """Return the settings that may mend a line of a single field."""
    if len(fields) != 1:
        return ""
    line = fields[0]
    other = next((mark for mark in SEPARATORS if mark != separator and mark in line.strip()), None)
    mends = [] if other is None else [f'`separator` "{other}" if a {SEPARATORS[other]} is between them']
    mark = re.match(r"[^\w\s]+", line)
    if mark:
        mends.append(f'`comment` "{mark[0]}" if such lines are comments')
    if separator == "\t" and " " in line.strip():
        mends.append("`source` and `target` if they are in two files, line by line")
    mends.append("`file_name` if the name of the file is the other side")
    return f"; give {', or '.join(mends)}"


def _mend_of_more(fields: Sequence[str]) -> str:
    """Return the setting that may mend a line of more than two fields."""
    if len(fields) != FIELDS:
        return "; delete the other fields"
    shown = ", ".join(repr(field if len(field) <= SHOWN else field[: SHOWN - 3] + "...") for field in fields)
    return (
        f"; if one of its fields ({shown}) is a label, say which one, such as `label_column` {FIELDS} for the last; "
        "else delete the field"
    )


def _marks(fields: Sequence[str], separator: str) -> str:
    name, count = SEPARATORS.get(separator, f"separator {separator!r}"), len(fields) - 1
    return {0: f"no {name}", 1: f"one {name}"}.get(count, f"{count} {name}s")


def _parallel_rows(files: Parallel, settings: PairFileSettings) -> Iterator[Row]:
    """Yield the rows of two parallel files; lines that are blank in both are skipped."""
    if settings.label_column is not None:
        raise InputError(f"{files.source}: `label_column` is for files whose lines hold source, target and label")
    sides = [dict(_kept(path, settings)) for path in files]
    counts = [len(side) for side in sides]
    if counts[0] != counts[1]:
        raise InputError(
            f"{files.source} has {counted(counts[0], 'line')} and {files.target} has {counted(counts[1], 'line')}, but "
            "both must have the same number: the first line of one belongs to the first line of the other, and so on"
        )
    for (number, source), (other, target) in zip(sides[0].items(), sides[1].items(), strict=True):
        for path, line, text, partner in (
            (files.source, number, source, target),
            (files.target, other, target, source),
        ):
            if not text.strip() and partner.strip():
                raise InputError(
                    f"{path}, line {line} is blank, but that of the other file is not; write it, or delete both"
                )
            if text.startswith("#") and settings.comment is None:
                _check_comment(f"{path}, line {line}", [text], 1)
        if source.strip():
            yield Row(f"{files.source}, line {number}", source, target)
