"""Attention: for every query, the mean of a memory, weighted by how well each element matches the query.

    weights = softmax_s score(query, key_s),  read = sum_s weights_s memory_s

The memory is an argument of each call; an attention does not store it. The keys do not depend on the queries, so
`keys(memory)` is called once per source.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from .._core.choices import check_choice
from .._core.tracing import is_eager
from ..errors import InputError
from .additive_scores import AdditiveScores, reference_scores

Score = Literal["dot", "general", "scaled"]
AttentionName = Literal["none", "additive", "multiplicative"]
ATTENTIONS: tuple[AttentionName, ...] = get_args(AttentionName)


def make_attention(name: str, query_size: int, memory_size: int, hidden: int | None = None) -> Attention | None:
    """Make an attention from its name.

    Args:
        name: one of `ATTENTIONS`: `"none"` for no attention, `"additive"` for `AdditiveAttention`, `"multiplicative"`
            for `MultiplicativeAttention` with the score `"general"`.
        query_size: Q, the width of a query.
        memory_size: M, the width of the memory's elements.
        hidden: K, the hidden units of additive attention; None means Q.

    Returns:
        The attention, or None for `"none"`.

    Raises:
        InputError: `name` is not one of `ATTENTIONS`.
    """
    check_choice(name, ATTENTIONS, "attention")
    if name == "additive":
        return AdditiveAttention(query_size, memory_size, hidden or query_size)
    return MultiplicativeAttention(query_size, memory_size) if name == "multiplicative" else None


class Attention(nn.Module):
    """The base class of attentions.

    Args:
        query_size: Q, the width of a query.
        memory_size: M, the width of the memory's elements and of the result.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query_size, self.memory_size = query_size, memory_size

    def keys(self, memory: Tensor) -> Tensor:
        """Return the keys (B, S, K), which queries are compared with, of a memory (B, S, M)."""
        raise NotImplementedError

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the scores (B, T, S) of queries (B, T, Q) and keys (B, S, K)."""
        raise NotImplementedError

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Read the memory.

        Args:
            query: (B, T, Q).
            keys: the keys that `keys` returned, (B, S, K).
            memory: (B, S, M).
            mask: (B, S), true where the memory has an element.

        Returns:
            The weighted mean of the memory (B, T, M) and the attention weights (B, T, S). The weights are at least 0
            and sum to 1; they are 0 where the memory has no element, and all 0 for an empty memory.
        """
        present = mask.unsqueeze(1)
        scores = self.scores(query, keys)
        scores = scores.masked_fill(~present, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=2) * present
        return weights @ memory, weights


class AdditiveAttention(Attention):
    """Additive attention: score = v . tanh(W q + U m + b).

    (Bahdanau et al. 2015, arXiv 1409.0473, appendix A.1.2.)

    Args:
        query_size: Q, the width of a query.
        memory_size: M, the width of the memory's elements.
        size: K, the number of hidden units.
    """

    def __init__(self, query_size: int, memory_size: int, size: int) -> None:
        super().__init__(query_size, memory_size)
        self.size = size
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(memory_size, size)
        self.score = nn.Linear(size, 1, bias=False)

    def keys(self, memory: Tensor) -> Tensor:
        """Return U m + b, (B, S, K)."""
        return self.key(memory)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the scores, (B, T, S)."""
        arguments = self.query(query), keys, self._vector()
        return AdditiveScores.apply(*arguments) if is_eager() else reference_scores(*arguments)

    def _vector(self) -> Tensor:
        """Return v, (K,)."""
        weight: Any = self.score.weight
        return (weight().dequantize() if callable(weight) else weight)[0]  # a quantised layer's weight is a method


class MultiplicativeAttention(Attention):
    """Multiplicative attention: score = q . m, or q . W m, or q . m / sqrt(M).

    (Luong et al. 2015, arXiv 1508.04025, section 3.1; Vaswani et al. 2017, arXiv 1706.03762, section 3.2.1.)

    Args:
        query_size: Q, the width of a query.
        memory_size: M, the width of the memory's elements; must be Q for `"dot"` and `"scaled"`.
        score: `"dot"` for q . m, `"general"` for q . W m, `"scaled"` for q . m / sqrt(M).

    Raises:
        InputError: `score` is not one of these, or the sizes differ for `"dot"` or `"scaled"`.
    """

    def __init__(self, query_size: int, memory_size: int, score: Score = "general") -> None:
        super().__init__(query_size, memory_size)
        check_choice(score, get_args(Score), "score")
        if score != "general" and query_size != memory_size:
            found = f"found query_size {query_size} and memory_size {memory_size}"
            raise InputError(f"score {score!r} needs equal query_size and memory_size; {found}")
        self.score = score
        self.key = nn.Linear(memory_size, query_size, bias=False) if score == "general" else nn.Identity()
        self.scale = memory_size**-0.5 if score == "scaled" else 1.0

    def keys(self, memory: Tensor) -> Tensor:
        """Return W m, or m, (B, S, Q)."""
        return self.key(memory)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the scores, (B, T, S)."""
        return self.scale * query @ keys.transpose(1, 2)
