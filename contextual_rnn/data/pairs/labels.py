"""Labels that are several tags, such as those of an inflected form: V;PRS;NEG."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.counted import counted
from ...errors import InputError
from .notes import Notes
from .pair import Row
from .settings import NONE, PairFileSettings

USUAL = ";"


def label_separator(rows: Sequence[Row], settings: PairFileSettings, name: str, notes: Notes) -> str | None:
    """Return what separates the tags of labels; None if a label is one. Add to `notes` what was inferred."""
    given = settings.label_separator
    if given is not None:
        return None if given == NONE else given
    split = sum(USUAL in (row.label or "") for row in rows)
    if not split:
        return None
    notes.add(
        name, f"labels are split into tags at semicolons in {counted(split, 'line')} (`label_separator` changes this)"
    )
    return USUAL


def tags_of(label: str | None, separator: str | None) -> tuple[str, ...]:
    """Return the distinct tags of a label, in order; the label itself if nothing separates tags; none without one."""
    if label is None:
        return ()
    if separator is None:
        return (label,)
    return tuple(dict.fromkeys(tag for part in label.split(separator) if (tag := part.strip())))


def check_tags(rows: Sequence[Row], separator: str | None, name: str, notes: Notes) -> None:
    """Raise InputError if a label has no tag; add to `notes` the first label that has a tag twice."""
    if separator is None:
        return
    for row in rows:
        tags = [part.strip() for part in (row.label or "").split(separator)]
        if not any(tags):
            raise InputError(f"{row.place}: the label {row.label!r} has no tag")
        twice = next((tag for tag in tags if tag and tags.count(tag) > 1), None)
        if twice is not None:
            line = row.place.rpartition(", ")[2]
            notes.add(name, f"{line} has the tag {twice!r} twice in its label {row.label!r}, and it is read once")
            return
