"""Units of text: what the symbols of a text are, such as characters or words.

Subwords depend on a model, which is trained on the training texts; `split` leaves the texts whole until there is one,
and `Subwords.split` splits them.

Texts are normalised to Unicode's form NFC, so that a letter and its accent are the same symbol whether they are written
as one code point or as two, and blanks at their ends are removed. `join` returns the text of symbols.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from typing import Any

from .._core.choices import check_choice
from .._core.extras import require
from ..errors import InputError

BLANK = "\u2581"  # which subwords have for a blank
PATTERN = "re:"  # the start of a unit that is a regular expression
UNITS = {
    "characters": "characters",
    "graphemes": "grapheme clusters",
    "symbols": "symbols separated by spaces",
    "words": "words and punctuation marks",
    "bytes": "bytes of UTF-8",
    "smiles": "SMILES tokens (atoms, bonds and rings)",
    "whole": "whole texts, each one symbol",
}
NAMES = f"{', '.join(UNITS)} or {PATTERN} and a regular expression"
PAIR_UNITS = {**UNITS, "subwords": "subwords"}  # those of pairs
# What one symbol of a unit is called, where symbols are counted.
SYMBOL_NAMES = {
    "characters": "character",
    "graphemes": "grapheme",
    "words": "word",
    "bytes": "byte",
    "smiles": "token",
    "subwords": "subword",
}
PAIR_NAMES = f"{', '.join(PAIR_UNITS)} or {PATTERN} and a regular expression"

# The tokens of Schwaller et al., "Molecular Transformer" (2019), and the bonds and chirality that they leave out.
SMILES = re.compile(r"\[[^\[\]]+\]|Br|Cl|[BCNOPSFIbcnops]|%\d\d|\d|[().=#$:/\\~*>+@?-]")


@dataclasses.dataclass(frozen=True)
class Units:
    """What a symbol of each side of a pair is: one of `PAIR_UNITS`, or `re:` and a regular expression."""

    source: str
    target: str

    def in_words(self) -> str:
        """Return a sentence about both sides, which names the arguments that change them."""
        return (
            f"Sources are read as {in_words(self.source)} and targets as {in_words(self.target)} (`source_unit` and "
            "`target_unit` change this)."
        )


def in_words(unit: str) -> str:
    """Return what a unit is, in the plural."""
    return PAIR_UNITS.get(unit) or f"matches of {unit.removeprefix(PATTERN)}"


def symbol_name(unit: str) -> str:
    """Return what one symbol of a unit is called, such as "subword"; "symbol" where a unit has no noun of its own."""
    return SYMBOL_NAMES.get(unit, "symbol")


def check_unit(unit: str, argument: str, units: Collection[str] = tuple(UNITS)) -> str:
    """Return a unit; raise InputError, about `argument`, if none of `units` has that name."""
    if isinstance(unit, str) and unit.startswith(PATTERN):
        try:
            re.compile(unit.removeprefix(PATTERN))
        except re.error as error:
            raise InputError(f"`{argument}` {unit} is no regular expression: {error}") from None
    elif unit not in units:
        check_choice(unit, (*units, f"{PATTERN}PATTERN"), f"`{argument}`")
    if unit == "graphemes":
        _regex(argument)
    return unit


def cleaned(text: str) -> str:
    """Return a text in form NFC, without blanks at its ends."""
    return unicodedata.normalize("NFC", text).strip()


def split(text: str, unit: str) -> tuple[str, ...]:
    """Return the symbols of a text.

    Raises:
        InputError: the text has a part that is no symbol.
    """
    text = cleaned(text)
    pattern = pattern_of(unit)
    return tuple(SPLITS[unit](text)) if pattern is None else _matches(re.compile(pattern), text, unit)


def pattern_of(unit: str) -> str | None:
    """Return the regular expression that matches a symbol, or None for a unit without one."""
    if unit == "smiles":
        return SMILES.pattern
    return unit.removeprefix(PATTERN) if unit.startswith(PATTERN) else None


def join(symbols: Sequence[str], unit: str) -> str:
    """Return the text of symbols. Bytes that are not UTF-8 become the replacement character."""
    if unit == "bytes":
        return bytes.fromhex("".join(symbols)).decode("utf-8", "replace")
    if unit == "subwords":
        return "".join(symbols).replace(BLANK, " ").strip()
    return (" " if unit in ("symbols", "words") else "").join(symbols)


def _matches(pattern: re.Pattern[str], text: str, unit: str) -> tuple[str, ...]:
    """Return the matches of a pattern, which must cover the whole text."""
    symbols: list[str] = []
    at = 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None or not match[0]:
            what = "no atom, bond or ring of SMILES" if unit == "smiles" else f"in none of the {in_words(unit)}"
            raise InputError(f"character {at + 1}, {text[at]!r}, is {what}")
        symbols.append(match[0])
        at = match.end()
    return tuple(symbols)


def _graphemes(text: str) -> list[str]:
    return _regex("source_unit").findall(r"\X", text)


def _regex(argument: str) -> Any:
    require("pairs", f"`{argument}` graphemes")
    import regex

    return regex


def _words(text: str) -> list[str]:
    """Return words; each punctuation mark or sign at the start or the end of a word is a word of its own."""
    words = []
    for token in text.split():
        first, end = 0, len(token)
        while first < end and unicodedata.category(token[first])[0] in "PS":
            first += 1
        while end > first and unicodedata.category(token[end - 1])[0] in "PS":
            end -= 1
        words += [*token[:first], *([token[first:end]] if first < end else []), *token[end:]]
    return words


SPLITS: dict[str, Callable[[str], Sequence[str]]] = {
    "characters": tuple,
    "graphemes": _graphemes,
    "symbols": str.split,
    "words": _words,
    "bytes": lambda text: [f"{byte:02x}" for byte in text.encode("utf-8")],
    "whole": lambda text: [text],
    "subwords": lambda text: [text],
}
