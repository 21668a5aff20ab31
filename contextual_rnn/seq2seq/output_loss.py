"""The cross-entropy of an output layer, computed for a few rows at a time, so that the logits take bounded memory.

    loss = mean_n [(1 - e) l_n(y_n) + e mean_v l_n(v)],  l_n(v) = logsumexp_u o_nu - o_nv,  o_n = W x_n + b

e is the label smoothing (Szegedy et al. 2016, arXiv 1512.00567, section 7). The gradients need the logits once more.
They are computed with the loss, piece by piece, instead of keeping all logits (N, V) for the backward pass:

    with g_nv = (softmax(o_n)_v - (1 - e) [v = y_n] - e / V) / N:
    dL/dx = g W,  dL/dW = g^T x,  dL/db = sum_n g_n
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from .._core.tracing import is_eager

PIECE = 2**21  # logits of a piece
LARGE = 2**21  # logits of a minibatch from which on pieces are worth their cost


def takes_pieces(layer: nn.Module, labels: Tensor) -> bool:
    """Return whether the loss of an output layer for labels of some shape is to be computed in pieces."""
    if type(layer) is not nn.Linear or not is_eager() or torch.is_autocast_enabled(labels.device.type):
        return False
    return layer.bias is not None and labels.numel() * layer.out_features > LARGE


def hooked(module: nn.Module) -> bool:
    """Return whether a call of a module calls hooks, too."""
    own: Any = module
    return any((own._forward_hooks, own._forward_pre_hooks, own._backward_hooks, own._backward_pre_hooks))


def reference_loss(x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean loss, (), in plain operations.

    Args:
        x: the inputs of the output layer, (N, A).
        weight: W, (V, A).
        bias: b, (V,).
        labels: the categories (N,); rows with -1 are left out.
        smoothing: e, the share of the probability that is spread over all categories.
    """
    return cross_entropy(linear(x, weight, bias), labels, ignore_index=-1, label_smoothing=smoothing)


class LossInPieces(torch.autograd.Function):
    """Compute `reference_loss` in bounded memory."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float = 0.0, piece: int = PIECE
    ) -> Tensor:
        """Return the mean loss, (); `piece` is the number of logits that are computed at once."""
        rows = (labels >= 0).nonzero().squeeze(1)
        kept, right = x[rows], labels[rows]
        wide = torch.promote_types(x.dtype, torch.float32)
        loss = torch.zeros((), dtype=wide, device=x.device)
        needed = any(ctx.needs_input_grad[:3])
        gradients = [torch.zeros_like(one, dtype=wide) for one in (kept, weight, bias)] if needed else []
        for start in range(0, len(rows), max(1, piece // len(weight))):
            place = slice(start, start + max(1, piece // len(weight)))
            loss += _add_piece(kept[place], weight, bias, right[place], smoothing, gradients, place)
        ctx.smoothing, ctx.shape, ctx.count = smoothing, x.shape, len(rows)
        ctx.save_for_backward(x, weight, bias, labels, rows, *gradients)
        return (loss / len(rows)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, W and b."""
        x, weight, bias, labels, rows, *found = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradients are themselves differentiated
            again = reference_loss(x, weight, bias, labels, ctx.smoothing)
            inputs = [one for one, needed in zip((x, weight, bias), ctx.needs_input_grad, strict=False) if needed]
            given = iter(torch.autograd.grad(again, inputs, gradient, create_graph=True))
            return (*(next(given) if needed else None for needed in ctx.needs_input_grad[:3]), None, None, None)
        scale = gradient / ctx.count
        of_x = x.new_zeros(ctx.shape).index_copy_(0, rows, (found[0] * scale).to(x.dtype))
        return of_x, (found[1] * scale).to(weight.dtype), (found[2] * scale).to(bias.dtype), None, None, None


def _add_piece(
    x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float, gradients: list[Tensor], place: slice
) -> Tensor:
    """Return the sum of the losses of some rows, and add their gradients."""
    logits = linear(x, weight, bias)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    total = logits.logsumexp(1)
    right = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    loss = total.sum() - (1 - smoothing) * right.sum()
    if smoothing:
        loss = loss - smoothing * logits.mean(1).sum()
    if gradients:
        slopes = logits.sub_(total.unsqueeze(1)).exp_()
        if smoothing:
            slopes -= smoothing / len(weight)
        slopes.scatter_add_(1, labels.unsqueeze(1), slopes.new_full((len(labels), 1), smoothing - 1))
        of_x, of_weight, of_bias = gradients
        of_x[place] = slopes @ weight.to(slopes.dtype)
        of_weight.addmm_(slopes.t(), x.to(slopes.dtype))
        of_bias += slopes.sum(0)
    return loss
