"""`compare series`: whether the initial state matters on these series, and by how much."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from ...data.series import Columns
from ...serialization import load
from ...study.comparison import bootstrap_difference, bootstrap_nats, difference, in_words, shift, summarise, table
from ...study.figures import bands, colour, dots, finish, save, subplots
from ...study.run_folder import RunFolder, write_json
from .purposes import GENERATE, Purpose, purpose_of
from .runs import Choice, Option, SeriesFiles, check_kinds, choose, fingerprints, read_tables, train_chosen
from .train import Record, hold_last_errors, simulate, unit

KNOWING = "Knowing the outputs of the window"
KNOWING_MORE = "Knowing the outputs of the window and the context columns"
MEANINGS = (
    ("warm-up", "zero", KNOWING),
    ("context", "warm-up", "Starting from h0 = g(context) rather than warming up on the same facts"),
    ("context", "every-step", "Starting from h0 = g(context) rather than joining it to every input"),
    ("context", "zero", "Starting from h0 = g(context) rather than from zero"),
    ("free", "zero", "Learning one h0"),
    ("gaussian", "context", "Noise on h0 in training"),
    ("error-noise", "free", "Noise on h0 in proportion to the error"),
)
MANY_SERIES = 10  # from here on, differences are bootstrapped over the test series too


def compare(
    options: dict[str, list[Option]],
    files: SeriesFiles,
    *,
    folds: int,
    seeds: int,
    out: pathlib.Path,
    resume: bool,
) -> tuple[str, str]:
    """Choose settings for every kind on folds, train it with every seed, and compare errors on the test table.

    Args:
        options: for every kind of initial state, the settings to choose among; the same number for each.
        files: the tables.
        folds: of the training table, where there is no validation table.
        seeds: how many.
        out: the run folder.
        resume: skip the runs that are done.

    Returns:
        A table and a verdict, in words. `results.json` and figures are in the folder.
    """
    settings = {
        "options": {
            kind: [dataclasses.asdict(option) for option in candidates] for kind, candidates in options.items()
        },
        "files": dataclasses.asdict(files),
        "sha256": fingerprints(files),
        "folds": folds,
        "seeds": seeds,
    }
    model = next(iter(options.values()))[0].model
    check_kinds(list(options), model.window, files.columns)
    test = read_tables(files, model.window)
    folder = RunFolder.open(out, settings, resume=resume)
    if any(len(candidates) > 1 for candidates in options.values()):
        choices = choose(options, files, folds, out, resume=resume)
    else:
        choices = {kind: Choice(candidates[0], []) for kind, candidates in options.items()}
    runs = train_chosen(choices, files, range(seeds), out, resume=resume)
    size = unit(load(out / "runs" / f"{runs[0]['initial_state']}-seed-0" / "model.safetensors"))
    held = hold_last_errors(test, model.window, _scored_length(options), size) if model.window else None
    purpose = purpose_of(files.columns)
    report = _report(purpose, runs, choices, test, files.columns, held)
    write_json(folder.results_path, report)  # before the pictures, which could fail
    figures = draw(purpose, folder, runs, report, test)
    return table(report["summary"], purpose.metrics), report["verdict"] + "\nFigures: " + ", ".join(map(str, figures))


def _scored_length(options: dict[str, list[Option]]) -> int:
    """Return the length of the windows of `window_rmse`, which is the same for all options."""
    return next(iter(options.values()))[0].training.scored_length


def _difference(runs: list[dict[str, Any]], a: str, b: str, metric: str) -> dict[str, Any]:
    compare_by = shift if metric == GENERATE.chosen_by else difference  # nats may be negative
    return compare_by(runs, {"initial_state": a}, {"initial_state": b}, metric)


def _report(
    purpose: Purpose,
    runs: list[dict[str, Any]],
    choices: dict[str, Choice],
    test: list[Record],
    columns: Columns,
    held: dict[str, float] | None,
) -> dict[str, Any]:
    pairs = comparisons(list(choices), bool(columns.context))
    differences = [
        {**_difference(runs, a, b, metric), "meaning": why} for a, b, why in pairs for metric in purpose.metrics
    ]
    if len(test) >= MANY_SERIES:
        bootstrap = bootstrap_nats if purpose is GENERATE else bootstrap_difference
        differences += [{**bootstrap(runs, a, b), "meaning": why} for a, b, why in pairs]
    summary = summarise(runs, ["initial_state"])
    baselines = {"hold-last": held} if held else {}
    summary += [_baseline_row(name, *one) for name, metrics in baselines.items() for one in metrics.items()]
    return {
        "runs": runs,
        "summary": summary,
        "differences": differences,
        "baselines": baselines,
        "chosen": {kind: _chosen(choice) for kind, choice in choices.items()},
        "verdict": verdict(purpose, runs, summary, differences),
    }


def comparisons(kinds: list[str], context_columns: bool) -> list[tuple[str, str, str]]:
    """Return the pairs of kinds to compare, and what each comparison tells; every kind is in one, if there are two."""
    pairs = [(a, b, why) for a, b, why in MEANINGS if a in kinds and b in kinds]
    if context_columns:
        pairs = [(a, b, KNOWING_MORE if why == KNOWING else why) for a, b, why in pairs]
    compared = {kind for a, b, _ in pairs for kind in (a, b)}
    return pairs + [(kind, kinds[0], f"{kind} rather than {kinds[0]}") for kind in kinds[1:] if kind not in compared]


def _chosen(choice: Choice) -> dict[str, Any]:
    return {**dataclasses.asdict(choice.option), "validation": choice.validation}


def _baseline_row(name: str, metric: str, value: float) -> dict[str, Any]:
    return {
        "initial_state": name,
        "metric": metric,
        "mean": value,
        "median": value,
        "low": None,
        "high": None,
        "seeds": 0,
    }


def verdict(
    purpose: Purpose, runs: list[dict[str, Any]], summary: list[dict[str, Any]], differences: list[dict[str, Any]]
) -> str:
    """Say which kind is best on which metric, and what each comparison is worth, with its interval."""
    lines = []
    for metric in purpose.metrics:
        rows = [row for row in summary if row["metric"] == metric and row["seeds"]]
        best, *others = sorted(rows, key=lambda row: row["median"])
        kind = best["initial_state"]
        lines.append(f"Of the trained kinds, {kind} has the lowest median {metric}: {best['median']:.3g}.")
        if others:
            lines.append("  " + in_words(_difference(runs, kind, others[0]["initial_state"], metric)))
    last = None
    for one in differences:
        if one["meaning"] != last:
            last = one["meaning"]
            lines.append(f"{last} ({one['a']} against {one['b']}):")
        lines.append("  " + in_words(one))
    claims = sum(one["low"] is not None for one in differences)
    if claims:
        lines.append(
            f"Intervals over seeds are of other seeds on these test series, not of other series. Each of these "
            f"{claims} comparisons is made at 95 % by itself: of twenty where nothing differs, about one "
            "claims a difference."
        )
    return "\n".join(lines)


def draw(
    purpose: Purpose,
    folder: RunFolder,
    runs: list[dict[str, Any]],
    report: dict[str, Any],
    test: list[Record],
) -> list[pathlib.Path]:
    """Draw the errors of every run, and one test series beside what every kind made of it."""
    one_target = test[0].targets.shape[1] == 1
    first = draw_bands if purpose is GENERATE else draw_start
    return [draw_errors(purpose, folder, runs, report, one_target), first(folder, runs, test)]


def draw_errors(
    purpose: Purpose, folder: RunFolder, runs: list[dict[str, Any]], report: dict[str, Any], one_target: bool
) -> pathlib.Path:
    """Draw a dot for every run, a panel for every metric."""
    figure, axes = subplots(1, len(purpose.metrics), width=4.6, height=3.4)
    kinds = list(dict.fromkeys(run["initial_state"] for run in runs))
    error = "unit of the target" if one_target else "deviations of each target"
    units = {"nats_per_step": "less is better", "crps": "deviations of each target"}
    for place, metric in zip(axes[0], purpose.metrics, strict=True):
        values: dict[str, list[float]] = {kind: [] for kind in kinds}
        for run in runs:
            values[run["initial_state"]].append(run["metrics"][metric])
        values |= {name: [metrics[metric]] for name, metrics in report["baselines"].items()}
        dots(place, values)
        unit_of = units.get(metric, error)
        finish(place, f"{metric} on the test table, {unit_of}", "", "dot: one seed; bar: median", legend=False)
    return save(figure, folder.figures, "errors")


def _first_seeds(folder: RunFolder, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the model of the first seed of every kind."""
    kinds = dict.fromkeys(run["initial_state"] for run in runs)
    return {kind: load(folder.path / "runs" / f"{kind}-seed-0" / "model.safetensors") for kind in kinds}


