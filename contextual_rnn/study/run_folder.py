"""A run folder: the settings of a run, the software that made it, and its results.

`config.json` holds the settings, `provenance.json` the command, versions, commit and machine of every call that worked
on the run, `metrics.jsonl` the metrics of every epoch, `model.safetensors` the model, `results.json` the results, and
`figures/` the figures.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any

from .._core.checkpoint import BEST, NAME, PREVIOUS
from .._core.files import LARGEST_JSON, append, parse_json, read_bytes, write_bytes
from .._core.files import read_json as read_json_file
from ..errors import InputError

OWN = ("config.json", "provenance.json", "metrics.jsonl", "model.safetensors", "results.json", "answers.tsv")
RUN_FILES = (*OWN, BEST, NAME, PREVIOUS)
PACKAGES = ("contextual-rnn", "torch", "numpy", "scipy", "polars", "safetensors", "lightning-fabric")


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A folder of one run; make it with `RunFolder.open`."""

    path: pathlib.Path

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        config: dict[str, Any],
        *,
        resume: bool,
        made_by: dict[str, Any] | None = None,
    ) -> RunFolder:
        """Make the folder, or continue in it.

        Args:
            path: of the folder.
            config: the settings of the run, which JSON can hold.
            resume: continue in a folder that already holds a run with the same settings.
            made_by: the `provenance` to record; None finds it out, which calls git.

        Raises:
            InputError: the folder holds a run and `resume` is false, or it holds a run with other settings or other
                files, or the path is a file.
        """
        folder = cls(pathlib.Path(path))
        if folder.path.exists() and not folder.path.is_dir():
            raise InputError(f"`out` {path} is a file; give the name of a folder")
        config = json.loads(json.dumps(config))
        if folder.config_path.exists():
            folder._check(config, resume)
        elif folder.path.exists() and any(_belongs_to_user(file) for file in folder.path.iterdir()):
            raise InputError(
                f"{path} is not empty and holds no run; give another `out`, so that nothing is overwritten"
            )
        make_folder(folder.path)
        write_json(folder.config_path, config)
        if not folder.results_path.exists():  # reading a finished run does not change who made it
            folder._record_provenance(made_by or provenance())
        return folder

    def _record_provenance(self, made_by: dict[str, Any]) -> None:
        """Add an entry unless it equals the last one; a resumed run may have several."""
        path = self.path / "provenance.json"
        entries = read_json(path) if path.exists() else []
        if not entries or entries[-1] != made_by:
            write_json(path, [*entries, made_by])

    def _check(self, config: dict[str, Any], resume: bool) -> None:
        if not resume:
            raise InputError(f"{self.path} already holds a run; give `resume` to continue it, or another `out`")
        before = read_json(self.config_path)
        if before != config:
            raise InputError(
                f"{self.path} holds a run with {_in_words(*_first_difference(before, config))}; give the settings "
                "and data of that run, or another `out`"
            )

    def copy(self, file: pathlib.Path) -> None:
        """Copy a file into the folder atomically."""
        write_bytes(self.path / file.name, read_bytes(file))

    @property
    def config_path(self) -> pathlib.Path:
        """Path of the settings."""
        return self.path / "config.json"

    @property
    def model_path(self) -> pathlib.Path:
        """Path of the trained model."""
        return self.path / "model.safetensors"

    @property
    def results_path(self) -> pathlib.Path:
        """Path of the results; the run is finished when this file exists."""
        return self.path / "results.json"

    @property
    def figures(self) -> pathlib.Path:
        """Folder of the figures; it is created on first use."""
        path = self.path / "figures"
        path.mkdir(exist_ok=True)
        return path


def is_run_file(path: pathlib.Path) -> bool:
    """Return whether a path is that of a file that a run makes in its folder."""
    return path.name in RUN_FILES and (path.parent / "config.json").exists()


def make_folder(path: pathlib.Path) -> None:
    """Create a folder and its parents; raise InputError if the system refuses."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be created: {error.strerror or error}") from None


def _belongs_to_user(file: pathlib.Path) -> bool:
    """Return True unless the file is a leftover (`.part`, `.lock`) of an interrupted start."""
    return file.suffix != ".part" and file.name != ".lock"


def _first_difference(before: Any, after: Any, name: str = "") -> tuple[str, Any, Any]:
    """Return the name of the first setting that differs, such as `options.zero.0.training.epochs`, and both values."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return name, before, after
    key = next(key for key in [*before, *after] if before.get(key) != after.get(key))
    return _first_difference(before.get(key), after.get(key), f"{name}.{key}" if name else str(key))


def _in_words(name: str, old: Any, new: Any) -> str:
    """Describe a setting that differs by the last part of its dotted name that is no index."""
    *first, last = [part for part in name.split(".") if not part.isdigit()]
    return f"other data in `{last}`" if "sha256" in first else f"`{last}` {old!r}, but {new!r} was requested"


def write_json(path: pathlib.Path, value: Any) -> None:
    """Write JSON atomically. Numbers that are not finite raise ValueError, since JSON cannot hold them."""
    write_bytes(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: pathlib.Path) -> Any:
    """Read JSON of a run; raise InputError if the file is missing or is not JSON."""
    if not os.path.lexists(path):
        raise InputError(f"{path}: there is no such file; is {path.parent} a run folder?")
    return read_json_file(path)


def append_line(path: pathlib.Path, value: Any) -> None:
    """Append one line of JSON."""
    append(path, (json.dumps(value) + "\n").encode())


def write_lines(path: pathlib.Path, values: list[Any]) -> None:
    """Write a file of JSON lines atomically."""
    write_bytes(path, "".join(json.dumps(value) + "\n" for value in values).encode())


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines; raise InputError if it is missing, or a line is not an object of JSON."""
    try:
        lines = [parse_json(line, nan=True) for line in read_bytes(path, LARGEST_JSON).splitlines()]
        if not all(isinstance(line, dict) for line in lines):
            raise ValueError("a line is not an object")
        return lines
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} cannot be read as lines of JSON: {error}") from None


@functools.cache
def provenance() -> dict[str, Any]:
    """Return the command, versions, commit and machine of this process."""
    return {
        "command": shlex.join([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} processors",
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the source tree, with a + if files have changed since; None outside a repository."""
    try:
        _git("ls-files", "--error-unmatch", __file__)  # fails for an installed copy inside another repository
        return _git("describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(pathlib.Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
