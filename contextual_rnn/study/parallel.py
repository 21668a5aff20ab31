"""Runs side by side, one thread each, under one progress bar."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import joblib
import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from ..errors import InputError
from .fit import DivergedError
from .run_folder import RunFolder, read_json, write_json

PATIENCE = 10  # seconds to wait for a run's lock: the workers of a process that was killed need one to end


@dataclasses.dataclass(frozen=True)
class Job:
    """One run: a name (its folder), its settings, and the epochs it takes, for the progress bar."""

    name: str
    config: dict[str, Any]
    epochs: int


def run_all(
    jobs: Sequence[Job],
    work: Callable[[dict[str, Any], pathlib.Path], dict[str, Any]],
    out: pathlib.Path,
    *,
    resume: bool,
    title: str,
    workers: int | None = None,
) -> list[dict[str, Any]]:
    """Do all jobs, side by side, one thread each, and return their results in order.

    Args:
        jobs: the runs; each gets the folder `out / name`.
        work: `work(config, folder)` does one and returns its results, which are then written to `results.json`.
        out: the folder of all.
        resume: skip the runs that are done and go on with those that are not.
        title: of the progress bar.
        workers: how many at once; None takes one a processor.
    """
    workers = min(workers or joblib.cpu_count(), len(jobs))
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", max_nbytes=None)
    results: dict[str, dict[str, Any]] = {}
    with _Progress(jobs, out, title) as done:
        for name, result in parallel(joblib.delayed(_run)(job, work, out, resume, os.getpid()) for job in jobs):
            results[name] = result
            done(name)
    return [results[job.name] for job in jobs]


def _run(
    job: Job, work: Callable[..., dict[str, Any]], out: pathlib.Path, resume: bool, parent: int
) -> tuple[str, Any]:
    torch.set_num_threads(1)
    _end_with(parent)
    path = out / job.name
    _make(path)
    try:
        with FileLock(path / ".lock", timeout=PATIENCE):
            return _run_alone(job, work, path, resume)
    except Timeout:
        raise InputError(f"{path}: another process is at work on this run; wait for it, or end it") from None


def _make(path: pathlib.Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be made: {error.strerror or error}") from None


@functools.cache
def _end_with(parent: int) -> None:
    """Have a worker end when the process that started it is gone, so that none trains on beside a resumed run."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if os.getpid() != parent:
        threading.Thread(target=watch, daemon=True).start()


def _run_alone(job: Job, work: Callable[..., dict[str, Any]], path: pathlib.Path, resume: bool) -> tuple[str, Any]:
    folder = RunFolder.open(path, job.config, resume=resume)
    if folder.results_path.exists():
        return job.name, read_json(folder.results_path)
    started = time.perf_counter()
    try:
        results = work(job.config, folder.path)
    except DivergedError as error:
        raise DivergedError(f"{job.name}: {error}") from None
    results["seconds"] = round(time.perf_counter() - started, 1)
    write_json(folder.results_path, results)
    return job.name, results


class _Progress:
    """One bar over the epochs of all runs, counted in their `metrics.jsonl`; plain lines where there is no terminal."""

    def __init__(self, jobs: Sequence[Job], out: pathlib.Path, title: str) -> None:
        self.jobs, self.out, self.title = jobs, out, title
        self.stop = threading.Event()
        self.bar = tqdm(total=sum(job.epochs for job in jobs), desc=title, unit="epoch", disable=None)
        self.finished = 0

    def __enter__(self) -> Callable[[str], None]:
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self._done

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.thread.join()
        self._count()
        self.bar.close()

    def _watch(self) -> None:
        while not self.stop.wait(0.5):
            self._count()

    def _count(self) -> None:
        if not self.bar.disable:
            files = (self.out / job.name / "metrics.jsonl" for job in self.jobs)
            self.bar.n = sum(file.read_bytes().count(b"\n") for file in files if file.exists())
            self.bar.refresh()

    def _done(self, name: str) -> None:
        self.finished += 1
        if self.bar.disable:
            print(f"{self.title}: {name} done, {self.finished} of {len(self.jobs)}", file=sys.stderr, flush=True)
