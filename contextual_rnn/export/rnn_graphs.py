"""The graphs of a `ContextualRNN`: whole sequences from its initial state, and one step from a state to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from .._core.contract import input_size
from .._core.state import Shapes, fill, leaves, shape_leaves
from ..errors import InputError
from .context_inputs import ContextInputs, networks_of
from .graph_spec import GraphSpec, Input

if TYPE_CHECKING:
    from ..recurrent import ContextualRNN

STATE_NAMES = ("h", "c", "A", "h_n", "c_n", "A_n")  # of the cores of jobs
RESERVED = ("x", "lengths", "output", *STATE_NAMES)


def state_names(core: nn.Module, shapes: Shapes) -> list[str]:
    """Return the names of the tensors of a core's state: h and c of an LSTM, h and A of fast weights, h of others."""
    count = len(list(shape_leaves(shapes)))
    if count == 1:
        return ["h"]
    if isinstance(core, nn.LSTM) or isinstance(getattr(core, "cell", None), nn.LSTMCell):
        return ["h", "c"]
    if hasattr(getattr(core, "cell", core), "recurrence"):
        return ["h", "A"]
    return [f"state_{place}" for place in range(count)]


def state_inputs(core: nn.Module, shapes: Shapes) -> list[Input]:
    """Return the inputs for the state of a core, batch first."""
    names = state_names(core, shapes)
    return [Input(name, ("batch", *shape)) for name, shape in zip(names, shape_leaves(shapes), strict=True)]


def core_width(core: nn.Module) -> int:
    """Return the width of a core's inputs; raise InputError if it is not known."""
    width = input_size(core) or getattr(getattr(core, "cell", core), "input_size", None)
    if not isinstance(width, int):
        name = type(getattr(core, "cell", core)).__name__
        raise InputError(
            f"the width of the inputs of {name} is not known; set its attribute `input_size` to the number of inputs"
        )
    return width


def next_names(names: Sequence[str]) -> list[str]:
    """Return the names of the outputs for a state."""
    return [f"{name}_n" for name in names]


class Whole(nn.Module):
    """Run a `ContextualRNN` over padded sequences of its context."""

    def __init__(self, rnn: ContextualRNN, context: ContextInputs) -> None:
        super().__init__()
        self.rnn, self.context = rnn, context

    def forward(self, x: Tensor, lengths: Tensor, *known: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs and the tensors of the last state."""
        output, state = self.rnn(x, self.context.context(known), lengths=lengths)
        return output, *leaves(state)


class OneStep(nn.Module):
    """Take one step of a `ContextualRNN`."""

    def __init__(self, rnn: ContextualRNN) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """Return the output (B, H) for x (B, D), and the tensors of the state after it."""
        time = 1 if self.rnn.batch_first else 0
        output, after = self.rnn(x.unsqueeze(time), state=fill(self.rnn.state_shapes, iter(state)))
        return output.squeeze(time), *leaves(after)


def rnn_graphs(rnn: ContextualRNN, context: Any = None) -> tuple[list[GraphSpec], dict[str, list[str]]]:
    """Return the graphs of a `ContextualRNN`, and the names of the labels of its context.

    Args:
        rnn: the model.
        context: an example of its context, if the context network does not state what it reads.

    Raises:
        InputError: the width of the core's inputs or what the context network reads is not known.
    """
    width = core_width(rnn.core)
    state = state_inputs(rnn.core, rnn.state_shapes)
    names = [one.name for one in state]
    known = ContextInputs(list(networks_of(rnn.initial_state)), context, (*RESERVED, *names, *next_names(names)))
    dims = ("batch", "time", width) if rnn.batch_first else ("time", "batch", width)
    inputs = [Input("x", dims), Input("lengths", ("batch",), "length", "the number of steps of each row")]
    outputs = ["output", *next_names(names)]
    about = "outputs and last state of sequences, from the initial state"
    specs = [GraphSpec("", Whole(rnn, known), [*inputs, *known.inputs], outputs, about=about)]
    if not rnn.bidirectional:
        about = "output and state after one step, from a state"
        specs.append(GraphSpec("step", OneStep(rnn), [Input("x", ("batch", width)), *state], outputs, about=about))
    return specs, known.labels
