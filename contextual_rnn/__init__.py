"""Recurrent networks that start from what is already known instead of from zero."""

from . import gated
from ._core.module_config import register
from ._core.noise import TrajectorySeeds
from ._core.state import detach, select_rows, state_shapes, torch_layout
from ._core.unroll import Unroll
from .context import Context, Element, Field, Image, Label, Quantity, Summary, Vector, Window
from .errors import InputError
from .fast_weights.rnn import FastWeightsCell, FastWeightsRNN
from .heads import CategoryHead, ChangeHead, FixedGaussianHead, GaussianHead, Head, MixtureHead
from .initial_state import (
    ConstantState,
    ContextState,
    ErrorNoise,
    FreeState,
    GaussianState,
    InitialState,
    JoinedState,
    LatentState,
)
from .latent import LatentModel
from .memory_state import MemoryState, memory_shapes
from .mlp import MLP
from .posterior import Posterior
from .recurrent import ContextualRNN
from .sequence_model import Samples, SequenceModel
from .serialization import load, save
from .state_estimation import estimate_state
from .window_reader import WindowReader

__version__ = "0.2.0"

__all__ = [
    "MLP",
    "CategoryHead",
    "ChangeHead",
    "ConstantState",
    "Context",
    "ContextState",
    "ContextualRNN",
    "Element",
    "ErrorNoise",
    "FastWeightsCell",
    "FastWeightsRNN",
    "Field",
    "FixedGaussianHead",
    "FreeState",
    "GaussianHead",
    "GaussianState",
    "Head",
    "Image",
    "InitialState",
    "InputError",
    "JoinedState",
    "Label",
    "LatentModel",
    "LatentState",
    "MemoryState",
    "MixtureHead",
    "Posterior",
    "Quantity",
    "Samples",
    "SequenceModel",
    "Summary",
    "TrajectorySeeds",
    "Unroll",
    "Vector",
    "Window",
    "WindowReader",
    "detach",
    "estimate_state",
    "gated",
    "load",
    "memory_shapes",
    "register",
    "save",
    "select_rows",
    "state_shapes",
    "torch_layout",
]

for _cls in (
    CategoryHead,
    ChangeHead,
    ConstantState,
    Context,
    ContextState,
    ContextualRNN,
    Element,
    ErrorNoise,
    FastWeightsCell,
    FastWeightsRNN,
    FixedGaussianHead,
    FreeState,
    GaussianHead,
    GaussianState,
    JoinedState,
    LatentState,
    Image,
    Label,
    LatentModel,
    MLP,
    MemoryState,
    MixtureHead,
    Posterior,
    Quantity,
    SequenceModel,
    Summary,
    Unroll,
    Vector,
    Window,
    WindowReader,
):
    register(_cls)
