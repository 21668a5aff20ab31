"""Small series and forecasting models."""

import torch

from contextual_rnn.context import Quantity
from contextual_rnn.data.series import Record
from contextual_rnn.jobs.forecast.model import ForecastModel
from contextual_rnn.jobs.forecast.settings import ForecastSettings

PAST, HORIZON = 12, 8
TINY = {"hidden": 4, "updates": 2, "epochs": 2, "batch_size": 4}


def records(number=3, steps=40, inputs=1, context=1):
    made, time = [], torch.arange(steps, dtype=torch.float32)
    for index in range(number):
        targets = torch.sin(0.5 * time + index)
        made.append(
            Record(
                f"s{index}",
                torch.cos(0.5 * time + index).unsqueeze(1)[:, :inputs],
                torch.stack([targets, 2 * targets - 1], dim=1),
                torch.full((context,), float(index)),
            )
        )
    return made


def settings(inputs=1, context=1, **options):
    columns = {"inputs": ("u",)[:inputs], "targets": ("y", "z"), "context": ("c",)[:context]}
    return ForecastSettings(past=PAST, horizon=HORIZON, hidden=6, **columns, **options)


def model(inputs=1, context=1, **options):
    torch.manual_seed(0)
    found = ForecastModel(settings(inputs, context, **options), {"c": Quantity(0, 2)} if context else {})
    found.standardise(records(inputs=inputs))
    return found.eval()
