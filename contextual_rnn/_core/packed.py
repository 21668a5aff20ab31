"""Sequences of unlike lengths as one `PackedSequence`, and any core run over it.

Padded batches, packed batches and rows cut into episodes all come to the same: a packed sequence, whose steps lie in
order of time and, within a step, of the sequences sorted from the longest to the shortest.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .state import State, map_state, select_rows

Core = Callable[[Tensor, State], tuple[Tensor, State]]


def run_packed(core: nn.Module, packed: PackedSequence, state: State) -> tuple[PackedSequence, State]:
    """Run a core over a packed sequence.

    Args:
        core: `nn.RNN`, `nn.LSTM`, `nn.GRU`, or a core of batch-first states.
        packed: the inputs.
        state: (B, ...) in the order of the sequences before they were sorted, batch first.

    Returns:
        The outputs, packed alike, and the state of each sequence after its own last step.
    """
    if isinstance(core, nn.RNNBase):
        output, state = core(packed, turn(state))
        return output, turn(state)
    if packed.sorted_indices is not None:
        state = select_rows(state, packed.sorted_indices)
    data, state = _run_sorted(core, packed, state)
    if packed.unsorted_indices is not None:
        state = select_rows(state, packed.unsorted_indices)
    return packed._replace(data=data), state


def turn(state: State) -> State:
    """Swap the first two dimensions of every tensor: (B, L, H) to the (L, B, H) of `nn.LSTM` and back."""
    return map_state(lambda leaf: leaf.transpose(0, 1).contiguous(), state)


def _run_sorted(core: nn.Module, packed: PackedSequence, state: State) -> tuple[Tensor, State]:
    """Run over stretches of time in which the same sequences are alive; the state is in sorted order."""
    batch_first = getattr(core, "batch_first", True)
    outputs, ended, start = [], [], 0
    for alive, steps in ((n, len(list(run))) for n, run in itertools.groupby(packed.batch_sizes.tolist())):
        ended.append(map_state(lambda leaf, n=alive: leaf[n:], state))
        state = map_state(lambda leaf, n=alive: leaf[:n], state)
        x = packed.data[start : start + alive * steps].unflatten(0, (steps, alive))
        output, state = core(x.transpose(0, 1) if batch_first else x, state)
        outputs.append((output.transpose(0, 1) if batch_first else output).flatten(0, 1))
        start += alive * steps
    pieces = [state, *reversed(ended)]
    return torch.cat(outputs), map_state(lambda *leaves: torch.cat(leaves), pieces[0], *pieces[1:])


@dataclasses.dataclass(frozen=True)
class Episodes:
    """Rows of a batch cut at their resets into episodes, numbered row by row, then by time.

    Attributes:
        row: (N,) the row that each episode is part of.
        first: (N,) whether it starts at the row's first step.
        last: (B,) the number of each row's last episode.
        reset: (N,) whether a reset starts it.
        step: (S,) the flat index b * T + t of every step, in the order of a packed sequence.
        batch_sizes: (longest,) how many episodes are alive at each of their steps.
        order: (N,) the episodes from the longest to the shortest.
    """

    row: Tensor
    first: Tensor
    last: Tensor
    reset: Tensor
    step: Tensor
    batch_sizes: Tensor
    order: Tensor

    @classmethod
    def cut(cls, resets: Tensor, lengths: Tensor) -> Episodes:
        """Cut rows at `resets` (B, T), true where a step starts again; `lengths` (B,), at least 1, ends them."""
        rows, steps = resets.shape
        time = torch.arange(steps, device=resets.device)
        starts = resets.clone()
        starts[:, 0] = True
        valid = time < lengths.view(-1, 1)
        begin = (starts & valid).nonzero()
        number = (starts & valid).flatten().cumsum(0) - 1  # which episode each step is in
        offset = time.expand(rows, steps).flatten() - begin[number, 1]
        number, offset, step = number[valid.flatten()], offset[valid.flatten()], valid.flatten().nonzero()[:, 0]
        length = torch.bincount(number, minlength=len(begin))
        order = length.argsort(descending=True, stable=True)
        rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
        packed = (offset * len(begin) + rank[number]).argsort()
        row = begin[:, 0]
        return cls(
            row=row,
            first=begin[:, 1] == 0,
            last=torch.bincount(row, minlength=rows).cumsum(0) - 1,
            reset=resets[row, begin[:, 1]],
            step=step[packed],
            batch_sizes=torch.bincount(offset).cpu(),
            order=order,
        )

    def pack(self, steps: Tensor) -> PackedSequence:
        """Pack (B * T, D), row by row, into a sequence of episodes."""
        return PackedSequence(steps[self.step], self.batch_sizes, self.order, self.order.argsort())
