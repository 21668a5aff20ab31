"""Fast weights that start from a few virtual past hidden states instead of a whole matrix."""

from __future__ import annotations

from typing import Any

import torch

from ._core.state import Shapes, State, fill, leaves, state_shapes
from .initial_state import Generator, InitialState


def memory_shapes(core: Any, memories: int) -> Shapes:
    """Return the shapes for the base of a `MemoryState`: ((H,), (r, H)).

    Args:
        core: a `FastWeightsRNN` or `FastWeightsCell`.
        memories: r, the number of virtual past hidden states.

    Raises:
        ValueError: the state of the core is not that of fast weights, or `memories` is less than 1.
    """
    shapes = state_shapes(core)
    units = shapes[0][0] if shapes and isinstance(shapes[0], tuple) else 0
    if shapes != ((units,), (units, units)):
        raise ValueError(f"the core must have fast weights, with state shapes ((H,), (H, H)); found {shapes}")
    if memories < 1:
        raise ValueError(f"memories must be at least 1; found {memories}")
    return (units,), (memories, units)


class MemoryState(InitialState):
    """Start the fast weights as if r virtual past hidden states m_i, the oldest first, had been written to them.

        A_0 = rate sum_i decay^(r-i) m_i m_i^T

    A context network then returns r H numbers instead of H^2 (the analogue of (2c) in arXiv 1902.03455 for the A of
    Ba et al., arXiv 1610.06258).

    Args:
        core: the `FastWeightsRNN` or `FastWeightsCell`.
        base: an initial state made for `memory_shapes(core, r)`, which gives h_0 (B, H) and m (B, r, H).
        decay: the decay of the fast weights per step; None means that of the core.
        rate: the rate of writing to the fast weights; None means that of the core.

    Raises:
        ValueError: the base was made for other shapes.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import ContextState, ContextualRNN, FastWeightsRNN, MemoryState, memory_shapes
        >>> core = FastWeightsRNN(100, 50)
        >>> base = ContextState(memory_shapes(core, memories=4), nn.Linear(100, 32))
        >>> rnn = ContextualRNN(core, MemoryState(core, base))
        >>> output, (h, A) = rnn(torch.zeros(8, 11, 100), context=torch.zeros(8, 100))
        >>> A.shape
        torch.Size([8, 50, 50])
    """

    def __init__(self, core: Any, base: InitialState, *, decay: float | None = None, rate: float | None = None) -> None:
        super().__init__(core)
        memories = base.shapes[1][0] if isinstance(base.shapes[-1], tuple) else 0
        if base.shapes != memory_shapes(self.shapes, max(memories, 1)):
            raise ValueError(
                f"the base was made for the shapes {base.shapes}; expected memory_shapes(core, memories), such as "
                f"{memory_shapes(self.shapes, 4)}"
            )
        self.base = base
        self.decay = core.recurrence.decay if decay is None else decay
        self.rate = core.recurrence.rate if rate is None else rate

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return h_0 (B, H) and A_0 (B, H, H)."""
        h, memories = leaves(self.base(batch_size, context, sample=sample, generator=generator))
        ages = range(memories.shape[1] - 1, -1, -1)
        left = memories.new_tensor([self.rate * self.decay**age for age in ages]).unsqueeze(1)
        return fill(self.shapes, iter((h, torch.bmm((left * memories).transpose(1, 2), memories))))
