"""The scores of additive attention, their gradients derived by hand, a few queries at a time.

    e_ts = v . tanh(q_t + k_s)

Written as one expression it makes several tensors (B, T, S, K), forth and back, whose way to memory and again costs
more than their arithmetic. Here a stretch of queries is done at a time, small enough for a processor's cache, and
tanh is computed again for the gradients, so that what is kept is as large as queries and keys.

    with a_ts = tanh(q_t + k_s), g_ts = dL/de_ts, d_ts = g_ts v (1 - a_ts^2):
    dL/dv = sum g_ts a_ts,  dL/dq_t = sum_s d_ts,  dL/dk_s = sum_t d_ts
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

IN_CACHE = 2**18  # numbers of a stretch on a CPU
ON_DEVICE = 2**26  # elsewhere stretches only bound the memory


def reference_scores(query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """Return the scores (B, T, S) of queries (B, T, K), keys (B, S, K) and v (K,), as the equation reads."""
    return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ vector


def reference_gradients(query: Tensor, keys: Tensor, vector: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of queries, keys and v for the gradient (B, T, S) of the scores, as the equations read."""
    tanh = torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1))
    of_sum = gradient.unsqueeze(3) * (1 - tanh.square()) * vector
    return of_sum.sum(2), of_sum.sum(1), (gradient.unsqueeze(3) * tanh).sum((0, 1, 2))


class AdditiveScores(torch.autograd.Function):
    """`reference_scores` in less time and memory."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
        """Return the scores (B, T, S)."""
        ctx.save_for_backward(query, keys, vector)
        return torch.cat([_tanh(part, keys) @ vector for part in _stretches(query, keys)], dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of queries, keys and v."""
        query, keys, vector = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradients are themselves differentiated
            return reference_gradients(query, keys, vector, gradient)
        # Sums of many small numbers stand still in half precision.
        wide = torch.promote_types(keys.dtype, torch.float32)
        of_keys, of_vector = (torch.zeros_like(one, dtype=wide) for one in (keys, vector))
        of_query, at = [], 0
        for part in _stretches(query, keys):
            steps = part.shape[1]
            shares = gradient[:, at : at + steps]
            at += steps
            tanh = _tanh(part, keys)
            of_vector += shares.reshape(-1) @ tanh.reshape(-1, len(vector))
            slope = tanh.square_().neg_().add_(1)
            of_query.append((shares.unsqueeze(2) @ slope).squeeze(2))
            for step in range(steps):
                of_keys.addcmul_(slope[:, step], shares[:, step].unsqueeze(2))
        return torch.cat(of_query, dim=1) * vector, of_keys.to(keys) * vector, of_vector.to(vector)


def _tanh(query: Tensor, keys: Tensor) -> Tensor:
    """Return tanh(q_t + k_s), on a CPU as 2 sigmoid(2 x) - 1: PyTorch's sigmoid takes there a sixth of tanh's time.

    Near 0 that is exact to the last place of 1, not of tanh, which sums over K do not show, but half precision does.
    """
    both = query.unsqueeze(2) + keys.unsqueeze(1)
    if both.device.type != "cpu" or both.dtype.itemsize < torch.float32.itemsize:
        return both.tanh_()
    return both.mul_(2).sigmoid_().mul_(2).sub_(1)


def _stretches(query: Tensor, keys: Tensor) -> tuple[Tensor, ...]:
    """Return the queries parted so that each part times the keys is small."""
    limit = IN_CACHE if query.device.type == "cpu" else ON_DEVICE
    return query.split(max(1, limit // max(1, keys.numel())), dim=1)
