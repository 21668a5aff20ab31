"""A run folder: what was asked for, what made it, and what came out.

`config.json` (the settings), `provenance.json` (command, versions, commit and machine of
every call that worked on it), `metrics.jsonl` (a line an epoch),
`model.safetensors`, `results.json`, `figures/`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys
from typing import Any

from ..errors import InputError

PACKAGES = ("contextual-rnn", "torch", "numpy", "scipy", "polars", "safetensors", "lightning-fabric")


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A folder of one run; make it with `RunFolder.open`."""

    path: pathlib.Path

    @classmethod
    def open(cls, path: str | os.PathLike[str], config: dict[str, Any], *, resume: bool) -> RunFolder:
        """Make the folder, or go on in it.

        Args:
            path: where.
            config: the settings of the run, as JSON takes them.
            resume: go on in a folder that holds a run of the same settings already.

        Raises:
            InputError: the folder holds a run and `resume` is false, or one of other settings, or other files, or it
                is a file.
        """
        folder = cls(pathlib.Path(path))
        if folder.path.exists() and not folder.path.is_dir():
            raise InputError(f"--out {path} is a file; give the name of a folder")
        config = json.loads(json.dumps(config))
        if folder.config_path.exists():
            folder._check(config, resume)
        elif folder.path.exists() and any(_is_ours(file) for file in folder.path.iterdir()):
            raise InputError(f"{path} is not empty and holds no run; give another --out, to overwrite nothing")
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {path} cannot be made: {error.strerror or error}") from None
        write_json(folder.config_path, config)
        if not folder.results_path.exists():  # who only looks at a finished run did not make it
            folder._note_provenance()
        return folder

    def _note_provenance(self) -> None:
        """Add what runs now to what ran before, unless it is the same; a resumed run may have several makers."""
        path = self.path / "provenance.json"
        makers = read_json(path) if path.exists() else []
        if not makers or makers[-1] != provenance():
            write_json(path, [*makers, provenance()])

    def _check(self, config: dict[str, Any], resume: bool) -> None:
        if not resume:
            raise InputError(f"{self.path} already holds a run; give --resume to go on with it, or another --out")
        before = read_json(self.config_path)
        if before != config:
            name, old, new = _first_change(before, config)
            raise InputError(
                f"{self.path} holds a run with {name} = {old!r} where {new!r} is asked for now; give the settings it "
                "had, or another --out"
            )

    def copy(self, file: pathlib.Path) -> None:
        """Copy a file into the folder, whole or not at all."""
        part = self.path / f"{file.name}.part"
        shutil.copyfile(file, part)
        os.replace(part, self.path / file.name)

    @property
    def config_path(self) -> pathlib.Path:
        """The settings."""
        return self.path / "config.json"

    @property
    def model_path(self) -> pathlib.Path:
        """The trained model."""
        return self.path / "model.safetensors"

    @property
    def results_path(self) -> pathlib.Path:
        """The results; a run is done when this is there."""
        return self.path / "results.json"

    @property
    def figures(self) -> pathlib.Path:
        """The folder of figures, made when first asked for."""
        path = self.path / "figures"
        path.mkdir(exist_ok=True)
        return path


def _is_ours(file: pathlib.Path) -> bool:
    """Whether a file is somebody's, and no trace of a run that broke off before it began."""
    return file.suffix != ".part" and file.name != ".lock"


def _first_change(before: Any, after: Any, name: str = "") -> tuple[str, Any, Any]:
    """Return the name of the first setting that differs, such as `options.zero.0.training.epochs`, and both values."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return name, before, after
    key = next(key for key in [*before, *after] if before.get(key) != after.get(key))
    return _first_change(before.get(key), after.get(key), f"{name}.{key}" if name else str(key))


def write_json(path: pathlib.Path, value: Any) -> None:
    """Write JSON, whole or not at all. Numbers that are not finite are refused, for JSON has none."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def read_json(path: pathlib.Path) -> Any:
    """Read JSON; raise InputError if it is not there or is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; is {path.parent} a run folder?") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from None


def append_line(path: pathlib.Path, value: Any) -> None:
    """Add a line of JSON."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value) + "\n")


def write_lines(path: pathlib.Path, values: list[Any]) -> None:
    """Write a file of JSON lines anew, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    os.replace(part, path)


def read_lines(path: pathlib.Path) -> list[Any]:
    """Read a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def provenance() -> dict[str, Any]:
    """Return what made a run: command, versions, commit, machine."""
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
    """Return the commit of the source tree, with a + if it was changed since; None where there is no repository."""
    try:
        _git("ls-files", "--error-unmatch", __file__)  # not an installed copy that lies in somebody else's repository
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
