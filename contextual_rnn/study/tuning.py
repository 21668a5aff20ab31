"""The choice of settings by validation error. No test data are read."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from .._core.settings import Settings
from .fit import DivergedError
from .parallel import Run, Work, run_all

Some = TypeVar("Some", bound=Settings)


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

    def to_json(self) -> dict[str, Any]:
        """Return the chosen settings and the validation metrics of every candidate."""
        return {**self.settings.to_json(), "validation": self.validation}


def choose(
    candidates: dict[str, list[Some]],
    make_run: Callable[[str, Some, int], Run],
    work: Work,
    out: pathlib.Path,
    *,
    folds: int,
    minimise: tuple[str, ...],
    average: Callable[[Sequence[float]], float],
    resume: bool,
    jobs: int | None = None,
) -> dict[str, Choice[Some]]:
    """Choose, for every kind, the candidate with the lowest validation error, averaged over folds.

    Args:
        candidates: the settings to choose from, for every kind; a single candidate is chosen without a trial.
        make_run: `make_run(name, settings, fold)` returns a trial, whose result has validation metrics.
        work: does a trial.
        out: the folder of the trials.
        folds: the number of trials of every candidate.
        minimise: the validation metrics to minimise, in order of priority.
        average: over folds.
        resume: skip the trials that are finished.
        jobs: the number of processes.

    Raises:
        DivergedError: training diverged with every candidate of a kind.
    """
    runs = {
        (kind, place, fold): make_run(f"{kind}-option-{place}-fold-{fold}", settings, fold)
        for kind, several in candidates.items()
        if len(several) > 1
        for place, settings in enumerate(several)
        for fold in range(folds)
    }
    trial = Trial(work)
    results = (
        run_all(list(runs.values()), trial, out, resume=resume, title="choosing settings", jobs=jobs) if runs else []
    )
    metrics = {key: result["metrics"] for key, result in zip(runs, results, strict=True)}
    chosen = {}
    for kind, several in candidates.items():
        if len(several) == 1:
            chosen[kind] = Choice(several[0], [])
            continue
        errors = [
            {
                name: _average(average, [metrics[kind, place, fold].get(name) for fold in range(folds)])
                for name in minimise
            }
            for place in range(len(several))
        ]
        chosen[kind] = _best(kind, several, errors, minimise)
    return chosen


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


def _average(average: Callable[[Sequence[float]], float], values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return average(known) if len(known) == len(values) else None


def _best(
    kind: str, candidates: list[Some], errors: list[dict[str, float | None]], minimise: tuple[str, ...]
) -> Choice[Some]:
    flat = [settings.to_json() for settings in candidates]
    varied = [name for name in flat[0] if len({str(one[name]) for one in flat}) > 1]
    table = [{name: one[name] for name in varied} | error for one, error in zip(flat, errors, strict=True)]
    finite = [place for place, error in enumerate(errors) if error[minimise[0]] is not None]
    if not finite:
        raise DivergedError(f"{kind}: training diverged with all {len(candidates)} settings; try a lower learning rate")
    return Choice(candidates[min(finite, key=lambda place: [errors[place][name] for name in minimise])], table)
