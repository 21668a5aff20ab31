"""Initial states: h0 as a constant, a free variable, a function of context, or a distribution.

The equations are those of Wenke and Fleming, "Contextual Recurrent Neural Networks" (arXiv 1902.03455): h0 = constant
(2a), h0 = variable (2b), h0 = g(context) (2c), h0 ~ N(g(context), softplus(sigma)) (4).

An initial state stores the shapes of its core's state, never the core. It is called as

    initial_state(batch_size, context=None, *, sample=None, generator=None) -> state

Any subclass of `InitialState` with this signature works everywhere in the library; `register` it so that it can be
saved.
"""

from .base import Generator, InitialState
from .constant import ConstantState
from .context_state import ContextState
from .error_noise import ErrorNoise
from .free import FreeState
from .gaussian import GaussianState
from .joined import JoinedState
from .latent import LatentState
from .leaf_maps import LeafMaps

__all__ = [
    "ConstantState",
    "ContextState",
    "ErrorNoise",
    "FreeState",
    "GaussianState",
    "Generator",
    "InitialState",
    "JoinedState",
    "LatentState",
    "LeafMaps",
]
