"""`compare`: what the bridge, the attention, the feeding and the label are worth on these pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...data.pairs import PairSource
from ...errors import InputError
from ...study.comparison import Comparison, Models, Rows, run_directory
from ...study.differences import (
    Row,
    bootstrap_mean,
    difference_over_items,
    in_words,
    one_factor_at_a_time,
    summarise,
)
from ...study.differences import answer as answer_in_words
from ...study.fit import check_accelerator
from ...study.parallel import one_thread, run_all
from ...study.run_folder import RunFolder
from ...study.settings import check_count, takes_settings
from .answers import answer
from .data import PairData, Question
from .metrics import BY_WORD, METRICS
from .settings import PairSettings
from .train import Training, check_label_setting, choose_settings, make_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FACTORS = ("bridge", "attention", "feeding", "label")


class PairComparison(Comparison):
    """What a comparison of bridges, attentions, feeding policies or labels found; see `Comparison`."""

    factor: ClassVar[str] = "variant"
    heading: ClassVar[str] = "variant"

    test: list[Question]

    def table_rows(self) -> list[Row]:
        """Return the errors of every variant, averaged over seeds, and those of its ensemble.

        The intervals of the word error rate are over the test words.
        """
        shown = [(one["variant"], one) for one in self.report["errors"]]
        shown += [(f"{one['variant']}, ensemble", one) for one in self.report["ensembles"]]
        none = {"low": None, "high": None}
        return [
            {
                "variant": name,
                "metric": metric.key,
                "mean": one[metric.key],
                "median": one[metric.key],
                **({"low": one["low"], "high": one["high"]} if metric.key == BY_WORD.key else none),
            }
            for name, one in shown
            for metric in self.metrics
        ]

    def plot_attention(self, shown: int = 6) -> Figure:
        """Draw the attention weights of the base variant's first model on some test sources.

        Args:
            shown: the number of sources.

        Raises:
            InputError: the base variant has no attention.
        """
        from .figures import plot_attention

        return plot_attention(self.models[self.models.names[0]], self.test, shown)

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        has_attention = self.runs[0]["attention"] != "none"
        return {**super().figures(), **({"attention": self.plot_attention} if has_attention else {})}


@takes_settings(PairSettings)
def compare(
    train: PairSource,
    test: PairSource,
    *,
    bridge: Sequence[str] = ("project", "zero"),
    seeds: int = 5,
    validation: PairSource | None = None,
    columns: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    **options: Any,
) -> PairComparison:
    """Train variants of a model of pairs, and say what the bridge and other choices are worth here.

    `bridge`, `attention`, `feeding` and `label` may have several values. Their first values make the base variant;
    each other value is tried alone against it. Other settings with several values are chosen for every variant alike,
    on validation pairs. Errors are those on the test pairs.

    Args:
        train: Training pairs: a file with one pair per line (source, tab, target), several files as LABEL=PATH, a data
            frame, a list of tuples, or a dict from labels to any of these.
        test: Pairs to report errors on; nothing is chosen on them.
        bridge: How the encoder's final state becomes the decoder's h0: project, concat, copy, or zero for not at all.
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Pairs to choose the epoch and the settings on; without them, a tenth of the training sources is
            held out.
        columns: Columns of source, target and, if there are labels, label, in data frames, and in files that are
            tables with a header (CSV, TSV or Parquet).
        out: Run folder to create; without it nothing is kept on disk.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; without it, one per processor.

    Returns:
        The answer, the tables and the figures.

    Raises:
        InputError: a pair or a setting is wrong; says what and where.

    Example:
        contextual-rnn compare pairs --train train.tsv --validation dev.tsv --test test.tsv --out runs/spelling
    """
    check_count(seeds=seeds, **({} if jobs is None else {"jobs": jobs}))
    factors = _factors({**options, "bridge": bridge})
    others = {name: value for name, value in options.items() if name not in FACTORS}
    candidates = _candidates(factors, others)
    check_accelerator(next(iter(candidates.values()))[0].accelerator)
    data = PairData.read(train, validation, test, columns)
    if not data.labels:
        if len(factors["label"]) > 1:
            listed = ", ".join(factors["label"])
            raise InputError(f"`label` {listed}: the pairs have no labels, so there is nothing to compare")
        check_label_setting(factors["label"], data)
        factors["label"] = ["none"]
        candidates = _candidates(factors, others)
    config = {
        "factors": factors,
        "candidates": {name: [settings.to_json() for settings in several] for name, several in candidates.items()},
        **data.identity,
        "seeds": seeds,
    }
    with run_directory(out) as path:
        folder = RunFolder.open(path, config, resume=resume)
        choices = choose_settings(candidates, data, path / "tuning", resume=resume, jobs=jobs)
        planned = [
            make_run(f"{name}-seed-{seed}", choice.settings, seed)
            for name, choice in choices.items()
            for seed in range(seeds)
        ]
        results = run_all(planned, Training(data), path / "runs", resume=resume, title="training", jobs=jobs)
        variants = [one for one in one_factor_at_a_time(factors) for _ in range(seeds)]
        runs = [
            {**_identity(variant, factors), "seed": place % seeds, "initial_state": variant["bridge"], **result}
            for place, (variant, result) in enumerate(zip(variants, results, strict=True))
        ]
        with one_thread():
            models = Models(path / "runs", [run.name for run in planned])
            found = PairComparison(**_findings(runs, data, factors, models, choices), config=config)
            found.test = data.test
            if out is None:
                found.models.load_all()
            else:
                found.out = path
                found.write(folder)
    return found


def _factors(options: dict[str, Any]) -> dict[str, Sequence[str]]:
    """Return the distinct values of every factor."""
    defaults = {name: field.default for name, field in PairSettings.__dataclass_fields__.items()}
    factors: dict[str, Sequence[str]] = {}
    for name in FACTORS:
        value = options.get(name, defaults[name])
        factors[name] = [value] if isinstance(value, str) else list(dict.fromkeys(value))
        if not factors[name]:
            raise InputError(f"`{name}` needs at least one value")
    return factors


def _candidates(factors: dict[str, Sequence[str]], options: dict[str, Any]) -> dict[str, list[PairSettings]]:
    """Return the settings to choose from, for every variant by its name.

    Without attention there is nothing for input feeding to feed, so that a variant without attention lacks both.
    """
    candidates = {}
    for variant in one_factor_at_a_time(factors):
        lacks = variant["attention"] == "none" and len(factors["attention"]) > 1
        given = {**options, **variant, **({"input_feeding": False} if lacks else {})}
        candidates["-".join(variant.values())] = PairSettings.candidates(given)
    return candidates


def _identity(variant: dict[str, str], factors: dict[str, Sequence[str]]) -> Row:
    """Return a variant's factors, and its name for readers: the values of the factors that vary."""
    varied = [name for name in FACTORS if len(factors[name]) > 1] or ["bridge"]
    return {**variant, "variant": ", ".join(variant[name] for name in varied)}


