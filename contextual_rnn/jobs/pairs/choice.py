"""The choice of a model's settings by the validation error of one run each, of seed 0; no test file is read."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from typing import Any

from ...study.fit import DivergedError
from ...study.parallel import run_all
from .model import PairConfig
from .train import CHOSEN_BY, PairFiles, PairTraining, job, train


@dataclasses.dataclass(frozen=True)
class PairOption:
    """A model and its training: one point of the grid."""

    model: PairConfig
    training: PairTraining

    def with_factors(self, bridge: str, attention: str, feeding: str, label: str) -> PairOption:
        """Return the option with these."""
        model = dataclasses.replace(self.model, bridge=bridge, attention=attention, label=label)
        return PairOption(model, dataclasses.replace(self.training, feeding=feeding))


@dataclasses.dataclass(frozen=True)
class PairChoice:
    """What was chosen, the values of what varied, and the validation errors of every option, if there were several."""

    option: PairOption
    values: dict[str, Any]
    validation: list[dict[str, Any]]


def grid(option: PairOption, varied: dict[str, tuple[Any, ...]]) -> list[PairOption]:
    """Return an option for every combination of values, each of a field of the model or of its training."""
    options = []
    for values in itertools.product(*varied.values()):
        given = dict(zip(varied, values, strict=True))
        model = dataclasses.replace(option.model, **_fields_of(option.model, given))
        options.append(PairOption(model, dataclasses.replace(option.training, **_fields_of(option.training, given))))
    return options


def _fields_of(part: PairConfig | PairTraining, given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if hasattr(part, name)}


def choose(
    candidates: dict[str, list[PairOption]], files: PairFiles, out: pathlib.Path, *, resume: bool
) -> dict[str, PairChoice]:
    """Choose, for every name, the option of least validation error; a single one is not tried.

    Raises:
        DivergedError: with all options of a name training diverged.
    """
    untested = dataclasses.replace(files, test=())
    jobs = {
        (name, place): job(f"{name}-option-{place}", option.model, option.training, untested, 0)
        for name, options in candidates.items()
        for place, option in enumerate(options)
        if len(options) > 1
    }
    results = run_all(list(jobs.values()), _try, out, resume=resume, title="choosing on validation") if jobs else []
    found = dict(zip(jobs, results, strict=True))
    return {
        name: _best(name, options, [found[name, place]["metrics"] for place in range(len(options))])
        if len(options) > 1
        else PairChoice(options[0], {}, [])
        for name, options in candidates.items()
    }


def _try(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Do one run; settings with which it diverges are no choice, and no reason to stop."""
    try:
        return train(config, folder)
    except DivergedError as error:
        return {"metrics": dict.fromkeys(CHOSEN_BY), "diverged": str(error)}


def _best(name: str, options: list[PairOption], metrics: list[dict[str, Any]]) -> PairChoice:
    flat = [{**dataclasses.asdict(option.model), **dataclasses.asdict(option.training)} for option in options]
    varied = [key for key in flat[0] if len({str(one[key]) for one in flat}) > 1]
    table = [{key: one[key] for key in varied} | errors for one, errors in zip(flat, metrics, strict=True)]
    finite = [place for place, errors in enumerate(metrics) if errors[CHOSEN_BY[0]] is not None]
    if not finite:
        raise DivergedError(f"{name}: training diverged with every option; try a lower learning rate")
    best = min(finite, key=lambda place: [metrics[place][key] for key in CHOSEN_BY])
    return PairChoice(options[best], {key: flat[best][key] for key in varied}, table)


def in_words(values: dict[str, Any]) -> str:
    """Say what was chosen."""
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in values.items()) or "as given"
