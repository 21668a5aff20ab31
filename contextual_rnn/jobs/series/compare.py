"""`compare`: whether the initial state matters on these series, and by how much."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..._core.settings import check_count, takes_settings
from ...data.series import Datasets, Record
from ...data.table import Source
from ...errors import InputError
from ...kinds import COMPARED, comparisons
from ...scaling import error_unit
from ...study.comparison import Comparison, Models, findings, kinds_to_compare, run_directory
from ...study.parallel import one_thread, run_all
from ...study.run_folder import RunFolder
from .metrics import BY_SERIES, METRICS, persistence, scores
from .model import SeriesModel
from .settings import SeriesSettings
from .train import Training, choose_settings, make_run, read_tables, scored_length, scoring_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SeriesComparison(Comparison):
    """What a comparison of initial states found on series; see `Comparison`."""

    test: list[Record]

    def plot_start(self, series: int = 0, steps: int = 150) -> Figure:
        """Draw the first steps of a test series, as measured and as predicted from every kind of initial state.

        Args:
            series: the number of the test series, from 0.
            steps: the number of predicted steps to show.
        """
        return plot_prediction(self.first_models(), self.test[series], steps)

    def first_models(self) -> dict[str, Any]:
        """Return the model of the first seed of every kind."""
        kinds = dict.fromkeys(run["initial_state"] for run in self.runs)
        return {kind: self.models[f"{kind}-seed-0"] for kind in kinds}

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        return {**super().figures(), "start": self.plot_start}


@takes_settings(SeriesSettings, without=("initial_state",))
def compare(
    train: Source,
    test: Source,
    *,
    initial_states: Sequence[str] | None = None,
    seeds: int = 5,
    validation: Source | None = None,
    folds: int = 4,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    **options: Any,
) -> SeriesComparison:
    """Train the same model from every kind of initial state, and say whether the initial state matters here.

    Settings with several values are chosen for every kind alike, on validation data. Errors are those on the test
    table.

    Args:
        train: Training table with one row per time step, in order: a CSV, TSV or Parquet file; in Python, also a data
            frame.
        test: Table to report errors on; nothing is chosen on it.
        initial_states: Kinds of initial state, and the controls warm-up and every-step; by default, all that the
            window and the context allow.
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Table to choose settings on, instead of folds of the training table.
        folds: Number of folds of the training table, at least 2; used if a setting has several values.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; by default, one per processor.

    Returns:
        The answer, the tables and the figures.

    Raises:
        InputError: a table or a setting is wrong; says what and where.

    Example:
        contextual-rnn compare series --train train.csv --test test.csv --inputs u --targets y --window 5
    """
    check_count(seeds=seeds, **({} if jobs is None else {"jobs": jobs}))
    check_count(least=2, folds=folds)
    if test is None:
        raise InputError("`test` is required: the errors of the comparison are those on this table")
    kinds = kinds_to_compare(initial_states, COMPARED, options.get("window") or 0, options.get("context") or ())
    candidates = {kind: SeriesSettings.candidates({**options, "initial_state": kind}) for kind in kinds}
    data = read_tables(train, validation, test, candidates[kinds[0]][0])
    config = {
        "candidates": {kind: [settings.to_json() for settings in several] for kind, several in candidates.items()},
        **data.identity,
        "folds": folds,
        "seeds": seeds,
    }
    with run_directory(out) as path:
        folder = RunFolder.open(path, config, resume=resume)
        choices = choose_settings(candidates, data, folds, path / "tuning", resume=resume, jobs=jobs)
        planned = [
            make_run(f"{kind}-seed-{seed}", choice.settings, seed, scored_length(candidates))
            for kind, choice in choices.items()
            for seed in range(seeds)
        ]
        results = run_all(planned, Training(data), path / "runs", resume=resume, title="training", jobs=jobs)
        identities = [{"initial_state": kind, "seed": seed} for kind in choices for seed in range(seeds)]
        runs = [{**identity, **result} for identity, result in zip(identities, results, strict=True)]
        models = Models(path / "runs", [run.name for run in planned])
        with one_thread():
            reference = _baselines(models[planned[0].name], data)
        found = SeriesComparison(
            **findings(runs, comparisons(kinds), METRICS, BY_SERIES, reference),
            models=models,
            config=config,
            report={
                "baselines": reference,
                "chosen": {
                    kind: {**choice.settings.to_json(), "validation": choice.validation}
                    for kind, choice in choices.items()
                },
            },
            note=f"Errors are in {error_unit(candidates[kinds[0]][0].targets)}; lower is better.",
        )
        found.test = data.test
        if out is None:
            found.models.load_all()
        else:
            found.out = path
            with one_thread():
                found.write(folder)
    return found


def _baselines(model: Any, data: Datasets) -> dict[str, dict[str, float]]:
    """Return the errors of the persistence baseline, if there is a window."""
    window = model.settings.window
    if not window:
        return {}
    return {"persistence": scores(persistence(window), data.test, scoring_of(model, model.settings.length))}


def plot_prediction(models: dict[str, Any], record: Record, steps: int = 150) -> Figure:
    """Draw the first steps of a series: one panel per target, measured, and predicted by every model.

    Args:
        models: by the kind of their initial state.
        record: the series.
        steps: the number of predicted steps to show.
    """
    from ...study.figures import colour, finish, style, subplots

    model: SeriesModel = next(iter(models.values()))
    window, targets = model.settings.window, model.settings.targets
    part = record.part(0, window + steps)
    with style():
        figure, axes = subplots(len(targets), width=9, height=3.2)
        for kind, model in models.items():
            (predicted,) = model.predictions([part])
            for place, column in zip(axes[:, 0], predicted.T, strict=True):
                place.plot(range(window, window + len(column)), column, color=colour(kind), label=kind)
        for place, target, column in zip(axes[:, 0], targets, part.targets.T, strict=True):
            place.plot(column, ":", color="black", linewidth=2, label="measured")
            if window:
                place.axvspan(-0.5, window - 0.5, color="grey", alpha=0.15, linewidth=0, label="known window")
            finish(place, "step", f"{target} (unit of the column)", f"series {record.name!r}")
    return figure
