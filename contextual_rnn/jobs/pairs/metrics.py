"""What a model of pairs answers, and how much of it is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...data.pairs import Pair, Units, join
from .error_rates import phone_error_rate, word_error_rate, word_errors
from .model import PairModel, decode

Symbols = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Question:
    """A source, its label, and every target that is right."""

    source: Symbols
    label: str | None
    references: tuple[Symbols, ...]


def questions(pairs: Sequence[Pair]) -> list[Question]:
    """Return every source once, in order, with all targets that the pairs give it."""
    found: dict[tuple[Symbols, str | None], list[Symbols]] = {}
    for pair in pairs:
        targets = found.setdefault((pair.source, pair.label), [])
        if pair.target not in targets:
            targets.append(pair.target)
    return [Question(source, label, tuple(targets)) for (source, label), targets in found.items()]


@dataclasses.dataclass(frozen=True)
class Answers:
    """What was answered.

    Attributes:
        asked: the questions.
        found: the answer to each.
        wrong: whether it is none of the references.
    """

    asked: list[Question]
    found: list[Symbols]
    wrong: list[bool]

    def metrics(self) -> dict[str, float]:
        """Return word and symbol error rate, %, of all questions, and of those of every label."""
        found = self._rates([True] * len(self.asked), "")
        for label in dict.fromkeys(one.label for one in self.asked if one.label is not None):
            found |= self._rates([one.label == label for one in self.asked], f" {label}")
        return found

    def _rates(self, chosen: list[bool], suffix: str) -> dict[str, float]:
        found = [answer for answer, one in zip(self.found, chosen, strict=True) if one]
        references = [question.references for question, one in zip(self.asked, chosen, strict=True) if one]
        return {
            f"word_error_rate{suffix}": word_error_rate(found, references),
            f"phone_error_rate{suffix}": phone_error_rate(found, references),
        }


def answer(models: Sequence[PairModel], asked: list[Question], width: int = 1) -> Answers:
    """Answer every question with the best target that a beam of `width` and greedy search find.

    An answer is cut at twice the length of the longest reference and ten symbols: it is wrong long before.
    """
    sources, labels = [one.source for one in asked], [one.label for one in asked]
    longest = max(len(reference) for one in asked for reference in one.references)
    decoded = decode(models, sources, labels, width=width, max_steps=2 * longest + 10)
    found = [targets[0][0] for targets in decoded]
    return Answers(asked, found, word_errors(found, [one.references for one in asked]))


def table(answers: Answers, units: Units) -> str:
    """Return the answers as text, a line a question: source, answer, references, and whether it is right."""
    lines = ["source\tanswer\treferences\tverdict"]
    for one, found, wrong in zip(answers.asked, answers.found, answers.wrong, strict=True):
        references = " | ".join(join(right, units.target) for right in one.references)
        texts = [join(one.source, units.source), join(found, units.target), references]
        lines.append("\t".join([*texts, "wrong" if wrong else "right"]))
    return "\n".join(lines) + "\n"
