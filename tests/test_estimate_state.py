"""estimate_state: the initial state that fits the targets of a window."""

import copy

import pytest
import torch
from torch import nn

from contextual_rnn import ConstantState, ContextualRNN, InputError, estimate_state, gated
from contextual_rnn._core.state import leaves, map_state


class Linear(nn.Module):
    """A linear state-space model: h_t = A h_{t-1} + B x_t, y_t = C h_t."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor([[0.9, 0.2], [-0.2, 0.8]]))
        self.b, self.c = nn.Parameter(torch.tensor([[0.5], [0.1]])), nn.Parameter(torch.tensor([[1.0, 0.5]]))

    def forward(self, x, state):
        outputs = []
        for t in range(x.shape[1]):
            state = state @ self.a.T + x[:, t] @ self.b.T
            outputs.append(state @ self.c.T)
        return torch.stack(outputs, 1), state


class Readout(nn.Module):
    """A core with dropout between its layers, and a linear readout."""

    def __init__(self, core):
        super().__init__()
        self.rnn, self.readout = ContextualRNN(core, ConstantState(core)), nn.Linear(4, 2)

    def forward(self, x, state):
        output, state = self.rnn(x, state=state)
        return self.readout(output), state


def error(model, x, y, state):
    with torch.no_grad():
        return (copy.deepcopy(model).eval()(x, state)[0] - y).square().sum((1, 2))


def distance(state, start):
    rows = [(a - b).flatten(1).square().sum(1) for a, b in zip(leaves(state), leaves(start), strict=True)]
    return sum(rows)


def test_the_true_state_of_a_linear_model_is_found():
    torch.manual_seed(0)
    model, x, truth = Linear(), torch.randn(5, 6, 1), torch.randn(5, 2)
    y = model(x, truth)[0].detach()
    y[0, 2] = torch.nan  # an unknown target
    found = estimate_state(model, x, y, start=torch.zeros(5, 2))
    torch.testing.assert_close(found, truth, atol=1e-4, rtol=1e-4)
    assert not found.requires_grad


def test_with_a_weight_the_estimate_is_that_of_ridge_regression():
    torch.manual_seed(0)
    model, x, start, weight, scale = Linear(), torch.randn(3, 6, 1), torch.randn(3, 2), 0.7, 2.0
    y = torch.randn(3, 6, 1)
    powers = [model.c @ torch.linalg.matrix_power(model.a, t + 1) for t in range(6)]
    design = torch.cat(powers).detach() / scale
    rest = (y - model(x, start)[0].detach())[..., 0] / scale
    wanted = start + torch.linalg.solve(design.T @ design + weight * torch.eye(2), design.T @ rest.T).T
    found = estimate_state(model, x, y, start=start, weight=weight, scale=scale)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("core", [gated.GRU, gated.LSTM, gated.RNN, nn.LSTM])
def test_the_error_never_rises_and_a_heavier_weight_stays_nearer_the_start(core):
    torch.manual_seed(0)
    model = Readout(core(1, 4, 2, batch_first=True, dropout=0.5))
    x, start = torch.randn(6, 5, 1), model.rnn.initial_state(6)
    with torch.no_grad():
        y = model.eval()(x, map_state(lambda leaf: 0.5 * torch.randn_like(leaf), start))[0]
    model.train()
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    found = [estimate_state(model, x, y, start=start, weight=weight) for weight in (0.0, 0.1, 10.0)]
    errors = [error(model, x, y, state) for state in (*found, start)]
    distances = [distance(state, start) for state in found]
    assert (errors[0] < 0.2 * errors[3]).all()
    assert (torch.stack(errors[1:3]) <= errors[3]).all()
    assert (torch.stack(distances).diff(dim=0) < 0).all()
    assert (distances[2] > 0).all()
    assert all(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())


def test_an_estimate_does_not_depend_on_the_rest_of_the_batch():
    torch.manual_seed(0)
    model = Readout(nn.GRU(1, 4, batch_first=True)).double()
    x, y = torch.randn(3, 5, 1).double(), torch.randn(3, 5, 2).double()
    y[1] *= 100  # a sequence that needs other steps
    together = estimate_state(model, x, y, start=torch.zeros(3, 1, 4).double(), weight=0.1)
    with torch.inference_mode():
        alone = estimate_state(model, x[:1], y[:1], start=torch.zeros(1, 1, 4).double(), weight=0.1)
    torch.testing.assert_close(together[:1], alone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": -1.0}, "`weight`"),
        ({"scale": 0.0}, "`scale`"),
        ({"iterations": 0}, "`iterations`"),
        ({"start": torch.zeros(3, 2)}, "the same B and T"),
        ({"start": torch.full((2, 2), torch.nan)}, "`start` has values that are not finite"),
        ({"inputs": torch.full((2, 4, 1), torch.inf)}, "`inputs` has values that are not finite"),
        ({"targets": torch.zeros(2, 4, 3)}, "predictions of the shape of `targets`"),
        ({"start": torch.full((2, 2), 3e38)}, "the predictions from `start` are not finite"),
    ],
)
def test_what_cannot_be_estimated_is_refused(change, message):
    given = {"inputs": torch.zeros(2, 4, 1), "targets": torch.zeros(2, 4, 1), "start": torch.zeros(2, 2)} | change
    with pytest.raises(InputError, match=message):
        estimate_state(Linear(), **given)
