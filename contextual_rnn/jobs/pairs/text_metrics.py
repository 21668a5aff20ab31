"""BLEU and chrF of texts, by sacrebleu (Post 2018, arXiv 1804.08771), which tokenises them itself.

BLEU (Papineni et al. 2002) is the geometric mean of the precisions of n-grams of one to four words, times a penalty for
short texts; chrF (Popovic 2015) is an F score of n-grams of one to six characters. Both are from 0 to 100.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from ...errors import InputError

INSTALL = "pip install 'contextual-rnn[translation]'"


def is_installed() -> bool:
    """Return whether sacrebleu is installed."""
    return importlib.util.find_spec("sacrebleu") is not None


def bleu(found: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool = False) -> float:
    """Return the BLEU of texts, where each has one or more references."""
    return float(_scorer("BLEU", lowercase).corpus_score(list(found), _streams(references)).score)


def bleu_lowercase(found: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return the BLEU of texts in lower case."""
    return bleu(found, references, lowercase=True)


def chrf(found: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Return the chrF of texts, where each has one or more references."""
    return float(_scorer("CHRF").corpus_score(list(found), _streams(references)).score)


def chrf_of_each(found: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """Return the chrF of every text by itself."""
    scorer = _scorer("CHRF")
    return [float(scorer.sentence_score(one, list(right)).score) for one, right in zip(found, references, strict=True)]


def signatures(references: Sequence[Sequence[str]], lowercase: bool = False) -> list[str]:
    """Return the signatures of BLEU and chrF, which say how sacrebleu computes them for such references."""
    texts, shown = [right[0] for right in references], []
    for name, scorer in (("BLEU", _scorer("BLEU", lowercase)), ("chrF", _scorer("CHRF"))):
        scorer.corpus_score(texts, _streams(references))
        shown.append(f"{name} {scorer.get_signature().format()}")
    return shown


def _streams(references: Sequence[Sequence[str]]) -> list[list[str | None]]:
    """Return the first reference of every text, the second, and so on; None where a text has fewer."""
    most = max(map(len, references), default=1)
    return [[right[place] if place < len(right) else None for right in references] for place in range(most)]


def _scorer(name: str, lowercase: bool = False) -> Any:
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise InputError(f"BLEU and chrF need sacrebleu: run {INSTALL}") from error
    options = {"force": True} if name == "BLEU" else {}  # a full stop parted by a blank is no reason to warn
    return getattr(metrics, name)(lowercase=lowercase, **options)
