"""`compare`: what the bridge, the attention, the feeding and the label are worth on these pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..._core.settings import check_count, takes_settings
from ...data.pairs import PairSource
from ...errors import InputError
from ...study.comparison import Comparison, Models, Rows, run_directory, train_kinds
from ...study.differences import (
    Row,
    bootstrap_mean,
    difference_over_items,
    in_words,
    summarise,
)
from ...study.differences import answer as answer_in_words
from ...study.fit import check_accelerator
from ...study.parallel import one_thread
from ...study.run_folder import RunFolder
from .answers import answer
from .data import PairData, Question
from .metrics import BY_WORD, METRICS
from .settings import PairSettings
from .train import Training, check_label, choose_settings, make_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

        return plot_attention(self.models[next(iter(self.models))], self.test, shown)

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
    attention: Sequence[str] = ("additive",),
    feeding: Sequence[str] = ("truth",),
    label: Sequence[str] = ("h0",),
    seeds: int = 5,
    validation: PairSource | None = None,
    columns: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    **options: Any,
) -> PairComparison:
    """Train variants of a model of pairs, and say what the bridge and other choices are worth here.

    The first values of bridge, attention, feeding and label make the base; every other value is tried alone against
    the base. Other settings with several values are chosen for every variant alike, on validation pairs. Errors are
    those on the test pairs.

    Args:
        train: Training pairs: a file with one pair per line (source, tab, target), several files as LABEL=PATH, a data
            frame, a list of tuples, or a dict from labels to any of these.
        test: Pairs to report errors on; nothing is chosen on them.
        bridge: How the encoder's final state becomes the decoder's h0; zero ignores it.
        attention: Attention of the decoder over the encoder's outputs.
        feeding: What the decoder is fed in training: the true symbols, or at random its own predictions.
        label: Where the model reads the label of a source, if pairs have labels.
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
    if test is None:
        raise InputError("`test` is required: the errors of the comparison are those on these pairs")
    data = PairData.read(train, validation, test, columns)
    compared = {"bridge": bridge, "attention": attention, "feeding": feeding, "label": label}
    variants = [values for values, _ in PairSettings.variants(compared)]
    if not data.labels:
        check_label(list(dict.fromkeys(values["label"] for values in variants)), data)
        variants = [values for values, _ in PairSettings.variants({**compared, "label": "none"})]
    candidates = {"-".join(values.values()): _candidates(values, variants, options) for values in variants}
    check_accelerator(next(iter(candidates.values()))[0].accelerator)
    config = {
        "candidates": {name: [settings.to_json() for settings in several] for name, several in candidates.items()},
        **data.identity,
        "seeds": seeds,
    }
    with run_directory(out) as path:
        folder = RunFolder.open(path, config, resume=resume)
        choices = choose_settings(candidates, data, path / "tuning", resume=resume, jobs=jobs)
        chosen = {name: choice.settings for name, choice in choices.items()}
        trained, models = train_kinds(chosen, make_run, Training(data), path, seeds=seeds, resume=resume, jobs=jobs)
        kinds = _named(variants)
        runs = [{**run, **kinds[place // seeds]} for place, run in enumerate(trained)]
        with one_thread():
            found = PairComparison(**_findings(runs, kinds, data, models, choices), config=config)
            found.test = data.test
            if out is None:
                found.models.load_all()
            else:
                found.out = path
                found.write(folder)
    return found


def _candidates(values: dict[str, str], variants: list[dict[str, str]], options: dict[str, Any]) -> list[PairSettings]:
    """Return the settings to choose from for a variant.

    Without attention there is nothing for input feeding to feed, so that a variant without attention lacks both.
    """
    lacks = values["attention"] == "none" and any(one["attention"] != "none" for one in variants)
    return PairSettings.candidates({**options, **values, **({"input_feeding": False} if lacks else {})})


def _named(variants: list[dict[str, str]]) -> list[Row]:
    """Return variants with their names for readers.

    The name is the value of the factor that varies; if several factors do, "base", or the factor and its value.
    """
    base = variants[0]
    varied = [name for name in base if any(one[name] != base[name] for one in variants)]
    names = [" ".join(f"{name} {one[name]}" for name in varied if one[name] != base[name]) for one in variants]
    if len(varied) < 2:
        names = [one[varied[0] if varied else "bridge"] for one in variants]
    return [
        {**one, "variant": name or "base", "initial_state": one["bridge"]}
        for one, name in zip(variants, names, strict=True)
    ]


def _findings(
    runs: list[Row], kinds: list[Row], data: PairData, models: Models, choices: dict[str, Any]
) -> dict[str, Any]:
    """Return the fields of the comparison."""
    differences = [_difference(runs, kind, kinds[0]) for kind in kinds[1:]]
    sentences = [f"{row['factor'].capitalize()}: {in_words(row, BY_WORD, 'words')}" for row in differences[1:]]
    for name, choice in choices.items():
        if choice.in_words():
            sentences.append(f"Chosen for {name} on the validation pairs: {choice.in_words()}.")
    if len({choice.settings.input_feeding for choice in choices.values()}) > 1:
        sentences.append("Input feeding needs an attention, so the variant without attention lacks both.")
    report = {
        "errors": [_errors(kind, runs) for kind in kinds],
        "chosen": {name: choice.to_json() for name, choice in choices.items()},
        "ensembles": _ensembles(kinds, models, data, choices) if len(runs) > len(kinds) else [],
    }
    subject = differences[0]["factor"] if differences else "bridge"
    return {
        "answer": answer_in_words(f"the {subject}", differences[0] if differences else None, BY_WORD, "words"),
        "runs": Rows(runs),
        "summary": Rows(summarise(runs, list(kinds[0]))),
        "differences": Rows(differences),
        "sentences": [*sentences, *data.overlap()],
        "metrics": METRICS,
        "models": models,
        "report": report,
        "note": _note(kinds),
    }


def _note(kinds: list[Row]) -> str:
    """Return what a reader of the table must know."""
    note = "Intervals are over the test words. An ensemble averages the models of all seeds."
    if kinds[0]["variant"] != "base":
        return note
    values = ", ".join(f"{name} {kinds[0][name]}" for name in ("bridge", "attention", "feeding", "label"))
    return f"{note}\nThe base has {values}."


def _difference(runs: list[Row], kind: Row, base: Row) -> Row:
    """Compare a variant with the base, from which it differs in one factor."""
    row = difference_over_items(runs, {"variant": kind["variant"]}, {"variant": base["variant"]}, BY_WORD)
    factor = next(name for name in kind if kind[name] != base[name])
    return {"factor": factor, **row, "a": kind[factor], "b": base[factor]}


def _errors(kind: Row, runs: list[Row]) -> Row:
    """Return the metrics of a variant, averaged over seeds, and the interval of its word error rate over words."""
    own = [run for run in runs if run["variant"] == kind["variant"]]
    interval = bootstrap_mean(100 * np.mean([run["wrong"] for run in own], axis=0, keepdims=True))
    means = {metric.key: float(np.mean([run["metrics"][metric.key] for run in own])) for metric in METRICS}
    return {**kind, **means, "low": interval.low, "high": interval.high}


def _ensembles(kinds: list[Row], models: Models, data: PairData, choices: dict[str, Any]) -> list[Row]:
    """Return the metrics of the ensemble of all seeds of every variant, with an interval over the words."""
    rows = []
    for kind, (name, choice) in zip(kinds, choices.items(), strict=True):
        seeds = [models[run] for run in models if run.startswith(f"{name}-seed-")]
        answers = answer(seeds, data.test, choice.settings.beam)
        interval = bootstrap_mean(100 * np.array([answers.wrong], dtype=float))
        rows.append({**kind, **answers.metrics(), "low": interval.low, "high": interval.high})
    return rows