def draw_start(folder: RunFolder, runs: list[dict[str, Any]], test: list[Record], steps: int = 150) -> pathlib.Path:
    """Draw the first steps of the first test series after its window: the truth, and the first seed of every kind."""
    figure, axes = subplots(width=9, height=4)
    models = _first_seeds(folder, runs)
    first = test[0].part(0, max(model.settings.window for model in models.values()) + steps)
    for kind, model in models.items():
        _, predicted, _ = next(simulate(model, [first]))
        window = model.settings.window
        axes[0, 0].plot(range(window, window + len(predicted)), predicted[:, 0], color=colour(kind), label=kind)
    axes[0, 0].plot(first.targets[:, 0], ":", color="black", linewidth=2, label="measured")
    finish(axes[0, 0], "step", "first target, its own unit", f"The start of test series {first.name!r}, seed 0")
    return save(figure, folder.figures, "start")


def draw_bands(folder: RunFolder, runs: list[dict[str, Any]], test: list[Record], steps: int = 150) -> pathlib.Path:
    """Draw the first test series, and for every kind the bands of trajectories sampled for its context."""
    models, first = _first_seeds(folder, runs), test[0].part(0, steps)
    figure, axes = subplots(len(models), width=9, height=2.6)
    for place, (kind, model) in zip(axes[:, 0], models.items(), strict=True):
        drawn = model.sample(first.context.unsqueeze(0), 200, len(first), stop=False).elements[:, :, 0]
        bands(place, drawn, kind)
        place.plot(first.targets[:, 0], ":", color="black", linewidth=2, label="measured")
        finish(place, "step", "first target, its own unit", f"h0 = {kind}, seed 0, test series {first.name!r}")
    return save(figure, folder.figures, "bands")
