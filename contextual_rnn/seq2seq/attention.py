"""Attention: for every query, a mean of a memory weighted by how well each of its elements matches.

    weights = softmax over the memory of score(query, key),  read = sum_s weights_s memory_s

The memory is handed in with each call and kept by nobody. Its keys do not depend on queries: `keys(memory)` makes them
once for a source.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from .._core.choices import check_choice
from .._core.plain_operations import is_eager
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
    """The base of every attention.

    Attributes:
        query_size: Q, the width of a query.
        memory_size: M, the width of the memory's elements, and of what is read.
    """

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.query_size, self.memory_size = query_size, memory_size

    def keys(self, memory: Tensor) -> Tensor:
        """Return what queries are compared with, (B, S, K), of a memory (B, S, M)."""
        raise NotImplementedError

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return how well each query (B, T, Q) matches each key (B, S, K): (B, T, S)."""
        raise NotImplementedError

    def forward(self, query: Tensor, keys: Tensor, memory: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Read the memory.

        Args:
            query: (B, T, Q).
            keys: (B, S, K), as `keys` makes them.
            memory: (B, S, M).
            mask: (B, S) true where there is an element.

        Returns:
            What was read (B, T, M), and the weights (B, T, S): at least 0, with sum 1, and 0 where there is no element;
            all 0 for a memory of no elements.
        """
        there = mask.unsqueeze(1)
        scores = self.scores(query, keys)
        scores = scores.masked_fill(~there, torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=2) * there
        return weights @ memory, weights


class AdditiveAttention(Attention):
    """score = v . tanh(W q + U m + b) (Bahdanau et al. 2015, arXiv 1409.0473, appendix A.1.2).

    Args:
        query_size: Q.
        memory_size: M.
        size: K, the units of the comparison.
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
        arguments = self.query(query), keys, self.score.weight[0]
        return AdditiveScores.apply(*arguments) if is_eager() else reference_scores(*arguments)


class MultiplicativeAttention(Attention):
    """score = q . m, or q . W m, or q . m / sqrt(M) (Luong et al. 2015, arXiv 1508.04025, section 3.1).

    Args:
        query_size: Q.
        memory_size: M; for `dot` and `scaled` it must be Q.
        score: `general` has W; `scaled` divides as Vaswani et al. 2017 do.

    Raises:
        ValueError: the sizes differ where they must not, or `score` is none of these.
    """

    def __init__(self, query_size: int, memory_size: int, score: Score = "general") -> None:
        super().__init__(query_size, memory_size)
        check_choice(score, get_args(Score), "score")
        if score != "general" and query_size != memory_size:
            raise ValueError(f"score {score!r} compares vectors of one width; found {query_size} and {memory_size}")
        self.score = score
        self.key = nn.Linear(memory_size, query_size, bias=False) if score == "general" else nn.Identity()
        self.scale = memory_size**-0.5 if score == "scaled" else 1.0

    def keys(self, memory: Tensor) -> Tensor:
        """Return W m, or m, (B, S, Q)."""
        return self.key(memory)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the scores, (B, T, S)."""
        return self.scale * query @ keys.transpose(1, 2)
