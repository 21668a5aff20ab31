"""Training pairs that stay on the disk: the numbers of their symbols in a file, read in random order.

The Parquet table is read twice: to find the labels and the sources, of which some are held out, and to write the pairs
to train on. In between, some of them are read to find subwords.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from ...data.encoded_pairs import SPECIAL, Encoded, PairBatch, bucketed
from ...data.held_out import MOST, hash_of, held_out_in_words, in_order, tenth
from ...data.pairs import Pair, Pairs, PairSource, read_pairs
from ...data.pairs.labels import USUAL, tags_of
from ...data.parquet import hash_of as hash_of_file
from ...data.parquet import is_larger, pieces, scan, texts_are_larger
from ...data.piece import Piece
from ...data.row_groups import check_row_groups
from ...data.stored_rows import Rows, StoredRows
from ...errors import InputError
from ...table_files.open import reading
from ...table_files.unchanged import Unchanged
from .data import MANY, PairData, check_labels, many_in_words, single_source
from .network import PairNetwork
from .questions import questions
from .settings import PairSettings
from .subwords import Sides, cut, in_words, train_subwords

PAIRS = 1 << 15  # pairs that are converted at once
FOR_SUBWORDS = 200_000  # pairs that subwords are found on


@dataclasses.dataclass(frozen=True)
class StoredPairs:
    """Training pairs in a file.

    Attributes:
        rows: of three parts: the numbers of the symbols of the source and of the target, and of the tags of the label.
        sources: the symbols of sources, by their numbers in the file, from 0.
        targets: those of targets.
        memory: gigabytes of the buffer that pairs are drawn from.
        overlap: how many of the validation and test sources are among those of the table, by name.
    """

    rows: StoredRows
    sources: list[str]
    targets: list[str]
    memory: float
    overlap: dict[str, int]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.rows)

    def updates(self, model: PairNetwork, size: int, symbols: int | None) -> int:
        """Return the number of minibatches of an epoch; with `symbols`, about this number."""
        if symbols is None:
            return -(-len(self) // size)
        source, target, tags = self.rows.total.tolist()
        return -(-(source + target + len(self) + (tags if model.settings.label == "token" else 0)) // symbols)

    def batches(self, model: PairNetwork, size: int, symbols: int | None) -> Iterator[PairBatch]:
        """Yield an epoch's minibatches of a model; see `bucketed`, and `StoredRows` for their order."""
        orders = [_order(names) for names in (self.sources, self.targets)]
        for rows in self.rows.buffers(self.memory):
            pairs = _Buffer(rows, model, orders)
            yield from bucketed(pairs, size, symbols=symbols, lengths=pairs.lengths)


def _order(names: list[str]) -> np.ndarray:
    """Return the number in the vocabulary of each symbol."""
    order = np.empty(len(names), np.int64)
    order[sorted(range(len(names)), key=names.__getitem__)] = np.arange(SPECIAL, SPECIAL + len(names))
    return order