def _findings(
    runs: list[Row], data: PairData, factors: dict[str, Sequence[str]], models: Models, choices: dict[str, Any]
) -> dict[str, Any]:
    """Return the fields of the comparison."""
    variants = [_identity(variant, factors) for variant in one_factor_at_a_time(factors)]
    differences = [_difference(runs, variant, variants[0]) for variant in variants[1:]]
    sentences = [f"{row['factor'].capitalize()}: {in_words(row, BY_WORD, 'words')}" for row in differences[1:]]
    for name, choice in choices.items():
        if choice.in_words():
            sentences.append(f"Chosen for {name} on the validation pairs: {choice.in_words()}.")
    if len({choice.settings.input_feeding for choice in choices.values()}) > 1:
        sentences.append("Input feeding needs an attention, so the variant without attention lacks both.")
    report = {
        "errors": [_errors(variant, runs) for variant in variants],
        "chosen": {name: choice.to_json() for name, choice in choices.items()},
        "ensembles": _ensembles(variants, models, data, choices) if len(runs) > len(variants) else [],
    }
    subject = differences[0]["factor"] if differences else "bridge"
    return {
        "answer": answer_in_words(f"the {subject}", differences[0] if differences else None, BY_WORD),
        "runs": Rows(runs),
        "summary": Rows(summarise(runs, [*FACTORS, "variant"])),
        "differences": Rows(differences),
        "sentences": [*sentences, *data.overlap()],
        "metrics": METRICS,
        "models": models,
        "report": report,
        "note": "Intervals are over the test words. An ensemble averages the models of all seeds.",
    }


def _difference(runs: list[Row], variant: Row, base: Row) -> Row:
    """Compare a variant with the base, from which it differs in one factor."""
    row = difference_over_items(runs, {"variant": variant["variant"]}, {"variant": base["variant"]}, BY_WORD)
    factor = next(name for name in FACTORS if variant[name] != base[name])
    return {"factor": factor, **row, "a": variant[factor], "b": base[factor]}


def _errors(variant: Row, runs: list[Row]) -> Row:
    """Return the metrics of a variant, averaged over seeds, and the interval of its word error rate over words."""
    own = [run for run in runs if run["variant"] == variant["variant"]]
    wrong = np.mean([run["wrong"] for run in own], axis=0, keepdims=True)
    interval = bootstrap_mean(100 * wrong)
    means = {metric.key: float(np.mean([run["metrics"][metric.key] for run in own])) for metric in METRICS}
    return {**variant, **means, "low": interval.low, "high": interval.high}


def _ensembles(variants: list[Row], models: Models, data: PairData, choices: dict[str, Any]) -> list[Row]:
    """Return the metrics of the ensemble of all seeds of every variant, with an interval over the words."""
    beam = next(iter(choices.values())).settings.beam
    rows = []
    for variant in variants:
        name = "-".join(variant[factor] for factor in FACTORS)
        answers = answer([models[run] for run in models.names if run.startswith(f"{name}-seed-")], data.test, beam)
        interval = bootstrap_mean(100 * np.array([answers.wrong], dtype=float))
        rows.append({**variant, **answers.metrics(), "low": interval.low, "high": interval.high})
    return rows
