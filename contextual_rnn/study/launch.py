"""Start the processes that train one model together, on this machine, and end them all when one of them ends early."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import pickle
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

from .._core.files import read_json, write_bytes
from .._core.gpus import gpus_for
from .._core.group import Group, LostProcessError, is_launched, is_slurm_task, join_group, training_in
from .._core.settings import check_count
from .._core.temporary import temporary_folder
from ..errors import DataWarning, InputError
from ..serialization import MODEL
from .fit import DivergedError, TrainingSettings
from .parallel import Run, Work, end_with, one_thread, run_all
from .run_folder import RunFolder

TASK, WARNINGS = "task.pickle", "warnings.json"  # the files that the processes and the one that starts them share
KINDS = ("diverged", "input", "other", "lost")  # of errors; the first one that a process reports is shown
_PROGRAM = (
    "import json, pathlib, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from contextual_rnn.study.launch import execute; sys.exit(execute(pathlib.Path(sys.argv[1]), int(sys.argv[2])))"
)
POLL = 0.1  # seconds between two looks at the processes
GRACE = 5.0  # seconds that a process has to end after it is asked to


@dataclasses.dataclass(frozen=True)
class Together:
    """How many processes train one model, and how.

    Attributes:
        devices: processes per machine, each with a device of its own.
        nodes: machines.
        accelerator: cpu, cuda or auto.
        precision: see `TrainingSettings`.
    """

    devices: int
    nodes: int
    accelerator: str
    precision: str

    @classmethod
    def of(cls, devices: int, nodes: int, settings: TrainingSettings) -> Together:
        """Check the numbers; raise InputError if they are below 1, above the GPUs, or lack a launcher."""
        check_count(devices=devices, nodes=nodes)
        if gpus_for(settings.accelerator, None):  # else the processes train on the CPU
            gpus_for(settings.accelerator, devices)  # refuses more processes than GPUs
        if nodes > 1 and not (is_launched() or is_slurm_task()):
            raise InputError(
                f"`nodes` {nodes}: start the command on every machine with torchrun, or with srun under SLURM; see "
                "docs/machines.md"
            )
        return cls(devices, nodes, settings.accelerator, settings.precision)

    def join(self) -> Group | None:
        """Join the group that torchrun or srun has started; None if there is none."""
        return join_group(self.accelerator, self.precision, self.devices, self.nodes)


def train(
    run: Run, work: Work, out: pathlib.Path, *, resume: bool, title: str, together: Together, group: Group | None
) -> dict[str, Any]:
    """Execute one run in one process, in the group that this process leads, or in processes that are started.

    Args:
        run: see `run_all`, as the arguments up to `title`.
        work: executes the run.
        out: the folder that holds the run's folder.
        resume: continue the run if it is not finished.
        title: of the progress bar.
        together: the processes to train in.
        group: that this process leads; None if there is none yet.
    """
    if group is not None:
        return lead(run, work, out, resume=resume, title=title, group=group)
    if together.devices == 1:
        (result,) = run_all([run], work, out, resume=resume, title=title, jobs=1)
        return result
    with temporary_folder() as folder:
        _start(folder, (run, work, out, resume, title), together)
    finished = RunFolder(out / run.name).finished_results()
    if finished is None:
        raise InputError(f"{out / run.name} holds no finished run, although all processes have ended; give `resume`")
    return finished


@dataclasses.dataclass(frozen=True)
class _Announced:
    """Work of which the other processes of a group are told, so that they do it, too."""

    work: Work
    group: Group

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        self.group.broadcast(("train", (config, _hashes(self.work))))
        with training_in(self.group):
            return self.work(config, folder)


def lead(run: Run, work: Work, out: pathlib.Path, *, resume: bool, title: str, group: Group) -> dict[str, Any]:
    """Execute a run as process 0 of a group; the others `follow`."""
    (result,) = run_all([run], _Announced(work, group), out, resume=resume, title=title, jobs=1)
    model = out / run.name / MODEL
    group.broadcast(("end", model.read_bytes() if model.exists() else b""))
    return result


def follow(work: Work, group: Group, folder: pathlib.Path) -> bytes:
    """Do what process 0 of a group announces; return the content of the file of the model.

    Args:
        work: executes a run.
        group: of the processes.
        folder: a temporary one, for the files of this process.
    """
    with one_thread():
        while True:
            what, content = group.broadcast()
            if what == "end":
                return content
            config, hashes = content
            _check_same(hashes, _hashes(work), group.rank)
            with training_in(group):
                work(config, folder)


def _hashes(work: Work) -> dict[str, str]:
    """Return the SHA-256 of every table that a process has read, by its name; none if the work has no tables."""
    return dict(getattr(getattr(work, "data", None), "identity", {}).get("sha256", {}))


def _check_same(first: dict[str, str], own: dict[str, str], rank: int) -> None:
    """Raise InputError if a process has read other tables than process 0."""
    for name in dict.fromkeys([*first, *own]):
        if first.get(name) != own.get(name):
            raise InputError(
                f"process {rank} has read other data in `{name}` than process 0; give every machine the same files, "
                "and start again when they are complete"
            )


def _start(folder: pathlib.Path, task: tuple[Any, ...], together: Together) -> None:
    """Start the processes, and wait until all have ended; raise InputError if one of them fails.

    Args:
        folder: a temporary one, for what the processes are given and say.
        task: the arguments of `lead`, without the group.
        together: the processes.
    """
    write_bytes(folder / TASK, pickle.dumps((task, together)), synced=False)
    processes: list[subprocess.Popen[bytes]] = []
    common = _environment(together.devices)
    try:
        for rank in range(together.devices):
            command = [sys.executable, "-c", _PROGRAM, str(folder), str(os.getpid()), json.dumps(sys.path)]
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            output = None if rank == 0 else subprocess.DEVNULL  # the progress is that of process 0
            processes.append(subprocess.Popen(command, env={**common, **own}, stdout=output, stderr=output))
        failed = _first_failure(processes)
        if failed is None:
            _repeat_warnings(folder)
            return
        _wait(processes, 1.0)  # the others say why they end, too
        raise _reason(folder, processes, failed)
    finally:
        _end(processes)


def _environment(size: int) -> dict[str, str]:
    """Return the environment variables that torchrun would set."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    addresses = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "contextual-rnn"}
    sizes = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "GROUP_RANK": "0", "NODE_RANK": "0"}
    return {**os.environ, **addresses, **sizes, "TORCH_CPP_LOG_LEVEL": "FATAL", "OMP_NUM_THREADS": "1"}


