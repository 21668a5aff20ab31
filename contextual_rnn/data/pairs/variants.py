"""Several targets of a source in one line."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InputError
from .settings import NONE, PairFileSettings


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


def check_commas(texts: Sequence[str], places: Sequence[str], unit: str, settings: PairFileSettings) -> None:
    """Raise InputError if commas may separate targets, and `target_separator` does not say so.

    Commas are symbols in words, bytes, SMILES and regular expressions, and where they stand alone between spaces.
    """
    if settings.target_separator is not None or unit not in ("characters", "graphemes", "symbols", "whole"):
        return
    for text, place in zip(texts, places, strict=True):
        if _may_separate(text, unit):
            raise InputError(
                f'{place}: the target {text.strip()!r} has a comma; give `target_separator` "," if commas separate '
                "several targets of a source, or none if they are symbols"
            )


def _may_separate(text: str, unit: str) -> bool:
    if unit == "symbols":
        return any("," in symbol and symbol != "," for symbol in text.split())
    parts = [part.strip() for part in text.split(",")]
    return len(parts) > 1 and all(parts)
