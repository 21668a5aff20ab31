"""A run folder: the settings of a run, the software that made it, and its results.

`config.json` holds the settings, `provenance.json` the command, versions, commit and machine of every call that worked
on the run, `metrics.jsonl` the metrics of every epoch, `model.safetensors` the model, `results.json` the results,
`SHA256SUMS` the SHA-256 of these files of a finished run, and `figures/` the figures.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from typing import Any, Self

from .._core.checkpoint import BEST, NAME, PREVIOUS
from .._core.files import ENDING, LARGEST_JSON, append, parse_json, read_bytes, write_bytes
from .._core.files import read_json as read_json_file
from .._core.folder_lock import LOCK, OWNER, FolderLock
from ..errors import InputError

SUMS = "SHA256SUMS"  # the SHA-256 of the files of a finished run
KEPT = ("metrics.jsonl", "model.safetensors", "answers.tsv")  # what a finished run has, besides its results
RUN_FILES = ("config.json", "provenance.json", "results.json", SUMS, *KEPT, BEST, NAME, PREVIOUS)
PACKAGES = ("contextual-rnn", "torch", "numpy", "polars", "safetensors", "lightning-fabric")


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """A folder of one run, locked until `close` or the end of a `with` block; make it with `RunFolder.open`."""

    path: pathlib.Path
    lock: FolderLock | None = dataclasses.field(default=None, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        config: dict[str, Any],
        *,
        resume: bool,
        made_by: dict[str, Any] | None = None,
        timeout: float = 10.0,
    ) -> RunFolder:
        """Make the folder, or continue in it, and lock it.

        Args:
            path: of the folder.
            config: the settings of the run, which JSON can hold.
            resume: continue in a folder that already holds a run with the same settings; wait as long as another
                process works in it.
            made_by: the `provenance` to record; None finds it out, which calls git.
            timeout: seconds to wait for another process, if `resume` is false.

        Raises:
            InputError: the folder holds a run and `resume` is false, or it holds a run with other settings or other
                files, or the path is a file, or another process works in the folder.
        """
        check_name(path)
        folder = cls(pathlib.Path(path))
        if folder.path.exists() and not folder.path.is_dir():
            raise InputError(f"`out` {path} is a file; give the name of a folder")
        config = json.loads(json.dumps(config))
        folder._check(config, resume)
        make_folder(folder.path)
        folder = cls(folder.path, FolderLock(folder.path, wait=resume, timeout=timeout))
        folder._check(config, resume)  # again, because another process may have made the run in the meantime
        if not folder.config_path.exists():
            write_json(folder.config_path, config)
        remove_leftovers(folder.path)
        if not folder.results_path.exists():  # reading a finished run does not change who made it
            folder._record_provenance(made_by or provenance())
        return folder

    def close(self) -> None:
        """Unlock the folder."""
        if self.lock is not None:
            self.lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _record_provenance(self, made_by: dict[str, Any]) -> None:
        """Add an entry unless it equals the last one; a resumed run may have several."""
        path = self.path / "provenance.json"
        entries = read_json(path) if os.path.lexists(path) else []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f"{path} is not a list of those who worked on the run; delete it to go on without them")
        if not entries or entries[-1] != made_by:
            write_json(path, [*entries, made_by])

    def _check(self, config: dict[str, Any], resume: bool) -> None:
        """Raise InputError unless the folder holds nothing, or a run with these settings that may be continued."""
        if not os.path.lexists(self.config_path):
            if self.path.exists() and any(_belongs_to_user(file) for file in self.path.iterdir()):
                raise InputError(
                    f"{self.path} is not empty and holds no run; give another `out`, so that nothing is overwritten"
                )
            return
        before = read_json(self.config_path)
        if not _has_settings(before, config):
            raise InputError(f"{self.config_path} does not hold the settings of a run; give another `out`")
        if not resume:
            raise InputError(f"{self.path} already holds a run; give `resume` to continue it, or another `out`")
        try:
            if _without_none(before) != _without_none(config):
                raise InputError(
                    f"{self.path} holds a run with {_in_words(*_first_difference(before, config))}; give the settings "
                    "and data of that run, or another `out`"
                )
        except RecursionError:
            raise InputError(f"{self.config_path} is nested too deeply to be settings; give another `out`") from None

    def finish(self, results: dict[str, Any]) -> None:
        """Write the results, after the SHA-256 of every file that the run has made.

        `sha256sum -c SHA256SUMS` checks them, as `finished_results` does.
        """
        content = _json(results)
        sums = {name: _sha256(read_bytes(self.path / name)) for name in KEPT if (self.path / name).exists()}
        sums[self.results_path.name] = _sha256(content)
        write_bytes(self.path / SUMS, "".join(f"{found}  {name}\n" for name, found in sums.items()).encode())
        write_bytes(self.results_path, content)

    def finished_results(self) -> dict[str, Any] | None:
        """Return the results of a run that is finished; None if it is not.

        Raises:
            InputError: a file of the run is not the one that the run wrote.
        """
        if not os.path.lexists(self.results_path):
            return None
        remedy = f"delete {self.path} to do this run again"
        if os.path.lexists(self.path / SUMS):
            for name, found in self._sums(remedy).items():
                try:
                    content = read_bytes(self.path / name)
                except InputError as error:
                    raise InputError(f"{error}; {remedy}") from None
                if _sha256(content) != found:
                    raise InputError(f"{self.path / name} is damaged: its SHA-256 is not that in {SUMS}; {remedy}")
            return read_json(self.results_path)
        results = read_json(self.results_path)
        metrics = results.get("metrics") if isinstance(results, dict) else None
        if not isinstance(metrics, dict) or not all(_is_number(value) for value in metrics.values()):
            raise InputError(f"{self.results_path} does not hold the results of a run; {remedy}")
        return results

    def _sums(self, remedy: str) -> dict[str, str]:
        """Return the SHA-256 of every file, by its name; raise InputError unless the results and the model have one."""
        lines = read_bytes(self.path / SUMS, 1 << 16).decode(errors="replace").splitlines()
        sums = {line[66:]: line[:64] for line in lines}
        missing = [name for name in (self.results_path.name, *KEPT) if (self.path / name).exists() and name not in sums]
        if missing or not sums.keys() <= {self.results_path.name, *KEPT}:
            raise InputError(f"{self.path / SUMS} is damaged; {remedy}")
        return sums

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


def figure_files(out: pathlib.Path) -> str:
    """Return the line that names the figures of a run folder; empty if there are none."""
    drawn = ", ".join(sorted(path.name for path in (out / "figures").glob("*.png")))
    return f"\nFigures: {out / 'figures'} ({drawn})" if drawn else ""


def is_run_file(path: pathlib.Path) -> bool:
    """Return whether a path is that of a file that a run makes in its folder."""
    return path.name in RUN_FILES and (path.parent / "config.json").exists()


def make_folder(path: pathlib.Path) -> None:
    """Create a folder and its parents; raise InputError if the system refuses."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be created: {error.strerror or error}") from None


