"""The equations of the three cells in PyTorch, step by step; the tests compare the compiled loops with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def gru(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, d: Tensor) -> Tensor:
    """Return h' (B, H) for x (B, D), W (3 H, D), U (3 H, H), b and d (3 H,); Cho et al. 2014, as in `nn.GRU`."""
    (r, z, n), (u, v, m) = (x @ W.T + b).chunk(3, -1), (h @ U.T + d).chunk(3, -1)
    r, z = torch.sigmoid(r + u), torch.sigmoid(z + v)
    n = torch.tanh(n + r * m)
    return n + z * (h - n)


def lstm(x: Tensor, h: Tensor, c: Tensor, W: Tensor, U: Tensor, b: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Return h' and c' for weights (4 H, ..) in the order i, f, g, o; Hochreiter and Schmidhuber 1997."""
    i, f, g, o = (x @ W.T + b + h @ U.T + d).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def rnn(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, d: Tensor) -> Tensor:
    """Return h' for weights (H, ..); Elman 1990."""
    return torch.tanh(x @ W.T + b + h @ U.T + d)


def relu_rnn(x: Tensor, h: Tensor, W: Tensor, U: Tensor, b: Tensor, d: Tensor) -> Tensor:
    """Return h' for weights (H, ..), with relu."""
    return torch.relu(x @ W.T + b + h @ U.T + d)


STEPS: dict[str, Callable[..., Any]] = {"GRU": gru, "LSTM": lstm, "RNN_TANH": rnn, "RNN_RELU": relu_rnn}


def run(
    mode: str, x: Tensor, batch_sizes: list[int], state: tuple[Tensor, ...], weights: list[Tensor], reverse: bool
) -> tuple[Tensor, ...]:
    """Run a layer in one direction.

    Args:
        mode: `nn.RNNBase.mode`: GRU, LSTM, RNN_TANH or RNN_RELU.
        x: (N, D), the rows of every step one after the other, as in a `PackedSequence`.
        batch_sizes: the number of rows of each step, which never increases.
        state: h (B, H), and c (B, H) for an LSTM.
        weights: weight_ih, weight_hh and, with biases, bias_ih, bias_hh.
        reverse: whether to start at the last step.

    Returns:
        The outputs (N, H), and the final state of each row.
    """
    if len(weights) == 2:
        weights = [*weights, *[weights[0].new_zeros(len(weights[0]))] * 2]
    steps, outputs = x.split(batch_sizes), [x] * len(batch_sizes)
    for t in reversed(range(len(steps))) if reverse else range(len(steps)):
        rows = batch_sizes[t]
        alive = STEPS[mode](steps[t], *(leaf[:rows] for leaf in state), *weights)
        alive = alive if isinstance(alive, tuple) else (alive,)
        state = tuple(torch.cat([new, leaf[rows:]]) for new, leaf in zip(alive, state, strict=True))
        outputs[t] = alive[0]
    return torch.cat(outputs), *state
