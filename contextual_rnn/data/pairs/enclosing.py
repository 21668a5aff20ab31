"""Slashes or brackets around the texts of a side, such as phonemes, and several texts that stand each in them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..._core.counted import counted
from ...errors import InputError
from .notes import Notes
from .settings import PairFileSettings

MARKS = {"/": ("/", "slashes"), "[": ("]", "brackets")}
ONE = r"/[^/]+/|\[[^\[\]]+\]"
SEVERAL = re.compile(rf"(?:{ONE})(?:\s*[,;|~]\s*(?:{ONE}))*")
OTHERS = {
    '"': ('"', "quotation marks"),
    "(": (")", "parentheses"),
    "⟨": ("⟩", "angle brackets"),
    "\\": ("\\", "backslashes"),
}
SHARE = 0.1  # of texts in brackets, from which it is asked what brackets are; fewer are texts such as [laughs]


def enclosed_by(text: str) -> str | None:
    """Return the first mark, / or [, if a text or each of several texts in it stands in slashes or brackets."""
    return text[0] if SEVERAL.fullmatch(text) else None


def parts_of(text: str) -> list[str]:
    """Return the texts that stand in slashes or brackets, without these."""
    return [found[1:-1].strip() for found in re.findall(ONE, text)]


def without_marks(text: str) -> str | None:
    """Return a single text without the slashes or brackets around it; None if it has none."""
    parts = parts_of(text.strip()) if enclosed_by(text.strip()) else []
    return parts[0] if len(parts) == 1 and parts[0] else None


def strip_marks(
    texts: Sequence[str],
    places: Sequence[str],
    side: str,
    name: str,
    settings: PairFileSettings,
    notes: Notes,
) -> list[list[str]]:
    """Return the variants of every text, without the slashes or brackets around each.

    They are removed where every text has them, or where `enclosing` says so; quotation marks and parentheses only where
    every text has them. Brackets are kept in SMILES.

    Args:
        texts: of one side of one file.
        places: of the texts, for errors.
        side: "source" or "target".
        name: of the file.
        settings: with `enclosing`, `target_separator` and the unit of the side.
        notes: where it is said that marks were removed.

    Raises:
        InputError: some texts have marks, and some have none.
    """
    unit = getattr(settings, f"{side}_unit")
    other = None if settings.enclosing == "keep" or unit == "smiles" else _other_marks(texts)
    if other is not None:
        notes.add(name, f"the {OTHERS[other][1]} around the {side}s were removed (`enclosing` changes this)")
        texts = [text.strip()[1:-1] for text in texts]
    found = [enclosed_by(text.strip()) for text in texts]
    if unit == "smiles":
        found = [None if mark == "[" else mark for mark in found]
    count = sum(mark is not None for mark in found)
    if settings.enclosing is None:
        _check_slashes(texts, places, side)
    few = settings.enclosing is None and "/" not in found and count < SHARE * len(texts)
    if settings.enclosing == "keep" or not count or few:
        return [[text] for text in texts]
    kinds = " and ".join(MARKS[mark][1] for mark in MARKS if mark in found)
    if settings.enclosing is None and count < len(texts):
        row = found.index(None)
        raise InputError(
            f"{places[row]}: the {side} {_shown(texts[row])} has no {kinds} around it, but {count} of {len(texts)} "
            f"{side}s have, such as {_shown(texts[found.index(next(filter(None, found)))])}; give `enclosing` strip to "
            f"remove these {kinds}, or `enclosing` keep to read them as symbols"
        )
    variants = [
        [text] if mark is None else _variants(place, side, text, settings)
        for text, mark, place in zip(texts, found, places, strict=True)
    ]
    several = sum(len(one) > 1 for one in variants)
    also = f", and {several} line{'s have' if several > 1 else ' has'} several {side}s" if several else ""
    notes.add(name, f"the {kinds} around the {side}s were removed{also} (`enclosing` changes this)")
    return variants


def _other_marks(texts: Sequence[str]) -> str | None:
    """Return the first of the marks of `OTHERS` that stand around each of several texts; None if there are none."""
    stripped = [text.strip() for text in texts]
    for mark, (end, _) in OTHERS.items():
        inner = [text[1:-1] for text in stripped if len(text) > 2 and text[0] == mark and text[-1] == end]
        if len(inner) == len(texts) > 1 and not any(mark in text or end in text or not text.strip() for text in inner):
            return mark
    return None


def _check_slashes(texts: Sequence[str], places: Sequence[str], side: str) -> None:
    """Raise InputError if a text starts and ends with a slash, but is not one text or several between slashes."""
    for text, place in zip(map(str.strip, texts), places, strict=True):
        if len(text) > 1 and text[0] == text[-1] == "/" and enclosed_by(text) is None:
            raise InputError(
                f"{place}: it is not clear what the slashes of the {side} {_shown(text)} are; give `enclosing` keep if "
                "they are symbols, or put a comma between several texts"
            )


def _variants(place: str, side: str, text: str, settings: PairFileSettings) -> list[str]:
    parts = parts_of(text)
    if not all(parts):
        raise InputError(f"{place}: the {side} {_shown(text)} has nothing between its slashes or brackets")
    if len(parts) > 1 and side == "source":
        raise InputError(f"{place} has {counted(len(parts), 'source')}, {_shown(text)}; a line must have one")
    return parts


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
