"""Pack sequences of different lengths into one `PackedSequence`, and run any core over it.

Padded batches, packed batches and rows with resets are all converted to a packed sequence. Its rows are ordered by
time and, within a step, from the longest sequence to the shortest.
"""

from __future__ import annotations

import dataclasses
import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .contract import CoreContract
from .state import State, map_state, select_rows
from .tracing import refuse_tracing
from .transforms import inside_transform


def run_packed(
    core: nn.Module, contract: CoreContract, packed: PackedSequence, state: State
) -> tuple[PackedSequence, State]:
    """Run a core over a packed sequence.

    PyTorch's own cores take the packed sequence itself, except under the transforms of `torch.func`. A causal core is
    called once for every range of time steps in which the same sequences are running. Any other core is called with
    whole sequences, once for every length.

    Args:
        core: the core.
        contract: how the core is called.
        packed: the inputs.
        state: (B, ...) batch first, in the order of the sequences before they were sorted by length.

    Returns:
        The outputs, packed in the same way, and the state of each sequence after its last step.

    Raises:
        ValueError: it is called under `torch.jit.trace`, which would record the lengths of the example as constants.
    """
    if contract.takes_packed and not inside_transform():
        return contract.call(core, packed, state)
    refuse_tracing("lengths, for any core but nn.RNN, nn.LSTM and nn.GRU,")
    if packed.sorted_indices is not None:
        state = select_rows(state, packed.sorted_indices)
    run = _run_segments if contract.causal else _run_whole_sequences
    data, state = run(core, contract, packed, state)
    if packed.unsorted_indices is not None:
        state = select_rows(state, packed.unsorted_indices)
    return PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices), state


def _run_segments(
    core: nn.Module, contract: CoreContract, packed: PackedSequence, state: State
) -> tuple[Tensor, State]:
    """Call the core for each range of time steps in which the same sequences run; the state is in sorted order."""
    outputs, ended, start = [], [], 0
    for running, steps in ((n, len(list(run))) for n, run in itertools.groupby(packed.batch_sizes.tolist())):
        ended.append(map_state(lambda leaf, n=running: leaf[n:], state))
        state = map_state(lambda leaf, n=running: leaf[:n], state)
        x = packed.data[start : start + running * steps].unflatten(0, (steps, running))
        output, state = contract.call(core, x.transpose(0, 1) if contract.batch_first else x, state)
        outputs.append((output.transpose(0, 1) if contract.batch_first else output).flatten(0, 1))
        start += running * steps
    return torch.cat(outputs), _concatenate([state, *reversed(ended)])


def _run_whole_sequences(
    core: nn.Module, contract: CoreContract, packed: PackedSequence, state: State
) -> tuple[Tensor, State]:
    """Call the core once for all sequences of each length; the state is in sorted order."""
    sizes = packed.batch_sizes
    starts = sizes.cumsum(0) - sizes  # where each step's rows start in the packed data
    lengths = (torch.arange(int(sizes[0])) < sizes.unsqueeze(1)).sum(0)
    places, outputs, states, first = [], [], [], 0
    for steps, count in ((n, len(list(run))) for n, run in itertools.groupby(lengths.tolist())):
        place = (starts[:steps].unsqueeze(1) + torch.arange(first, first + count)).to(packed.data.device)
        x = packed.data[place]
        rows = map_state(lambda leaf, at=first, n=count: leaf[at : at + n], state)
        output, last = contract.call(core, x.transpose(0, 1) if contract.batch_first else x, rows)
        outputs.append((output.transpose(0, 1) if contract.batch_first else output).flatten(0, 1))
        places.append(place.flatten())
        states.append(last)
        first += count
    return torch.cat(outputs)[torch.cat(places).argsort()], _concatenate(states)


def _concatenate(states: list[State]) -> State:
    return map_state(lambda *leaves: torch.cat(leaves), states[0], *states[1:])


@dataclasses.dataclass(frozen=True)
class Episodes:
    """The episodes of a batch, ordered by row and then by time. An episode is the steps from one reset to the next.

    Attributes:
        row: (N,) the row that each episode is part of.
        first: (N,) true if the episode starts at the first step of its row.
        last: (B,) the index of the last episode of each row.
        reset: (N,) true if a reset starts the episode.
        step: (S,) the flat index b * T + t of every step, in the order of a packed sequence.
        batch_sizes: (longest,) the number of episodes that have a step 0, 1, ...
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
    def split(cls, resets: Tensor, lengths: Tensor) -> Episodes:
        """Split rows into episodes.

        Args:
            resets: (B, T) true where a step starts a new episode.
            lengths: (B,) the number of steps of each row, at least 1.
        """
        rows, steps = resets.shape
        time = torch.arange(steps, device=resets.device)
        starts = resets.clone()
        starts[:, 0] = True
        valid = time < lengths.view(-1, 1)
        begin = (starts & valid).nonzero()
        number = (starts & valid).flatten().cumsum(0) - 1  # the episode of each step
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
        """Pack the steps (B * T, D), which are ordered by row, into a packed sequence of episodes."""
        return PackedSequence(steps[self.step], self.batch_sizes, self.order, self.order.argsort())
