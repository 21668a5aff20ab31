"""Run training jobs in a pool of worker processes, one thread each, with a shared progress bar."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import torch

from ..errors import InputError
from .fit import DivergedError, TrainingSettings
from .run_folder import RunFolder, make_folder, provenance, read_json, write_json

INTERVAL = 0.5  # seconds between updates of the progress bar
PATIENCE = 3.0  # seconds without a finished epoch after which a line says why the first may take long
LOCK_TIMEOUT = 10  # seconds to wait for a run's lock; the workers of a killed process take about one second to end

Work = Callable[[dict[str, Any], pathlib.Path], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        name: of the run and of its folder.
        config: its settings, which can be stored as JSON.
        epochs: the maximum number of its epochs, for the progress bar.
    """

    name: str
    config: dict[str, Any]
    epochs: int


@dataclasses.dataclass(frozen=True)
class Training:
    """The training of a job, which executes its runs. Each worker process gets a copy.

    Attributes:
        data: what the runs read. It has `validation` and `test`, which are empty where they were not given, and
            `identity`, which identifies them and can be stored as JSON.
        folds: the number of folds of the training data; settings are chosen on them if there are no validation data.
        minimise: the validation metrics to minimise, in order of priority.
    """

    data: Any
    folds: int = 1

    minimise: ClassVar[tuple[str, ...]]

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Execute a run with the `config` of `run`, and return its results, whose `metrics` are numbers by name."""
        raise NotImplementedError

    def average(self, values: Sequence[float]) -> float:
        """Return the average of a validation metric over folds."""
        return statistics.fmean(values)

    @property
    def trials(self) -> int:
        """The number of trials of every candidate among several settings."""
        return 1 if self.data.validation else self.folds

    def run(self, name: str, settings: TrainingSettings, seed: int, fold: int | None = None) -> Run:
        """Return a run: a trial on a fold or on the validation data, or the final training if `fold` is None."""
        return Run(name, {"settings": settings.to_json(), "seed": seed, "fold": fold}, settings.epochs)


def run_all(
    runs: Sequence[Run],
    work: Work,
    out: pathlib.Path,
    *,
    resume: bool,
    title: str,
    jobs: int | None = None,
) -> list[dict[str, Any]]:
    """Execute all runs in parallel, and return their results in order.

    Args:
        runs: each gets the folder `out / name`.
        work: `work(config, folder)` executes one run and returns its results, which are written to `results.json`.
        out: the folder that holds the runs' folders.
        resume: skip the runs that are finished, and continue those that are not.
        title: of the progress bar.
        jobs: the number of processes; None takes one per processor. With 1, runs execute in the calling process.

    Raises:
        InputError: if a folder cannot be used, or another process works in it.
        DivergedError: if a run diverges; the message names the run.
    """
    import joblib

    processes = min(jobs or joblib.cpu_count(), len(runs)) or 1
    results: dict[str, dict[str, Any]] = {}
    with Progress([(run.name, run.epochs) for run in runs], out, title, processes) as finished:
        if processes == 1:
            done: Any = (_run(run, work, out, resume, provenance()) for run in runs)
        else:
            tasks = [joblib.delayed(_run_in_worker)(run, work, out, resume, provenance(), os.getpid()) for run in runs]
            with joblib.parallel_config("loky", n_jobs=processes, inner_max_num_threads=1):
                done = joblib.Parallel(return_as="generator_unordered", max_nbytes=None)(tasks)
        for name, result in done:
            results[name] = result
            finished(name)
    return [results[run.name] for run in runs]


def _run_in_worker(
    run: Run, work: Work, out: pathlib.Path, resume: bool, made_by: dict[str, Any], parent: int
) -> tuple[str, Any]:
    _end_with(parent)
    return _run(run, work, out, resume, made_by)


def _run(run: Run, work: Work, out: pathlib.Path, resume: bool, made_by: dict[str, Any]) -> tuple[str, Any]:
    from filelock import FileLock, Timeout

    path = out / run.name
    make_folder(path)
    try:
        with FileLock(path / ".lock", timeout=LOCK_TIMEOUT), one_thread():
            return run.name, _results(run, work, path, resume, made_by)
    except Timeout:
        raise InputError(f"{path}: another process is working on this run; wait for it, or stop it") from None


@contextlib.contextmanager
def caller_unchanged() -> Iterator[None]:
    """Restore PyTorch's random state and the environment variables of this process at the end.

    Runs seed PyTorch's global generators, and some libraries set environment variables when they are imported.
    """
    environment = dict(os.environ)
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


@contextlib.contextmanager
def run_directory(out: str | os.PathLike[str] | None) -> Iterator[pathlib.Path]:
    """Yield the folder to work in: `out`, or a temporary one that is deleted afterwards where `out` is None.

    The work leaves the random state and the environment of the calling process as they were.
    """
    with caller_unchanged():
        if out is not None:
            yield pathlib.Path(out)
            return
        with tempfile.TemporaryDirectory(prefix="contextual-rnn-") as path:
            yield pathlib.Path(path) / "run"


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have torch use one thread, as every run does, so that results are the same in any process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _results(run: Run, work: Work, path: pathlib.Path, resume: bool, made_by: dict[str, Any]) -> dict[str, Any]:
    folder = RunFolder.open(path, run.config, resume=resume, made_by=made_by)
    if folder.results_path.exists():
        return read_json(folder.results_path)
    started = time.perf_counter()
    try:
        results = work(run.config, folder.path)
    except DivergedError as error:
        raise DivergedError(f"{run.name}: {error}") from None
    results["seconds"] = round(time.perf_counter() - started, 1)
    write_json(folder.results_path, results)
    return results


@functools.cache
def _end_with(parent: int) -> None:
    """End this worker when the process that started it is gone, so that it does not train beside a resumed run."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Progress:
    """Count the epochs of all runs in their `metrics.jsonl`, and show the newest run and its loss.

    Args:
        runs: the name and the number of epochs of every run.
        out: the folder that holds the runs' folders.
        title: of the bar.
        processes: the number of processes; several take some time to start, which a line announces.
    """

    def __init__(self, runs: Sequence[tuple[str, int]], out: pathlib.Path, title: str, processes: int) -> None:
        self.runs, self.out, self.title, self.processes = runs, out, title, processes
        self.stop, self.finished = threading.Event(), 0
        self.is_live = sys.stderr is not None and (sys.stderr.isatty() or _in_notebook())
        self.bar: Any = None

    def __enter__(self) -> Callable[[str], None]:
        if self.is_live:
            if self.processes > 1:
                self._write(f"{self.title}: starting {self.processes} worker processes")
            self.thread = threading.Thread(target=self._watch, daemon=True)
            self.thread.start()
        return self._run_finished

    def __exit__(self, *error: object) -> None:
        if self.is_live:
            self.stop.set()
            self.thread.join()
            self._update()
            if self.bar is not None:
                self.bar.close()

    def _watch(self) -> None:
        started, explained = time.monotonic(), False
        while not self.stop.wait(INTERVAL):
            self._update()
            if self.bar is None and not explained and time.monotonic() - started > PATIENCE:
                explained = True
                self._write(
                    f"{self.title}: in the first epoch; the first run on a machine compiles the recurrent cores, "
                    "which takes some seconds"
                )

    def _update(self) -> None:
        files = {name: self.out / name / "metrics.jsonl" for name, _ in self.runs}
        written = {name: file for name, file in files.items() if file.exists()}
        epochs = sum(file.read_bytes().count(b"\n") for file in written.values())
        if not epochs:
            return
        if self.bar is None:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=sum(count for _, count in self.runs), desc=self.title, unit="epoch", file=sys.stderr)
        newest = max(written, key=lambda name: written[name].stat().st_mtime)
        self.bar.n = epochs
        self.bar.set_postfix_str(f"{newest}{_last_loss(written[newest])}", refresh=False)
        self.bar.refresh()

    def _run_finished(self, name: str) -> None:
        self.finished += 1
        if not self.is_live:
            self._write(f"{self.title}: {name} finished, {self.finished} of {len(self.runs)}")

    def _write(self, line: str) -> None:
        if sys.stderr is not None:
            print(line, file=sys.stderr, flush=True)


def _last_loss(file: pathlib.Path) -> str:
    """Return the loss in the last whole line of a file of metrics, as the bar shows it."""
    lines = file.read_bytes().split(b"\n")[:-1]
    loss = json.loads(lines[-1]).get("loss") if lines else None
    return "" if loss is None else f", loss {loss:.3g}"


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell else None
    return kernel is not None and "IPKernelApp" in kernel.config
