"""`read_pairs`: from files, data frames or lists to pairs of symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..._core.counted import counted
from ..._core.settings import takes_settings
from ...errors import InputError
from ...table_files.doubtful import labels_alike
from ...table_files.open import is_binary
from ..infer_unit import UNCLEAR, infer_unit
from ..lengths import first_names
from ..table import Table, is_path
from ..units import PAIR_NAMES, Units
from .enclosing import strip_marks
from .header import without_header
from .labels import check_tags, label_separator, tags_of
from .notes import Notes
from .pair import Pair, Pairs, PairSource, Row, split
from .parts import Parallel, Part, parts_of
from .settings import FIELDS, NONE, PairFileSettings
from .tables import listed_rows, table_rows
from .text_rows import text_rows
from .variants import check_marks, split_variants


@takes_settings(PairFileSettings)
def read_pairs(
    source: PairSource, *, like: Pairs | None = None, units: Units | None = None, name: str = "`train`", **options: Any
) -> Pairs:
    """Read pairs.

    Args:
        source: one of

            - the path of a text file, one pair per line: source, tab, target; blank lines are skipped; a name that
              ends in .gz is decompressed;
            - `"LABEL=PATH"`, or a list of several, which labels the pairs of each file; several paths without labels
              are read as one;
            - a folder or a pattern such as `names/*.txt`, with `file_name`;
            - a pandas or polars data frame, or an Arrow table, with a column for each side;
            - a list of tuples `(source, target)` or `(source, target, label)`;
            - a dict from labels to any of these.
        like: pairs whose units and tags these have, such as the training pairs.
        units: of both sides; None takes those of `like`, or infers what `source_unit` and `target_unit` do not say.
        name: what errors call `source` if it is no file.

    Raises:
        InputError: the source of data is missing, empty or of no such kind, a text is missing, empty or too long,
            labels are incomplete, or it is not clear how texts are to be read.
    """
    settings, notes = PairFileSettings.of(options), Notes()
    units = units or (like.units if like is not None else None)
    if units is not None:
        settings = settings.replace(source_unit=units.source, target_unit=units.target)
    if like is not None:
        settings = settings.replace(label_separator=like.label_separator or NONE)
    parts = parts_of(source, settings, name)
    tables = [_rows(part, settings, notes) for part in parts]
    rows = [row for table in tables for row in table]
    _check_labels(rows)
    separator = label_separator(rows, settings, in_one(parts), notes)
    check_tags(rows, separator, in_one(parts), notes)
    names = [part.name for part in parts]
    units = Units(
        _unit_of("source", settings, [[row.source for row in table] for table in tables], names),
        _unit_of("target", settings, [[row.target for row in table] for table in tables], names),
    )
    check_marks([row.target for row in rows], [row.place for row in rows], units.target, settings)
    pairs = [
        Pair(
            split(f"{row.place}: the source", row.source, units.source),
            split(f"{row.place}: the target", row.target, units.target),
            row.label,
        )
        for row in rows
    ]
    labels = list(dict.fromkeys(tag for row in rows for tag in tags_of(row.label, separator)))
    if like is None and (settings.label_column is not None or len(settings.columns) == FIELDS):
        what = "label" if separator is None else "tag"
        notes.add(
            in_one(parts), f"the label column has {counted(len(labels), f'distinct {what}')}: {first_names(labels)}"
        )
    sentences = [*notes.sentences(), *labels_alike({"label": labels})]
    return Pairs(pairs, labels, units, _files(parts), separator, sentences)


def in_one(parts: Sequence[Part]) -> str:
    """Return a name for all parts."""
    return parts[0].name if len(parts) == 1 else f"{parts[0].name} and {len(parts) - 1} more"


def _files(parts: Sequence[Part]) -> list[str]:
    found: list[str] = []
    for part in parts:
        found += map(str, part.data) if isinstance(part.data, Parallel) else [part.name] if is_path(part.data) else []
    return found


def _check_labels(rows: Sequence[Row]) -> None:
    labels = [row.label for row in rows if row.label is not None]
    if labels and len(labels) < len(rows):
        place = next(row.place for row in rows if row.label is None)
        raise InputError(f"{place} has no label, but other pairs have one; give every pair a label, or none")


def _rows(part: Part, settings: PairFileSettings, notes: Notes) -> list[Row]:
    """Return the rows of one file, data frame or list: one for each target, without header and marks."""
    rows = _labelled(_raw_rows(part, settings, notes), None if settings.side_of_name else part.label)
    places = [row.place for row in rows]
    sources = strip_marks([row.source for row in rows], places, "source", part.name, settings, notes)
    targets = strip_marks([row.target for row in rows], places, "target", part.name, settings, notes)
    found: list[Row] = []
    for row, (text,), texts in zip(rows, sources, targets, strict=True):
        variants = split_variants(texts, row.place, settings.target_separator)
        found += [row._replace(source=text, target=target) for target in variants]
    return found


def _raw_rows(part: Part, settings: PairFileSettings, notes: Notes) -> list[Row]:
    """Return the rows of one file, data frame or list as they are, without a header."""
    if is_path(part.data) and not settings.columns and is_binary(str(part.data)):
        raise InputError(
            f"{part.name} is no text file; name its columns of sources and targets in `columns`, such as source target"
        )
    if (is_path(part.data) or isinstance(part.data, Parallel)) and not settings.columns:
        return without_header(text_rows(part, settings, notes), part.name, settings, notes)
    if settings.label_column is not None:
        raise InputError(
            f"{part.name}: `label_column` is for text files without a header; name the column of the label third in "
            "`columns`, or put it third in each tuple"
        )
    if isinstance(part.data, Parallel):
        raise InputError(f"{part.name}: `columns` is for a table, and not for two parallel files")
    if isinstance(part.data, (list, tuple)):
        return without_header(listed_rows(part.data, part.name), part.name, settings, notes)
    table = part.data if isinstance(part.data, Table) else Table(part.data, part.name, settings.table())
    return table_rows(table, settings.columns)


def _labelled(rows: list[Row], label: str | None) -> list[Row]:
    """Return rows with the label of their file, data frame or list."""
    if label is None:
        return rows
    for row in rows:
        if row.label is not None:
            raise InputError(f"{row.place} has the label {row.label!r}, and all these pairs have the label {label!r}")
    return [row._replace(label=label) for row in rows]


def _unit_of(side: str, settings: PairFileSettings, tables: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    """Return the unit of a side: the given one, or what all files, frames or lists agree on."""
    argument = f"{side}_unit"
    if getattr(settings, argument) is not None:
        return str(getattr(settings, argument))
    if settings.side_of_name == side:
        return "whole"
    found: dict[str, str] = {}  # from units to the first name that has it
    for name, texts in zip(names, tables, strict=True):
        unit = infer_unit(texts)
        if unit == UNCLEAR:
            example = next(text for text in texts if len(text.split()) > 1)
            raise InputError(
                f"{name}: it is not clear into what symbols to divide the {side}s, such as {example!r}; for sentences, "
                "give `source_unit` subwords and `target_unit` subwords, else give "
                f"`{argument}`, one of {PAIR_NAMES}"
            )
        if unit is not None:
            found.setdefault(unit, name)
    if len(found) > 1:
        raise InputError(
            f"{found['symbols']}: the {side}s seem to be symbols separated by spaces, but those of "
            f"{found['characters']} characters; give `{argument}` for all files, one of {PAIR_NAMES}"
        )
    return next(iter(found), "characters")
