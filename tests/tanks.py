"""Leaking tanks, the small series that tests share: the level follows the inflow, and starts anywhere."""

import numpy as np
import pandas as pd
import polars as pl
import torch

from contextual_rnn.context import Quantity
from contextual_rnn.data.series import Record
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings

QUICK = {"epochs": 2, "updates": 3, "batch_size": 4, "length": 10, "hidden": 4}
TANK = {"inputs": ["u"], "targets": ["y"]}
OPTIONS = [
    "--inputs",
    "u",
    "--targets",
    "y",
    *["--epochs", "2", "--updates", "3", "--batch-size", "4", "--length", "10", "--hidden", "4"],
]


def level(steps, seed, start):
    inflow = np.random.default_rng(seed).uniform(0, 1, steps)
    levels = [start]
    for value in inflow[1:]:
        levels.append(0.9 * levels[-1] + 0.3 * value)
    return inflow, np.array(levels)


def columns(series=1, steps=60, **constants):
    """The columns of a table of tanks, each one step longer than the one before; `constants` are functions of their number."""
    found = {"id": [], "u": [], "y": [], **{name: [] for name in constants}}
    for number in range(series):
        inflow, levels = level(steps + number, number, start=number % 5)
        found["id"] += [f"s{number}"] * len(inflow)
        found["u"] += inflow.tolist()
        found["y"] += levels.tolist()
        for name, value in constants.items():
            found[name] += [value(number)] * len(inflow)
    return found


def panda(*args, **constants):
    return pd.DataFrame(columns(*args, **constants))


def write(path, series=1, steps=60, **constants):
    table = pl.DataFrame(columns(series, steps, **constants))
    table.write_parquet(path) if str(path).endswith("parquet") else table.write_csv(path)
    return str(path)


def records(number=3, steps=30):
    made = []
    for index in range(number):
        pair = (torch.tensor(values, dtype=torch.float32).unsqueeze(1) for values in level(steps + index, index, index))
        made.append(Record(f"s{index}", *pair, torch.tensor([float(index)])))
    return made


def model(kind, window=3, targets=("y",)):
    torch.manual_seed(0)
    settings = SeriesSettings(
        inputs=("u",), targets=targets, context=("c",), initial_state=kind, hidden=4, window=window
    )
    return SeriesModel(settings, {"c": Quantity(0, 2)}).eval()
