"""Recurrent networks that start from what is already known instead of from zero."""

from .errors import InputError
from .fast_weights.rnn import FastWeightsCell, FastWeightsRNN
from .initial_state import (
    ConstantState,
    ContextState,
    ErrorNoise,
    FreeState,
    GaussianState,
    InitialState,
)
from .memory_state import MemoryState, memory_shapes
from .mlp import MLP
from .module_config import register
from .noise import TrajectorySeeds
from .recurrent import ContextualRNN
from .serialization import load, save
from .state import state_shapes
from .unroll import Unroll

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "ConstantState",
    "ContextState",
    "ContextualRNN",
    "ErrorNoise",
    "FastWeightsCell",
    "FastWeightsRNN",
    "FreeState",
    "GaussianState",
    "InitialState",
    "InputError",
    "MemoryState",
    "TrajectorySeeds",
    "Unroll",
    "load",
    "memory_shapes",
    "register",
    "save",
    "state_shapes",
]

for _cls in (
    MLP,
    ConstantState,
    ContextState,
    ContextualRNN,
    ErrorNoise,
    FastWeightsCell,
    FastWeightsRNN,
    FreeState,
    GaussianState,
    MemoryState,
    Unroll,
):
    register(_cls)
