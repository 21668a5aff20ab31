"""From elements to what a core reads."""

from __future__ import annotations

from torch import Tensor, nn


def embed(embedding: nn.Module | None, elements: Tensor, name: str) -> Tensor:
    """Return the vectors (B, T, D) of categories (B, T); without an embedding, of vectors, which stay as they are.

    Raises:
        ValueError: `elements`, which the message calls by `name`, are no numbers of the embedding's rows.
    """
    if embedding is None:
        return elements
    if not isinstance(embedding, nn.Embedding):
        return embedding(elements)
    wanted = f"numbers from 0 to {embedding.num_embeddings - 1} are right"
    if elements.is_floating_point():
        raise ValueError(f"{name} is a tensor of {str(elements.dtype).removeprefix('torch.')} where {wanted}")
    try:
        return embedding(elements)
    except IndexError:  # looked into only now, for to look first would wait for a GPU at every step
        strange = elements[(elements < 0) | (elements >= embedding.num_embeddings)]
        raise ValueError(f"{name} holds {int(strange[0])} where {wanted}") from None
