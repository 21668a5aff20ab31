"""Steps taken one at a time are those of the whole pass, with and without gradients."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from contextual_rnn import FastWeightsRNN, state_shapes
from contextual_rnn._core.state import fill, leaves, shape_leaves
from contextual_rnn._core.stepping import CoreSteps, LSTMSteps, stepper

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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_steps_of_an_lstm_are_right_where_gates_saturate(dtype, scale):
    core = nn.LSTM(3, 40, 2, batch_first=True).to(dtype)
    state = tuple(scale * torch.randn(64, 2, 40, dtype=dtype) for _ in range(2))
    x = scale * torch.randn(64, 5, 3, dtype=dtype)
    with torch.no_grad():
        step = stepper(core, state)
        found = torch.stack([step(x[:, t]).clone() for t in range(5)], dim=1)
        right, _ = core(x, tuple(leaf.transpose(0, 1).contiguous() for leaf in state))
    torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-6 * max(scale, 1))


def test_what_is_no_number_stays_so():
    core, state = nn.LSTM(1, 4, batch_first=True), (torch.zeros(3, 1, 4), torch.zeros(3, 1, 4))
    with torch.no_grad():
        found = stepper(core, state)(torch.tensor([[0.0], [torch.nan], [torch.inf]]))
    assert found[0].isfinite().all()
    assert found[1].isnan().all()
    assert not found[2].isnan().any()  # gates at their ends


def test_the_compiled_tanh_is_tanh():
    loop = pytest.importorskip("contextual_rnn._core.lstm_loop", reason="Numba is not installed: no compiled loop")
    x = torch.linspace(-20, 20, 100_001)
    gates = torch.zeros(4, len(x))
    gates[3], gates[0] = x, 20.0  # i = 1, so that c = tanh x
    c, h = torch.zeros(1, len(x)), torch.empty(1, len(x))
    loop.lstm_step(gates.numpy(), c.numpy(), h.numpy())
    torch.testing.assert_close(c[0], x.tanh(), rtol=1e-6, atol=3e-7)
    torch.testing.assert_close(h[0], 0.5 * x.tanh().tanh(), rtol=1e-6, atol=1e-7)


def add_one(module, arguments, result):
    output, state = result
    return output + 1, state


def old_weight_norm():
    core = nn.LSTM(3, 5, batch_first=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(core, "weight_hh_l0")
    nn.init.normal_(core.weight_hh_l0_g)
    return core


def new_weight_norm():
    core = nn.LSTM(3, 5, batch_first=True)
    nn.utils.parametrizations.weight_norm(core, "weight_hh_l0")
    nn.init.normal_(core.parametrizations.weight_hh_l0.original0)
    return core


def spectral_norm():
    core = nn.LSTM(3, 5, batch_first=True)
    nn.utils.parametrizations.spectral_norm(core, "weight_hh_l0")
    return core.eval()


def pruned():
    core = nn.LSTM(3, 5, batch_first=True)
    prune.random_unstructured(core, "weight_hh_l0", amount=0.5)
    with torch.no_grad():
        core.weight_hh_l0_orig.mul_(2)  # as training would
    return core


def hooked():
    core = nn.LSTM(3, 5, batch_first=True)
    core.register_forward_hook(add_one)
    return core


def hooked_before():
    core = nn.LSTM(3, 5, batch_first=True)
    core.register_forward_pre_hook(lambda module, arguments: (2 * arguments[0], arguments[1]))
    return core


def patched():
    core = nn.LSTM(3, 5, batch_first=True)
    forward = core.forward
    core.forward = lambda x, state: add_one(core, None, forward(x, state))
    return core


class Shifted(nn.LSTM):
    def forward(self, x, hx=None):
        return add_one(self, None, super().forward(x, hx))


CUSTOMISED = {
    "subclass": lambda: Shifted(3, 5, batch_first=True),
    "hook": hooked,
    "hook before": hooked_before,
    "patched": patched,
    "weight norm, by a hook": old_weight_norm,
    "weight norm": new_weight_norm,
    "spectral norm": spectral_norm,
    "pruned": pruned,
}


@pytest.mark.parametrize("name", CUSTOMISED)
def test_steps_run_what_a_customised_core_runs(name):
    core = CUSTOMISED[name]()
    state = (torch.randn(4, 1, 5), torch.randn(4, 1, 5))
    x = torch.randn(4, 6, 3)
    with torch.no_grad():
        step = stepper(core, state)
        found = torch.stack([step(x[:, t]).clone() for t in range(6)], dim=1)
        right, _ = core(x, tuple(leaf.transpose(0, 1).contiguous() for leaf in state))
    torch.testing.assert_close(found, right)


def test_a_global_hook_runs_at_every_step():
    core, state = nn.LSTM(3, 5, batch_first=True), (torch.zeros(4, 1, 5), torch.zeros(4, 1, 5))
    x = torch.randn(4, 3)
    hook = nn.modules.module.register_module_forward_hook(add_one)
    try:
        with torch.no_grad():
            torch.testing.assert_close(stepper(core, state)(x), core(x.unsqueeze(1))[0][:, 0])
    finally:
        hook.remove()


def test_a_plain_lstm_takes_the_fast_steps():
    core, state = nn.LSTM(3, 5, batch_first=True), (torch.zeros(4, 1, 5), torch.zeros(4, 1, 5))
    with torch.no_grad():
        assert isinstance(stepper(core, state), LSTMSteps)
        with torch.autocast("cpu", torch.bfloat16):
            assert isinstance(stepper(core, state), CoreSteps)
        assert isinstance(stepper(core, tuple(leaf.double() for leaf in state)), CoreSteps)
        with pytest.raises(ValueError, match=r"inputs have dtype torch.float64; expected torch.float32"):
            stepper(core, state)(torch.zeros(4, 3).double())
    assert isinstance(stepper(core, state), CoreSteps)
