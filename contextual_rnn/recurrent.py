"""`ContextualRNN`: a recurrent core that starts from an initial state of your choice."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ._core.packed import Episodes, run_packed, turn
from ._core.state import Shapes, State, check_state, fill, leaves, map_state, select_rows, state_shapes, where_rows
from ._core.unroll import Unroll
from .initial_state import Generator, InitialState
from .serialization import load, save


class ContextualRNN(nn.Module):
    """A recurrent core and the initial state it starts from.

        h_t = f(h_{t-1}, x_t),  h_0 = initial_state(context)

    Equations (1) and (2) of Wenke and Fleming (arXiv 1902.03455). Given the same h0 it computes what the core computes.

    Args:
        core: `nn.RNN`, `nn.LSTM`, `nn.GRU`; a cell of these, which is then run over time, batch first; or any module
            called as `core(x, state) -> (output, state)` with batch-first states and an attribute `state_shapes`.
        initial_state: any `InitialState` made for such a core.

    Raises:
        ValueError: the initial state was made for a core of other shapes.

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
        self.state_shapes = state_shapes(core)
        if self.state_shapes != initial_state.shapes:
            raise ValueError(
                f"the initial state was made for a core of state shapes {initial_state.shapes}; this core has "
                f"{self.state_shapes}"
            )

    @property
    def batch_first(self) -> bool:
        """Whether inputs and outputs are (B, T, ...), as the core has it; states are batch first either way."""
        return bool(getattr(self.core, "batch_first", True))

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
            context: what the initial state is a function of, B rows: a tensor or whatever its network takes.
                With `resets` it may have one row an episode instead, row by row and then by time; a row of no steps
                counts as one episode.
            state: a state to carry on from instead, batch first, such as the one an earlier call returned.
            lengths: (B,) the number of steps of each row of a padded batch, 0 to T. Outputs past them are 0 and the
                state is that after the last step; a row of no steps keeps its initial state.
            resets: (B, T) true where a step starts again from the initial state inside a row: at the joins of series,
                at the starts of episodes. The first step of a row does so anyway unless `state` is given. Resets past
                the length of a row are none.
            sample: whether the initial state draws noise; None means in training only.
            generator: where that noise comes from, a `torch.Generator` or `TrajectorySeeds`.

        Returns:
            The outputs, in the core's own layout (packed if `x` was), and the last state, batch first.

        Raises:
            ValueError: a shape is wrong, a length out of range, or `context` and `state` are both given without resets.
        """
        start = _Start(self, context, state, sample, generator)
        if isinstance(x, PackedSequence):
            return self._run_packed(x, start, lengths, resets)
        if x.dim() != 3:
            raise ValueError(f"x must have three dimensions, batch, time and features; found shape {tuple(x.shape)}")
        size, steps = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        if not steps:
            raise ValueError(f"x must have at least one time step; found shape {tuple(x.shape)}")
        lengths = None if lengths is None else check_lengths(lengths, size, steps, x.device)
        if resets is not None:
            return self._run_episodes(x, start, lengths, _check_resets(resets, size, steps))
        h0 = start.rows(size)
        if lengths is None or not size:
            return self._run_whole(x, h0)
        return self._run_padded(x, h0, lengths)

    def start(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return h0, batch first, as `forward` starts from it; the arguments are those of an `InitialState`."""
        state = self.initial_state(batch_size, context, sample=sample, generator=generator)
        return _checked(state, self.state_shapes, batch_size)

    def _run_whole(self, x: Tensor, h0: State) -> tuple[Tensor, State]:
        if not isinstance(self.core, nn.RNNBase):
            return self.core(x, h0)
        output, state = self.core(x, turn(h0))
        return output, turn(state)

    def _run_padded(self, x: Tensor, h0: State, lengths: Tensor) -> tuple[Tensor, State]:
        # Packing takes no empty sequences: they run for one step of zeros, which is then taken back.
        one = lengths.clamp(min=1).cpu()
        packed = pack_padded_sequence(self._blank(x, lengths), one, self.batch_first, enforce_sorted=False)
        packed, state = run_packed(self.core, packed, h0)
        steps = x.shape[1 if self.batch_first else 0]
        output, _ = pad_packed_sequence(packed, self.batch_first, total_length=steps)
        return self._blank(output, lengths), where_rows(lengths > 0, state, h0)

    def _run_packed(
        self, x: PackedSequence, start: _Start, lengths: Any, resets: Tensor | None
    ) -> tuple[PackedSequence, State]:
        if lengths is not None or resets is not None:
            raise ValueError("a PackedSequence has lengths of its own: give lengths and resets with a padded tensor")
        return run_packed(self.core, x, start.rows(int(x.batch_sizes[0])))

    def _run_episodes(self, x: Tensor, start: _Start, lengths: Tensor | None, resets: Tensor) -> tuple[Tensor, State]:
        size, steps = resets.shape
        lengths = torch.full((size,), steps, device=x.device) if lengths is None else lengths
        if not size:
            return self._run_whole(x, start.rows(0))
        inside = torch.arange(steps, device=x.device) < lengths.view(-1, 1)
        episodes = Episodes.cut(resets.to(x.device) & inside, lengths.clamp(min=1))
        h0 = start.episodes(episodes)
        x = self._blank(x, lengths)
        rows = x if self.batch_first else x.transpose(0, 1)
        packed, state = run_packed(self.core, episodes.pack(rows.flatten(0, 1)), h0)
        flat = packed.data.new_zeros(size * steps, *packed.data.shape[1:])
        output = flat.index_copy(0, episodes.step, packed.data).unflatten(0, (size, steps))
        output = output if self.batch_first else output.transpose(0, 1)
        state = where_rows(lengths > 0, select_rows(state, episodes.last), select_rows(h0, episodes.last))
        return self._blank(output, lengths), state

    def _blank(self, steps: Tensor, lengths: Tensor) -> Tensor:
        """Zero the rows of no steps, whatever is in them."""
        empty = lengths == 0
        if not empty.any():
            return steps
        return steps.masked_fill(empty.view((-1, 1, 1) if self.batch_first else (1, -1, 1)), 0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the whole model, weights and configuration, to one safetensors file; see `serialization`."""
        save(self, path)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> ContextualRNN:
        """Read a model that `save` wrote. No code in the file is run."""
        return cast(ContextualRNN, load(path, ContextualRNN))


class _Start:
    """Where the rows of one call start: from the initial state, or from a state that was given."""

    def __init__(
        self, rnn: ContextualRNN, context: Any, state: State | None, sample: bool | None, generator: Generator
    ) -> None:
        self.rnn, self.shapes = rnn, rnn.state_shapes
        self.context, self.state = context, state
        self.drawing: dict[str, Any] = {"sample": sample, "generator": generator}

    def rows(self, size: int) -> State:
        if self.state is None:
            return self._fresh(size, self.context)
        if self.context is not None:
            raise ValueError("give a context to start from or a state to carry on from; without resets, not both")
        return _checked(self.state, self.shapes, size)

    def episodes(self, episodes: Episodes) -> State:
        context = _episode_rows(self.context, episodes)
        if self.state is None:
            return self._fresh(len(episodes.row), context)
        carried = select_rows(_checked(self.state, self.shapes, len(episodes.last)), episodes.row)
        carries_on = episodes.first & ~episodes.reset
        if carries_on.all():
            return carried
        return where_rows(carries_on, carried, self._fresh(len(episodes.row), context))

    def _fresh(self, size: int, context: Any) -> State:
        return self.rnn.start(size, context, **self.drawing)


def _checked(state: State, shapes: Shapes, size: int) -> State:
    """Return the state in the core's own nest (its named tuples, where it has them)."""
    check_state(state, shapes, size)
    return fill(shapes, leaves(state))


def _episode_rows(context: Any, episodes: Episodes) -> Any:
    """Give every episode its row of the context, unless the context has a row for every episode already."""
    if isinstance(context, dict):
        return {name: _episode_rows(part, episodes) for name, part in context.items()}
    if isinstance(context, tuple):
        return map_state(lambda part: _episode_rows(part, episodes), context)
    rows, count = len(episodes.last), len(episodes.row)
    if context is None or len(context) == count:
        return context
    if len(context) != rows:
        raise ValueError(
            f"the context has {len(context)} rows where {rows}, the batch, or {count}, an episode, is right"
        )
    return context[episodes.row]


def check_lengths(lengths: Any, size: int, steps: int, device: torch.device, name: str = "lengths") -> Tensor:
    """Return lengths (B,) on a device; raise ValueError where they are not B integers in 0 to `steps`."""
    lengths = torch.as_tensor(lengths, device=device)
    lengths = lengths if lengths.numel() else lengths.long()  # an empty list is of floats
    if lengths.shape != (size,) or lengths.is_floating_point():
        raise ValueError(f"{name} must be {size} integers, one a row; found {lengths.dtype} {tuple(lengths.shape)}")
    if size and not 0 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(
            f"{name} must lie in 0 to {steps}, the steps there are; found {int(lengths.min())} to {int(lengths.max())}"
        )
    return lengths


def _check_resets(resets: Tensor, size: int, steps: int) -> Tensor:
    if tuple(resets.shape) != (size, steps):
        raise ValueError(f"resets must be (batch, time) = {(size, steps)}; found shape {tuple(resets.shape)}")
    return resets.bool()
