"""Pairs of a source text and a target text, read from files, data frames or lists; see docs/pairs.md.

A side is a sequence of symbols; see `units`. Whether they are characters or stand between spaces is inferred from the
texts where that is clear; see `infer_unit`.
"""

from .pair import LONGEST, Pair, Pairs, PairSource
from .read import read_pairs
from .settings import PairFileSettings
from .sources import SourceLine, read_sources, source_line

__all__ = [
    "LONGEST",
    "Pair",
    "PairFileSettings",
    "PairSource",
    "Pairs",
    "SourceLine",
    "read_pairs",
    "read_sources",
    "source_line",
]