def _first_failure(processes: Sequence[subprocess.Popen[bytes]]) -> int | None:
    """Wait until all processes have ended well, or one has not; return its number."""
    while True:
        codes = [process.poll() for process in processes]
        failed = [rank for rank, code in enumerate(codes) if code]
        if failed:
            return min(failed, key=lambda rank: codes[rank] or 0)  # one that the system has ended comes first
        if None not in codes:
            return None
        time.sleep(POLL)


def _reason(folder: pathlib.Path, processes: Sequence[subprocess.Popen[bytes]], failed: int) -> InputError:
    """Return the error that says why a process has ended."""
    code = processes[failed].returncode or 0
    where = f"process {failed} of the {len(processes)} that train the model together"
    if code < 0:
        name = signal.Signals(-code).name
        return InputError(
            f"{where} was ended by the system ({name}), perhaps for lack of memory, so the others were ended; give "
            "`resume` to go on from the last epoch"
        )
    said = [read_json(path) for path in sorted(folder.glob("error-*.json"))]
    errors = sorted(said, key=lambda one: KINDS.index(one["kind"]))
    if not errors:
        return InputError(f"{where} ended with exit code {code}; give `resume` to go on from the last epoch")
    kind = DivergedError if errors[0]["kind"] == "diverged" else InputError
    return kind(errors[0]["message"])


def _repeat_warnings(folder: pathlib.Path) -> None:
    for message in read_json(folder / WARNINGS) if (folder / WARNINGS).exists() else []:
        warnings.warn(message, DataWarning, stacklevel=2)


def _wait(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and any(process.poll() is None for process in processes):
        time.sleep(POLL)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End the processes that are still there."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    _wait(processes, GRACE)
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def execute(folder: pathlib.Path, parent: int) -> int:
    """Do the part of one process; return its exit code. What it has to say goes to files in the folder."""
    end_with(parent)
    rank = os.environ["RANK"]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DataWarning)
            task, together = pickle.loads((folder / TASK).read_bytes())
            group = together.join()
            if group.rank:
                own = folder / f"process-{rank}"
                own.mkdir()
                follow(task[1], group, own)
            else:
                run, work, out, resume, title = task
                lead(run, work, out, resume=resume, title=title, group=group)
                said = [str(one.message) for one in caught if issubclass(one.category, DataWarning)]
                write_bytes(folder / WARNINGS, json.dumps(said).encode(), synced=False)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        kind, message = _described(error)
        said_so = json.dumps({"kind": kind, "message": message}).encode()
        write_bytes(folder / f"error-{rank}.json", said_so, synced=False)
        return 1
    return 0


def _described(error: Exception) -> tuple[str, str]:
    """Return the kind of an error, one of `KINDS`, and its message."""
    if isinstance(error, InputError):
        kind = "lost" if isinstance(error, LostProcessError) else "input"
        return "diverged" if isinstance(error, DivergedError) else kind, str(error)
    return "other", f"a process that trains the model failed: {type(error).__name__}: {error}"
