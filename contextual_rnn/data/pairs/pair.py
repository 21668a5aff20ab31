"""A pair, and the pairs of a source of data."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..._core.counted import counted
from ...errors import InputError
from ..units import Units, cleaned, symbol_name
from ..units import split as split_text

LONGEST = 1000  # symbols of a side

# A path or `LABEL=PATH`, several of them, a data frame, a list of tuples, or a dict from labels to any of these.
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
        labels: the distinct labels, or their distinct tags, in the order in which they first appear; empty if pairs
            have none.
        units: of both sides.
        files: the files that were read, as they were named.
        label_separator: what separates the tags of a label; None if a label is one.
        notes: sentences on what was inferred from the files.
    """

    pairs: list[Pair]
    labels: list[str]
    units: Units
    files: list[str]
    label_separator: str | None = None
    notes: list[str] = dataclasses.field(default_factory=list)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the pairs, to detect that data have changed."""
        rows = [(pair.source, pair.target, pair.label) for pair in self.pairs]
        return hashlib.sha256(repr(rows).encode("utf-8", "backslashreplace")).hexdigest()


class Row(NamedTuple):
    """A pair as text, and where it stands, for errors."""

    place: str
    source: str
    target: str
    label: str | None = None


def split(what: str, text: str, unit: str) -> tuple[str, ...]:
    """Return the symbols of a text; raise InputError, about `what`, if there are none or more than `LONGEST`."""
    if not cleaned(text):
        raise InputError(f"{what} has nothing but spaces")
    try:
        symbols = split_text(text, unit)
    except InputError as error:
        side = what.rpartition(" ")[2]
        raise InputError(f"{what} {text!r}: {error}; correct the line, or give another `{side}_unit`") from None
    if len(symbols) > LONGEST:
        raise InputError(f"{what} has {counted(len(symbols), symbol_name(unit))}; at most {LONGEST} are allowed")
    return symbols
