"""Minibatches of tensors, shuffled anew in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor


def shuffled(*columns: Tensor | dict[str, Tensor], batch_size: int) -> Callable[[], Iterator[tuple[Any, ...]]]:
    """Return a function that yields the minibatches of one epoch, in random order, as `study.fit` calls it.

    Args:
        columns: what a minibatch holds: tensors of N rows, and dicts of such tensors. The first one is a tensor.
        batch_size: rows in a minibatch; the last minibatch of an epoch may have fewer.
    """

    def batches() -> Iterator[tuple[Any, ...]]:
        for rows in torch.randperm(len(columns[0])).split(batch_size):
            yield tuple(
                {name: value[rows] for name, value in column.items()} if isinstance(column, dict) else column[rows]
                for column in columns
            )

    return batches
