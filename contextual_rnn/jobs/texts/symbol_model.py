"""Parts of a network of texts: dropout of embeddings and outputs, and the head that reads them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import dropout

from ..._core.module_config import register
from ...heads import CategoryHead


@register
class SymbolEmbedding(nn.Embedding):
    """Embeddings of symbols with dropout: (B, T) to (B, T, E).

    Args:
        symbols: the number of categories.
        size: E.
        drop: the probability of dropout.
        variational: whether the same units are left out at every step of a text.
    """

    def __init__(self, symbols: int, size: int, drop: float = 0.0, variational: bool = False) -> None:
        super().__init__(symbols, size)
        self.symbols, self.size, self.drop, self.variational = symbols, size, drop, variational

    def forward(self, input: Tensor) -> Tensor:
        """Return the embeddings."""
        return dropped_units(super().forward(input), self.drop, self.variational, self.training)


@register
class SymbolHead(CategoryHead):
    """One of K categories, with dropout of the hidden state in the loss.

    Args:
        hidden: H.
        size: K.
        drop: the probability of dropout.
        variational: whether the same units are left out at every step of a text.
    """

    def __init__(self, hidden: int, size: int, drop: float = 0.0, variational: bool = False) -> None:
        super().__init__(hidden, size)
        self.drop, self.variational = drop, variational

    def loss(self, hidden: Tensor, target: Tensor, last: Tensor | None = None) -> Tensor:
        """Return the negative log likelihood in nats, (...)."""
        return super().loss(dropped_units(hidden, self.drop, self.variational, self.training), target, last)


def dropped_units(x: Tensor, share: float, variational: bool, training: bool) -> Tensor:
    """Apply dropout to (B, T, F).

    Args:
        x: the features.
        share: the probability of dropout.
        variational: whether the mask of a row is the same at every step (Gal and Ghahramani 2016).
        training: whether dropout is applied at all.
    """
    if not share or not training:
        return x
    if not variational or x.dim() < 3:
        return dropout(x, share)
    return x * dropout(x.new_ones(x.shape[0], 1, x.shape[2]), share)
