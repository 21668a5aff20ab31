"""One model of two facts, either of which may be missing: a decaying cosine, told its first value and its period."""

import math

import torch
from torch import nn
from torch.nn.functional import mse_loss

from contextual_rnn import MLP, Context, ContextState, ContextualRNN, Quantity

STEPS = 25


def draw(count):
    """Return series (B, T, 1), and what is known of them: the first value (B, 1) and the period (B, 1)."""
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
    """Return the mean squared error of whole series, generated from what is known alone."""
    series, known = draw(count)
    output, _ = rnn(clock.expand(count, -1, -1), known | missing)
    return mse_loss(model["head"](output), series)


for step in range(700):
    optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 700)
    optimizer.zero_grad()
    error(128).backward()
    optimizer.step()

model.eval()
with torch.no_grad():
    for name, missing in {
        "both": {},
        "the period alone": {"first": None},
        "the first value alone": {"period": None},
    }.items():
        print(f"told {name}: root mean squared error {math.sqrt(error(2000, **missing)):.3f}")
    nothing = torch.full((2000, 1), math.nan)  # a row at least must tell how many series there are
    print(f"told nothing: root mean squared error {math.sqrt(error(2000, first=nothing, period=None)):.3f}")
