"""Check the network of a context, find the width of its output, and call it."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, nn

from .._core.arrays import as_tensor, linear_input
from .._core.tracing import shapes_are_traced
from ..context import Context, Field, Label


def context_network(network: Any) -> Any:
    """Return `network`, or `Label(n)` if it is a number of classes n.

    Raises:
        ValueError: it is neither a module nor a number of classes.
    """
    if isinstance(network, type) or not (callable(network) or hasattr(network, "__index__")) or network is True:
        found = f"the class {network.__name__}" if isinstance(network, type) else repr(network)
        raise ValueError(
            f"the context network must be a module, such as MLP(2, 50), a field, such as Label(10), or a number of "
            f"classes; found {found}"
        )
    return network if callable(network) else Label(operator.index(network))


def out_features(network: Any) -> int:
    """Return the width of the output of a network.

    Raises:
        ValueError: no attribute of the network states it.
    """
    layers = [network, *reversed(network)] if isinstance(network, nn.Sequential) else [network]
    for layer in layers:
        width = getattr(layer, "embedding_dim" if isinstance(layer, nn.Embedding) else "out_features", None)
        if isinstance(width, int):
            return width
    raise ValueError(
        f"the width of the output of {type(network).__name__} is not known: pass features=, or give the network an "
        "attribute out_features"
    )


def read_context(network: Any, context: Any, batch_size: int, features: int, maps: nn.Module) -> Tensor:
    """Return the network's features (B, F) of the context, in the dtype and on the device that `maps` reads.

    Raises:
        ValueError: there is no context, or the output of the network is not (B, F).
    """
    if context is None:
        raise ValueError("this initial state is a function of context, but no context was given: call rnn(x, context)")
    like = next(maps.parameters(), None)  # quantised layers have none
    found = network(_readable(network, context, like))
    if not isinstance(found, Tensor):
        raise ValueError(f"the context network must return a tensor; found a {type(found).__name__}")
    if not shapes_are_traced() and tuple(found.shape) != (batch_size, features):
        raise ValueError(
            f"the context network returned shape {tuple(found.shape)}; expected (batch, features) = "
            f"{(batch_size, features)}: give a context with one row for each of the {batch_size} sequences; "
            "for inputs (batch, time, features), the core needs batch_first=True"
        )
    return found if like is None else found.to(like)


def _readable(network: Any, context: Any, like: Tensor | None) -> Any:
    """Convert the context to the dtype and device of the network's first layer, if that is a layer of PyTorch.

    For fields and for networks of other classes, the context is returned unchanged.
    """
    first = network
    while isinstance(first, nn.Sequential) and len(first):
        first = first[0]
    if isinstance(first, (Context, Field)) or not type(first).__module__.startswith("torch.nn."):
        return context
    if isinstance(context, (dict, tuple)):
        return context
    reads = next(network.parameters(), like)
    if isinstance(first, nn.Linear):
        return linear_input(context, first.in_features, reads)
    tensor = as_tensor(context)
    if reads is None:
        return tensor
    if tensor.is_floating_point() and not isinstance(first, nn.Embedding):
        return tensor.to(reads)
    is_integer = not (tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool)
    return tensor.to(reads.device, torch.long if is_integer else tensor.dtype)
