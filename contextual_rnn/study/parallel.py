"""Run training jobs in a pool of worker processes, one thread each, with a shared progress bar."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import statistics
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar

import torch

from .._core.files import parse_json, read_bytes
from .._core.gpus import taking_gpu
from .._core.temporary import temporary_folder
from ..errors import DataWarning, InputError
from .fit import DivergedError, TrainingSettings
from .run_folder import RunFolder, check_name, provenance

INTERVAL = 0.5  # seconds between updates of the progress bar
WORTH_SAYING = 10.0  # seconds that remain after the first run, from which on they are said
PATIENCE = 3.0  # seconds without a finished epoch after which a line says why the first may take long
LOCK_TIMEOUT = 10.0  # seconds to wait for a run's lock if the run is not resumed

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
    gpus: int = 0,
    cluster: str | None = None,
) -> list[dict[str, Any]]:
    """Execute all runs in parallel, and return their results in order.

    Args:
        runs: each gets the folder `out / name`.
        work: `work(config, folder)` executes one run and returns its results, which are written to `results.json`.
        out: the folder that holds the runs' folders.
        resume: skip the runs that are finished, and continue those that are not.
        title: of the progress bar.
        jobs: the number of processes; None takes one per processor, or per GPU if there are several. With 1, runs
            execute in the calling process.
        gpus: the number of GPUs, each of which trains one run at a time as long as there are no more processes.
        cluster: the address of a Dask scheduler whose workers execute the runs instead; see `run_on_cluster`.

    Raises:
        InputError: if a folder cannot be used, or another process works in it.
        DivergedError: if a run diverges; the message names the run.
    """
    import joblib

    processes = processes_for(len(runs), jobs, gpus)
    results: dict[str, dict[str, Any]] = {}
    before = {run.name for run in runs if resume and RunFolder(out / run.name).results_path.exists()}
    with (
        Progress([(run.name, run.epochs) for run in runs], out, title, 0 if cluster else processes, before) as finished,
        temporary_folder() as locks,
    ):
        shared = gpus, processes, locks
        if cluster is not None:
            from .cluster import run_on_cluster

            processes = 1
            done: Any = run_on_cluster(cluster, runs, work, out, resume=resume, timeout=LOCK_TIMEOUT)
        elif processes == 1:
            done = ((*execute_run(run, work, out, resume, provenance()), ()) for run in runs)
        else:
            tasks = [
                joblib.delayed(_run_in_worker)(run, work, out, resume, provenance(), os.getpid(), shared)
                for run in runs
            ]
            with joblib.parallel_config("loky", n_jobs=processes, inner_max_num_threads=1):
                done = joblib.Parallel(return_as="generator_unordered", max_nbytes=None)(tasks)
        with _ended_workers(processes):
            for name, result, said in done:
                results[name] = result
                finished(name)
                for sentence in said:
                    warnings.warn(sentence, DataWarning, stacklevel=2)
    return [results[run.name] for run in runs]


def processes_for(runs: int, jobs: int | None, gpus: int) -> int:
    """Return the number of processes that execute a number of runs; `jobs` and `gpus` are those of `run_all`."""
    import joblib

    return min(jobs or (gpus if gpus > 1 else joblib.cpu_count()), runs) or 1


def say(line: str) -> None:
    """Print a line on standard error, if someone reads it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # the reader of standard error has closed it
            print(line, file=sys.stderr, flush=True)


def duration_in_words(seconds: float) -> str:
    """Return a duration as "45 s", "12 min" or "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _run_in_worker(
    run: Run,
    work: Work,
    out: pathlib.Path,
    resume: bool,
    made_by: dict[str, Any],
    parent: int,
    shared: tuple[int, int, pathlib.Path],
) -> tuple[str, Any, list[str]]:
    """Return the name, the results, and the warnings about data, which the calling process gives."""
    end_with(parent)
    gpus, processes, locks = shared
    with warnings.catch_warnings(record=True) as caught, taking_gpu(locks, gpus, processes):
        warnings.simplefilter("always", DataWarning)
        name, results = execute_run(run, work, out, resume, made_by)
    others = [warning for warning in caught if not issubclass(warning.category, DataWarning)]
    for warning in others:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return name, results, [str(warning.message) for warning in caught if warning not in others]


@contextlib.contextmanager
def _ended_workers(processes: int) -> Iterator[None]:
    """Turn joblib's error about a worker process that was ended into a sentence."""
    if processes == 1:
        yield
        return
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        yield
    except BrokenProcessPool:
        raise InputError(
            f"one of the {processes} worker processes was ended by the system, probably because the memory was used "
            "up; give fewer `jobs`, and `resume` to go on"
        ) from None


