"""The encoder: a source sequence to the outputs that attention reads and the state that a bridge carries over."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._core.state import State
from ..recurrent import ContextualRNN
from .embedding import embed


class Encoded(NamedTuple):
    """What an encoder makes of B sources.

    Attributes:
        outputs: (B, S, M), 0 past the ends; M counts both directions.
        state: the core's final state, batch first.
        mask: (B, S) true where there is an element.
    """

    outputs: Tensor
    state: State
    mask: Tensor


class Encoder(nn.Module):
    """A `ContextualRNN` over embedded elements; its own h0 may be a function of context, such as the language.

    Args:
        rnn: batch first, of one direction or two.
        embedding: from elements to the core's inputs, such as `nn.Embedding`; None takes vectors as they are.
        dropout: of the embedded elements, in training.

    Raises:
        ValueError: the core is not batch first.
    """

    def __init__(self, rnn: ContextualRNN, embedding: nn.Module | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        if not rnn.batch_first:
            raise ValueError("the encoder's core must be batch first: make it with batch_first=True")
        self.rnn, self.embedding, self.dropout = rnn, embedding, nn.Dropout(dropout)

    def forward(self, source: Tensor, lengths: Tensor | None = None, context: Any = None) -> Encoded:
        """Encode sources.

        Args:
            source: (B, S) of categories, or (B, S, D), padded.
            lengths: (B,) how many elements each has; None is all S.
            context: what the encoder's own h0 is a function of, B rows.

        Raises:
            ValueError: `source` holds what the embedding has no row for.
        """
        inputs = self.dropout(embed(self.embedding, source, "the source"))
        outputs, state = self.rnn(inputs, context, lengths=lengths)
        places = torch.arange(source.shape[1], device=source.device).expand(len(source), -1)
        ends = torch.full_like(places[:, 0], source.shape[1]) if lengths is None else lengths
        return Encoded(outputs, state, places < torch.as_tensor(ends, device=source.device).unsqueeze(1))
