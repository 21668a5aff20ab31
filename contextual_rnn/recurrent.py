"""`ContextualRNN`: a recurrent core that starts from an initial state of your choice."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ._core.contract import CoreContract
from ._core.examples import examples_in_batch
from ._core.packed import Episodes, run_packed
from ._core.recording import recorder
from ._core.rows import count_rows, map_columns, take_rows
from ._core.state import State, check_state, fill, leaves, select_rows, shape_leaves, where_rows
from ._core.stepping import CoreSteps, stepper
from ._core.tracing import refuse_tracing, refuse_vmap, shapes_are_traced, values_are_known
from ._core.transforms import inside_transform
from ._core.unroll import Unroll
from .export.files import Exported, Format, Graphs, export
from .initial_state import Generator, InitialState
from .serialization import load, save


class ContextualRNN(nn.Module):
    """Run a recurrent core from an initial state.

        h_t = f(h_{t-1}, x_t),  h_0 = initial_state(context)

    Equations (1) and (2) of Wenke and Fleming (arXiv 1902.03455). Given the same h0, it returns what the core returns.

    Args:
        core: `nn.RNN`, `nn.LSTM` or `nn.GRU`; `nn.RNNCell`, `nn.LSTMCell` or `nn.GRUCell`, which is then run over time
            with batch-first inputs; or a module of your own (see below).
        initial_state: any `InitialState` made for this core.

    A core of your own is called as `core(x, state) -> (output, state)`, with inputs (B, T, D), outputs (B, T, H) and a
    batch-first state, (B, ...) for every tensor. Its attributes describe how it works:

    - `state_shapes`: a nested tuple of the shapes of one example's state without the batch dimension, such as
      `((5,), ((5, 3), (2,)))`. Required.
    - `causal = True`: running the parts of a sequence one after the other, each from the final state of the part
      before it, gives the same result as running the whole sequence. With `lengths` or `resets`, such a core is called
      once for each range of time steps in which the same sequences are running. For other cores (those that read
      ahead, normalise over time or draw one dropout mask per sequence), sequences of equal length are run together,
      each in one piece. `Unroll` and `FastWeightsRNN` are causal.
    - `bidirectional = True`: it reads a sequence in both directions, and is not causal.
    - `batch_first = False`: inputs and outputs are (T, B, ...). The default is True.

    The layout of the core is fixed when the model is created. The core can be replaced later by one of the same layout,
    such as `torch.compile(rnn.core)` or a quantised LSTM.

    Raises:
        TypeError: `core` is not a recurrent core, or is a class instead of a module.
        ValueError: the initial state was made for a core of other shapes; or, when called, the core was replaced by one
            of another layout, or returns anything other than `(output, state)`.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import MLP, ContextState, ContextualRNN
        >>> core = nn.LSTM(1, 128, batch_first=True)
        >>> rnn = ContextualRNN(core, ContextState(core, MLP(2, [50])))
        >>> output, state = rnn(torch.zeros(8, 25, 1), context=torch.zeros(8, 2))
        >>> output.shape
        torch.Size([8, 25, 128])
    """

    def __init__(self, core: nn.Module, initial_state: InitialState) -> None:
        super().__init__()
        self.core = Unroll(core) if isinstance(core, nn.RNNCellBase) else core
        self.initial_state = initial_state
        self._contract = CoreContract.of(self.core)
        self._current: tuple[Any, CoreContract] = _identity(self.core), self._contract
        self.state_shapes = self._contract.state_shapes
        made_for = getattr(initial_state, "shapes", None)
        if made_for is None:
            raise TypeError(f"the initial state must be an InitialState; found {type(initial_state).__name__}")
        if self.state_shapes != made_for:
            raise ValueError(
                f"the initial state was made for a core of state shapes {made_for}; this core has {self.state_shapes}"
            )

    @property
    def batch_first(self) -> bool:
        """Whether inputs and outputs are (B, T, ...) instead of (T, B, ...); states are always batch first."""
        return self._contract.batch_first

    @property
    def bidirectional(self) -> bool:
        """Whether the core reads sequences in both directions."""
        return self._contract.bidirectional

    @property
    def contract(self) -> CoreContract:
        """How the core is called; raise ValueError if it was replaced by a core of another layout."""
        identity = _identity(self.core)
        if identity == self._current[0]:
            return self._current[1]
        contract = self._contract.for_core(self.core)
        if not torch.compiler.is_compiling():
            self._current = identity, contract
        return contract

    def forward(
        self,
        x: Tensor | PackedSequence,
        context: Any = None,
        *,
        state: State | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
        sample: bool | None = None,
        generator: Generator = None,
    ) -> tuple[Any, State]:
        """Run the core from the initial state.

        Args:
            x: inputs (B, T, D), or (T, B, D) where the core is not batch first, or a `PackedSequence`.
            context: the input of the initial state, B rows: a tensor or whatever its network takes. A state to continue
                from is no context; it is given as `state`, unlike that of `nn.LSTM`. With `resets` it
                may instead have one row for each episode, ordered by row and then by time. An episode is the steps of
                a row from one reset to the next; a row without steps counts as one episode.
            state: a batch-first state to continue from instead of the initial state, such as one that an earlier call
                returned.
            lengths: (B,) the number of steps of each row of a padded batch, 0 to T. Outputs past the end of a row are
                0, and the returned state is that after its last step. A row without steps keeps its initial state.
            resets: (B, T) true where a step starts a new episode from the initial state. The first step of a row always
                starts one, unless `state` is given. Resets past the end of a row are ignored.
            sample: whether the initial state draws noise; None means in training mode only.
            generator: the source of that noise, a `torch.Generator` or `TrajectorySeeds`.

        Returns:
            The outputs, in the core's own layout (packed if `x` was), and the last state, batch first. `torch_layout`
            converts the state for a direct call of `nn.LSTM`, `nn.GRU` or `nn.RNN`.

        Raises:
            ValueError: a shape or dtype is wrong, a length is out of range, or `context` and `state` are both given
                without resets.
        """
        run = _Run(self, context, state, sample, generator)
        if isinstance(x, PackedSequence):
            return self._run_packed(x, run, lengths, resets)
        if x.dim() != 3:
            order = "(batch, time, features)" if self.batch_first else "(time, batch, features)"
            raise ValueError(f"x must have three dimensions, {order}; found shape {tuple(x.shape)}")
        size, steps = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        if not shapes_are_traced() and not steps:
            raise ValueError(f"x must have at least one time step; found shape {tuple(x.shape)}")
        lengths = None if lengths is None else check_lengths(lengths, size, steps, x.device)
        if resets is not None:
            return self._run_episodes(x, run, lengths, _check_resets(resets, size, steps))
        h0 = run.start_of_rows(size)
        if lengths is None or (not shapes_are_traced() and not size):
            return run.contract.call(self.core, x, h0)
        return self._run_padded(x, run, h0, lengths)

    def start(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return h0 as `forward` uses it, batch first; the arguments are those of an `InitialState`.

        Convert it with `torch_layout(state)` before you pass it to `nn.LSTM`, `nn.GRU` or `nn.RNN` directly.
        """
        with examples_in_batch(None):
            state = self.initial_state(batch_size, context, sample=sample, generator=generator)
        return self._prepare(state, batch_size)

    def stepper(self, state: State, *, keep_outputs: bool = False) -> Callable[[Tensor], Tensor]:
        """Return a function that runs the core one step at a time, from inputs (B, D) to outputs (B, H).

        Args:
            state: the state to start from, batch first. The function keeps the state after each step itself.
            keep_outputs: if True, every output is a new tensor. If False and gradients are disabled, a step may
                overwrite the previous output, which is faster.
        """
        steps = CoreSteps if keep_outputs else stepper
        return steps(self.core, self._prepare(state, next(leaves(state)).shape[0]), self.contract)

    def _prepare(self, state: State, batch_size: int) -> State:
        """Check a state, and return it in the core's own nested tuples and in the dtype of its weights."""
        check_state(state, self.state_shapes, batch_size)
        return self._contract.match_dtype(self.core, fill(self.state_shapes, leaves(state)))

    def _run_padded(self, x: Tensor, run: _Run, h0: State, lengths: Tensor) -> tuple[Tensor, State]:
        refuse_vmap("lengths")
        active = recorder()
        if active is not None:
            contract = run.contract
            output, state = active.run_core(self.core, contract, x, contract.to_own_layout(h0), lengths)
            return output, where_rows(lengths > 0, contract.to_batch_first(state), h0)
        if inside_transform():  # PyTorch's own packing is not differentiated there
            whole = torch.zeros(lengths.shape[0], x.shape[1 if self.batch_first else 0], dtype=torch.bool)
            return self._run_split(x, run, h0, lengths, Episodes.split(whole.to(x.device), lengths.clamp(min=1)))
        # Packing takes no empty sequences: they run for one step of zeros, and the result is discarded.
        at_least_one = lengths.clamp(min=1).cpu()
        packed = pack_padded_sequence(self._zero_empty(x, lengths), at_least_one, self.batch_first, False)
        packed, state = run_packed(self.core, run.contract, packed, h0)
        steps = x.shape[1 if self.batch_first else 0]
        output, _ = pad_packed_sequence(packed, self.batch_first, total_length=steps)
        return self._zero_empty(output, lengths), where_rows(lengths > 0, state, h0)

    def _run_packed(
        self, x: PackedSequence, run: _Run, lengths: Any, resets: Tensor | None
    ) -> tuple[PackedSequence, State]:
        if lengths is not None or resets is not None:
            raise ValueError(
                "lengths and resets cannot be given with a PackedSequence, which has its own lengths: give a padded "
                "tensor"
            )
        return run_packed(self.core, run.contract, x, run.start_of_rows(int(x.batch_sizes[0])))

    def _run_episodes(self, x: Tensor, run: _Run, lengths: Tensor | None, resets: Tensor) -> tuple[Tensor, State]:
        refuse_tracing("resets")
        refuse_vmap("resets")
        size, steps = resets.shape
        lengths = torch.full((size,), steps, device=x.device) if lengths is None else lengths
        if not size:
            return run.contract.call(self.core, x, run.start_of_rows(0))
        inside = torch.arange(steps, device=x.device) < lengths.view(-1, 1)
        episodes = Episodes.split(resets.to(x.device) & inside, lengths.clamp(min=1))
        return self._run_split(x, run, run.start_of_episodes(episodes), lengths, episodes)

    def _run_split(self, x: Tensor, run: _Run, h0: State, lengths: Tensor, episodes: Episodes) -> tuple[Tensor, State]:
        """Run rows that are split into episodes, of which each has an h0."""
        size, steps = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        x = self._zero_empty(x, lengths)
        rows = x if self.batch_first else x.transpose(0, 1)
        packed, state = run_packed(self.core, run.contract, episodes.pack(rows.flatten(0, 1)), h0)
        flat = packed.data.new_zeros(size * steps, *packed.data.shape[1:])
        output = flat.index_copy(0, episodes.step, packed.data).unflatten(0, (size, steps))
        output = output if self.batch_first else output.transpose(0, 1)
        state = where_rows(lengths > 0, select_rows(state, episodes.last), select_rows(h0, episodes.last))
        return self._zero_empty(output, lengths), state

    def _zero_empty(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Set the rows of length 0 to zero, even if they contain NaN."""
        empty = lengths == 0
        if values_are_known() and not empty.any():
            return steps
        return steps.masked_fill(empty.view((-1, 1, 1) if self.batch_first else (1, -1, 1)), 0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the weights and the configuration of the model to one safetensors file; see `serialization`."""
        save(self, path)

    def graphs(self, context: Any = None) -> Graphs:
        """Return what `export` writes: a graph of whole sequences and, with one direction, a graph of one step."""
        from .export.rnn_graphs import rnn_graphs

        specs, labels = rnn_graphs(self, context)
        return Graphs(specs, {"labels": labels})

    def export(
        self, out: str | os.PathLike[str], *, format: Format = "onnx", int8: bool = False, context: Any = None
    ) -> Exported:
        """Write the model, with its initial state, to files that run without this library; see `export.files.export`.

        Args:
            out: the path of the main file; the graph of one step is written next to it, such as `model-step.onnx`.
            format: of the files: onnx (`.onnx`), or torch (`.pt2`), a program of `torch.export`.
            int8: whether ONNX files have weights of 8 bits.
            context: an example of the context, if the context network does not state what it reads.
        """
        return export(self, out, format=format, int8=int8, context=context)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> ContextualRNN:
        """Load a model that `save` wrote, in evaluation mode. No code in the file is run."""
        return cast(ContextualRNN, load(path, ContextualRNN))


class _Run:
    """One call of a `ContextualRNN`: the contract of its core, and the states that its rows start from."""

    def __init__(
        self, rnn: ContextualRNN, context: Any, state: State | None, sample: bool | None, generator: Generator
    ) -> None:
        self.rnn, self.contract = rnn, rnn.contract
        self.context, self.state = context, state
        self.noise: dict[str, Any] = {"sample": sample, "generator": generator}
        if state is None and _is_misplaced(context, rnn):
            raise ValueError(
                f"the second argument is the context, which {type(rnn.initial_state).__name__} does not use, and it "
                "has the shapes of a state; to continue from a state, give it as `state`: rnn(x, state=state)"
            )

    def start_of_rows(self, size: int) -> State:
        if self.state is None:
            return self.rnn.start(size, self.context, **self.noise)
        if self.context is not None:
            raise ValueError(
                "context and state are both given, but without resets only one can be used: give a context to start "
                "from, or a state to continue from"
            )
        return self.rnn._prepare(self.state, size)

    def start_of_episodes(self, episodes: Episodes) -> State:
        context = _rows_of_episodes(self.context, episodes)
        if self.state is None:
            return self._new_states(episodes, context)
        given = self.rnn._prepare(self.state, episodes.last.shape[0])
        carried = select_rows(given, episodes.row)
        carries_on = episodes.first & ~episodes.reset
        if carries_on.all():
            return carried
        return where_rows(carries_on, carried, self._new_states(episodes, context))

    def _new_states(self, episodes: Episodes, context: Any) -> State:
        count = episodes.row.shape[0]
        with examples_in_batch(episodes.last.shape[0]):
            state = self.rnn.initial_state(count, context, **self.noise)
        return self.rnn._prepare(state, count)


def _is_misplaced(context: Any, rnn: ContextualRNN) -> bool:
    """Return whether a context that no initial state uses looks like a state, in either layout.

    A state of one vector looks like any context of its width.
    """
    if shapes_are_traced() or getattr(rnn.initial_state, "uses_context", True):
        return False
    if not isinstance(context, (Tensor, tuple)) or not all(isinstance(leaf, Tensor) for leaf in leaves(context)):
        return False
    found, wanted = [tuple(leaf.shape) for leaf in leaves(context)], list(shape_leaves(rnn.state_shapes))
    if wanted and len(wanted) == 1 and len(wanted[0]) == 1:
        return False
    batch_first = [shape[1:] for shape in found] == wanted
    return batch_first or [(shape[:1] + shape[2:]) for shape in found] == wanted


def _identity(core: nn.Module) -> tuple[nn.Module, type, bool]:
    """Return a key that changes if the core, its class or its `forward` is replaced."""
    return core, type(core), "forward" in vars(core)


def _rows_of_episodes(context: Any, episodes: Episodes) -> Any:
    """Return a context with one row per episode; the given context has a row per sequence or per episode."""
    rows, count = episodes.last.shape[0], episodes.row.shape[0]

    def of_episodes(column: Any) -> Any:
        found = count_rows(column)
        if found == count:
            return column
        if found != rows:
            raise ValueError(
                f"the context has {found} rows; expected {rows}, one for each row of the batch, or {count}, one for "
                "each episode"
            )
        return take_rows(column, episodes.row)

    return map_columns(of_episodes, context)


def check_lengths(lengths: Any, size: int, steps: int, device: torch.device, name: str = "lengths") -> Tensor:
    """Return lengths (B,) on a device.

    Raises:
        ValueError: they are not B integers from 0 to `steps`.
    """
    lengths = lengths.to(device) if isinstance(lengths, Tensor) else torch.as_tensor(lengths, device=device)
    wrong_shape = not shapes_are_traced() and lengths.shape != (size,)
    if not wrong_shape and not shapes_are_traced() and not size:
        lengths = lengths.long()  # an empty list becomes a tensor of floats
    if wrong_shape or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ValueError(
            f"{name} must be {size} integers, one per row; found {lengths.dtype} of shape {tuple(lengths.shape)}"
        )
    if values_are_known() and size and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(
            f"{name} must be from 0 to {steps}, the number of steps; found {int(lengths.min())} to {int(lengths.max())}"
        )
    return lengths


def _check_resets(resets: Tensor, size: int, steps: int) -> Tensor:
    resets = torch.as_tensor(resets)
    if not shapes_are_traced() and tuple(resets.shape) != (size, steps):
        raise ValueError(f"resets must be (batch, time) = {(size, steps)}; found shape {tuple(resets.shape)}")
    return resets.bool()
