"""Pairs of texts: write the target of a source, such as the pronunciation of a spelling."""

from .compare import PairComparison, compare
from .decode import Target
from .model import PairModel
from .score import score_pairs
from .settings import PairSettings
from .train import fit
from .transcribe import transcribe, transcribe_lines

__all__ = [
    "PairComparison",
    "PairModel",
    "PairSettings",
    "Target",
    "compare",
    "fit",
    "load",
    "score_pairs",
    "transcribe",
    "translate",
]

COMMANDS = {
    "fit pairs": fit,
    "compare pairs": compare,
    "transcribe": transcribe_lines,
    "translate": transcribe_lines,
    "score pairs": score_pairs,
}

load = PairModel.load
translate = transcribe  # the same under the name that readers of sentences look for
