"""AdamW over one buffer takes the steps of PyTorch's, clipping included, and resumes its checkpoints."""

import copy

import pytest
import torch
from torch import nn

from contextual_rnn.study.flat_optimizer import FlatAdamW


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
    saved["state"] = dict(enumerate(saved["state"].values()))
    after.load_state_dict(copy.deepcopy(saved))
    train(plain, before, 5, 20)
    train(flat, after, 5, 20)
    third = [p for p in models()[0].parameters() if p.requires_grad]
    resumed = torch.optim.AdamW(third, 0.01, fused=True)
    resumed.load_state_dict(after.state_dict())
    for a, b in zip(flat.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    right = [entry["exp_avg_sq"] for entry in before.state_dict()["state"].values()]
    torch.testing.assert_close([entry["exp_avg_sq"] for entry in resumed.state_dict()["state"].values()], right)


def test_what_it_cannot_do_is_refused():
    model, _ = models()
    optimizer = FlatAdamW(model.parameters(), 0.01)
    with pytest.raises(ValueError, match=r"parameter 0, of shape \(20, 3\), has no gradient"):
        optimizer.step()
    with pytest.raises(ValueError, match="must be of one dtype and device; found 2"):
        FlatAdamW([nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2, dtype=torch.float64))], 0.1)
    train(model, optimizer, 0, 1)
    with pytest.raises(ValueError, match="the state is that of other parameters"):
        FlatAdamW(nn.Linear(2, 2).parameters(), 0.1).load_state_dict(optimizer.state_dict())
