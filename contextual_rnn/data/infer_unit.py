"""Whether texts are sequences of characters, or of symbols separated by spaces."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

from .units import cleaned

UNCLEAR = "unclear"


def infer_unit(texts: Sequence[str]) -> str | None:
    """Return the unit of texts.

    Symbols that stand between spaces, such as phonemes, are short: about one letter, or several symbols of at most
    three letters. Parts of words and names are longer and few. Anything else is not clear, such as sentences, which
    can be read as words or as characters.

    Returns:
        "characters", "symbols", `UNCLEAR`, or None if every text is a single character, which is one symbol either way.
    """
    parts = [cleaned(text).split() for text in texts]
    spaced = [one for one in parts if len(one) > 1]
    lengths = Counter[int]()
    for token, count in Counter(token for one in parts for token in one).items():
        lengths[letters(token)] += count
    if not spaced and all(len(token) == 1 for one in parts for token in one):
        return None
    longer_than_one = [one for one in parts if len(one) > 1 or (one and letters(one[0]) > 1)]
    if 2 * len(spaced) <= len(longer_than_one):
        return "characters"
    total = sum(lengths.values())
    mean = sum(length * count for length, count in lengths.items()) / total
    per_text = sum(map(len, spaced)) / len(spaced)
    longer = sum(count for length, count in lengths.items() if length > 3) / total
    if mean <= 1.2 or (mean <= 2 and longer <= 0.01 and per_text >= 3):
        return "symbols"
    return "characters" if mean >= 2.25 and per_text <= 4 else UNCLEAR


def letters(token: str) -> int:
    """Return the number of letters of a token, without marks, modifier letters, tones and digits; at least 1."""
    return max(1, sum(unicodedata.category(one) in ("Lu", "Ll", "Lt", "Lo") for one in token))
