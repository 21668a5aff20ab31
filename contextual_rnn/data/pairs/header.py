"""Whether the first line of a file of pairs is a header."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import InputError
from ..infer_unit import infer_unit, letters
from .enclosing import enclosed_by
from .notes import Notes
from .pair import Row
from .settings import PairFileSettings

FEWEST = 10  # rows after the first that show what is usual

# Names of a field, without blanks, hyphens and underscores; also with a final s or a number.
NAMES = frozenset(
    re.findall(
        r"\w+",
        "en eng de deu ger fr fra fre spa ita por rus ja jpn zh zho "
        "word wort mot palabra source src target tgt trg input output text string sequence sentence phrase entry "
        "key value  pron pronunciation pronounciation aussprache prononciation ipa arpabet xsampa phoneme phone "
        "phonetic phonemic  phonology transcription transcript transliteration romanization romanisation spelling "
        "orthography ortho grapheme  letter lemma form inflected inflection inflectedform wordform feature feat "
        "tag unimorph msd morphology pos label  class category type language lang languagecode locale name "
        "surname firstname lastname title country nationality  gender translation translated original query "
        "question answer english german french spanish italian portuguese  dutch russian greek chinese japanese "
        "korean vietnamese hungarian icelandic romanian latin deutsch englisch smiles  selfies inchi iupac "
        "formula native reference ref ",
    )
)


def without_header(rows: list[Row], name: str, settings: PairFileSettings, notes: Notes) -> list[Row]:
    """Return rows without the header, if there is one; add to `notes` that it was skipped.

    The first line is a header if all its fields are names of fields, or if one is and another does not look like those
    below it. A field looks different if the others have slashes or brackets around them, or if it has no letter that
    they have, or if it is a longer symbol than all of theirs, or if it is a label in small letters and theirs are in
    capitals.

    Raises:
        InputError: fields look different from those below them, but none is the name of a field; or there are no rows
            under the header.
    """
    sides = [side for side in ("source", "target", "label") if side != settings.side_of_name]
    if settings.header == "absent" or (settings.header is None and not _infers_header(rows, sides)):
        return rows
    if len(rows) < 2:
        raise InputError(
            f"{rows[0].place} is read as a header, and no pairs follow it; give `header` absent if it is a pair"
        )
    if settings.header is None:
        fields = ", ".join(repr(field) for field in _fields(rows[0], sides).values())
        line = rows[0].place.rpartition(", ")[2]
        notes.add(name, f"{line} is a header ({fields}) and was skipped (`header` changes this)")
    return rows[1:]


def _infers_header(rows: Sequence[Row], sides: Sequence[str]) -> bool:
    """Return whether the first row is a header; raise InputError if this is not clear."""
    first, others = _fields(rows[0], sides), rows[1:]
    named = [is_name(field) for field in first.values()]
    if all(named):
        return True
    strange = any(
        not is_name(field) and _looks_different(field, [getattr(row, side) or "" for row in others], side)
        for side, field in first.items()
    )
    if not strange or any(named):
        return strange
    raise InputError(
        f"{rows[0].place} ({', '.join(map(repr, first.values()))}) looks different from the lines below it; give "
        "`header` present if it is a header, or `header` absent if it is a pair"
    )


def _fields(row: Row, sides: Sequence[str]) -> dict[str, str]:
    """Return the fields of a line by side, without a label that it does not hold."""
    return {side: getattr(row, side).strip() for side in sides if getattr(row, side) is not None}


def is_name(field: str) -> bool:
    """Return whether a text is the name of a field of a file of pairs."""
    name = re.sub(r"[\s_#:.\"'\-]|\d+$|\(.*\)$", "", field.strip()).casefold()
    return name in NAMES or name.removesuffix("s") in NAMES


def _looks_different(field: str, others: Sequence[str], side: str) -> bool:
    if side == "label":  # such as features, where others are V;PRS
        return field.upper() != field and len(others) > 1 and all(other.upper() == other for other in others)
    if len(others) < FEWEST:
        return False
    if enclosed_by(field) is None and all(enclosed_by(other.strip()) for other in others):
        return True
    if infer_unit(others) == "symbols":
        known = {symbol for other in others for symbol in other.split()}
        own = field.split()
        return not known.intersection(own) and max(map(letters, own)) > max(2, *map(letters, known))
    own_letters = {one for one in field.casefold() if one.isalpha()}
    return len(own_letters) > 2 and own_letters.isdisjoint({one for other in others for one in other.casefold()})
