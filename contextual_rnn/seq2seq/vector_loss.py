"""The loss of a decoder of vectors: the mean squared error of the elements before the end of each target."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from .._core.tracing import is_eager
from ..errors import InputError
from ..recurrent import check_lengths
from .decoder import Decoded


def squared_error(
    predict: Callable[[Tensor, Tensor], Decoded],
    width: int,
    source: Tensor,
    target: Tensor,
    target_lengths: Tensor | None,
    first: Tensor | None,
    known: Tensor | None,
) -> Tensor:
    """Return the mean squared error, (), of the predictions of vectors; see `EncoderDecoder.loss`.

    Args:
        predict: `predict(source, inputs)` returns the decoder's predictions.
        width: the width of the decoder's vectors.
        source: the sources, padded.
        target: vectors (B, T, D), padded.
        target_lengths: the number of elements of each target, (B,); None means T.
        first: the element before the target, (B, D).
        known: features (B, T, K) that are known in advance; None means there are none.

    Raises:
        InputError: `first` is missing, the targets have another width, or all lengths are 0.
    """
    if first is None:
        raise InputError("vector targets need the element before them: give first=")
    size, steps, found = target.shape
    if found != width:
        raise InputError(f"targets must have width {width}, the decoder's size; found {found}")
    inputs = torch.cat([first.unsqueeze(1), target[:, :-1]], dim=1)
    inputs = inputs if known is None else torch.cat([inputs, known], dim=2)
    if target_lengths is None:
        return mse_loss(predict(source, inputs).outputs, target)
    ends = ends_of(target_lengths, size, steps, target.device).unsqueeze(1)
    inside = torch.arange(steps, device=target.device) < ends
    if is_eager() and not inside.any():
        raise InputError("target_lengths must not all be 0: the batch has no element to predict")
    inputs = inputs.masked_fill(~inside.unsqueeze(2), 0)  # NaN in the padding would make the gradients NaN
    outputs = predict(source, inputs).outputs
    if is_eager():
        return mse_loss(outputs[inside], target[inside])
    error = outputs - target.where(inside.unsqueeze(2), 0)  # the number of elements inside must not be a shape
    return error.square().where(inside.unsqueeze(2), 0).sum() / (inside.sum() * width)


def ends_of(lengths: Tensor | None, size: int, steps: int, device: torch.device) -> Tensor:
    """Return the lengths (B,) of targets, checked; None means all steps."""
    if lengths is None:
        return torch.full((size,), steps, device=device)
    return check_lengths(lengths, size, steps, device, "target_lengths")
