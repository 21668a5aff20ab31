"""Pairs as numbers: the vocabulary of a side, and minibatches of encoded pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

START, END, UNKNOWN = 0, 1, 2
SPECIAL = 3  # the number of the first symbol; the special symbols come before it


class Vocabulary:
    """The symbols of one side, numbered from `SPECIAL` on; start, end and unknown come before them.

    Args:
        symbols: the distinct symbols, in their order.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)
        self.numbers = {symbol: number for number, symbol in enumerate(self.symbols, start=SPECIAL)}

    @classmethod
    def of(cls, sides: Iterable[tuple[str, ...]]) -> Vocabulary:
        """Return the vocabulary of all symbols that occur, sorted."""
        return cls(sorted({symbol for side in sides for symbol in side}))

    def __len__(self) -> int:
        """Return the number of symbols, special ones included."""
        return SPECIAL + len(self.symbols)

    def encode(self, symbols: Sequence[str]) -> Tensor:
        """Return the numbers of symbols, (T,); symbols that are not in the vocabulary become `UNKNOWN`."""
        return torch.tensor([self.numbers.get(symbol, UNKNOWN) for symbol in symbols], dtype=torch.long)

    def unknown(self, symbols: Sequence[str]) -> list[str]:
        """Return the distinct symbols that are not in the vocabulary."""
        return [symbol for symbol in dict.fromkeys(symbols) if symbol not in self.numbers]

    def decode(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """Return the symbols of numbers, without the special ones."""
        return tuple(self.symbols[number - SPECIAL] for number in numbers if number >= SPECIAL)


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A pair as numbers: `source` (S,), `target` (T,), and its label.

    The label is its number, 0 if there is none; or, if labels have tags, which of n tags it has, (n,).
    """

    source: Tensor
    target: Tensor
    label: int | Tensor = 0


class PairBatch(NamedTuple):
    """Padded pairs: `source` (B, S), `target` (B, T) without start and end, the lengths (B,) of both, and the labels.

    Labels are numbers (B,), or tags (B, n).
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor
    target_lengths: Tensor
    label: Tensor


def collate(pairs: Sequence[Encoded]) -> PairBatch:
    """Return encoded pairs as one minibatch, padded with 0."""
    sides = [pair.source for pair in pairs], [pair.target for pair in pairs]
    source, target = (pad_sequence(side, batch_first=True) for side in sides)
    source_lengths, target_lengths = (torch.tensor([len(one) for one in side]) for side in sides)
    labels = torch.stack([torch.as_tensor(pair.label) for pair in pairs])
    return PairBatch(source, source_lengths, target, target_lengths, labels)


def bucketed(
    pairs: Sequence[Encoded],
    size: int,
    around: int = 20,
    symbols: int | None = None,
    lengths: Sequence[tuple[int, int]] | None = None,
) -> Iterator[PairBatch]:
    """Yield an epoch's minibatches of pairs of similar length, in random order.

    The pairs are shuffled, and then sorted by length within groups of `around` minibatches, so that minibatches differ
    between epochs. Random numbers come from torch's global generator.

    Args:
        pairs: of the epoch.
        size: the number of pairs in a minibatch; not used with `symbols`.
        around: the number of minibatches in a group.
        symbols: the largest number of symbols in a minibatch, padding and both sides included; a pair that is longer
            is a minibatch of its own. None limits the number of pairs instead.
        lengths: of the sources and targets; None takes them from the pairs.
    """
    lengths = [_lengths(pair) for pair in pairs] if lengths is None else lengths
    order = torch.randperm(len(pairs)).tolist()
    if symbols is not None and pairs:
        size = max(1, symbols * len(pairs) // sum(map(sum, lengths)))  # of a group
    batches = []
    for start in range(0, len(order), size * around):
        group = sorted(order[start : start + size * around], key=lengths.__getitem__)
        if symbols is None:
            batches += [group[at : at + size] for at in range(0, len(group), size)]
        else:
            batches += by_symbols(group, [lengths[row] for row in group], symbols)
    for number in torch.randperm(len(batches)).tolist():
        yield collate([pairs[row] for row in batches[number]])


def updates_of_epoch(pairs: Sequence[Encoded], size: int, symbols: int | None) -> int:
    """Return the number of minibatches of an epoch of `bucketed`; with `symbols`, about this number."""
    if symbols is None:
        return -(-len(pairs) // size)
    return -(-sum(sum(_lengths(pair)) for pair in pairs) // symbols)


def by_symbols(rows: Sequence[int], lengths: Sequence[tuple[int, int]], most: int) -> list[list[int]]:
    """Split rows, in order, into minibatches of at most `most` symbols, padding included.

    Args:
        rows: the numbers of pairs.
        lengths: the lengths of their sources and targets.
        most: of symbols in a minibatch; a row that has more is a minibatch of its own.
    """
    batches: list[list[int]] = []
    widest = 0, 0
    for row, (source, target) in zip(rows, lengths, strict=True):
        widest = max(widest[0], source), max(widest[1], target)
        if not batches or (len(batches[-1]) + 1) * sum(widest) > most:
            batches.append([])
            widest = source, target
        batches[-1].append(row)
    return batches


def _lengths(pair: Encoded) -> tuple[int, int]:
    return len(pair.source), len(pair.target)
