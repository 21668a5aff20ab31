"""Training windows of a Parquet set that stays on the disk, beside those of a table in memory.

Each measurement is a fresh process with one thread: the seconds until training starts, those of a training step, and
the peak memory. The table in memory has a tenth of the rows. `python -m benchmarks stored --rows 100000000`
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import polars as pl
import torch

from contextual_rnn._core.flat_adamw import FlatAdamW
from contextual_rnn._core.records import random_windows
from contextual_rnn.data.stored import store
from contextual_rnn.jobs.series.model import SeriesModel
from contextual_rnn.jobs.series.settings import SeriesSettings
from contextual_rnn.jobs.series.train import SquaredLoss

from . import provenance

FILES = 10
COLUMNS = ("a", "b", "c", "d")
SCRIPT = """
import json, re, sys, time
import torch
from contextual_rnn.jobs.series.settings import SeriesSettings
from contextual_rnn.jobs.series.train import Training, read_tables
import contextual_rnn.jobs.series.train as train
torch.set_num_threads(1)
path, memory, epochs = sys.argv[1], float(sys.argv[2]) or None, int(sys.argv[3])
given = SeriesSettings(inputs=("a", "b", "c"), targets=("d",), window=4, hidden=32, epochs=epochs, memory=memory)
start = time.perf_counter(), time.process_time()
data = read_tables(path, None, None, given)
read = time.perf_counter() - start[0]
times = []
original = train.train_module
def timed(model, loss, batches, settings, **more):
    steps = []
    def each():
        for batch in batches():
            steps.append(time.process_time())
            yield batch
        times.extend(b - a for a, b in zip(steps, steps[1:]))
        steps.clear()
    return original(model, loss, each, settings, **more)
train.train_module = timed
import pathlib, tempfile
with tempfile.TemporaryDirectory() as folder:
    Training.of(data, [[given]], 2)({"settings": given.to_json(), "seed": 0, "fold": None}, pathlib.Path(folder))
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 2**20
times = sorted(times)
print(json.dumps([read, times[len(times) // 2] * 1000, peak, len(times) + epochs]))
"""


def steps(rows: int) -> dict[str, float]:
    """Return the median milliseconds of the processor of a training step, with windows from memory and from the disk.

    Both take turns in one process: six steps each, 24 times.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name, "a.parquet")
        generator = np.random.default_rng(0)
        pl.DataFrame({one: generator.normal(size=rows) for one in COLUMNS}).write_parquet(path)
        found = store(path, COLUMNS[:3], COLUMNS[3:], None)
        settings = SeriesSettings(inputs=COLUMNS[:3], targets=COLUMNS[3:], window=4, hidden=32)
        records, model, loss = found.sample(rows, 1), SeriesModel(settings, {}), SquaredLoss(0)
        model.standardise(records)
        optimiser = FlatAdamW(model.parameters(), 0.001, max_norm=1.0)
        draws = {"memory": random_windows(records, 132, 32, 6), "disk": found.random_windows(132, 32, 6)}
        times: dict[str, list[float]] = {name: [] for name in draws}
        for turn in range(24):
            for name, draw in draws.items():
                started = time.process_time()
                for batch in draw():
                    optimiser.zero_grad()
                    loss(model, batch).backward()
                    optimiser.step()
                times[name] += [1000 * (time.process_time() - started) / 6] * bool(turn)
    return {name: statistics.median(several) for name, several in times.items()}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--epochs", type=int, default=10, help="of 50 updates each")
    parser.add_argument("--steps", action="store_true", help="only the time of a step, of a table that fits")
    given = parser.parse_args()
    if given.steps:
        found = steps(given.rows)
        print(f"{provenance()}\n\n{given.rows} rows, ms of the processor per step: {found}")
        return
    print(f"{provenance()}\n\n{given.rows} rows, {len(COLUMNS)} columns\n")
    print("| table | seconds to read | ms of the processor per step (median) | peak GiB | updates |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name, "set")
        folder.mkdir()
        for number in range(FILES):
            generator = np.random.default_rng(number)
            columns = {one: generator.normal(size=given.rows // FILES) for one in COLUMNS}
            pl.DataFrame(columns).write_parquet(folder / f"{number}.parquet")
        one = folder / "0.parquet"
        for what, source, memory in ((f"{FILES} files", folder, 1.0), ("the first file in memory", one, 0.0)):
            read, step, peak, updates = _measured(source, memory, given.epochs)
            print(f"| {what} | {read:.1f} | {step:.2f} | {peak:.2f} | {updates} |", flush=True)


def _measured(source: pathlib.Path, memory: float, epochs: int) -> list[float]:
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT, str(source), str(memory), str(epochs)]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
