"""Texts as numbers, and minibatches of texts of similar length."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..._core.group import draw_rows
from .data import Texts, Values

END = 0  # the category that ends a text; symbols are numbered from 1


class TextBatch(NamedTuple):
    """A minibatch.

    Attributes:
        symbols: (B, T) the numbers of the symbols, with `END` last, padded with 0.
        lengths: (B,) the number of symbols of each text, its end included.
        context: the values of every context column.
    """

    symbols: Tensor
    lengths: Tensor
    context: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Encoded:
    """Texts as numbers.

    Attributes:
        symbols: (N, T) padded with 0; kept as small integers.
        lengths: (N,), the ends included.
        context: the values of every context column: (N,) numbers, NaN where unknown, or a list of labels, None where
            unknown.
    """

    symbols: Tensor
    lengths: Tensor
    context: dict[str, Any]

    @classmethod
    def of(cls, texts: Texts, symbols: Sequence[str]) -> Encoded:
        """Encode texts, all of whose symbols are among `symbols`."""
        numbers = {symbol: number for number, symbol in enumerate(symbols, start=1)}
        rows = [torch.tensor([*(numbers[one] for one in text), END], dtype=torch.int32) for text in texts.symbols]
        lengths = torch.tensor([len(row) for row in rows])
        return cls(pad_sequence(rows, batch_first=True), lengths, columns(texts.context))

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)

    def batch(self, rows: Tensor) -> TextBatch:
        """Return a minibatch of some rows."""
        lengths = self.lengths[rows]
        symbols = self.symbols[rows, : int(lengths.max())].long()
        return TextBatch(symbols, lengths, select(self.context, rows))

    def in_order(self, size: int) -> Iterator[TextBatch]:
        """Yield minibatches of the texts, in order."""
        return (self.batch(rows) for rows in torch.arange(len(self)).split(size))

    def bucketed(self, size: int, updates: int | None = None, around: int = 50) -> Iterator[TextBatch]:
        """Yield an epoch's minibatches of `size` texts of similar length, in random order: of all, or `updates`.

        The texts are shuffled, and then sorted by length within groups of `around` minibatches, so that minibatches
        differ between epochs. Random numbers come from torch's global generator.
        """
        return map(self.batch, bucketed(self.lengths, size, None if updates is None else updates * size, around))

    def parts(self) -> Iterator[Encoded]:
        """Yield the texts in parts that fit into the memory: all of them."""
        yield self


def bucketed(lengths: Tensor, size: int, most: int | None = None, around: int = 50) -> Iterator[Tensor]:
    """Return the rows of minibatches of texts of similar length; see `Encoded.bucketed`.

    Args:
        lengths: of all texts, (N,).
        size: of a minibatch.
        most: the number of texts that are chosen; None takes all.
        around: the number of minibatches in a group.
    """
    groups = torch.randperm(len(lengths))[:most].split(size * around)
    batches = [rows for group in groups for rows in group[lengths[group].argsort()].split(size)]
    return (batches[place] for place in torch.randperm(len(batches)).tolist())


def columns(values: Values) -> dict[str, Any]:
    """Return context columns as a `Context` reads them: numbers as a tensor, labels as a list."""
    found: dict[str, Any] = {}
    for name, column in values.items():
        if any(isinstance(value, str) for value in column):
            found[name] = column
        else:
            nan = float("nan")
            found[name] = torch.tensor([nan if value is None else value for value in column], dtype=torch.float64)
    return found


def select(context: dict[str, Any], rows: Tensor) -> dict[str, Any]:
    """Return some rows of context columns."""
    return {
        name: column[rows] if isinstance(column, Tensor) else [column[row] for row in rows.tolist()]
        for name, column in context.items()
    }


def dropped(context: dict[str, Any], share: float, size: int) -> dict[str, Any]:
    """Return context columns of which a part of the values is unknown.

    The probability r that a value of a text is left out is drawn for each text, with mean `share`:

        r = u^((1 - share) / share),  u uniform in (0, 1)

    So texts of which all values are known, and texts of which none is, are common in training. Random numbers come from
    torch's global generator.

    Args:
        context: the columns, of `size` rows each.
        share: the mean share of values to leave out.
        size: the number of texts.
    """
    if not share or not context:
        return context
    rate = draw_rows(lambda rows: torch.rand(rows, 1), size) ** ((1 - share) / share)
    out = draw_rows(lambda rows: torch.rand(rows, len(context)), size) < rate
    return {
        name: torch.where(mask.to(column.device), torch.nan, column)
        if isinstance(column, Tensor)
        else [None if absent else label for absent, label in zip(mask.tolist(), column, strict=True)]
        for (name, column), mask in zip(context.items(), out.unbind(1), strict=True)
    }
