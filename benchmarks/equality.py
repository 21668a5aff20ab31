"""The weights after 50 training steps in several processes, beside those of one process with the same minibatches.

Each job trains a small model on series of unequal lengths, on texts, and on pairs, in float32 and in float64, without
dropout. The table shows the largest difference of a weight tensor by norm, relative to its norm.
`python -m benchmarks equality`
"""

from __future__ import annotations

import argparse
import os
import pathlib
import random
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
import torch

from contextual_rnn.data.series import Datasets
from contextual_rnn.jobs.forecast import train as forecast
from contextual_rnn.jobs.forecast.settings import ForecastSettings
from contextual_rnn.jobs.pairs import train as pairs
from contextual_rnn.jobs.pairs.data import PairData
from contextual_rnn.jobs.pairs.settings import PairSettings
from contextual_rnn.jobs.series import train as series
from contextual_rnn.jobs.series.settings import SeriesSettings
from contextual_rnn.jobs.texts import train as texts
from contextual_rnn.jobs.texts.data import TextData
from contextual_rnn.jobs.texts.settings import TextSettings
from contextual_rnn.study.launch import Together, train
from contextual_rnn.study.parallel import Run

from . import provenance

STEPS = {"epochs": 5, "batch_size": 13, "learning_rate": 0.003, "accelerator": "cpu"}
UPDATES = 10  # in an epoch


def tanks() -> pl.DataFrame:
    """Return a table of series of unequal lengths."""
    generator, parts = np.random.default_rng(0), []
    for number in range(9):
        flow = generator.uniform(size=40 + 3 * number)
        levels = [float(number % 4)]
        for value in flow[1:]:
            levels.append(0.9 * levels[-1] + 0.3 * value)
        parts.append(
            pl.DataFrame({"id": [f"s{number}"] * len(flow), "u": flow, "y": levels, "c": [number / 9] * len(flow)})
        )
    return pl.concat(parts)


def sentences(count: int) -> list[tuple[str, str]]:
    """Return sentences of a few words, and the same backwards in capitals."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 7))) for _ in range(60)]
    found = [draw.choices(words, k=draw.randint(1, 4)) for _ in range(count)]
    return [(" ".join(one), " ".join(word.upper() for word in reversed(one))) for one in found]


def jobs() -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield the name of every job, its module, its training and its settings."""
    tank: dict[str, Any] = {
        "inputs": ("u",),
        "targets": ("y",),
        "series": "id",
        "context": ("c",),
        "hidden": 16,
        **STEPS,
    }
    table = tanks()
    given = SeriesSettings(window=3, length=50, washout=2, updates=UPDATES, **tank)
    yield "series", series, series.Training.of(Datasets.read(table, None, None, given), [[given]], 2), given
    gaps = table.with_columns(y=pl.when(pl.int_range(pl.len()) % 7 == 3).then(None).otherwise("y"))
    ahead = ForecastSettings(past=12, horizon=5, updates=UPDATES, missing="hold", base="last", **tank)
    yield "forecast, targets missing", forecast, forecast.Training(forecast.read_tables(gaps, None, None, ahead)), ahead
    few = sentences(140)
    core: dict[str, Any] = {"hidden": 24, "embedding": 12, "dropout": 0.0, **STEPS}
    for name, more in {
        "pairs": {"epochs": 5},
        "pairs, subwords, by symbols, tied, label smoothing": {
            "source_unit": "subwords",
            "target_unit": "subwords",
            "subwords": 40,
            "batch_symbols": 260,
            "tied": True,
            "label_smoothing": 0.1,
        },
    }.items():
        unit = {} if "source_unit" in more else {"source_unit": "characters", "target_unit": "characters"}
        pair = PairSettings(**{**core, **unit, **more})
        yield name, pairs, pairs.Training(PairData.read(few[:120], few[120:], None, pair)), pair
    names = [(word, word[0], None if len(word) % 3 == 0 else len(word)) for one, _ in few for word in one.split()[:2]]
    known = pl.DataFrame(names, schema=["name", "first", "size"], orient="row")
    text = TextSettings(text="name", context=("first", "size"), updates=UPDATES, drop=0.5, **core)
    yield "texts, half of the context dropped", texts, texts.Training(TextData.read(known, None, None, text)), text


class Trained(Exception):
    """Ends the work of a job when its model is trained."""


def train_every_job(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train the model of every job in both precisions, and write the weights and the number of steps."""
    for dtype in (torch.float32, torch.float64):
        for name, module, training, settings in jobs():
            original = module.train_module
            module.train_module = _trained_in(dtype, original)
            try:
                training({"settings": settings.to_json(), "seed": 0, "fold": None}, folder)
            except Trained as end:
                if os.environ.get("RANK", "0") == "0":
                    torch.save(end.args, pathlib.Path(config["out"], f"{name} {dtype}".replace("torch.", "")))
            finally:
                module.train_module = original
    return {}


def _trained_in(dtype: torch.dtype, original: Any) -> Any:
    def cast(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: cast(one) for name, one in part.items()}
        return part.to(dtype) if isinstance(part, torch.Tensor) and part.is_floating_point() else part

    def trained(model: Any, loss: Any, batches: Any, settings: Any, **more: Any) -> None:
        steps = []

        def converted() -> Iterator[Any]:
            for batch in batches():
                steps.append(1)
                yield type(batch)(*map(cast, batch)) if hasattr(batch, "_fields") else tuple(map(cast, batch))

        given = more | {"evaluate": None, "minimise": None, "patience": None, "folder": None}
        original(model.to(dtype), loss, converted, settings, **given)
        raise Trained(model.state_dict(), len(steps))

    return trained


def main() -> None:
    """Train, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=2)
    given = parser.parse_args()
    print(f"{provenance()}\n\n{given.devices} processes beside one\n")
    found: dict[int, dict[str, Any]] = {}
    for size in (1, given.devices):
        with tempfile.TemporaryDirectory() as name:
            run, together = Run("run", {"out": name}, 1), Together(size, 1, "cpu", "32")
            out = pathlib.Path(name, "runs")
            train(run, train_every_job, out, resume=False, title="training", together=together, group=None)
            found[size] = {path.name: torch.load(path) for path in pathlib.Path(name).iterdir() if path.is_file()}
    print("| job | precision | steps | largest difference | weight tensor |\n| --- | --- | --- | --- | --- |")
    for name, (weights, steps) in sorted(found[1].items()):
        others = found[given.devices][name][0]
        differences = {
            key: float((one.double() - others[key].double()).norm() / one.double().norm().clamp(min=1e-300))
            for key, one in weights.items()
            if one.is_floating_point()
        }
        worst = max(differences, key=differences.__getitem__)
        job, _, precision = name.rpartition(" ")
        print(f"| {job} | {precision} | {steps} | {differences[worst]:.1e} | {worst} |")
    sys.stdout.flush()
