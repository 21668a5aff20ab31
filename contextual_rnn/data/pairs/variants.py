"""Several targets of a source in one line."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InputError
from .settings import NONE, PairFileSettings

MARKS = {",": "comma", ";": "semicolon", "|": "vertical bar"}


def split_variants(texts: Sequence[str], place: str, separator: str | None) -> list[str]:
    """Return the targets of a line, each split at the separator of variants.

    Raises:
        InputError: a target is empty.
    """
    if separator in (None, NONE):
        return list(texts)
    parts = [part.strip() for text in texts for part in text.split(separator)]
    if not all(parts):
        raise InputError(f"{place}: a target between `target_separator` {separator!r} is empty")
    return list(dict.fromkeys(parts))


def check_marks(texts: Sequence[str], places: Sequence[str], unit: str, settings: PairFileSettings) -> None:
    """Raise InputError if commas or other marks may separate targets, and `target_separator` does not say so.

    They are symbols in words, bytes, SMILES and regular expressions, and where they stand alone between spaces.
    """
    if settings.target_separator is not None or unit not in ("characters", "graphemes", "symbols", "whole"):
        return
    for text, place in zip(texts, places, strict=True):
        for mark, name in MARKS.items():
            if _may_separate(text, mark, unit):
                raise InputError(
                    f'{place}: the target {text.strip()!r} has a {name}; give `target_separator` "{mark}" if {name}s '
                    "separate several targets of a source, or `target_separator` none if they are symbols"
                )


def _may_separate(text: str, mark: str, unit: str) -> bool:
    if unit == "symbols":
        return any(mark in symbol and symbol != mark for symbol in text.split())
    parts = [part.strip() for part in text.split(mark)]
    return len(parts) > 1 and all(parts)
