"""Training texts that stay on the disk: their symbols and context values in a file, read in random order.

The Parquet table is read twice. The first pass finds the context fields, and a hash of every text, by which texts are
held out; the second one writes the texts to train on.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...context import Field, Label, Quantity
from ...data.held_out import MOST, hash_of, held_out_in_words, in_order, tenth
from ...data.moments import Moments
from ...data.parquet import hash_of as hash_of_file
from ...data.parquet import pieces
from ...data.piece import Piece
from ...data.row_groups import check_row_groups
from ...data.stored_rows import Rows, StoredRows
from ...data.table import Source, Table, is_path
from ...errors import InputError
from ...table_files.open import reading
from ...table_files.unchanged import Unchanged
from .batches import END, Encoded, TextBatch, bucketed, select
from .data import (
    TextData,
    Texts,
    check_mixed,
    column_values,
    known_texts,
    read_texts,
    repeated_in_words,
    roles,
    unknown_in_words,
)
from .settings import TextSettings

TEXTS = 1 << 15  # texts that are converted at once


@dataclasses.dataclass(frozen=True)
class StoredTexts:
    """Training texts in a file.

    Attributes:
        rows: of two parts: the numbers of the symbols, and the context values, whose labels are numbers.
        symbols: by their numbers in the file, from 0.
        labels: of every context column, by their numbers in the file; None for a column of numbers.
        hashes: of the distinct texts, sorted.
        longest: the largest number of symbols of a text.
        memory: gigabytes of the buffer that texts are drawn from.
    """

    rows: StoredRows
    symbols: list[str]
    labels: dict[str, list[str] | None]
    hashes: np.ndarray
    longest: int
    memory: float

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.rows)

    def bucketed(self, size: int, updates: int | None = None) -> Iterator[TextBatch]:
        """Yield an epoch's minibatches; see `Encoded.bucketed`, and `StoredRows` for their order."""
        left = len(self) if updates is None else updates * size
        for rows in self.rows.buffers(self.memory):
            part = self._part(rows)
            yield from map(part.batch, bucketed(part.lengths, size, left))
            left -= len(rows)
            if left <= 0:
                return

    def parts(self) -> Iterator[Encoded]:
        """Yield the texts in parts that fit into the memory."""
        for rows in self.rows.blocks():
            part = self._part(rows)
            yield Encoded(pad_sequence(part.symbols, batch_first=True), part.lengths, part.context)

    def _part(self, rows: Rows) -> _Part:
        order = np.empty(len(self.symbols), np.int32)
        order[np.argsort(np.array(self.symbols, dtype=object))] = np.arange(1, 1 + len(self.symbols))
        symbols = [torch.from_numpy(np.append(order[part], np.int32(END))) for part in rows.part(0)]
        values = np.stack(rows.part(1)).view(np.float64) if self.labels else np.zeros((len(rows), 0))
        context: dict[str, Any] = {}
        for (name, labels), column in zip(self.labels.items(), values.T, strict=True):
            if labels is None:
                context[name] = torch.from_numpy(column.copy())
            else:
                context[name] = [None if np.isnan(value) else labels[int(value)] for value in column]
        return _Part(symbols, torch.from_numpy(rows.sizes[:, 0].astype(np.int64) + 1), context)


@dataclasses.dataclass(frozen=True)
class _Part:
    """Some texts as numbers, without padding; see `Encoded`."""

    symbols: list[Tensor]
    lengths: Tensor
    context: dict[str, Any]

    def batch(self, rows: Tensor) -> TextBatch:
        """Return a minibatch of some rows."""
        symbols = pad_sequence([self.symbols[row] for row in rows.tolist()], batch_first=True).long()
        return TextBatch(symbols, self.lengths[rows], select(self.context, rows))


