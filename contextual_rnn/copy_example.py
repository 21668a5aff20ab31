"""The command `example`: tables to try the other commands on."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import textwrap
from typing import Any

from ._core.choices import check_choice
from ._core.files import write_bytes
from .errors import InputError
from .examples import EXAMPLES, Example
from .options import PROGRAM, WIDTH, as_words


@dataclasses.dataclass(frozen=True)
class CopiedExample:
    """The tables of an example in a folder. Printing it shows what they hold and a command to try.

    Attributes:
        example: which one.
        files: the paths of the tables by their role, such as "train".
    """

    example: Example
    files: dict[str, pathlib.Path]

    @property
    def command(self) -> str:
        """A command that compares models on the tables."""
        words = as_words({**{role: str(path) for role, path in self.files.items()}, **self.example.settings})
        return " ".join([PROGRAM, "compare", self.example.job, *words])

    def __str__(self) -> str:
        """Return what the tables hold, their paths, and a command to try, as lines."""
        command = textwrap.wrap(self.command.replace(" ", "\u00a0").replace("\u00a0--", " --"), WIDTH - 6)
        return "\n\n".join(
            [
                textwrap.fill(self.example.about, WIDTH),
                "\n".join(f"  {path}" for path in self.files.values()),
                "Try:\n  " + " \\\n    ".join(command).replace("\u00a0", " "),
            ]
        )


def copy_example(name: str, *, out: str | os.PathLike[str] = ".") -> CopiedExample:
    """Write the tables of an example, which come with the package, to a folder.

    Args:
        name: Which example: tank (series with inputs), swings (series to generate), load (a series to forecast), words
            (pairs of texts) or names (texts).
        out: Folder to write to; it is created if there is none.

    Returns:
        The paths of the tables, and a command to try.

    Raises:
        InputError: there is no such example, or the folder has other files of these names.

    Example:
        contextual-rnn example tank
    """
    check_choice(name, list(EXAMPLES), "`name`")
    example, folder = EXAMPLES[name], pathlib.Path(out)
    contents: dict[str, Any] = {role: getattr(example, role).read_bytes() for role in example.files}
    files = {role: folder / file for role, file in example.files.items()}
    for role, path in files.items():
        if path.exists() and (not path.is_file() or path.read_bytes() != contents[role]):
            raise InputError(f"{path} exists already and is no copy of the example; give another folder as `out`")
    folder.mkdir(parents=True, exist_ok=True)
    for role, path in files.items():
        write_bytes(path, contents[role])
    return CopiedExample(example, files)


COMMANDS = {"example": copy_example}
