"""Embed the elements of a sequence as inputs of a core."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError

INDEX_TYPES = (torch.int32, torch.int64)  # nn.Embedding takes no others


def embed(embedding: nn.Module | None, elements: Tensor, name: str) -> Tensor:
    """Return the embeddings (B, T, D) of elements: categories (B, T), or vectors if `embedding` accepts them.

    Args:
        embedding: a module from elements to the inputs of a core; None returns the elements unchanged.
        elements: categories of any integer type, or vectors.
        name: the name of the elements in error messages.

    Raises:
        InputError: the embedding is an `nn.Embedding`, and an element is not the index of one of its rows.
    """
    if embedding is None:
        return elements
    if not isinstance(embedding, nn.Embedding):
        return embedding(elements)
    wanted = f"must contain integers from 0 to {embedding.num_embeddings - 1}"
    if elements.is_floating_point() or elements.is_complex() or elements.dtype == torch.bool:
        raise InputError(f"{name} {wanted}; found a tensor of {str(elements.dtype).removeprefix('torch.')}")
    try:
        return embedding(elements if elements.dtype in INDEX_TYPES else elements.long())
    except IndexError:  # found only after the failure, because a check at every step would wait for the GPU
        outside = elements[(elements < 0) | (elements >= embedding.num_embeddings)]
        raise InputError(f"{name} {wanted}; found {int(outside[0])}") from None


def embedded_width(embedding: nn.Module | None) -> int | None:
    """Return the width of the embeddings, or None if it is not known."""
    if isinstance(embedding, nn.Embedding):
        return embedding.embedding_dim
    width = getattr(embedding, "out_features", None)
    return width if isinstance(width, int) else None


def input_width(core: Any) -> int | None:
    """Return the width of a core's inputs, or None if it is not known."""
    width = getattr(getattr(core, "cell", core), "input_size", None)  # Unroll has the input_size of its cell
    return width if isinstance(width, int) else None
