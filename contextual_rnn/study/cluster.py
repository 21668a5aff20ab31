"""Runs on the workers of a Dask cluster. Their files come back to the run folder, so that no disk need be shared."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import pickle
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .._core.checkpoint import BEST, NAME, PREVIOUS
from .._core.files import ENDING, write_bytes
from .._core.folder_lock import LOCK, OWNER
from ..errors import DataWarning, InputError
from .run_folder import RunFolder, make_folder, provenance

if TYPE_CHECKING:
    from .parallel import Run, Work

SCHEME = "dask://"
CONNECT = 10.0  # seconds to wait for the scheduler
TIMEOUT = 60.0  # seconds to wait for the first worker
LEFT = ("config.json", "provenance.json", "results.json", BEST, NAME, PREVIOUS, LOCK, OWNER)  # files that stay there
_ONE = threading.Lock()  # a process trains one model at a time

Done = tuple[str, dict[str, Any], Sequence[str]]  # the name, the results, and warnings about data


def run_on_cluster(
    address: str, runs: Sequence[Run], work: Work, out: pathlib.Path, *, resume: bool, timeout: float
) -> Iterator[Done]:
    """Execute runs on a Dask cluster, and yield them as they come.

    The data are sent once to each worker, under the SHA-256 of their content. The run of a worker that dies is started
    again on another one, and gives the same result.

    Args:
        address: of the scheduler, dask://host:port.
        runs: see `run_all`, as the arguments up to `resume`.
        work: executes a run.
        out: the folder that holds the runs' folders.
        resume: skip the runs that are finished.
        timeout: seconds to wait for the lock of a run's folder.

    Raises:
        InputError: the scheduler cannot be reached, or its workers lack this package or end again and again.
    """
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(_client(address))
        _check_workers(client, address)
        folders: dict[str, RunFolder] = {}
        for run in runs:
            folder = RunFolder.open(out / run.name, run.config, resume=resume, timeout=timeout)
            folders[run.name] = stack.enter_context(folder)
            finished = folder.finished_results()
            if finished is not None:
                del folders[run.name]
                yield run.name, finished, ()
        yield from _executed(client, [run for run in runs if run.name in folders], work, folders)


def _executed(client: Any, runs: Sequence[Run], work: Work, folders: dict[str, RunFolder]) -> Iterator[Done]:
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    if not runs:
        return
    content = pickle.dumps(work)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # large content; the scheduler keeps it in case a worker dies
        data = client.submit(pickle.loads, content, key=f"contextual-rnn-{hashlib.sha256(content).hexdigest()}")
    futures = [client.submit(execute, data, run, provenance(), pure=False) for run in runs]
    with client.as_current():
        completed = as_completed(futures)
    for future in completed:
        try:
            name, results, files, said = future.result()
        except KilledWorker:
            raise InputError(
                "a run has ended several workers of the cluster one after the other, probably because the memory was "
                "used up; start workers with more memory, and give `resume` to go on"
            ) from None
        folder = folders.pop(name)
        for file, kept in files.items():
            make_folder((folder.path / file).parent)
            write_bytes(folder.path / file, kept)
        folder.finish(results)
        folder.close()
        yield name, results, said


def execute(work: Work, run: Run, made_by: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, bytes], list[str]]:
    """Execute one run in a temporary folder of a worker; return its name, results, files, and warnings about data."""
    from .parallel import execute_run, run_directory

    with _ONE, run_directory(None) as out, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        name, results = execute_run(run, work, out, False, made_by)
        folder = out / name
        kept = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ENDING]
        files = {str(path.relative_to(folder)): path.read_bytes() for path in kept if path.name not in LEFT}
    return name, results, files, [str(one.message) for one in caught if issubclass(one.category, DataWarning)]


def _client(address: str) -> Any:
    """Connect to a scheduler."""
    if not address.startswith(SCHEME) or not address.removeprefix(SCHEME).rpartition(":")[2].isdigit():
        raise InputError(
            f"`cluster` must be the address of a Dask scheduler, such as dask://host:8786; found {address}"
        )
    try:
        from distributed import Client
    except ImportError:
        raise InputError("`cluster` needs Dask: pip install 'contextual-rnn[cluster]'") from None
    try:
        return Client(address.replace(SCHEME, "tcp://", 1), timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError):
        raise InputError(f"`cluster` {address}: no Dask scheduler answers there; is it started?") from None


def _check_workers(client: Any, address: str) -> None:
    """Raise InputError unless there are workers, of one thread each, with this version of the package."""
    from .. import __version__

    try:
        client.wait_for_workers(1, timeout=TIMEOUT)
        versions = set(client.run(version).values())
    except TimeoutError:
        raise InputError(f"`cluster` {address}: the scheduler has no workers; start some with `dask worker`") from None
    except ImportError:
        raise InputError(f"`cluster` {address}: a worker lacks contextual_rnn; install it there") from None
    if versions != {__version__}:
        found = ", ".join(sorted(versions))
        raise InputError(f"`cluster` {address}: the workers have contextual-rnn {found}, but this is {__version__}")


def version() -> str:
    """Return the version of this package."""
    from .. import __version__

    return __version__
