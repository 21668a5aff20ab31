"""The texts of a table as symbols, and their context as columns of values, some of which may be unknown."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..._core.counted import counted
from ...context import Field, Label, Quantity
from ...data.fields import spelling
from ...data.held_out import hash_of, held_out_in_words, tenth
from ...data.table import MISSING, Source, Table, is_path
from ...data.units import cleaned, split
from ...errors import InputError
from .settings import TextSettings

if TYPE_CHECKING:
    from .stored import StoredTexts

Symbols = tuple[str, ...]
Values = dict[str, list[Any]]  # for every context column, a number or a label for each text; None if it is unknown


@dataclasses.dataclass(frozen=True)
class Texts:
    """Texts and what is known about each.

    Attributes:
        symbols: the symbols of each text.
        context: the values of every context column.
        rows: the name of each text's place in its table, for errors.
    """

    symbols: list[Symbols]
    context: Values
    rows: list[str]

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.symbols)

    def unknown(self) -> dict[str, int]:
        """Return the number of unknown values of every context column."""
        return {name: sum(value is None for value in values) for name, values in self.context.items()}

    def add(self, others: Texts) -> None:
        """Append texts of the same context columns."""
        self.symbols.extend(others.symbols)
        self.rows.extend(others.rows)
        for name, values in self.context.items():
            values.extend(others.context[name])

    @property
    def hashes(self) -> list[int]:
        """The hashes of the distinct texts, sorted."""
        return sorted({hash_of(text) for text in self.symbols})

    @property
    def longest(self) -> int:
        """The largest number of symbols of a text."""
        return max(map(len, self.symbols))

    def take(self, places: Iterable[int]) -> Texts:
        """Return the texts at some places."""
        places = list(places)
        context = {name: [values[place] for place in places] for name, values in self.context.items()}
        return Texts([self.symbols[place] for place in places], context, [self.rows[place] for place in places])


def read_texts(table: Table, settings: TextSettings, unreadable: dict[int, str] | None = None) -> Texts:
    """Read the texts of a table.

    Args:
        table: to read.
        settings: of the model.
        unreadable: takes the row and the error of each text with a part that is no symbol, and the text gets no
            symbols; None refuses such a text.

    Raises:
        InputError: a column is missing, a text is empty, has more symbols than `longest` or a part that is no symbol,
            or a context column is not a column of numbers or names.
    """
    table.check_columns([settings.text, *settings.context])
    column = table.frame[settings.text]
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        raise InputError(f"{table.where(0, settings.text)}: expected text, found {column.dtype}")
    places = [table.where(row) for row in range(len(table))]
    symbols = []
    for row, text in enumerate(column.cast(pl.String).to_list()):
        where = table.where(row, settings.text)
        if text is None or not cleaned(text):
            raise InputError(f"{where}: the text is empty; leave the row out")
        try:
            found = split(text, settings.unit)
        except InputError as error:
            said = f"{where}: {error} (`unit` {settings.unit})"
            if unreadable is None:
                raise InputError(said) from None
            unreadable[row], found = said, ()
        if len(found) > settings.longest:
            raise InputError(
                f"{where}: the text has {counted(len(found), 'symbol')}, more than `longest`, {settings.longest}; "
                "leave it out, or give a larger `longest`"
            )
        symbols.append(found)
    return Texts(symbols, {name: column_values(table, name, settings) for name in settings.context}, places)


def column_values(table: Table, name: str, settings: TextSettings) -> list[Any]:
    """Return the cells of a context column: numbers if all of its cells are, else texts; None for missing ones."""
    column = table.frame[name]
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object, pl.Duration):
        raise InputError(f"{table.where(0, name)}: expected a number or text, found {column.dtype}")
    if column.dtype.is_float():
        column = column.fill_nan(None)
    text = column.cast(pl.String).str.strip_chars().fill_null("")
    cells = text.to_list()
    if name in settings.labels or table.is_category(name):
        return [spelling(cell) if cell else None for cell in cells]
    missing = text.str.to_lowercase().is_in(MISSING)
    decimal = table.with_point(name, text)
    numbers = decimal.cast(pl.Float64, strict=False)
    wrong = (~missing & ~numbers.is_finite().fill_null(value=False)).arg_true().to_list()
    if wrong and name in settings.quantities:
        found = cells[wrong[0]]
        raise InputError(f"{table.where(wrong[0], name)}: {found!r} is no finite number, but `quantities` names it")
    if wrong:
        return [spelling(cell) if cell else None for cell in cells]
    table.check_doubles(name, numbers.to_numpy())
    return [None if absent else value for absent, value in zip(missing.to_list(), numbers.to_list(), strict=True)]


def learn_fields(texts: Texts, settings: TextSettings) -> dict[str, Field]:
    """Return a field for every context column: a quantity, standardised, if its values are numbers, else a label.

    Raises:
        InputError: no value of a column is known.
    """
    fields: dict[str, Field] = {}
    for name in settings.context:
        known = [value for value in texts.context[name] if value is not None]
        if not known:
            raise InputError(f"`context`: no value of the column {name!r} is known in the training table")
        if isinstance(known[0], str):
            fields[name] = Label(sorted(set(known)), unknown=True)
        else:
            found = Quantity.standardised(known)
            observed = (min(known), max(known))
            fields[name] = Quantity(mean=found.mean, deviation=found.deviation, unknown=True, observed=observed)
    return fields


def check_values(texts: Texts, fields: dict[str, Field]) -> None:
    """Raise InputError for the first value that a field of the model does not accept."""
    for name, field in fields.items():
        known = set(field.names or ()) if isinstance(field, Label) else set()
        for value, row in zip(texts.context[name], texts.rows, strict=True):
            if value is None:
                continue
            if isinstance(field, Label) and value not in known:
                raise InputError(f"{row}, column {name!r}: {unknown_label(field, value)}")
            if isinstance(field, Quantity) and isinstance(value, str):
                raise InputError(f"{row}, column {name!r}: {value!r} is text, but the training table has numbers there")


def unknown_label(field: Label, value: Any) -> str:
    """Return a sentence that says that there is no such label, and which there are."""
    known = field.names or []
    more = f" and {len(known) - 10} more" if len(known) > 10 else ""
    return f"the training table has no label {value!r}; it has {', '.join(known[:10])}{more}"


@dataclasses.dataclass(frozen=True)
class TextData:
    """The texts to train, to validate and to test on, and their identity.

    Attributes:
        training: the texts to train on.
        validation: the texts on which the epoch and the settings are chosen.
        test: the texts on which metrics are reported; empty if there is no test table.
        fields: of the context columns.
        symbols: the distinct symbols of the training texts, sorted.
        identity: the names and SHA-256 of the tables, so that a run is not resumed on other data.
        remarks: sentences on what was inferred or left out.
        backend: the kind of data frame that the training table is.
    """

    training: Texts | StoredTexts
    validation: Texts
    test: Texts
    fields: dict[str, Field]
    symbols: list[str]
    identity: dict[str, Any]
    remarks: tuple[str, ...]
    backend: Any

    @property
    def seen(self) -> np.ndarray:
        """The sorted hashes of the distinct training and validation texts; a text with none of these is new.

        Validation texts are included, held out or of a table of their own, because the epoch was chosen on them.
        """
        return np.union1d(np.array(self.training.hashes, np.int64), np.array(self.validation.hashes, np.int64))

    @classmethod
    def read(cls, train: Source, validation: Source | None, test: Source | None, settings: TextSettings) -> TextData:
        """Read every table once. Without a validation table, a tenth of the training texts is held out.

        Texts of the validation and the test table with symbols that the training texts lack are left out and counted.

        Raises:
            InputError: a table is invalid.
        """
        sources = {"train": train, "validation": validation, "test": test}
        tables = {
            name: Table(source, f"`{name}`", settings)
            for name, source in sources.items()
            if source is not None or name == "train"
        }
        texts = {name: read_texts(table, settings) for name, table in tables.items()}
        _check_mixed(tables["train"], texts["train"], settings)
        fields = learn_fields(texts["train"], settings)
        unknown = texts["train"].unknown()
        remarks = [*roles(fields), *unknown_in_words("training", unknown, len(texts["train"]))]
        training, held_out = texts["train"], texts.get("validation")
        if held_out is None:
            training, held_out = hold_out(training)
            distinct = len(set(held_out.symbols)), len(set(texts["train"].symbols))
            remarks.append(held_out_in_words(*distinct, "distinct training texts"))
        symbols = sorted({symbol for text in training.symbols for symbol in text})
        others = {"validation": held_out, "test": texts.get("test")}
        kept, said = known_texts(others, fields, symbols, [name for name in others if name in texts])
        remarks += said
        known = {*training.symbols, *kept["validation"].symbols}
        remarks += repeated_in_words(sum(text in known for text in kept["test"].symbols), kept["test"])
        names = [settings.text, *settings.context]
        identity = {
            "files": {
                name: str(source) if is_path(source) else None for name, source in sources.items() if name in tables
            },
            "sha256": {name: table.fingerprint(names) for name, table in tables.items()},
        }
        backend = tables["train"].backend
        return cls(training, kept["validation"], kept["test"], fields, symbols, identity, tuple(remarks), backend)


def known_texts(
    others: dict[str, Texts | None], fields: dict[str, Field], symbols: Sequence[str], tables: Sequence[str]
) -> tuple[dict[str, Texts], list[str]]:
    """Return the validation and test texts whose symbols the training texts have, and sentences on these texts.

    Args:
        others: the texts, by "validation" and "test".
        fields: of the training table.
        symbols: of the training texts.
        tables: which of the texts are those of a table of their own.

    Raises:
        InputError: a field does not accept a value, or every text has another symbol.
    """
    kept, said, known = dict[str, Texts](), list[str](), set(symbols)
    for name, part in others.items():
        part = part or Texts([], {column: [] for column in fields}, [])
        _same_kinds(part, fields)
        if name in tables:
            said += unknown_in_words(name, part.unknown(), len(part))
        check_values(part, fields)
        said += _outside(name, part, fields)
        kept[name] = part.take(place for place, text in enumerate(part.symbols) if known.issuperset(text))
        if len(kept[name]) < len(part):
            said.append(
                f"{len(part) - len(kept[name])} of the {len(part)} {name} texts have symbols that the training texts "
                "lack, and are left out."
            )
        if len(part) and not len(kept[name]):
            raise InputError(f"every {name} text has a symbol that the training texts lack")
    return kept, said


def _same_kinds(texts: Texts, fields: dict[str, Field]) -> None:
    """Turn the numbers of a validation or test table into labels where the training table has labels."""
    for name, field in fields.items():
        if isinstance(field, Label):
            values = texts.context[name]
            values[:] = [spelling(str(one)) if isinstance(one, float) else one for one in values]


def _check_mixed(table: Table, texts: Texts, settings: TextSettings) -> None:
    """Raise InputError for a column most of whose values are numbers, but not all, unless `labels` names it."""
    for name, values in texts.context.items():
        known = [place for place, value in enumerate(values) if isinstance(value, str)]
        if not known or name in settings.labels or table.is_category(name):
            continue
        cells = pl.Series([values[place] for place in known])
        cells = cells.str.replace(",", ".", literal=True) if table.files.decimal == "," else cells
        others = (~cells.cast(pl.Float64, strict=False).is_finite().fill_null(value=False)).arg_true().to_list()
        if others:
            first = known[others[0]]
            check_mixed(table.where(first, name), values[first], len(others), len(known))


def check_mixed(place: str, value: Any, others: int, known: int) -> None:
    """Raise InputError if most values of a column are numbers, but some are not.

    Args:
        place: of the first one that is not.
        value: there.
        others: how many are not.
        known: the number of all that are not empty.
    """
    if 2 * others < known:
        raise InputError(
            f"{place}: {value!r} is no finite number, but {known - others} of {known} values of the column are "
            "numbers; correct the value, leave it empty, or name the column in `labels`"
        )


def roles(fields: dict[str, Field]) -> list[str]:
    """Return a sentence that says which context columns are quantities, and which are labels."""
    quantities = [name for name, field in fields.items() if isinstance(field, Quantity)]
    labels = [f"{name} ({len(field.names or ())})" for name, field in fields.items() if isinstance(field, Label)]
    parts = [f"quantities: {', '.join(quantities)}"] if quantities else []
    parts += [f"labels, with the number of each: {', '.join(labels)}"] if labels else []
    return [f"Context columns are {'; '.join(parts)}."] if parts else []


def unknown_in_words(part: str, unknown: dict[str, int], number: int) -> list[str]:
    """Return a sentence for every context column with unknown values, of a table with a number of texts."""
    return [
        f"In the {part} table, {count} of {number} values of the context column {name!r} are not known."
        for name, count in unknown.items()
        if count
    ]


def _outside(part: str, texts: Texts, fields: dict[str, Field]) -> list[str]:
    """Return a sentence for every quantity with values outside the range of the training table."""
    said = []
    for name, field in fields.items():
        if isinstance(field, Quantity) and field.observed is not None:
            known = [value for value in texts.context[name] if value is not None]
            count = sum(field.is_outside(value) for value in known)
            low, high = field.observed
            if count:
                said.append(
                    f"In the {part} table, {count} of {len(known)} values of {name!r} are outside the range of the "
                    f"training table, {low:g} to {high:g}."
                )
    return said


def repeated_in_words(count: int, test: Texts) -> list[str]:
    """Return a sentence on the number of test texts that are among training or validation texts, if there are any."""
    return [f"Of the {len(test)} test texts, {count} are in the training data too."] if count else []


def hold_out(texts: Texts) -> tuple[Texts, Texts]:
    """Hold out a random tenth of the distinct texts, always the same one; return the other texts and these.

    Raises:
        InputError: there is a single distinct text.
    """
    distinct = list(dict.fromkeys(texts.symbols))
    if len(distinct) < 2:
        raise InputError("`train` has a single distinct text, and none can be held out: give more, or `validation`")
    held_out = {distinct[place] for place in tenth(len(distinct))}
    places: dict[bool, list[int]] = {True: [], False: []}
    for place, text in enumerate(texts.symbols):
        places[text in held_out].append(place)
    return texts.take(places[False]), texts.take(places[True])
