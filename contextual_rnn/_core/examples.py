"""The number of examples whose mean loss is back-propagated, which may differ from the number of initial states.

If `ContextualRNN` is called with resets, a batch of B rows has one initial state for every episode, so more than B.
`ErrorNoise` scales gradients by the number of examples, which is B.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import torch

_EXAMPLES: contextvars.ContextVar[int | None] = contextvars.ContextVar("examples", default=None)


@contextlib.contextmanager
def _set(count: int | None) -> Iterator[None]:
    token = _EXAMPLES.set(count)
    try:
        yield
    finally:
        _EXAMPLES.reset(token)


def examples_in_batch(count: int | None) -> contextlib.AbstractContextManager[None]:
    """Set the number of examples for initial states that are called in this context; None means their batch size."""
    unchanged = torch.compiler.is_compiling() or _EXAMPLES.get() is count
    return contextlib.nullcontext() if unchanged else _set(count)


def example_count(batch_size: int) -> int:
    """Return the number of examples that was set, or `batch_size`, the number of initial states."""
    count = None if torch.compiler.is_compiling() else _EXAMPLES.get()
    return batch_size if count is None else count
