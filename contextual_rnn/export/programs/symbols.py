"""Split texts into the symbols of a model, and join symbols to texts; it needs Python alone."""

import re
import unicodedata
from collections.abc import Callable


def split(text: str, unit: str, pattern: str | None = None) -> list[str]:
    """Return the symbols of a text.

    Args:
        text: the text; it is normalised to Unicode's form NFC, and blanks at its ends are removed.
        unit: what a symbol is, as the files' metadata say.
        pattern: a regular expression that matches a symbol, for units that have one.

    Raises:
        ValueError: this program cannot split texts into such units, or a part of the text is no symbol.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if pattern is not None:
        symbols = [match[0] for match in re.finditer(pattern, text)]
        if "".join(symbols) != text:
            raise ValueError(f"a part of {text!r} is no symbol: the matches of {pattern} must cover the text")
        return symbols
    if unit == "words":
        return [part for token in text.split() for part in _words(token)]
    splits: dict[str, Callable[[str], list[str]]] = {
        "characters": list,
        "symbols": str.split,
        "bytes": _bytes,
        "whole": lambda text: [text],
    }
    if unit not in splits:
        raise ValueError(f"{unit} cannot be split by this program{NEEDS.get(unit, '')}; give a list of symbols instead")
    return splits[unit](text)


NEEDS = {"graphemes": ": that needs the package regex", "subwords": ": that needs the package sentencepiece"}


def join(symbols: list[str], unit: str) -> str:
    """Return the text of symbols. Bytes that are not UTF-8 become the replacement character."""
    if unit == "bytes":
        return bytes.fromhex("".join(symbols)).decode("utf-8", "replace")
    if unit == "subwords":
        return "".join(symbols).replace("\u2581", " ").strip()  # which sentencepiece writes for a blank
    return (" " if unit in ("symbols", "words") else "").join(symbols)


def _bytes(text: str) -> list[str]:
    return [f"{byte:02x}" for byte in text.encode("utf-8")]


def _words(token: str) -> list[str]:
    """Return a word, and each punctuation mark or sign at its start or end as a word of its own."""
    first, end = 0, len(token)
    while first < end and unicodedata.category(token[first])[0] in "PS":
        first += 1
    while end > first and unicodedata.category(token[end - 1])[0] in "PS":
        end -= 1
    return [*token[:first], *([token[first:end]] if first < end else []), *token[end:]]