def check_name(path: str | os.PathLike[str]) -> None:
    """Raise InputError if the name of a run folder cannot be printed or written to a file."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"`out` {os.fspath(path)!a} is not UTF-8; give another name") from None


def remove_leftovers(path: pathlib.Path) -> None:
    """Remove the temporary files that a killed process left in a run folder and in its folders, such as `figures`.

    A folder in it that is a run of its own is left alone, since another process may write there.
    """
    inner = [one for one in path.iterdir() if one.is_dir() and not one.is_symlink() and not (one / LOCK).exists()]
    for folder in (path, *inner):
        for file in folder.glob(f"*{ENDING}"):
            if not file.is_dir():
                file.unlink(missing_ok=True)


def _belongs_to_user(file: pathlib.Path) -> bool:
    """Return True unless the file is a leftover (`.part`, `.lock`) of an interrupted start."""
    return file.suffix != ENDING and file.name not in (LOCK, OWNER)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and math.isfinite(value))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def _first_difference(before: Any, after: Any, name: str = "") -> tuple[str, Any, Any]:
    """Return the name of the first setting that differs, such as `options.zero.0.training.epochs`, and both values."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return name, before, after
    key = next(key for key in [*before, *after] if _without_none(before.get(key)) != _without_none(after.get(key)))
    return _first_difference(before.get(key), after.get(key), f"{name}.{key}" if name else str(key))


def _has_settings(before: Any, config: dict[str, Any]) -> bool:
    """Return whether what a folder holds has every group of settings of a run."""
    groups = [name for name, value in config.items() if isinstance(value, dict) and value]
    return isinstance(before, dict) and all(isinstance(before.get(name), dict) for name in groups)


def _without_none(value: Any) -> Any:
    """Return nested settings without those that are None, which a run of an earlier version may lack."""
    if isinstance(value, dict):
        return {key: _without_none(one) for key, one in value.items() if one is not None}
    return [_without_none(one) for one in value] if isinstance(value, (list, tuple)) else value


def _in_words(name: str, old: Any, new: Any) -> str:
    """Describe a setting that differs by the last part of its dotted name that is no index."""
    *first, last = [part for part in name.split(".") if not part.isdigit()]
    return f"other data in `{last}`" if "sha256" in first else f"`{last}` {old!r}, but {new!r} was requested"


def write_json(path: pathlib.Path, value: Any) -> None:
    """Write JSON atomically. Numbers that are not finite raise ValueError, since JSON cannot hold them."""
    write_bytes(path, _json(value))


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
