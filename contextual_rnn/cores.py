"""Recurrent cores by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from .fast_weights.rnn import FastWeightsRNN
from .gated import GRU, LSTM, RNN

GATED_CORES: dict[str, Callable[..., nn.RNNBase]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}

IN_WORDS = {"lstm": "an LSTM", "gru": "a GRU", "rnn": "an RNN", "fast-weights": "a network with fast weights"}


def make_core(name: str, inputs: int, hidden: int, layers: int, *, bidirectional: bool = False) -> nn.Module:
    """Return a batch-first recurrent core.

    Args:
        name: "lstm", "gru", "rnn", or "fast-weights", which has one layer and one direction.
        inputs: D, the width of its inputs.
        hidden: H, the hidden units of each layer and direction.
        layers: the number of layers.
        bidirectional: whether it runs in both directions.
    """
    if name == "fast-weights":
        return FastWeightsRNN(inputs, hidden)
    return GATED_CORES[name](inputs, hidden, layers, batch_first=True, bidirectional=bidirectional)
