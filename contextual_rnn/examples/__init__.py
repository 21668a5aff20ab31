"""Small tables that come with the package, one example per job: `tank`, `swings`, `load`, `words` and `names`.

The tables of `names` are lists of family names. All others are simulated by `contextual_rnn.examples.simulate`.
"""

from .example import EXAMPLES, Example, load, names, swings, tank, words

__all__ = ["EXAMPLES", "Example", "load", "names", "swings", "tank", "words"]
