"""How a recurrent core is called: the layout of its states and inputs, its directions, and what it returns."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .recording import recorder
from .state import (
    Shapes,
    State,
    check_state,
    leaves,
    map_state,
    shape_leaves,
    state_shapes,
    swap_batch_and_layers,
    unwrap,
    weight_dtype,
)
from .tracing import is_eager, shapes_are_traced, under_vmap
from .unroll import Unroll

_TORCH_FORWARDS = (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward)

_WRAP = "a cell, which reads one step, is wrapped in Unroll"  # of errors about a core of a user's own


@dataclasses.dataclass(frozen=True)
class CoreContract:
    """How a core is called. `ContextualRNN` determines it once, when it is created.

    Attributes:
        state_shapes: the shapes of one example's state.
        layers_first: whether the core's states are (L, B, H), as in `nn.LSTM`, instead of batch first.
        batch_first: whether inputs and outputs are (B, T, ...) instead of (T, B, ...).
        bidirectional: whether the core reads a sequence in both directions.
        causal: whether running the parts of a sequence one after the other, each from the final state of the part
            before it, gives the same result as running the whole sequence.
        takes_packed: whether the core is one of PyTorch's own and accepts a `PackedSequence`.
    """

    state_shapes: Shapes
    layers_first: bool
    batch_first: bool
    bidirectional: bool
    causal: bool
    takes_packed: bool

    @classmethod
    def of(cls, core: nn.Module) -> CoreContract:
        """Return the contract of a core; raise TypeError if it is not a recurrent core."""
        inner = unwrap(core)
        layers_first = isinstance(inner, nn.RNNBase)
        if layers_first and isinstance(core, nn.DataParallel) and len(core.device_ids) > 1:
            raise ValueError(
                "DataParallel splits the first dimension of a state, which in nn.RNN, nn.GRU and nn.LSTM is the layers "
                "and not the batch: wrap the whole model instead of its core"
            )
        return cls(
            state_shapes=state_shapes(inner),
            layers_first=layers_first,
            batch_first=bool(getattr(inner, "batch_first", True)),
            bidirectional=bool(getattr(inner, "bidirectional", False)),
            causal=_says_causal(inner),
            takes_packed=_runs_torch_code(inner),
        )

    def for_core(self, core: nn.Module) -> CoreContract:
        """Return the contract of the core that replaced the core of this contract.

        A core that describes itself, by its class or an attribute `state_shapes`, is called in that way. Any other
        core, such as a quantised `nn.LSTM`, is called like the core that it replaced.

        Raises:
            ValueError: the core has another state, another layout of inputs or other directions.
        """
        inner = unwrap(core)
        if isinstance(inner, nn.RNNCellBase):
            raise ValueError(f"the core was replaced by a cell, {type(inner).__name__}: use Unroll(cell) instead")
        if isinstance(inner, nn.RNNBase) or hasattr(inner, "state_shapes"):
            now = CoreContract.of(core)
        else:
            now = self._undescribed(inner)
        for name in ("state_shapes", "batch_first", "bidirectional"):
            if getattr(now, name) != getattr(self, name):
                raise ValueError(
                    f"the core was replaced by {type(inner).__name__} with {name}={getattr(now, name)}; the model was "
                    f"made for a core with {name}={getattr(self, name)}"
                )
        return now

    def _undescribed(self, inner: nn.Module) -> CoreContract:
        """Return this contract, updated with the attributes of a core without `state_shapes`."""
        shapes, bidirectional = self.state_shapes, bool(getattr(inner, "bidirectional", self.bidirectional))
        layers, units = getattr(inner, "num_layers", None), getattr(inner, "hidden_size", None)
        if self.layers_first and isinstance(layers, int) and isinstance(units, int):
            last = (layers * (2 if bidirectional else 1), units)
            *others, agreed = shape_leaves(shapes)
            if last != agreed:
                shapes = (*others, last) if others else last
        return dataclasses.replace(
            self,
            state_shapes=shapes,
            batch_first=bool(getattr(inner, "batch_first", self.batch_first)),
            bidirectional=bidirectional,
            causal=_says_causal(inner),
            takes_packed=self.layers_first and _runs_torch_code(inner),
        )

    def call(self, core: nn.Module, x: Any, state: State) -> tuple[Any, State]:
        """Call the core.

        Args:
            core: the core.
            x: inputs in the core's layout; or a `PackedSequence`, if `takes_packed`.
            state: batch first.

        Returns:
            The outputs, in the core's layout, and the state, batch first.

        Raises:
            ValueError: the core does not return `(output, state)` of the expected shapes.
        """
        output, state = self.call_in_own_layout(core, x, self.to_own_layout(state))
        return output, self.to_batch_first(state)

    def to_own_layout(self, state: State) -> State:
        """Convert a batch-first state to the layout of the core's states."""
        return swap_batch_and_layers(state) if self.layers_first else state

    def to_batch_first(self, state: State) -> State:
        """Convert a state in the layout of the core's states to a batch-first one."""
        return swap_batch_and_layers(state) if self.layers_first else state

    def call_in_own_layout(self, core: nn.Module, x: Any, state: State) -> tuple[Any, State]:
        """Call the core with a state in its own layout, and return the state in the same layout; see `call`."""
        active = recorder()
        if active is not None:
            return active.run_core(core, self, x, state, None)
        if under_vmap():
            x, state = _mapped_alike(core, x, state)
        result = self._result(core, _autocast_input(core, x), state)
        if (self.takes_packed or type(core) is Unroll) and not core._forward_hooks:  # its results need no check
            return result
        return self._check_result(type(unwrap(core)).__name__, result, x)

    def _result(self, core: nn.Module, x: Any, state: State) -> Any:
        """Call the core; an error in one that is not PyTorch's is told how the core was called."""
        if self.takes_packed or type(core) is Unroll or not is_eager():
            return core(x, state)
        try:
            return core(x, state)
        except Exception as error:
            shapes = ", ".join(str(tuple(leaf.shape)) for leaf in leaves(state))
            found = f"x {tuple(x.shape)} and a state of {shapes}" if isinstance(x, Tensor) else "packed sequences"
            error.add_note(f"{type(unwrap(core)).__name__} was called as a core, with {found}; {_WRAP}")
            raise

    def _check_result(self, name: str, result: Any, x: Any) -> tuple[Any, State]:
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            found = f"{len(result)} items" if isinstance(result, (tuple, list)) else f"a {type(result).__name__}"
            raise ValueError(f"{name} returned {found}; a core returns (output, state), and {_WRAP}")
        output, state = result
        if shapes_are_traced() or isinstance(x, PackedSequence):
            return output, state
        if not isinstance(output, Tensor) or output.shape[:2] != x.shape[:2]:
            found = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
            layout = "batch, time" if self.batch_first else "time, batch"
            raise ValueError(
                f"{name} returned an output of {found}; expected ({layout}, features) = "
                f"({x.shape[0]}, {x.shape[1]}, features): a core returns (output, state), and {_WRAP}"
            )
        batch = x.shape[0] if self.batch_first else x.shape[1]
        swapped = state
        if self.layers_first and all(isinstance(leaf, Tensor) and leaf.dim() > 1 for leaf in leaves(state)):
            swapped = map_state(lambda leaf: leaf.transpose(0, 1), state)
        try:
            check_state(swapped, self.state_shapes, batch, name=f"the state that {name} returned")
        except ValueError as error:
            raise ValueError(f"{error}; {_WRAP}") from None
        return output, state

    def match_dtype(self, core: nn.Module, state: State) -> State:
        """Convert a state of a narrower dtype than the core's weights (autocast returns these) to their dtype.

        Raises:
            ValueError: the core is one of PyTorch's own, and the dtype of the state is not that of its weights.
        """
        dtype = weight_dtype(core)
        if dtype is None or all(leaf.dtype == dtype for leaf in leaves(state)):
            return state
        state = map_state(lambda leaf: leaf.to(dtype) if _is_narrower(leaf.dtype, dtype) else leaf, state)
        first = next(leaves(state))
        if self.layers_first and not torch.is_autocast_enabled(first.device.type):
            check_state(state, self.state_shapes, first.shape[0], dtype)
        return state


