"""Steps taken one at a time are those of the whole pass, with and without gradients."""

import pytest
import torch
from torch import nn

from contextual_rnn import FastWeightsRNN, state_shapes
from contextual_rnn.state import fill, leaves, shape_leaves
from contextual_rnn.stepping import stepper

CORES = {
    "lstm": lambda: nn.LSTM(3, 5, batch_first=True),
    "lstm of two layers, no bias": lambda: nn.LSTM(3, 5, 2, bias=False, batch_first=True),
    "lstm, time first": lambda: nn.LSTM(3, 5),
    "lstm with a projection": lambda: nn.LSTM(3, 5, proj_size=2, batch_first=True),
    "lstm with dropout": lambda: nn.LSTM(3, 5, 2, dropout=0.5, batch_first=True).eval(),
    "gru of two layers": lambda: nn.GRU(3, 5, 2, batch_first=True),
    "fast weights": lambda: FastWeightsRNN(3, 5),
}


@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("name", CORES)
def test_steps_are_those_of_the_whole_pass(name, gradients):
    core = CORES[name]()
    shapes = state_shapes(core)
    state = fill(shapes, (torch.randn(4, *shape) for shape in shape_leaves(shapes)))
    before = [leaf.clone() for leaf in leaves(state)]
    x = torch.randn(4, 6, 3)
    with torch.set_grad_enabled(gradients):
        step = stepper(core, state)
        outputs = torch.stack([step(x[:, t]).clone() for t in range(6)], dim=1)
    turned = fill(shapes, (leaf.transpose(0, 1) for leaf in before)) if isinstance(core, nn.RNNBase) else state
    time_first = isinstance(core, nn.RNNBase) and not core.batch_first
    right, _ = core(x.transpose(0, 1) if time_first else x, turned)
    torch.testing.assert_close(outputs, right.transpose(0, 1) if time_first else right, rtol=1e-4, atol=1e-5)
    assert outputs.requires_grad == gradients
    for leaf, kept in zip(leaves(state), before, strict=True):
        assert torch.equal(leaf, kept)
