"""AdamW over one buffer takes the steps of PyTorch's, clipping included, and resumes its checkpoints."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from contextual_rnn._core.flat_adamw import FlatAdamW


def models():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 20), nn.Tanh(), nn.Linear(20, 1))
    model[0].bias.requires_grad_(False)
    return model, copy.deepcopy(model)


def train(model, optimizer, first, last, clip=None):
    for seed in range(first, last):
        generator = torch.Generator().manual_seed(seed)
        optimizer.zero_grad()
        model(torch.randn(8, 3, generator=generator)).square().sum().backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()


@pytest.mark.parametrize("max_norm", [None, 0.5, 100.0])
def test_steps_are_those_of_pytorch(max_norm):
    plain, flat = models()
    train(plain, torch.optim.AdamW(plain.parameters(), 0.01, weight_decay=0.1, fused=True), 0, 50, max_norm)
    train(flat, FlatAdamW(flat.parameters(), 0.01, weight_decay=0.1, max_norm=max_norm), 0, 50)
    for a, b in zip(flat.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_a_checkpoint_goes_either_way():
    plain, flat = models()
    before = torch.optim.AdamW(plain.parameters(), 0.01, fused=True)
    after = FlatAdamW(flat.parameters(), 0.01)
    after.load_state_dict(FlatAdamW(models()[0].parameters(), 0.01).state_dict())
    train(plain, before, 0, 5)
    with torch.no_grad():
        for a, b in zip(flat.parameters(), plain.parameters(), strict=True):
            a.copy_(b)
    saved = before.state_dict()
    after.load_state_dict(copy.deepcopy(saved))
    train(plain, before, 5, 20)
    train(flat, after, 5, 20)
    resumed = torch.optim.AdamW(models()[0].parameters(), 0.01, fused=True)
    resumed.load_state_dict(after.state_dict())
    for a, b in zip(flat.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    right = [entry["exp_avg_sq"] for entry in before.state_dict()["state"].values()]
    torch.testing.assert_close([entry["exp_avg_sq"] for entry in resumed.state_dict()["state"].values()], right)


class TwoHeads(nn.Module):
    """A model whose second head has no gradient in some steps, as a network that a minibatch does not need."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.both = nn.Linear(3, 1), nn.Linear(3, 1), True

    def forward(self, x):
        return self.first(x) + (self.second(x) if self.both else 0)


def test_a_parameter_without_a_gradient_is_left_alone():
    plain, flat = TwoHeads(), TwoHeads()
    optimizers = torch.optim.AdamW(plain.parameters(), 0.01, fused=True), FlatAdamW(flat.parameters(), 0.01)
    for both, first in ((True, 0), (False, 5), (True, 10)):
        for model, optimizer in zip((plain, flat), optimizers, strict=True):
            model.both = both
            train(model, optimizer, first, first + 5)
    torch.testing.assert_close(list(flat.parameters()), list(plain.parameters()), rtol=1e-6, atol=1e-6)
    again = FlatAdamW(TwoHeads().parameters(), 0.01)
    again.load_state_dict(optimizers[1].state_dict())
    torch.testing.assert_close(again.state_dict()["state"], optimizers[0].state_dict()["state"])


def test_parameters_of_two_dtypes():
    torch.manual_seed(0)
    values = torch.randn(2), torch.randn(3, dtype=torch.float64)
    plain, flat = ([nn.Parameter(value.clone()) for value in values] for _ in range(2))
    for parameters, make in ((plain, torch.optim.AdamW), (flat, FlatAdamW)):
        optimizer = make(parameters, 0.1)
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    torch.testing.assert_close(flat, plain)


def test_parameters_own_their_memory_after_release():
    model, _ = models()
    optimizer = FlatAdamW(model.parameters(), 0.01)
    train(model, optimizer, 0, 1)
    optimizer.release()
    assert len({parameter.untyped_storage().data_ptr() for parameter in model.parameters()}) == 4


def test_the_state_of_other_parameters_is_refused():
    model, _ = models()
    optimizer = FlatAdamW(model.parameters(), 0.01)
    train(model, optimizer, 0, 1)
    with pytest.raises(ValueError, match="the state is that of other parameters"):
        FlatAdamW(nn.Linear(2, 2).parameters(), 0.1).load_state_dict(optimizer.state_dict())


def test_training_does_not_import_the_compiler():
    code = (
        "import sys, torch; from contextual_rnn._core.flat_adamw import FlatAdamW; p = torch.nn.Parameter(torch.ones(2));"
        "o = FlatAdamW([p], 0.1, max_norm=1.0); p.grad = torch.ones(2); o.step(); o.state_dict();"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