def read_from_disk(train: Source, validation: Source | None, test: Source | None, settings: TextSettings) -> TextData:
    """Read every table; the training texts stay on the disk. See `TextData.read`.

    Without a validation table, a tenth of the distinct training texts is held out, but at most 10,000.
    """
    path, memory = pathlib.Path(train), settings.memory or 0.0
    unchanged, given = Unchanged(path), {"validation": validation, "test": test}
    check_row_groups(path, [settings.text, *settings.context], memory)
    with reading(path):
        settings = settings.replace(labels=(*settings.labels, *_columns_of_labels(path, settings)))
        survey = _Survey.of(path, settings)
        fields, hashes = survey.fields(), survey.hashes
        tables = {name: Table(one, f"`{name}`", settings) for name, one in given.items() if one is not None}
        others: dict[str, Texts | None] = {name: read_texts(table, settings) for name, table in tables.items()}
        distinct = in_order(hashes)
        if validation is None and len(distinct) < 2:
            raise InputError("`train` has a single distinct text, and none can be held out: give more, or `validation`")
        chosen = distinct[tenth(len(distinct), MOST)] if validation is None else distinct[:0]
        training, held_out = _write(
            path, settings, np.isin(hashes, chosen), fields, memory, np.setdiff1d(distinct, chosen)
        )
    others = {"validation": held_out if validation is None else others["validation"], "test": others.get("test")}
    kept, said = known_texts(others, fields, training.symbols, list(tables))
    seen = np.union1d(training.hashes, np.array(kept["validation"].hashes, np.int64))
    known = np.isin([hash_of(text) for text in kept["test"].symbols], seen)
    hashes_of = {"train": hash_of_file(path)} | {
        name: table.fingerprint([settings.text, *settings.context]) for name, table in tables.items()
    }
    unchanged.check()
    sources = {"train": train, **{name: given[name] for name in tables}}
    remarks = [
        *roles(fields),
        *unknown_in_words("training", survey.unknown, len(hashes)),
        *([held_out_in_words(len(chosen), len(distinct), "distinct training texts")] if validation is None else []),
        *said,
        *repeated_in_words(int(known.sum()), kept["test"]),
        _in_words(training),
    ]
    return TextData(
        training,
        kept["validation"],
        kept["test"],
        fields,
        sorted(training.symbols),
        {"files": {name: str(one) if is_path(one) else None for name, one in sources.items()}, "sha256": hashes_of},
        tuple(remarks),
        "polars",
    )


def _in_words(training: StoredTexts) -> str:
    """Return a sentence that says what stays on the disk, and what is in memory."""
    rows = training.rows
    held = min(len(rows), sum(rows.sizes[: rows.blocks_of_buffer(training.memory)]))
    return (
        f"The {len(rows)} training texts stay on the disk, as {rows.megabytes:.3g} MB of a temporary file; minibatches "
        f"are drawn from a buffer of {held} of them, and the model keeps 8 bytes of each distinct text."
    )


def _texts(path: pathlib.Path, settings: TextSettings) -> Iterator[tuple[int, Texts]]:
    """Yield the texts of a table in parts, and how many come before each."""
    for first, frame in pieces(path, [settings.text, *settings.context]):
        for start in range(0, frame.height, TEXTS):
            piece = Piece(frame.slice(start, TEXTS), path, first + start, settings)
            yield first + start, read_texts(piece, settings)


def _columns_of_labels(path: pathlib.Path, settings: TextSettings) -> list[str]:
    """Return the context columns that are labels, as not all of their values are numbers.

    Raises:
        InputError: most values of a column are numbers, but not all; or there are others, and `quantities` names it.
    """
    perhaps = [name for name in settings.context if name not in settings.labels]
    others, known = dict.fromkeys(perhaps, 0), dict.fromkeys(perhaps, 0)
    first: dict[str, tuple[str, str]] = {}
    categories, found = set[str](), set[str]()
    for start, frame in pieces(path, perhaps) if perhaps else ():
        piece = Piece(frame, path, start, settings)
        for name in perhaps:
            if piece.is_category(name):
                categories.add(name)
            elif not frame[name].dtype.is_numeric() and any(
                isinstance(one, str) for one in column_values(piece, name, settings)
            ):
                found.add(name)
            if frame[name].dtype == pl.String:
                cells = frame[name].str.strip_chars().fill_null("")
                wrong = ~cells.cast(pl.Float64, strict=False).is_finite().fill_null(value=False) & (cells != "")
                known[name] += int((cells != "").sum())
                others[name] += int(wrong.sum())
                if wrong.any() and name not in first:
                    place = int(wrong.arg_max() or 0)
                    first[name] = piece.where(place, name), cells[place]
    for name in found & first.keys():
        check_mixed(*first[name], others[name], known[name])
    return [name for name in perhaps if name in categories | found]


