"""`compare`: whether the bridge, the attention, the feeding and the label matter, and by how much."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from ..._core.settings import takes_settings
from ...data.pairs import PairSource
from ...data.parquet import check_cluster
from ...data.units import symbol_name
from ...errors import InputError
from ...study.comparison import Comparison, Trained, train_kinds
from ...study.differences import FEWEST_ITEMS, Answer, caution, control_of, difference_over_items, in_words, summarise
from ...study.intervals import adjusted, two_way_estimate
from ...study.metric import ItemMetric, Row
from ...study.tuning import Choice
from ..choices import feeding_in_words
from .answers import answer
from .data import PairData, either
from .learned import Match, variants_in_words
from .metrics import PairMetric, by_item, metrics_of
from .questions import thirds
from .settings import PairSettings
from .stored import StoredPairs
from .subwords import number_of
from .train import Training, check_label, read_tables, warmup_in_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHORT = ("bleu", "chrf", "chrf_of_each")  # the metrics of targets of subwords in the short table


class PairComparison(Comparison):
    """The results of a comparison of bridges, attentions, feeding policies or labels; see `Comparison`."""

    factor: ClassVar[str] = "variant"
    heading: ClassVar[str] = "variant"

    def table_rows(self) -> list[Row]:
        """Return the errors of every variant, averaged over seeds, and those of its ensemble.

        The intervals are over the test sources: of the sequence error rate or, for subwords, of the chrF of a sentence.
        """
        interval = by_item(self.metrics).key  # type: ignore[arg-type]
        shown = [(one["variant"], one) for one in self.report["errors"]]
        shown += [(f"{one['variant']}, ensemble", one) for one in self.report["ensembles"]]
        none = {"low": None, "high": None}
        return [
            {
                "variant": name,
                "metric": metric.key,
                "mean": one[metric.key],
                **({"low": one["low"], "high": one["high"]} if metric.key == interval else none),
            }
            for name, one in shown
            for metric in self.metrics
        ]

    def shortened(self) -> Self:
        """Return the comparison with BLEU, chrF and what variants are compared by, if targets are of subwords."""
        if self.metrics[0].key != "bleu":
            return self
        return dataclasses.replace(self, metrics=[metric for metric in self.metrics if metric.key in SHORT])

    def plot_attention(self, shown: int = 6) -> Figure:
        """Draw the attention weights of the baseline model of seed 0 on some test sources.

        Args:
            shown: the number of sources.

        Raises:
            InputError: if the baseline model has no attention.
        """
        from .figures import plot_attention

        return plot_attention(next(iter(self.models.values())), self.test, shown)

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        has_attention = self.runs[0]["attention"] != "none"
        return {**super().figures(), **({"attention": self.plot_attention} if has_attention else {})}


@takes_settings(PairSettings)
def compare(
    train: PairSource | None = None,
    test: PairSource | None = None,
    *,
    bridge: Sequence[str] = ("project", "zero"),
    attention: Sequence[str] = ("additive",),
    feeding: Sequence[str] = ("truth",),
    label: Sequence[str] = ("h0",),
    seeds: int = 5,
    validation: PairSource | None = None,
    source: str | os.PathLike[str] | None = None,
    target: str | os.PathLike[str] | None = None,
    validation_source: str | os.PathLike[str] | None = None,
    validation_target: str | os.PathLike[str] | None = None,
    test_source: str | os.PathLike[str] | None = None,
    test_target: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    devices: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> PairComparison:
    """Train variants of an encoder-decoder, and report whether the bridge and other choices matter.

    The first values of bridge, attention, feeding and label form the baseline model; each further value changes one
    setting of it. Other settings with several values are chosen for each variant in the same way, on validation pairs.
    The table shows errors on the test pairs: the sequence error rate is the share of wrong targets, and the symbol
    error rate counts the edits per 100 symbols. Targets of subwords have BLEU and chrF; variants are then compared by
    the chrF of each sentence. For sentences, give `source_unit` subwords and `target_unit` subwords.

    Args:
        train: Training pairs: files with one pair per line (source, tab, target), also as LABEL=PATH, or a folder; in
            Python, also a data frame, a list of tuples, or a dict from labels to any of these.
        test: Pairs to report errors on; nothing is chosen on them.
        bridge: Maps from the encoder's final state to the decoder's initial state: zero (ignore the encoder), project
            (linear map and tanh), concat (linear map of that projection and the state itself) or copy.
        attention: Attention of the decoder over the encoder's outputs: none, additive (Bahdanau) or multiplicative
            (Luong).
        feeding: What the decoder reads during training: the true symbols (truth), or at random its own predictions, as
            the embedding of a sampled symbol (embedding) or as the expected embedding (output).
        label: Where the model reads the label of a source, if pairs have labels: in the encoder's initial state (h0),
            in an additional first symbol (token), or nowhere (none).
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Pairs to choose the epoch and the settings on; by default, a tenth of the training sources is
            held out.
        source: Text file of training sources, one per line, in place of `train`; line n of `target` is the target.
        target: Text file of training targets.
        validation_source: Text file of validation sources, in place of `validation`.
        validation_target: Text file of validation targets.
        test_source: Text file of test sources, in place of `test`.
        test_target: Text file of test targets.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; by default, one per processor, or per GPU if there are several.
        devices: Number of GPUs that the runs share out among them; by default, all.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        The answer, the tables and the figures.

    Raises:
        InputError: if a pair or a setting is invalid.

    Example:
        contextual-rnn compare pairs --train train.tsv --validation dev.tsv --test test.tsv --out runs/spelling
    """
    files = PairSettings.candidates(options)[0]
    read = {
        "train": either(train, source, target),
        "validation": either(validation, validation_source, validation_target, "validation"),
        "test": either(test, test_source, test_target, "test"),
    }
    if read["test"] is None:
        raise InputError("test pairs are missing: give `test`, or `test_source` and `test_target`")
    data = read_tables(**read, settings=files)
    options["subwords"] = number_of(data.subwords, files.subwords)
    if isinstance(data.training, StoredPairs):
        check_cluster(cluster)
    compared = {"bridge": bridge, "attention": attention, "feeding": feeding, "label": label}
    variants = [values for values, _ in PairSettings.variants(compared)]
    if not data.labels:
        check_label(list(dict.fromkeys(values["label"] for values in variants)), data)
        variants = [values for values, _ in PairSettings.variants({**compared, "label": "none"})]
    candidates = {"-".join(values.values()): _candidates(values, variants, options) for values in variants}
    training = Training(data, chosen_by=files.chosen_by(data.units.target))
    with train_kinds(
        training, candidates, seeds=seeds, out=out, resume=resume, jobs=jobs, devices=devices, cluster=cluster
    ) as trained:
        fields = _findings(trained, dict(zip(candidates, _named(variants), strict=True)), data)
        return PairComparison(**fields, **trained.fields()).keep(trained)


def _candidates(values: dict[str, str], variants: list[dict[str, str]], options: dict[str, Any]) -> list[PairSettings]:
    """Return the candidate settings of a variant.

    Input feeding needs an attention, so a variant without attention has no input feeding either.
    """
    lacks = values["attention"] == "none" and any(one["attention"] != "none" for one in variants)
    return PairSettings.candidates({**options, **values, **({"input_feeding": False} if lacks else {})})


def _named(variants: list[dict[str, str]]) -> list[Row]:
    """Return variants with the names that the table shows.

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


