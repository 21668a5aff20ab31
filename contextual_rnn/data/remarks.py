"""Remarks on the context columns of a training table that are read as they are, but may be meant in another way."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl

from .clock import read_clock
from .mends import number

# Numbers that are not read as such: with a percent or currency sign, with blanks or commas between digits, or a time.
LIKE_A_NUMBER = r"^[$€£]?\s*[+-]?\d[\d.,:_' ]*\s*[%$€£]?$"


def perhaps_numbers(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each column of labels that are times, or numbers with signs or separators.

    Args:
        columns: the labels of each column.
    """
    sentences = []
    for name, labels in columns.items():
        if all(number(label) is not None for label in labels):
            continue
        is_number = all(re.match(LIKE_A_NUMBER, label) for label in labels)
        if is_number or read_clock(pl.Series(labels)) is not None:
            sentences.append(
                f"The column {name!r} is read as labels, such as {labels[0]!r}; if its cells are quantities, write "
                "them as plain numbers."
            )
    return sentences


def leading_zeros(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each column of quantities with numbers such as 007.

    Args:
        columns: the cells of each column as they are written.
    """
    found = {
        name: next((cell for cell in cells if re.fullmatch(r"0\d+", cell)), None) for name, cells in columns.items()
    }
    return [
        f"The column {name!r} has numbers such as {cell} and is read as a quantity; if they are names, give `labels` "
        f"{name}."
        for name, cell in found.items()
        if cell
    ]
