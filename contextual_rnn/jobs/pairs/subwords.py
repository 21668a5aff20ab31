"""The subwords of pairs: found on the training pairs, and applied to all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...data.pairs import LONGEST, Pair
from ...data.subwords import MOST, Subwords, suitable_size
from ...data.units import Units
from ...errors import InputError

Sides = dict[str, Subwords]  # by "source" and "target", of the sides whose symbols are subwords


def train_subwords(
    pairs: Sequence[Pair], units: Units, size: int | None, shared: bool, number: int | None = None
) -> Sides:
    """Return what splits the sides whose unit is subwords, trained on pairs whose texts are whole.

    Args:
        pairs: the training pairs.
        units: of both sides.
        size: the number of subwords of a side; None takes one that suits the number of pairs.
        shared: whether both sides have the same subwords.
        number: of all training pairs, of which `pairs` may be a sample; None is the number of `pairs`.

    Raises:
        InputError: sentencepiece is not installed, or the texts do not have so many subwords.
    """
    sides = [side for side in ("source", "target") if getattr(units, side) == "subwords"]
    suitable: dict[str, Any] = {"size": suitable_size(number or len(pairs)), "nearest": True}
    given = suitable if size is None else {"size": size}
    texts = {side: [getattr(pair, side)[0] for pair in pairs] for side in sides}
    if shared and len(sides) == 2:
        both = Subwords.train([text for side in sides for text in texts[side]], **given)
        return dict.fromkeys(sides, both)
    return {side: Subwords.train(texts[side], **given) for side in sides}


def number_of(sides: Sides, given: int | None) -> int:
    """Return the number of subwords of a side that a run records: the given one, else the larger one of its sides.

    Without subwords it is `MOST`, as runs have recorded before.
    """
    return max(map(len, sides.values()), default=MOST) if given is None else given


def in_words(sides: Sides) -> list[str]:
    """Return a sentence on the number of subwords; none if no side has any."""
    if not sides:
        return []
    shown = " and ".join(f"up to {len(one)} of {side}s" for side, one in sides.items())
    return [f"Subwords: {shown} (`subwords` changes this)."]


def cut(pairs: Sequence[Pair], sides: Sides) -> list[Pair]:
    """Return pairs whose whole texts are split into subwords."""
    if not sides:
        return list(pairs)

    def symbols(pair: Pair, side: str) -> tuple[str, ...]:
        whole: tuple[str, ...] = getattr(pair, side)
        return split_text(f"the {side}", whole[0], sides[side]) if side in sides else whole

    return [Pair(symbols(pair, "source"), symbols(pair, "target"), pair.label) for pair in pairs]


def split_text(what: str, text: str, subwords: Subwords) -> tuple[str, ...]:
    """Return the subwords of a text; raise InputError, about `what`, if there are more than `LONGEST`."""
    symbols = subwords.split(text)
    if len(symbols) > LONGEST:
        raise InputError(f"{what} {text[:40]!r}... has {len(symbols)} subwords; at most {LONGEST} are allowed")
    return symbols
