"""Series without inputs: generate the targets from the context of each series.

>>> import polars as pl
>>> from contextual_rnn.jobs import generation
>>> ramps = pl.DataFrame({"id": [0, 0, 1, 1], "slope": [1.0, 1.0, 2.0, 2.0], "y": [0.0, 1.0, 0.0, 2.0]})
>>> model = generation.fit(ramps, targets=["y"], context=["slope"], series="id", hidden=2, epochs=1)
>>> model.sample({"slope": 1.5}, n=2, steps=1).columns
['id', 'step', 'y', 'slope']
"""

from .compare import GenerationComparison, compare
from .model import SeriesGenerator
from .sample import sample_file
from .settings import GenerationSettings
from .train import fit

__all__ = ["GenerationComparison", "GenerationSettings", "SeriesGenerator", "compare", "fit", "load"]

COMMANDS = {"fit generation": fit, "compare generation": compare, "sample": sample_file}

load = SeriesGenerator.load