class _Buffer(Sequence[Encoded]):
    """Pairs in memory as numbers, each encoded when it is asked for."""

    def __init__(self, rows: Rows, model: PairNetwork, orders: list[np.ndarray]) -> None:
        self.parts, self.model, self.orders = [rows.part(number) for number in range(3)], model, orders
        tags = rows.sizes[:, 2] if model.reads_token else 0
        self.lengths = list(zip((rows.sizes[:, 0] + 1 + tags).tolist(), rows.sizes[:, 1].tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: Any) -> Any:
        source, target = (
            torch.from_numpy(order[part[row]]) for order, part in zip(self.orders, self.parts, strict=False)
        )
        label = torch.from_numpy(self.parts[2][row].astype(np.int64))
        return self.model.assemble(source, target, label if len(label) else None)


def is_stored(train: PairSource, files: PairSettings) -> bool:
    """Return whether training pairs take more memory than the settings allow; see `parquet.texts_are_larger`."""
    if is_larger(train, 4, files.memory or 0.0):
        return True
    names = list(files.columns) or scan(pathlib.Path(str(train))).collect_schema().names()
    return texts_are_larger(train, names, files.memory or 0.0)


def read_from_disk(
    train: PairSource, validation: PairSource | None, test: PairSource | None, files: PairSettings
) -> PairData:
    """Read all pairs; the training pairs stay on the disk. See `PairData.read`.

    Without validation pairs, a tenth of the training sources is held out, or of the pairs, but at most 10,000.
    """
    path = pathlib.Path(str(train))
    unchanged = Unchanged(path)
    with reading(path):
        table = _Table.of(path, files)
        read = {
            name: read_pairs(source, like=table.head, name=f"`{name}`", **files.options())
            for name, source in (("validation", validation), ("test", test))
            if source is not None
        }
        for name, pairs in read.items():
            check_labels(f"`{name}`", pairs, table.head)
        held_out, notes = table.held_out() if validation is None else (np.zeros(len(table), bool), [])
        kept = int((~held_out).sum())
        step = max(-(-kept // FOR_SUBWORDS), 1)
        sample = list(itertools.islice(table.kept(held_out), 0, None, step)) if table.has_subwords else []
        sides = train_subwords(sample, table.head.units, files.subwords, files.shared_subwords, kept)
        rows, sources, targets, out = table.write(held_out, sides)
    tested = {name: pairs.pairs for name, pairs in read.items()} | (
        {} if validation is not None else {"validation": out}
    )
    known = np.unique(table.sources[~held_out])
    asked = {name: questions(cut(pairs, sides)) for name, pairs in tested.items()}
    overlap = {
        name: int(np.isin([_key(pair) for pair in questions(pairs)], known).sum()) for name, pairs in tested.items()
    }
    training = StoredPairs(rows, sources, targets, files.memory or 0.0, overlap)
    identity = {
        "files": {"train": [str(path)], **{name: pairs.files for name, pairs in read.items()}},
        "sha256": {"train": hash_of_file(path), **{name: pairs.fingerprint() for name, pairs in read.items()}},
    }
    unchanged.check()
    notes = list(dict.fromkeys([*table.notes, *(one for pairs in read.values() for one in pairs.notes), *notes]))
    return PairData(
        training,
        asked["validation"],
        asked.get("test", []),
        table.head.labels,
        table.head.units,
        identity,
        table.head.label_separator,
        [*notes, *in_words(sides), _in_words(training, len(sample))],
        sides,
    )


def _key(pair: Any) -> int:
    """Return a hash of the source and the label of a pair or a question."""
    return hash_of((*pair.source, "\n", pair.label or ""))


def _in_words(training: StoredPairs, sample: int) -> str:
    """Return a sentence that says what stays on the disk, and what is in memory."""
    rows = training.rows
    held = min(len(rows), sum(rows.sizes[: rows.blocks_of_buffer(training.memory)]))
    found = f", and subwords were found on {sample} of them" if sample else ""
    return (
        f"The {len(rows)} training pairs stay on the disk, as {rows.megabytes:.3g} MB of a temporary file; minibatches "
        f"are drawn from a buffer of {held} of them{found}."
    )


def _have_tags(labels: Sequence[str]) -> bool:
    return any(USUAL in label for label in labels)


class _Table:
    """A table of pairs that is read several times.

    Attributes:
        head: its first pairs, which say what its symbols are and what separates the tags of a label; and all labels.
        notes: sentences on what was inferred.
        sources: a hash of the source and the label of every pair, (N,).
    """

    def __init__(self, path: pathlib.Path, files: PairSettings) -> None:
        self.path, self.files = path, files
        self.names = list(files.columns) or scan(path).collect_schema().names()
        check_row_groups(path, self.names, files.memory or 0.0)
        _, frame = next(pieces(path, self.names, PAIRS))
        self.head = read_pairs(Piece(frame, path, 0), name=str(path), **files.options())
        self.notes, self.sources = list(self.head.notes), np.zeros(0, np.int64)

    @classmethod
    def of(cls, path: pathlib.Path, files: PairSettings) -> _Table:
        """Read a table once, for its labels and sources."""
        found, hashes, labels = cls(path, files), [], dict[str, None]()
        for pairs in found._parts():
            hashes.append(np.array([_key(pair) for pair in pairs.pairs], np.int64))
            labels |= dict.fromkeys(pairs.labels)
            found.notes += pairs.notes
            if files.label_separator is None and found.head.label_separator is None and _have_tags(pairs.labels):
                raise InputError(
                    f"{path}: labels have a semicolon, but not the first ones; give `label_separator` ; or none"
                )
            if bool(pairs.labels) != bool(found.head.labels):
                raise InputError(f"{path}: some pairs have a label, and others have none; give every pair one, or none")
        found.sources = np.concatenate(hashes)
        found.head = dataclasses.replace(found.head, pairs=[], labels=list(labels))
        return found

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def has_subwords(self) -> bool:
        """Whether a side has subwords."""
        return "subwords" in (self.head.units.source, self.head.units.target)

    def _parts(self) -> Iterator[Pairs]:
        for first, frame in pieces(self.path, self.names):
            for start in range(0, frame.height, PAIRS):
                piece = Piece(frame.slice(start, PAIRS), self.path, first + start)
                yield read_pairs(piece, like=self.head, name=str(self.path), **self.files.options())

    def kept(self, held_out: np.ndarray) -> Iterator[Pair]:
        """Yield every pair that is not held out."""
        place = 0
        for pairs in self._parts():
            out = held_out[place : place + len(pairs.pairs)]
            place += len(out)
            yield from itertools.compress(pairs.pairs, ~out)

    def held_out(self) -> tuple[np.ndarray, list[str]]:
        """Return whether each pair is held out, (N,), and a sentence on them; see `data.hold_out`."""
        distinct = in_order(self.sources)
        if len(self) >= MANY * len(distinct):
            held_out = np.zeros(len(self), bool)
            held_out[tenth(len(self), MOST)] = True
            return held_out, [many_in_words(len(self) / len(distinct))]
        if len(distinct) < 2:
            raise single_source()
        chosen = distinct[tenth(len(distinct), MOST)]
        return np.isin(self.sources, chosen), [held_out_in_words(len(chosen), len(distinct), "training sources")]

    def write(self, held_out: np.ndarray, sides: Sides) -> tuple[StoredRows, list[str], list[str], list[Pair]]:
        """Write the pairs that are not held out; return them, the symbols of both sides, and those that are."""
        rows, numbers, others = StoredRows(3), (dict[str, int](), dict[str, int]()), list[Pair]()
        tags, place = {label: number for number, label in enumerate(self.head.labels)}, 0
        for pairs in self._parts():
            out = held_out[place : place + len(pairs.pairs)]
            place += len(out)
            others += itertools.compress(pairs.pairs, out)
            kept = cut(list(itertools.compress(pairs.pairs, ~out)), sides)
            rows.add(Rows.of([self._numbers(pair, numbers, tags) for pair in kept]))
        return rows, list(numbers[0]), list(numbers[1]), others

    def _numbers(self, pair: Pair, numbers: tuple[dict[str, int], ...], tags: dict[str, int]) -> list[list[int]]:
        sides = zip((pair.source, pair.target), numbers, strict=True)
        found = [[known.setdefault(symbol, len(known)) for symbol in side] for side, known in sides]
        return [*found, [tags[tag] for tag in tags_of(pair.label, self.head.label_separator)]]
