"""Pairs of a source and a target from a text file: a line each, the two sides parted by a tab.

A side is a string of characters, or of symbols parted by spaces: of symbols where most lines of the file have a space
on that side. A letter and its accent may be written as one code point or as two: texts that Unicode holds equal are one
text here (its form NFC). Nothing else is changed or folded.
"""

from __future__ import annotations

import dataclasses
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..errors import InputError

Unit = Literal["characters", "symbols"]
START, END, UNKNOWN = 0, 1, 2
SPECIAL = 3  # numbers below it are no symbols of the text
LONGEST = 1000


@dataclasses.dataclass(frozen=True)
class Pair:
    """A source and a target, each a tuple of symbols; and what the source is labelled with, such as its language."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class Units:
    """What the sides are made of."""

    source: Unit
    target: Unit


def read_pairs(
    path: str | os.PathLike[str], units: Units | None = None, longest: int = LONGEST, label: str | None = None
) -> tuple[list[Pair], Units]:
    """Read a file of pairs.

    Args:
        path: a text file, UTF-8.
        units: what the sides are made of; None finds out from the file.
        longest: the most symbols that a side may have.
        label: of every pair.

    Returns:
        The pairs, line by line, and what their sides are made of. Empty lines are left out.

    Raises:
        InputError: there is no such file, it is empty or not UTF-8, or a line has no tab or more than one, an empty
            side, or one that is too long; names the file and the line.
    """
    rows = [(f"{path}, line {number}", line) for number, line in _lines(path) if line]
    if not rows:
        raise InputError(f"{path} is empty: lines of a source, a tab and a target are right")
    texts = [_sides(place, line) for place, line in rows]
    units = units or Units(_unit([source for source, _ in texts]), _unit([target for _, target in texts]))
    pairs = []
    for (place, _), (source, target) in zip(rows, texts, strict=True):
        sides = split(place, source, units.source, longest), split(place, target, units.target, longest)
        pairs.append(Pair(*sides, label))
    return pairs, units


def read_labelled(
    files: Sequence[str], units: Units | None = None, longest: int = LONGEST
) -> tuple[list[Pair], list[str], Units]:
    """Read several files of pairs, each `PATH`, or `LABEL=PATH` where its pairs have a label.

    Args:
        files: all with a label, or a single one without.
        units: what the sides are made of; None finds out from the first file.
        longest: the most symbols that a side may have.

    Returns:
        The pairs, the labels in their order, and what the sides are made of.

    Raises:
        InputError: as `read_pairs`; and where a label is missing or stands twice.
    """
    named = [label_and_path(file) for file in files]
    labels = [label for label, _ in named if label is not None]
    if len(labels) < len(files) and len(files) > 1:
        bare = next(path for label, path in named if label is None)
        raise InputError(f"{bare}: of several files each needs a label, LABEL=PATH, such as fre={bare}")
    if len(set(labels)) < len(labels):
        raise InputError(f"the labels {', '.join(labels)} must differ: one file a label")
    pairs: list[Pair] = []
    for label, path in named:
        found, units = read_pairs(path, units, longest, label)
        pairs += found
    assert units is not None
    return pairs, labels, units


def label_and_path(text: str) -> tuple[str | None, str]:
    """Return the label and the path of `LABEL=PATH`; no label where there is no sign, or a file is called just so."""
    label, sign, path = text.partition("=")
    return (None, text) if not sign or not label or os.path.exists(text) else (label, path)


def read_sources(
    lines: Iterable[bytes], name: str, unit: Unit, longest: int = LONGEST
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every line of a stream, as text and as a tuple of symbols; an empty line has none.

    Args:
        lines: such as `open(path, "rb")` or `sys.stdin.buffer`.
        name: of the stream, for what is said of a bad line.
        unit: what sources are made of.
        longest: the most symbols that a line may have.

    Raises:
        InputError: a line is not UTF-8, has a tab, or is too long; names it.
    """
    for number, line in enumerate(lines, start=1):
        place, text = f"{name}, line {number}", _decoded(name, number, line)
        if "\t" in text:
            raise InputError(f"{place} has a tab, as pairs have; lines of sources alone are right")
        is_empty = not (text.strip() if unit == "symbols" else text)
        yield text, () if is_empty else split(place, text, unit, longest, "the line")


def split(place: str, text: str, unit: Unit, longest: int = LONGEST, what: str = "a side") -> tuple[str, ...]:
    """Return the symbols of a side, or of `what` it is called; raise InputError where there are none or too many."""
    text = unicodedata.normalize("NFC", text)
    symbols = tuple(text.split()) if unit == "symbols" else tuple(text)
    if not symbols:
        raise InputError(f"{place}: {what} holds nothing but spaces")
    if len(symbols) > longest:
        raise InputError(f"{place}: {what} has {len(symbols)} {unit}, where at most {longest} are taken")
    return symbols


