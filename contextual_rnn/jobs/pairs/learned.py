"""Whether a model has learned anything of its sources, which its errors alone do not show.

A model that writes one likely target for every source has some chrF, too. Its targets then match the references of
other sources as well as those of their own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ..._core.choices import listed
from ...data.units import join
from .answers import Answers
from .text_metrics import chrf_of_each

SOURCES = 200  # that are looked at
FEWEST = 10  # with fewer sources, nothing is said
LEAST = 0.05  # of the way from the match with others' references to a perfect one
HELP = (
    "More pairs help most; a longer training (`epochs`, smaller minibatches), fewer `subwords` and less `dropout` help "
    "where there are few (docs/translation.md)."
)


@dataclasses.dataclass(frozen=True)
class Match:
    """How well predicted targets match references, from 0 to 100: mean chrF, or the share of right symbols.

    Attributes:
        own: the references of their own sources.
        others: those of other sources.
        is_chrf: whether the numbers are chrF.
    """

    own: float
    others: float
    is_chrf: bool

    @classmethod
    def of(cls, answers: Answers) -> Self | None:
        """Return the match of answers; None if there are too few sources to say anything."""
        number = len(answers.questions)
        if number < FEWEST:
            return None
        references = [one.references for one in answers.questions]
        others = [references[(row + number // 2) % number] for row in range(number)]
        is_chrf = answers.unit == "subwords"
        match = _chrf if is_chrf else _right_symbols
        return cls(match(answers, references), match(answers, others), is_chrf)

    @classmethod
    def from_results(cls, results: Mapping[str, Any]) -> Self | None:
        """Return the match that the results of a run hold; None if they hold none."""
        return cls(**results["match"]) if results.get("match") else None

    @property
    def is_learned(self) -> bool:
        """Whether targets match their own references better than others'."""
        return self.own - self.others >= LEAST * (100 - self.others)

    def in_words(self) -> str:
        """Return the numbers that show it."""
        if self.is_chrf:
            return f"chrF {self.own:.3g} against {self.others:.3g}"
        return f"{self.own:.3g}% of the symbols are right, against {self.others:.3g}%"

    @classmethod
    def mean(cls, matches: Sequence[Match | None]) -> Self | None:
        """Return the mean of several matches; None if there is none, or one is missing."""
        known = [match for match in matches if match is not None]
        if not known or len(known) < len(matches):
            return None
        own, others = (float(np.mean([getattr(one, name) for one in known])) for name in ("own", "others"))
        return cls(own, others, known[0].is_chrf)


def variants_in_words(matches: Mapping[str, Match | None]) -> tuple[str, list[str]]:
    """Return what a comparison says of variants that have learned nothing.

    Args:
        matches: of every variant by its name, the mean over seeds.

    Returns:
        What is added to the answer where no variant has learned anything, else ""; and sentences under the table.
    """
    behind = {name: match for name, match in matches.items() if match is not None and not match.is_learned}
    if not behind:
        return "", []
    if len(behind) == len(matches):
        first = next(iter(behind.values()))
        return (
            " But no variant has learned anything of the sources, so this answer says nothing: targets match the "
            f"references of their own sources hardly better than those of others ({first.in_words()}). {HELP}"
        ), []
    shown = "; ".join(f"{name}: {match.in_words()}" for name, match in behind.items())
    return "", [
        f"{listed(list(behind))} {'has' if len(behind) == 1 else 'have'} learned next to nothing of the sources: "
        f"targets match the references of their own sources hardly better than those of others ({shown})."
    ]


def not_learned_in_words(match: Match | None) -> list[str]:
    """Return sentences on a model that has learned nothing, and on what helps; none for another."""
    if match is None or match.is_learned:
        return []
    return [
        "The model has learned next to nothing of the sources: its targets match the references of their own sources "
        f"hardly better than those of others ({match.in_words()}). {HELP}"
    ]


def _chrf(answers: Answers, references: Sequence[Sequence[Sequence[str]]]) -> float:
    texts = [[join(right, answers.unit) for right in rights] for rights in references]
    return float(np.mean(chrf_of_each([join(one, answers.unit) for one in answers.found], texts)))


def _right_symbols(answers: Answers, references: Sequence[Sequence[Sequence[str]]]) -> float:
    """Return the mean similarity of targets and their nearest references: 100 less the edits in per cent."""
    from rapidfuzz.distance import Levenshtein

    found = zip(answers.found, references, strict=True)
    nearest = [max(Levenshtein.normalized_similarity(one, right) for right in rights) for one, rights in found]
    return 100 * float(np.mean(nearest))
