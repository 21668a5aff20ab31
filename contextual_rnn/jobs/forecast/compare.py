"""`compare forecast`: what bridge, attention and feeding are worth to forecasts of these series."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import torch

from ...serialization import load
from ...study.comparison import bootstrap_difference, difference, in_words, summarise, table
from ...study.factors import one_at_a_time
from ...study.figures import dots, finish, line_with_band, logarithmic_where_wide, save, subplots
from ...study.parallel import run_all
from ...study.run_folder import RunFolder, write_json
from ..series.runs import SeriesFiles, fingerprints
from ..series.train import Record
from .model import ForecastConfig, ForecastModel, forecasts, hold_last
from .train import ForecastData, ForecastTraining, job, scores, train, unit_in_words

FACTORS = ("bridge", "attention", "feeding")
METRICS = ("rmse", "last_step_rmse")
MANY_SERIES = 10  # from here on, differences are bootstrapped over the test series too; stretches of one are not alone


def compare(
    values: dict[str, tuple[str, ...]],
    model: ForecastConfig,
    training: ForecastTraining,
    files: SeriesFiles,
    *,
    seeds: int,
    out: pathlib.Path,
    resume: bool,
) -> str:
    """Train every variant with every seed and compare forecasts of the test table.

    Args:
        values: for every factor, its values; the first of each make the base.
        model: what variants share.
        training: likewise.
        files: the tables.
        seeds: how many.
        out: the run folder.
        resume: skip the runs that are done.

    Returns:
        What was found in words. `results.json` and figures are in the folder.
    """
    data = ForecastData.read(files, model)
    settings = {
        "factors": values,
        "model": dataclasses.asdict(model),
        "training": dataclasses.asdict(training),
        "files": dataclasses.asdict(files),
        "sha256": fingerprints(files),
        "seeds": seeds,
    }
    folder = RunFolder.open(out, settings, resume=resume)
    kinds = {", ".join(one.values()): one for one in one_at_a_time(values)}
    jobs = [
        job(
            f"{name.replace(', ', '-')}-seed-{seed}",
            dataclasses.replace(model, bridge=one["bridge"], attention=one["attention"]),
            dataclasses.replace(training, feeding=one["feeding"]),
            files,
            seed,
        )
        for name, one in kinds.items()
        for seed in range(seeds)
    ]
    results = run_all(jobs, train, out / "runs", resume=resume, title="forecasts")
    identities = [{"initial_state": name, **one, "seed": seed} for name, one in kinds.items() for seed in range(seeds)]
    runs = [{**identity, **result} for identity, result in zip(identities, results, strict=True)]
    first = load(out / "runs" / jobs[0].name / "model.safetensors")
    held = hold_last(first, data.test)
    unit = unit_in_words(files.columns)
    report = _report(runs, list(kinds), scores(held))
    report["verdict"] += f"\nErrors are in {unit}."
    write_json(folder.results_path, report)  # before the pictures, which could fail
    draw_errors(folder, runs, list(kinds), held.mean(0).sqrt().numpy(), unit)
    draw_forecasts(folder, first, data.test, next(iter(kinds)), files.columns.targets[0])
    return report["verdict"]


def _report(runs: list[dict[str, Any]], kinds: list[str], held: dict[str, float]) -> dict[str, Any]:
    base, *others = kinds
    differences = []
    for other in others:
        names = {"initial_state": other}, {"initial_state": base}
        differences += [difference(runs, *names, metric) for metric in METRICS]
        if len(runs[0]["squared_error_by_series"]) >= MANY_SERIES:
            differences.append(bootstrap_difference(runs, other, base))
    summary = summarise(runs, ["initial_state"])
    empty = {"low": None, "high": None, "seeds": 0}
    rows = [
        {"initial_state": "hold-last", "metric": name, "mean": value, "median": value, **empty}
        for name, value in held.items()
    ]
    report: dict[str, Any] = {
        "runs": runs,
        "summary": summary + rows,
        "differences": differences,
        "baselines": {"hold-last": held},
    }
    words = [table(report["summary"], METRICS, ", ".join(FACTORS)), *map(in_words, differences)]
    return {**report, "verdict": "\n".join(words)}


def draw_errors(folder: RunFolder, runs: list[dict[str, Any]], kinds: list[str], held: np.ndarray, unit: str) -> None:
    """Draw the error of every run, and how it grows over the horizon; in logarithms where some are ten times others."""
    error = f"RMSE on the test table,\n{unit}"
    figure, axes = subplots(1, 2, width=6, height=1.8 + 0.4 * len(kinds))
    by_kind = {kind: [run for run in runs if run["initial_state"] == kind] for kind in kinds}
    dots(axes[0, 0], {kind: [run["metrics"]["rmse"] for run in mine] for kind, mine in by_kind.items()})
    finish(axes[0, 0], error, ", ".join(FACTORS), "dot: one seed; bar: median", legend=False)
    steps = np.arange(1, len(held) + 1)
    for kind, mine in by_kind.items():
        line_with_band(axes[0, 1], steps, np.array([run["rmse_by_step"] for run in mine]), kind, kind)
    axes[0, 1].plot(steps, held, ":", color="black", label="hold the last value")
    finish(axes[0, 1], "step of the horizon", error, "mean and range of the seeds", legend=False)
    logarithmic_where_wide(axes[0, 0], "x")
    logarithmic_where_wide(axes[0, 1], "y")
    figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    save(figure, folder.figures, "errors")


@torch.no_grad()
def draw_forecasts(folder: RunFolder, model: Any, test: list[Record], kind: str, target: str, shown: int = 4) -> None:
    """Draw the first seed's forecasts of a few stretches of the test table."""
    assert isinstance(model, ForecastModel)
    figure, axes = subplots(2, 2, width=5.5, height=2.8)
    past, chosen = model.settings.past, range(0, len(test), max(1, len(test) // shown))[:shown]
    found = forecasts(model, [test[number] for number in chosen])
    for place, number, forecast in zip(axes.flat, chosen, found, strict=False):
        place.plot(test[number].targets[:, 0], ".", color="black", markersize=4, label="measured")
        steps = range(past, past + len(forecast))
        place.plot(steps, forecast[:, 0], color="#0072B2", linewidth=1.5, label="forecast")
        place.axvline(past - 0.5, color="grey", linestyle=":", linewidth=1)
        title = f"series {test[number].name!r}, stretch {number + 1} of {len(test)}"
        finish(place, "step; forecast from the dotted line on", f"{target}, its own unit", title, legend=False)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(f"Forecasts of the test table: {kind}, seed 0")
    save(figure, folder.figures, "forecasts")