def execute_run(run: Run, work: Work, out: pathlib.Path, resume: bool, made_by: dict[str, Any]) -> tuple[str, Any]:
    """Execute a run in its folder, and return its name and its results."""
    with (
        one_thread(),
        RunFolder.open(out / run.name, run.config, resume=resume, made_by=made_by, timeout=LOCK_TIMEOUT) as folder,
    ):
        return run.name, _results(run, work, folder)


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
            check_name(out)
            yield pathlib.Path(out)
            return
        with temporary_folder() as path:
            yield path / "run"


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have torch use one thread, as every run does, so that results are the same in any process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _results(run: Run, work: Work, folder: RunFolder) -> dict[str, Any]:
    finished = folder.finished_results()
    if finished is not None:
        return finished
    started = time.monotonic()
    try:
        results = work(run.config, folder.path)
    except DivergedError as error:
        raise DivergedError(f"{run.name}: {error}") from None
    results["seconds"] = round(time.monotonic() - started, 1)
    folder.finish(results)
    return results


@functools.cache
def end_with(parent: int) -> None:
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
        processes: the number of processes on this machine; several take some time to start, which a line announces.
            0 if the runs are executed elsewhere.
        before: the names of the runs that an earlier call finished.
    """

    def __init__(
        self,
        runs: Sequence[tuple[str, int]],
        out: pathlib.Path,
        title: str,
        processes: int,
        before: Collection[str] = (),
    ) -> None:
        self.runs, self.out, self.title, self.processes, self.before = runs, out, title, processes, before
        self.stop, self.finished, self.estimated = threading.Event(), 0, False
        self.is_live = sys.stderr is not None and (sys.stderr.isatty() or _in_notebook())
        self.bar: Any = None
        self.started = time.monotonic()

    def __enter__(self) -> Callable[[str], None]:
        if self.before:
            self._write(f"{self.title}: {len(self.before)} of {len(self.runs)} runs were finished before")
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
            with contextlib.suppress(OSError):
                self._update()
                if self.bar is not None:
                    self.bar.close()

    def _watch(self) -> None:
        with contextlib.suppress(OSError):  # the reader of standard error has closed it
            self._show()

    def _show(self) -> None:
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
        epochs = sum(_content(file).count(b"\n") for file in written.values())
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
        if name in self.before:
            return
        if not self.is_live:
            self._write(f"{self.title}: {name} finished, {self.finished} of {len(self.runs)}")
        if not self.estimated:
            self.estimated = True
            self._estimate(time.monotonic() - self.started)

    def _estimate(self, seconds: float) -> None:
        """Say how long the other runs take, if each takes as long as the first."""
        runs = len(self.runs) - len(self.before)
        left = seconds * (math.ceil(runs / self.processes) - 1) if self.processes else 0.0
        if left >= WORTH_SAYING:
            self._write(
                f"{self.title}: the first run took {duration_in_words(seconds)}; the others take about "
                f"{duration_in_words(left)}, {self.processes} at a time"
            )

    def _write(self, line: str) -> None:
        if self.bar is None:
            say(line)
        else:  # above the bar
            self.bar.write(line, file=sys.stderr)


def _last_loss(file: pathlib.Path) -> str:
    """Return the loss in the last whole line of a file of metrics, as the bar shows it."""
    lines = _content(file).split(b"\n")[:-1]
    try:
        loss = parse_json(lines[-1], nan=True).get("loss") if lines else None
        return "" if loss is None else f", loss {loss:.3g}"
    except (AttributeError, TypeError, ValueError):  # not a line of metrics
        return ""


def _content(file: pathlib.Path) -> bytes:
    """Return the content of a file; empty if it cannot be read."""
    try:
        return read_bytes(file)
    except InputError:
        return b""


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    kernel = shell.get_ipython() if shell else None
    return kernel is not None and "IPKernelApp" in kernel.config