def join(symbols: Sequence[str], unit: Unit) -> str:
    """Return the text of symbols."""
    return (" " if unit == "symbols" else "").join(symbols)


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "a pipe or a device"
        raise InputError(f"{path} is {kind}; a regular file, which is read more than once, is right")
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, _decoded(path, number, line)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _decoded(name: str | os.PathLike[str], number: int, line: bytes) -> str:
    encoding = "utf-8-sig" if number == 1 else "utf-8"  # the mark that some editors put at the start is no symbol
    try:
        return line.decode(encoding).rstrip("\r\n")
    except UnicodeDecodeError as error:
        place = f"{name}, line {number}"
        raise InputError(f"{place}: byte {error.start + 1} is not UTF-8, which is what the file must be in") from None


def _sides(place: str, line: str) -> tuple[str, str]:
    parts = line.split("\t")
    if len(parts) != 2:
        found = "no tab" if len(parts) == 1 else f"{len(parts) - 1} tabs"
        raise InputError(f"{place} has {found}, where one, between source and target, is right")
    if not parts[0] or not parts[1]:
        raise InputError(f"{place}: the {'source' if not parts[0] else 'target'} is empty")
    return parts[0], parts[1]


def _unit(texts: list[str]) -> Unit:
    return "symbols" if sum(" " in text for text in texts) > len(texts) / 2 else "characters"


class Vocabulary:
    """The symbols of one side, numbered from `SPECIAL` on; start, end and unknown come before.

    Args:
        symbols: each once, in their order.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)
        self.numbers = {symbol: number for number, symbol in enumerate(self.symbols, start=SPECIAL)}

    @classmethod
    def of(cls, sides: Iterable[tuple[str, ...]]) -> Vocabulary:
        """Return the vocabulary of the symbols that are there, sorted."""
        return cls(sorted({symbol for side in sides for symbol in side}))

    def __len__(self) -> int:
        """Return how many numbers there are, the special ones among them."""
        return SPECIAL + len(self.symbols)

    def encode(self, symbols: Sequence[str]) -> Tensor:
        """Return the numbers of symbols (T,); `UNKNOWN` for those that are not in it."""
        return torch.tensor([self.numbers.get(symbol, UNKNOWN) for symbol in symbols], dtype=torch.long)

    def unknown(self, symbols: Sequence[str]) -> list[str]:
        """Return the symbols that are not in it, each once."""
        return [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.numbers]

    def decode(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """Return the symbols of numbers; special ones are left out."""
        return tuple(self.symbols[number - SPECIAL] for number in numbers if number >= SPECIAL)


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A pair as numbers: `source` (S,), `target` (T,), and the number of its label, 0 where it has none."""

    source: Tensor
    target: Tensor
    label: int = 0


class PairBatch(NamedTuple):
    """Padded pairs: `source` (B, S), `target` (B, T) without start and end, how many symbols each has, labels (B,)."""

    source: Tensor
    source_lengths: Tensor
    target: Tensor
    target_lengths: Tensor
    label: Tensor


def collate(pairs: Sequence[Encoded]) -> PairBatch:
    """Return encoded pairs as one batch, padded with 0."""
    sides = [pair.source for pair in pairs], [pair.target for pair in pairs]
    source, target = (pad_sequence(side, batch_first=True) for side in sides)
    sizes, lengths = (torch.tensor([len(one) for one in side]) for side in sides)
    return PairBatch(source, sizes, target, lengths, torch.tensor([pair.label for pair in pairs]))


def bucketed(pairs: Sequence[Encoded], size: int, around: int = 20) -> Iterator[PairBatch]:
    """Yield an epoch's batches, each of similar lengths, in random order; draws from torch's global generator.

    The shuffled pairs are sorted by length within stretches of `around` batches, so that batches differ between epochs.
    """
    order = torch.randperm(len(pairs)).tolist()
    batches = []
    for start in range(0, len(order), size * around):
        stretch = sorted(order[start : start + size * around], key=lambda row: _lengths(pairs[row]))
        batches += [stretch[at : at + size] for at in range(0, len(stretch), size)]
    for number in torch.randperm(len(batches)).tolist():
        yield collate([pairs[row] for row in batches[number]])


def _lengths(pair: Encoded) -> tuple[int, int]:
    return len(pair.source), len(pair.target)
