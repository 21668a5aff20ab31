"""The files, frames and lists that a source of pairs stands for, each with its label."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import InputError
from ...table_files.several import stem_of
from ..table import is_path
from .pair import PairSource
from .settings import PairFileSettings


class Parallel(NamedTuple):
    """Two text files whose lines of the same number are a source and its target."""

    source: str | os.PathLike[str]
    target: str | os.PathLike[str]


class Part(NamedTuple):
    """A file, a data frame or a list: its label, the data, and the name that errors call it."""

    label: str | None
    data: Any
    name: str


def parts_of(source: PairSource, settings: PairFileSettings, name: str) -> list[Part]:
    """Return the parts of a source of pairs.

    Args:
        source: see `read_pairs`.
        settings: with the meaning of the names of files.
        name: what errors call a data frame or a list.

    Raises:
        InputError: a folder or a pattern holds no file, or it is not known what the names of its files are, or labels
            are incomplete or not different.
    """
    if isinstance(source, Parallel):
        return [Part(None, source, f"{source.source} and {source.target}")]
    if isinstance(source, Mapping):
        if not source or not all(isinstance(label, str) and label for label in source):
            raise InputError(f"{name} must be a dict from labels to pairs, with text for labels; found {list(source)}")
        return [
            Part(label, part, str(part) if is_path(part) else f"{name}[{label!r}]") for label, part in source.items()
        ]
    files = [source] if is_path(source) else source
    if not (isinstance(files, (list, tuple)) and files and all(map(is_path, files))):
        if settings.side_of_name:
            raise InputError(f"{name}: `file_name` is for files; put source and target into each tuple or row")
        return [Part(None, source, name)]
    parts = [Part(label, path, path) for label, path in map(label_and_path, _all(files, settings))]
    if settings.file_name in ("source", "target", "label"):
        parts = [Part(label or stem_of(pathlib.Path(path)), path, path) for label, path, _ in parts]
    _check_labels(parts)
    return parts


def label_and_path(file: str | os.PathLike[str]) -> tuple[str | None, str]:
    """Return the label and the path of `LABEL=PATH`; the label is None if there is none, or a file has that name."""
    text = os.fspath(file)
    label, sign, path = text.partition("=")
    return (None, text) if not sign or not label or os.path.exists(text) else (label, path)


def _all(files: Iterable[str | os.PathLike[str]], settings: PairFileSettings) -> list[str]:
    """Return files, with those of a folder or a pattern in its place."""
    found: list[str] = []
    for file in files:
        path = pathlib.Path(file)
        if path.is_dir():
            members = [one for one in path.iterdir() if one.is_file() and not one.name.startswith(".")]
            what = f"{path} is a folder"
        elif any(mark in str(path) for mark in "*?[") and not path.exists():
            members = list(pathlib.Path(path.anchor).glob(str(path.relative_to(path.anchor))))
            what = f"{path} is a pattern"
        else:
            found.append(os.fspath(file))
            continue
        if not members:
            raise InputError(f"{what} that no file matches" if what.endswith("pattern") else f"{what} without files")
        if settings.file_name is None:
            raise InputError(
                f"{what}; give `file_name` to say what the names of its files, such as {stem_of(min(members))}, are: "
                "source or target if the lines of a file hold the other side alone, label if they hold pairs of that "
                "label, or none if the names say nothing about the pairs"
            )
        found += map(str, sorted(members))
    return found


def _check_labels(parts: Sequence[Part]) -> None:
    labels = [part.label for part in parts if part.label is not None]
    if 0 < len(labels) < len(parts):
        path = next(part.name for part in parts if part.label is None)
        raise InputError(
            f"{path}: with several files, each needs a label, LABEL=PATH, such as fre={path}, or none has one"
        )
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InputError(f"the labels {', '.join(labels)} must differ; two files have the label {twice!r}")