def output_size(core: nn.Module) -> int | None:
    """Return the width of the outputs of one of PyTorch's cores or cells; None if it is not known."""
    inner = unwrap(core)
    cell = unwrap(getattr(inner, "cell", inner))
    if isinstance(cell, nn.RNNCellBase):
        return cell.hidden_size
    if isinstance(inner, nn.RNNBase):
        return (inner.proj_size or inner.hidden_size) * (2 if inner.bidirectional else 1)
    return None


def input_size(core: nn.Module) -> int | None:
    """Return the width of the inputs of one of PyTorch's cores or cells; None if it is not known."""
    inner = unwrap(core)
    cell = unwrap(getattr(inner, "cell", inner))
    return cell.input_size if isinstance(cell, (nn.RNNCellBase, nn.RNNBase)) else None


def _says_causal(core: nn.Module) -> bool:
    return bool(getattr(core, "causal", False)) and not getattr(core, "bidirectional", False)


def _runs_torch_code(core: nn.Module) -> bool:
    """Return whether the forward of an `nn.RNNBase`, or of its dynamically quantised form, is PyTorch's own."""
    if "forward" in vars(core):
        return False
    quantised = type(core).__module__.startswith("torch.ao.nn.quantized.dynamic")
    return quantised or getattr(type(core), "forward", None) in _TORCH_FORWARDS


def _autocast_input(core: nn.Module, x: Any) -> Any:
    """Cast the input of an `nn.LSTM` as autocast does on the CPU.

    On processors without bfloat16 instructions, oneDNN refuses an LSTM of float32 inputs under autocast ("could not
    create a primitive descriptor"). With cast inputs, PyTorch runs its own code.
    """
    if not torch.is_autocast_enabled("cpu") or not isinstance(x, Tensor) or x.device.type != "cpu":
        return x
    return x.to(torch.get_autocast_dtype("cpu")) if isinstance(unwrap(core), nn.LSTM) else x


def _mapped_alike(core: nn.Module, x: Tensor, state: State) -> tuple[Tensor, State]:
    """Return inputs and state that `torch.func.vmap` maps over both, where it maps over either or over weights.

    The cores of PyTorch write products with what is mapped over into products with what is not, which vmap refuses.
    """
    tensors = [x, *leaves(state), *core.parameters()]
    zero = sum(tensor.new_zeros(()) for tensor in tensors if tensor.is_floating_point())
    return x + zero, map_state(lambda leaf: leaf + zero, state)


def _is_narrower(dtype: torch.dtype, than: torch.dtype) -> bool:
    return dtype.is_floating_point and dtype != than and torch.promote_types(dtype, than) == than
