"""Predicted targets of test sources, and the errors of these predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ...data.pairs.labels import tags_of
from ...data.units import Units, join, symbol_name
from .decode import decode
from .metrics import BY_TEXT, BY_WORD, PairMetric, metrics_of, word_errors
from .network import PairNetwork
from .questions import Question, Symbols, thirds
from .text_metrics import chrf_of_each


@dataclasses.dataclass(frozen=True)
class Answers:
    """The predicted targets of sources.

    Attributes:
        questions: the sources with their references.
        found: the predicted target of each.
        wrong: whether a predicted target differs from all its references.
        separator: of the tags of labels; None if a label is one.
        unit: of the targets.
        source_unit: of the sources.
    """

    questions: list[Question]
    found: list[Symbols]
    wrong: list[bool]
    separator: str | None = None
    unit: str = "symbols"
    source_unit: str = "symbols"

    def metrics(self) -> dict[str, float]:
        """Return every metric by its key; if sources have labels, also by its key, a space and the label or
        tag.
        """
        metrics = self._metrics(list(range(len(self.questions))), "")
        tags = [tags_of(one.label, self.separator) for one in self.questions]
        for tag in dict.fromkeys(tag for several in tags for tag in several):
            metrics |= self._metrics([row for row, several in enumerate(tags) if tag in several], f" {tag}")
        return metrics

    def _metrics(self, rows: Sequence[int], suffix: str) -> dict[str, float]:
        return {f"{metric.key}{suffix}": self._metric(metric, rows) for metric in metrics_of(self.unit)}

    def _metric(self, metric: PairMetric, rows: Sequence[int]) -> float:
        if not metric.of_text:
            return metric.compute([self.found[row] for row in rows], [self.questions[row].references for row in rows])
        return metric.compute(*self.texts(rows))

    def by_length(self) -> dict[str, dict[str, float]]:
        """Return every metric for thirds of the sources, by the number of symbols of a source."""
        groups = thirds(self.questions, symbol_name(self.source_unit))
        return {name: self._metrics(rows, "") for name, rows in groups.items()}

    def of_each(self) -> dict[str, list[float]]:
        """Return the values of each source that a comparison needs: `wrong` and, for subwords, its chrF."""
        values = {BY_WORD.values: [float(wrong) for wrong in self.wrong]}
        return values | ({BY_TEXT.values: chrf_of_each(*self.texts())} if self.unit == "subwords" else {})

    def texts(self, rows: Sequence[int] | None = None) -> tuple[list[str], list[list[str]]]:
        """Return the predicted targets and the references of some sources as texts; None means all sources."""
        rows = range(len(self.found)) if rows is None else rows
        references = [[join(right, self.unit) for right in self.questions[row].references] for row in rows]
        return [join(self.found[row], self.unit) for row in rows], references

    def table(self, units: Units) -> str:
        """Return a tab-separated table with one line per source: source, prediction, references and verdict."""
        lines = ["source\tanswer\treferences\tverdict"]
        for one, found, wrong in zip(self.questions, self.found, self.wrong, strict=True):
            references = " | ".join(join(right, units.target) for right in one.references)
            texts = [join(one.source, units.source), join(found, units.target), references]
            lines.append("\t".join([*texts, "wrong" if wrong else "right"]))
        return "\n".join(lines) + "\n"


def answer(
    models: Sequence[PairNetwork],
    questions: list[Question],
    width: int = 1,
    alpha: float = 0.0,
    coverage: float = 0.0,
) -> Answers:
    """Predict the targets of sources by beam search; several models form an ensemble.

    Answers are truncated at 2 x (longest reference) + 10 symbols, which cannot change whether they are right.
    `alpha` and `coverage` are those of `decode`.
    """
    sources, labels = [one.source for one in questions], [one.label for one in questions]
    longest = max(len(reference) for one in questions for reference in one.references)
    options: dict[str, Any] = {"width": width, "alpha": alpha, "coverage": coverage}
    decoded = decode(models, sources, labels, max_steps=2 * longest + 10, **options)
    found = [targets[0].symbols for targets in decoded]
    wrong = word_errors(found, [one.references for one in questions])
    units = models[0].units
    return Answers(questions, found, wrong, models[0].label_separator, units.target, units.source)
