"""One model for any subset of two known facts: the first value and the period of a decaying cosine."""

import math

import torch
from torch import nn
from torch.nn.functional import mse_loss

from contextual_rnn import MLP, Context, ContextState, ContextualRNN, Quantity

STEPS = 25


def draw(count):
    """Return series (B, T, 1) and their context: the first value (B, 1) and the period (B, 1)."""
    first, period = 2 + 2 * torch.rand(count, 1), 0.5 + 4 * torch.rand(count, 1)
    time = torch.arange(STEPS) * 0.25
    series = first * (1 - time / time[-1]) * torch.cos(2 * math.pi * time / period)
    return series.unsqueeze(2), {"first": first, "period": period}


torch.manual_seed(0)
torch.set_num_threads(1)
fields = {
    "first": Quantity(2, 4, unknown=True, drop=0.3),
    "period": Quantity(0.5, 4.5, unknown=True, drop=0.3),
}
context = Context(**fields)
core = nn.LSTM(1, 64, batch_first=True)
rnn = ContextualRNN(core, ContextState(core, nn.Sequential(context, MLP(context.out_features, [64]))))
model = nn.ModuleDict({"rnn": rnn, "head": nn.Linear(64, 1)})
optimizer = torch.optim.Adam(model.parameters(), 5e-3)
clock = torch.linspace(0, 1, STEPS).view(1, STEPS, 1)


def error(count, **missing):
    """Return the mean squared error of whole series, generated from the known facts only."""
    series, known = draw(count)
    output, _ = rnn(clock.expand(count, -1, -1), known | missing)
    return mse_loss(model["head"](output), series)


for step in range(300):
    optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 300)
    optimizer.zero_grad()
    error(128).backward()
    optimizer.step()

model.eval()
with torch.no_grad():
    for name, missing in {
        "both": {},
        "only the period": {"first": None},
        "only the first value": {"period": None},
    }.items():
        print(f"{name} known: root mean squared error {math.sqrt(error(2000, **missing)):.3f}")
    nothing = torch.full((2000, 1), math.nan)  # one field gives the number of series
    print(f"nothing known: root mean squared error {math.sqrt(error(2000, first=nothing, period=None)):.3f}")