class _Survey:
    """What one pass over the texts finds.

    Attributes:
        hashes: of all texts, (N,).
        unknown: how many values of every context column are not known.
    """

    def __init__(self, settings: TextSettings) -> None:
        self.names, found = settings.context, settings.context
        self.unknown = dict.fromkeys(found, 0)
        self.numbers = {name: Moments(1) for name in found}
        self.labels: dict[str, set[str]] = {name: set() for name in found}
        self.is_label = {name: name in settings.labels for name in found}
        self.hashes = np.zeros(0, np.int64)

    @classmethod
    def of(cls, path: pathlib.Path, settings: TextSettings) -> _Survey:
        """Read the texts of a table."""
        found, hashes = cls(settings), []
        for _, texts in _texts(path, settings):
            hashes.append(np.array([hash_of(text) for text in texts.symbols], np.int64))
            for name, values in texts.context.items():
                found._add(name, [value for value in values if value is not None], len(values))
        found.hashes = np.concatenate(hashes)
        return found

    def _add(self, name: str, known: Sequence[Any], number: int) -> None:
        self.unknown[name] += number - len(known)
        if self.is_label[name]:
            self.labels[name].update(known)
        elif known:
            self.numbers[name].add(np.array(known, np.float64)[:, None])

    def fields(self) -> dict[str, Field]:
        """Return a field for every context column; see `data.learn_fields`."""
        return {name: self._field(name) for name in self.names}

    def _field(self, name: str) -> Field:
        if self.unknown[name] == len(self.hashes):
            raise InputError(f"`context`: no value of the column {name!r} is known in the training table")
        if self.is_label[name]:
            return Label(sorted(self.labels[name]), unknown=True)
        numbers = self.numbers[name]
        low, high = float(numbers.low[0]), float(numbers.high[0])
        (mean,), (deviation,) = numbers.found()
        return Quantity(
            mean=float(mean), deviation=float(deviation) if low < high else 1.0, unknown=True, observed=(low, high)
        )


def _write(
    path: pathlib.Path,
    settings: TextSettings,
    held_out: np.ndarray,
    fields: dict[str, Field],
    memory: float,
    hashes: np.ndarray,
) -> tuple[StoredTexts, Texts]:
    """Write the texts that are not held out to a file; return these and the held-out ones.

    Args:
        path: of the table.
        settings: of the model.
        held_out: whether each text is, (N,).
        fields: of the context columns.
        memory: gigabytes of the buffer.
        hashes: of the distinct texts that are not held out, sorted.
    """
    rows, numbers, longest = StoredRows(2), dict[str, int](), 0
    labels = {name: field.names if isinstance(field, Label) else None for name, field in fields.items()}
    places = {name: {label: place for place, label in enumerate(names or ())} for name, names in labels.items()}
    others = Texts([], {name: [] for name in fields}, [])
    for first, texts in _texts(path, settings):
        out = held_out[first : first + len(texts)]
        part, own = texts.take(np.flatnonzero(~out).tolist()), texts.take(np.flatnonzero(out).tolist())
        others.add(own)
        context = np.full((len(part), len(fields)), np.nan)
        for column, (name, values) in enumerate(part.context.items()):
            known = places[name]
            context[:, column] = [
                np.nan if value is None else known[value] if isinstance(value, str) else value for value in values
            ]
        symbols = [[numbers.setdefault(symbol, len(numbers)) for symbol in text] for text in part.symbols]
        rows.add(Rows.of(list(zip(symbols, context.view(np.int32), strict=True))))
        longest = max([longest, *map(len, symbols)])
    return StoredTexts(rows, list(numbers), labels, hashes, longest, memory), others