def _findings(trained: Trained, variants: dict[str, Row], data: PairData) -> dict[str, Any]:
    """Return the result fields of the comparison; `variants` maps names in files to variants."""
    kinds, choices = list(variants.values()), trained.choices
    metrics = metrics_of(data.units.target)
    by = by_item(metrics)
    runs = [{**run, **variants[run["initial_state"]]} for run in trained.runs]
    runs = [run | {"metrics": run["metrics"] | {by.key: by.factor * float(np.mean(run[by.values]))}} for run in runs]
    compared = [_difference(runs, kind, kinds[0], by) for kind in kinds[1:]]
    differences = adjusted(compared, compared[0] if compared else None)
    sentences = [f"{row['factor'].capitalize()}: {in_words(row, by, by.items)}" for row in differences[1:]]
    for name, choice in choices.items():
        if choice.in_words():
            sentences.append(f"Chosen for {name} on the validation pairs: {choice.in_words()}.")
    if len({choice.settings.input_feeding for choice in choices.values()}) > 1:
        sentences.append(
            "Input feeding needs an attention, so the variant without attention has no input feeding either."
        )
    sentences += _training_in_words(list(choices.values()), runs)
    report: dict[str, Any] = {
        "errors": [_errors(kind, runs, metrics) for kind in kinds],
        "chosen": trained.chosen(),
        "ensembles": _ensembles(variants, trained, data) if len(runs) > len(kinds) else [],
    }
    if "by_length" in runs[0]:
        report["by_length"] = by_length(runs, kinds, thirds(data.test, symbol_name(data.units.source)), by)
        sentences += _lengths_in_words(report["by_length"], by)
    first = differences[0] if differences else None
    control = control_of({first[name]: first[name] for name in ("a", "b")}) if first else None
    reply = Answer(f"the {first['factor'] if first else 'bridge'}", first, by, by.items, control)
    empty, behind = variants_in_words(_matches(runs, kinds))
    return {
        "answer": reply.in_words() + empty,
        "matters": reply.matters,
        "runs": runs,
        "summary": summarise(runs, list(kinds[0]), [*metrics, by]),
        "differences": differences,
        "sentences": [*sentences, *caution(differences, by, len(runs[0]["wrong"])), *data.overlap()],
        "metrics": [*metrics, by] if metrics[0].of_text else metrics,
        "report": report,
        "note": "\n".join([_note(kinds, len(data.test)), *behind, " ".join([data.units.in_words(), *data.notes])]),
    }


