"""Read the first steps of a sequence with a core, for an initial state that is a function of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._core.state import leaves
from .initial_state import ConstantState
from .recurrent import ContextualRNN


class WindowReader(nn.Module):
    """Return the final state of a core that reads a window from zero, as the network of a `ContextState`.

        h_0 = W s_k + b,  s_t = reader(s_(t-1), x_t),  s_0 = 0

    This is the handoff of neuralhydrology (Kratzert et al. 2022): one core reads what is known of the past, and hands
    its state on to another core, which may have other inputs.

    Args:
        reader: the core that reads the window, such as `nn.GRU(2, 32, batch_first=True)`.

    Raises:
        TypeError: `reader` is not a recurrent core.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import ContextState, ContextualRNN, WindowReader
        >>> core, reader = nn.LSTM(1, 32, batch_first=True), nn.GRU(2, 16, batch_first=True)
        >>> rnn = ContextualRNN(core, ContextState(core, WindowReader(reader)))
        >>> inputs, window = torch.zeros(8, 25, 1), torch.zeros(8, 5, 2)  # inputs and targets of the first 5 steps
        >>> output, state = rnn(inputs, window)
        >>> output.shape
        torch.Size([8, 25, 32])
    """

    def __init__(self, reader: nn.Module) -> None:
        super().__init__()
        self.rnn = ContextualRNN(reader, ConstantState(reader))
        self.out_features = sum(leaf[0].numel() for leaf in leaves(self.rnn.initial_state(1)))

    def forward(self, window: Tensor) -> Tensor:
        """Return all tensors of the final state in one vector, (B, F), from a window in the reader's own layout.

        Args:
            window: (B, k, D), or (k, B, D) where the reader is not batch first.
        """
        _, state = self.rnn(window)
        return torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1)
