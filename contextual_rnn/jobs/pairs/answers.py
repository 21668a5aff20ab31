"""Answers: the targets that models give to questions, and how many of them are wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...data.pairs import Units, join
from .data import Question, Symbols
from .decode import decode
from .metrics import METRICS, word_errors
from .network import PairNetwork


@dataclasses.dataclass(frozen=True)
class Answers:
    """The answers to questions.

    Attributes:
        asked: the questions.
        found: the answer to each.
        wrong: whether an answer equals none of the references.
    """

    asked: list[Question]
    found: list[Symbols]
    wrong: list[bool]

    def metrics(self) -> dict[str, float]:
        """Return every metric of all answers, and after its key and a space, that of the answers of each label."""
        metrics = self._metrics(list(range(len(self.asked))), "")
        for label in dict.fromkeys(one.label for one in self.asked if one.label is not None):
            metrics |= self._metrics([row for row, one in enumerate(self.asked) if one.label == label], f" {label}")
        return metrics

    def _metrics(self, rows: Sequence[int], suffix: str) -> dict[str, float]:
        found, references = [self.found[row] for row in rows], [self.asked[row].references for row in rows]
        return {f"{metric.key}{suffix}": metric.compute(found, references) for metric in METRICS}

    def table(self, units: Units) -> str:
        """Return one line per question, separated by tabs: source, answer, references, and whether it is right."""
        lines = ["source\tanswer\treferences\tverdict"]
        for one, found, wrong in zip(self.asked, self.found, self.wrong, strict=True):
            references = " | ".join(join(right, units.target) for right in one.references)
            texts = [join(one.source, units.source), join(found, units.target), references]
            lines.append("\t".join([*texts, "wrong" if wrong else "right"]))
        return "\n".join(lines) + "\n"


def answer(models: Sequence[PairNetwork], asked: list[Question], width: int = 1) -> Answers:
    """Answer questions by beam search with a width; several models are an ensemble.

    An answer is cut at twice the length of the longest reference plus ten symbols, long after it has become wrong.
    """
    sources, labels = [one.source for one in asked], [one.label for one in asked]
    longest = max(len(reference) for one in asked for reference in one.references)
    decoded = decode(models, sources, labels, width=width, max_steps=2 * longest + 10)
    found = [targets[0].symbols for targets in decoded]
    return Answers(asked, found, word_errors(found, [one.references for one in asked]))
