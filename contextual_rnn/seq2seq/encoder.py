"""The encoder: returns the outputs that attention reads and the final state that a bridge maps to the decoder."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._core.state import State
from ..errors import InputError
from ..recurrent import ContextualRNN
from .dropout import make_dropout
from .embedding import embed, embedded_width, input_width


class Encoded(NamedTuple):
    """The encoding of B sources.

    Attributes:
        outputs: the core's outputs, (B, S, M), 0 past the end of a source; M is the width of both directions together.
        state: the core's final state, batch first.
        mask: (B, S), true where a source has an element.
    """

    outputs: Tensor
    state: State
    mask: Tensor


class Encoder(nn.Module):
    """Encode source sequences with a `ContextualRNN` over their embedded elements.

    The encoder's initial state may depend on context, such as the language of a source.

    Args:
        rnn: a recurrent network, batch first, with one direction or two.
        embedding: a module from elements to the core's inputs, such as `nn.Embedding`; None passes vectors unchanged.
        dropout: the dropout probability of the embedded elements, in training.
        variational: whether dropout has one mask for all steps of a sequence, and is also applied to the outputs; see
            `VariationalDropout`.

    Raises:
        InputError: `rnn` is not a `ContextualRNN` or not batch first, or the width of the embeddings differs from that
            of the core's inputs.
    """

    def __init__(
        self,
        rnn: ContextualRNN,
        embedding: nn.Module | None = None,
        dropout: float = 0.0,
        variational: bool = False,
    ) -> None:
        super().__init__()
        check_rnn(rnn, "encoder")
        width, inputs = embedded_width(embedding), input_width(rnn.core)
        if width is not None and inputs is not None and width != inputs:
            raise InputError(f"the encoder's core has input_size {inputs}, but its embeddings have width {width}")
        self.rnn, self.embedding, self.variational = rnn, embedding, variational
        self.dropout = make_dropout(dropout, variational)

    def forward(self, source: Tensor, lengths: Tensor | None = None, context: Any = None) -> Encoded:
        """Encode sources.

        Args:
            source: categories (B, S) or vectors (B, S, F), padded.
            lengths: the number of elements of each source, (B,); None means S.
            context: the context for the encoder's initial state, with batch size B.

        Raises:
            InputError: an element of `source` is not the index of a row of the embedding, or `source` is no tensor.
        """
        if not isinstance(source, Tensor):
            raise InputError(f"source must be a padded tensor, with `lengths`; found a {type(source).__name__}")
        inputs = self.dropout(embed(self.embedding, source, "source"))
        outputs, state = self.rnn(inputs, context, lengths=lengths)
        outputs = self.dropout(outputs) if self.variational else outputs
        mask = torch.ones(source.shape[:2], dtype=torch.bool, device=source.device)
        if lengths is not None:
            ends = torch.as_tensor(lengths, device=source.device).unsqueeze(1)
            mask = torch.arange(source.shape[1], device=source.device) < ends
        return Encoded(outputs, state, mask)


def check_rnn(rnn: Any, owner: str) -> None:
    """Raise InputError unless `rnn` is a `ContextualRNN`, or wraps one, and is batch first.

    Args:
        rnn: the value to check.
        owner: encoder or decoder, for the message.
    """
    if isinstance(rnn, type) or not all(hasattr(rnn, name) for name in ("core", "start", "state_shapes")):
        found = rnn.__name__ if isinstance(rnn, type) else type(rnn).__name__
        raise InputError(f"the {owner}'s rnn must be a ContextualRNN(core, initial_state); found {found}")
    if not rnn.batch_first:
        raise InputError(f"the {owner}'s core must be batch first: make it with batch_first=True")
