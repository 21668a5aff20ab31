"""Checks of the files that a command reads and writes, before any work is done."""

from __future__ import annotations

import os
import pathlib

from ..errors import InputError

Path = str | os.PathLike[str]


def check_files(read: dict[str, Path | None], written: dict[str, Path | None]) -> None:
    """Raise InputError if a file would be lost, or cannot be written.

    Args:
        read: the paths that are read, by the name of their argument.
        written: the paths that are written, likewise.
    """
    inputs = {pathlib.Path(path).resolve(): name for name, path in read.items() if path}
    outputs: dict[pathlib.Path, str] = {}
    for name, path in written.items():
        if not path:
            continue
        place = pathlib.Path(path)
        # States may be read from a file and written back to it.
        if place.resolve() in inputs and {name, inputs[place.resolve()]} != {"start", "end"}:
            raise InputError(
                f"`{name}` {path} is the file of `{inputs[place.resolve()]}`; give another name, to lose nothing"
            )
        if place.resolve() in outputs:
            raise InputError(f"`{name}` {path} is also the file of `{outputs[place.resolve()]}`; give another name")
        if not place.parent.is_dir():
            raise InputError(f"`{name}` {path}: there is no folder {place.parent}")
        outputs[place.resolve()] = name
