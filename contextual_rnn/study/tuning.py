"""The choice of settings by validation error. No test data are read."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any, Generic, TypeVar

from .._core.checkpoint import signed
from .fit import DivergedError, TrainingSettings
from .parallel import Training, Work, run_all

Some = TypeVar("Some", bound=TrainingSettings)


@dataclasses.dataclass(frozen=True)
class Choice(Generic[Some]):
    """The settings that were chosen.

    Attributes:
        settings: the candidate with the lowest validation error.
        validation: the validation metrics of every candidate, with the settings that vary; empty where there was a
            single candidate, which needs no trial.
    """

    settings: Some
    validation: list[dict[str, Any]]

    def in_words(self) -> str:
        """Return the chosen values of the settings that vary, such as "hidden 64"; empty where none does."""
        names = [name for name in (self.validation[0] if self.validation else ()) if hasattr(self.settings, name)]
        values = ((name.replace("_", " "), getattr(self.settings, name)) for name in names)
        return ", ".join(f"{name} {value}" for name, value in values)


def choose(
    training: Training, candidates: dict[str, list[Some]], out: pathlib.Path, *, resume: bool, **how: Any
) -> dict[str, Choice[Some]]:
    """Choose, for every kind, the candidate with the lowest validation error, averaged over folds.

    Args:
        training: executes the trials, all with seed 0. Its `run` returns the run that evaluates one candidate on one
            fold; its `average` averages a metric over folds.
        candidates: the settings to choose from, for every kind; a single candidate is chosen without a trial.
        out: the folder of the trials.
        resume: skip the trials that are finished.
        how: further arguments of `run_all`, such as `jobs`.

    Raises:
        DivergedError: training diverged with every candidate of a kind.
    """
    runs = {
        (kind, place, fold): training.run(f"{kind}-option-{place}-fold-{fold}", settings, 0, fold)
        for kind, several in candidates.items()
        if len(several) > 1
        for place, settings in enumerate(several)
        for fold in range(training.trials)
    }
    work, listed = Trial(training), list(runs.values())
    results = run_all(listed, work, out, resume=resume, title="choosing settings", **how) if runs else []
    metrics = {key: result["metrics"] for key, result in zip(runs, results, strict=True)}
    return {
        kind: Choice(several[0], []) if len(several) == 1 else _best(training, kind, several, metrics)
        for kind, several in candidates.items()
    }


@dataclasses.dataclass(frozen=True)
class Trial:
    """One trial: settings with which training diverges are not chosen, and do not end the search."""

    work: Work

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Return the trial's results; its metrics are empty if training diverged."""
        try:
            return self.work(config, folder)
        except DivergedError as error:
            return {"metrics": {}, "diverged": str(error)}


def _best(
    training: Training, kind: str, candidates: list[Some], metrics: dict[tuple[str, int, int], dict[str, float]]
) -> Choice[Some]:
    """Return the best candidate of a kind, by the metrics of every (kind, number of the candidate, fold)."""
    of_folds = [[metrics[kind, place, fold] for fold in range(training.trials)] for place in range(len(candidates))]
    errors = [{name: _average(training, folds, name) for name in training.minimise} for folds in of_folds]
    flat = [settings.to_json() for settings in candidates]
    varied = [name for name in flat[0] if len({str(one[name]) for one in flat}) > 1]
    table = [{name: one[name] for name in varied} | error for one, error in zip(flat, errors, strict=True)]
    finite = [place for place, error in enumerate(errors) if None not in error.values()]
    if not finite:
        raise DivergedError(f"{kind}: training diverged with all {len(candidates)} settings; try a lower learning rate")
    return Choice(candidates[min(finite, key=lambda place: list(errors[place].values()))], table)


def _average(training: Training, folds: list[dict[str, float]], name: str) -> float | None:
    """Return the average of a metric over folds; None if training diverged on one of them."""
    return training.average([signed(metrics, name) for metrics in folds]) if all(folds) else None
