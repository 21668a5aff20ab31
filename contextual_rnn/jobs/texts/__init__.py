"""Texts from what is known about them, such as molecules from properties and names from a language.

>>> import polars as pl
>>> from contextual_rnn.jobs import texts
>>> names = pl.DataFrame({"name": ["anna", "otto", "hanna", "ottilo"] * 5, "ending": ["a", "o"] * 10})
>>> model = texts.fit(names, text="name", context=["ending"], hidden=4, embedding=2, epochs=1)
>>> model.sample({"ending": "a"}, n=2).columns
['name', 'ending']
"""

from .compare import TextComparison, compare
from .model import TextModel
from .sample import sample_file
from .score import score_file
from .settings import TextSettings
from .train import fit

__all__ = ["TextComparison", "TextModel", "TextSettings", "compare", "fit", "load"]

COMMANDS = {
    "fit texts": fit,
    "compare texts": compare,
    "sample texts": sample_file,
    "score": score_file,
    "score texts": score_file,
}

load = TextModel.load
