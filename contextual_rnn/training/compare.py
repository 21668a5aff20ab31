"""Runs side by side, and what their results say of each other."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib
import numpy as np
import torch
from tqdm import tqdm

from .intervals import bootstrap_ratio, mean_interval, ratio_interval
from .run_folder import RunFolder, read_json, write_json


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
    with _progress(jobs, out, title) as done:
        for name, result in parallel(joblib.delayed(_run)(job, work, out, resume) for job in jobs):
            results[name] = result
            done(name)
    return [results[job.name] for job in jobs]


def _run(job: Job, work: Callable[..., dict[str, Any]], out: pathlib.Path, resume: bool) -> tuple[str, Any]:
    torch.set_num_threads(1)
    folder = RunFolder.open(out / job.name, job.config, resume=resume)
    if folder.results_path.exists():
        return job.name, read_json(folder.results_path)
    started = time.perf_counter()
    results = work(job.config, folder.path)
    results["seconds"] = round(time.perf_counter() - started, 1)
    write_json(folder.results_path, results)
    return job.name, results


class _progress:
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


def summarise(runs: Sequence[dict[str, Any]], factors: Sequence[str]) -> list[dict[str, Any]]:
    """Return, for every metric of every kind, its mean, median and interval over seeds.

    Args:
        runs: `{"initial_state", "seed", "metrics": {name: value}}`, and other factors where the comparison has them.
        factors: the fields that tell kinds apart, such as `["initial_state"]`.
    """
    rows = []
    for kind, members in _groups(runs, factors):
        for metric in members[0]["metrics"]:
            values = [run["metrics"][metric] for run in members if run["metrics"].get(metric) is not None]
            if not values:
                continue
            interval = mean_interval(values)
            rows.append(
                {
                    **kind,
                    "metric": metric,
                    "mean": interval.middle,
                    "median": float(np.median(values)),
                    "low": interval.low,
                    "high": interval.high,
                    "seeds": len(values),
                }
            )
    return rows


def difference(runs: Sequence[dict[str, Any]], a: dict[str, Any], b: dict[str, Any], metric: str) -> dict[str, Any]:
    """Return the ratio of a metric, kind `a` over kind `b`, paired by seed: `{"a", "b", "metric", "ratio", ...}`.

    Args:
        runs: as for `summarise`.
        a: the fields that the runs of the one kind have, such as `{"initial_state": "context"}`.
        b: those of the other.
        metric: its name; its values must be positive.
    """
    first, second = _by_seed(runs, a, metric), _by_seed(runs, b, metric)
    seeds = sorted(first.keys() & second.keys())
    interval = ratio_interval([first[seed] for seed in seeds], [second[seed] for seed in seeds])
    return {
        "a": label(a),
        "b": label(b),
        "metric": metric,
        "ratio": interval.middle,
        "low": interval.low,
        "high": interval.high,
        "seeds": len(seeds),
    }


def bootstrap_difference(runs: Sequence[dict[str, Any]], a: str, b: str) -> dict[str, Any]:
    """Return the ratio of root mean squared errors over test series, which are drawn again in pairs, seeds averaged."""
    first, second = (
        np.mean([run["squared_error_by_series"] for run in runs if run["initial_state"] == kind], axis=0)
        for kind in (a, b)
    )
    interval = bootstrap_ratio(first, second)
    seeds = len({run["seed"] for run in runs})
    return {
        "a": a,
        "b": b,
        "metric": "series_rmse",
        "ratio": interval.middle,
        "low": interval.low,
        "high": interval.high,
        "seeds": seeds,
        "series": len(first),
    }


def table(summary: Sequence[dict[str, Any]], metrics: Sequence[str]) -> str:
    """Return the medians and means, with intervals, as a table for the terminal: a row a kind, best median first."""
    kinds = list(dict.fromkeys(row["initial_state"] for row in summary))
    cells = {(row["initial_state"], row["metric"]): row for row in summary}
    kinds.sort(key=lambda kind: cells[kind, metrics[0]]["median"])
    rows = [["h0", *(f"{metric}: median, mean [95 %]" for metric in metrics)]]
    rows += [[kind, *(_cell(cells[kind, metric]) for metric in metrics)] for kind in kinds]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _cell(row: dict[str, Any]) -> str:
    if not row["seeds"]:
        return f"{row['median']:.4g}"
    interval = "" if row["low"] is None else f" [{row['low']:.4g}, {row['high']:.4g}]"
    return f"{row['median']:.4g}, {row['mean']:.4g}{interval}"


def label(kind: dict[str, Any]) -> str:
    """Return the name of a kind: the values that tell it apart."""
    return ", ".join(str(value) for value in kind.values())


def in_words(difference: dict[str, Any]) -> str:
    """Say a difference of an error as a sentence, with its interval, or that none was found."""
    a, b, metric, seeds = (difference[key] for key in ("a", "b", "metric", "seeds"))
    if difference["low"] is None:
        several = f"{seeds} seed{'s' * (seeds != 1)}"
        return f"The {metric} of {a} is {difference['ratio']:.3g} of {b}'s over {several}, too few to claim a difference."
    low, high, ratio = difference["low"], difference["high"], difference["ratio"]
    over = f"{difference['series']} test series" if "series" in difference else f"{seeds} seeds"
    interval = f"95 % interval {low:.3g} to {high:.3g} over {over}"
    if low <= 1 <= high:
        return f"No difference was found in {metric} between {a} and {b} (ratio {ratio:.3g}, {interval})."
    word = "lower" if ratio < 1 else "higher"
    return f"The {metric} of {a} is {abs(1 - ratio):.0%} {word} than that of {b} (ratio {ratio:.3g}, {interval})."


def _groups(
    runs: Sequence[dict[str, Any]], factors: Sequence[str]
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    kinds = list(dict.fromkeys(tuple(run[factor] for factor in factors) for run in runs))
    for kind in kinds:
        fields = dict(zip(factors, kind, strict=True))
        yield fields, [run for run in runs if all(run[key] == value for key, value in fields.items())]


def _by_seed(runs: Sequence[dict[str, Any]], kind: dict[str, Any], metric: str) -> dict[int, float]:
    chosen = [run for run in runs if all(run[key] == value for key, value in kind.items())]
    return {run["seed"]: run["metrics"][metric] for run in chosen}
