"""The scores of additive attention with hand-derived gradients, for a few queries at a time.

    e_ts = v . tanh(q_t + k_s)

A single expression would create several tensors (B, T, S, K) in the forward and the backward pass, and moving them
between memory and processor takes longer than the arithmetic. Here the queries are split into chunks that fit into the
processor's cache, and the backward pass recomputes tanh, so that only queries and keys are kept in memory.

    with a_ts = tanh(q_t + k_s), g_ts = dL/de_ts, d_ts = g_ts v (1 - a_ts^2):
    dL/dv = sum_ts g_ts a_ts,  dL/dq_t = sum_s d_ts,  dL/dk_s = sum_t d_ts
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

IN_CACHE = 2**18  # elements of a chunk that fits into the cache of a CPU
ON_DEVICE = 2**26  # elements of a chunk on other devices, where chunks only bound the memory


def reference_scores(query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """Return the scores (B, T, S) of queries (B, T, K), keys (B, S, K) and v (K,), in plain operations."""
    return torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1)) @ vector


def reference_gradients(query: Tensor, keys: Tensor, vector: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of queries, keys and v from the gradient (B, T, S) of the scores, in plain operations."""
    tanh = torch.tanh(query.unsqueeze(2) + keys.unsqueeze(1))
    of_sum = gradient.unsqueeze(3) * (1 - tanh.square()) * vector
    return of_sum.sum(2), of_sum.sum(1), (gradient.unsqueeze(3) * tanh).sum((0, 1, 2))


class AdditiveScores(torch.autograd.Function):
    """Compute `reference_scores` in less time and memory."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
        """Return the scores (B, T, S)."""
        ctx.save_for_backward(query, keys, vector)
        return torch.cat([_tanh(part, keys) @ vector for part in _chunks(query, keys)], dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of queries, keys and v."""
        query, keys, vector = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradients are themselves differentiated
            return reference_gradients(query, keys, vector, gradient)
        # In half precision a large sum no longer changes when small numbers are added to it.
        wide = torch.promote_types(keys.dtype, torch.float32)
        of_keys, of_vector = (torch.zeros_like(one, dtype=wide) for one in (keys, vector))
        of_query, start = [], 0
        for part in _chunks(query, keys):
            steps = part.shape[1]
            slopes = gradient[:, start : start + steps]
            start += steps
            tanh = _tanh(part, keys)
            of_vector += slopes.reshape(-1) @ tanh.reshape(-1, len(vector))
            derivative = tanh.square_().neg_().add_(1)
            of_query.append((slopes.unsqueeze(2) @ derivative).squeeze(2))
            for step in range(steps):
                of_keys.addcmul_(derivative[:, step], slopes[:, step].unsqueeze(2))
        return torch.cat(of_query, dim=1) * vector, of_keys.to(keys) * vector, of_vector.to(vector)


def _tanh(query: Tensor, keys: Tensor) -> Tensor:
    """Return tanh(q_t + k_s), (B, T, S, K).

    On a CPU it is computed as 2 sigmoid(2 x) - 1, because PyTorch's sigmoid takes a sixth of the time of its tanh. The
    absolute error is the rounding error of 1, even if tanh is near 0. This is negligible in sums over K, except in
    half precision, where PyTorch's tanh is used.
    """
    both = query.unsqueeze(2) + keys.unsqueeze(1)
    if both.device.type != "cpu" or both.dtype.itemsize < torch.float32.itemsize:
        return both.tanh_()
    return both.mul_(2).sigmoid_().mul_(2).sub_(1)


def _chunks(query: Tensor, keys: Tensor) -> tuple[Tensor, ...]:
    """Split the queries along time into chunks that are small enough together with the keys."""
    limit = IN_CACHE if query.device.type == "cpu" else ON_DEVICE
    return query.split(max(1, limit // max(1, keys.numel())), dim=1)