def _matches(runs: list[Row], kinds: list[Row]) -> dict[str, Match | None]:
    """Return how well the targets of every variant match their references, averaged over seeds."""
    of_variant = {kind["variant"]: [run for run in runs if run["variant"] == kind["variant"]] for kind in kinds}
    return {name: Match.mean([Match.from_results(run) for run in several]) for name, several in of_variant.items()}


def _training_in_words(choices: Sequence[Choice[PairSettings]], runs: list[Row]) -> list[str]:
    """Return sentences on the schedules of the training: of the feeding, and of a warm-up that was shortened."""
    fed = [one.settings for one in choices if one.settings.feeding != "truth"]
    schedules = dict.fromkeys(feeding_in_words(one.feeding, one.sampling, one.epochs) for one in fed)
    shortened = [warmup_in_words(choices[0].settings, run) for run in runs]
    return [*(f"{one[0].upper()}{one[1:]}." for one in schedules), *dict.fromkeys(itertools.chain(*shortened))]


def _note(kinds: list[Row], number: int) -> str:
    """Return the note under the table, for a number of test sources."""
    note = "Intervals in the table are over the test sources."
    if number < FEWEST_ITEMS:
        note = f"No intervals are given, since they take at least {FEWEST_ITEMS} test sources; there are {number}."
    note += " An ensemble averages the models of all seeds."
    if kinds[0]["variant"] != "base":
        return note
    values = ", ".join(f"{name} {kinds[0][name]}" for name in ("bridge", "attention", "feeding", "label"))
    return f"{note}\nThe base has {values}."


def _difference(runs: list[Row], kind: Row, base: Row, by: ItemMetric) -> Row:
    """Compare a variant with the base, from which it differs in one factor."""
    row = difference_over_items(runs, {"variant": kind["variant"]}, {"variant": base["variant"]}, by)
    factor = next(name for name in kind if kind[name] != base[name])
    return {"factor": factor, **row, "a": kind[factor], "b": base[factor]}


def by_length(runs: list[Row], kinds: list[Row], groups: dict[str, list[int]], by: ItemMetric) -> list[Row]:
    """Return the comparison of every variant with the base for thirds of the test sources, by their length.

    Each row has the mean metrics of the variant on these sources, too. The intervals are not adjusted for the number of
    comparisons.

    Args:
        runs: the results of every run.
        kinds: the variants, the base first.
        groups: of `thirds`: the places of the test sources of each group.
        by: what variants are compared by.
    """
    rows = []
    for number, (name, places) in enumerate(groups.items()):
        of_these = [{**run, by.values: [run[by.values][place] for place in places]} for run in runs]
        for kind in kinds:
            own = [list(run["by_length"].values())[number] for run in runs if run["variant"] == kind["variant"]]
            row = {"sources_of": name, "variant": kind["variant"]}
            row |= {key: float(np.mean([one[key] for one in own])) for key in own[0]}
            rows.append(row | (_difference(of_these, kind, kinds[0], by) if kind is not kinds[0] else {}))
    return rows


def _lengths_in_words(rows: list[Row], by: ItemMetric) -> list[str]:
    compared = [row for row in rows if "a" in row]
    said = [f"  {row['factor']}, sources of {row['sources_of']}: {in_words(row, by, by.items)}" for row in compared]
    return ["By the length of the source, not adjusted for their number:", *said] if said else []


def _errors(kind: Row, runs: list[Row], metrics: Sequence[PairMetric]) -> Row:
    """Return the metrics of a variant, averaged over seeds, and an interval over the sources of that of an item."""
    own, by = [run for run in runs if run["variant"] == kind["variant"]], by_item(metrics)
    interval = _over_sources(by.factor * np.mean([run[by.values] for run in own], axis=0))
    means = {one.key: float(np.mean([run["metrics"][one.key] for run in own])) for one in (*metrics, by)}
    return {**kind, **means, **interval}


def _ensembles(variants: dict[str, Row], trained: Trained, data: PairData) -> list[Row]:
    """Return the metrics of the ensemble of all seeds of every variant, with an interval over the sources."""
    rows, by = [], by_item(metrics_of(data.units.target))
    for name, kind in variants.items():
        seeds = [model for run, model in trained.models.items() if run.startswith(f"{name}-seed-")]
        settings = trained.choices[name].settings
        answers = answer(seeds, data.test, settings.beam, **settings.penalties)
        values = by.factor * np.array(answers.of_each()[by.values], float)
        rows.append({**kind, **answers.metrics(), by.key: float(values.mean()), **_over_sources(values)})
    return rows


def _over_sources(values: np.ndarray) -> Row:
    """Return the ends of the 95% t interval of a mean from 0 to 100 over the sources; None with fewer than 40."""
    if len(values) < FEWEST_ITEMS:
        return {"low": None, "high": None}
    interval = two_way_estimate(values[None]).interval()
    return {"low": max(interval.low or 0.0, 0.0), "high": min(interval.high or 0.0, 100.0)}
