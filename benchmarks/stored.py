"""Training windows of a Parquet set that stays on the disk, beside those of a table in memory.

Each measurement is a fresh process with one thread: the seconds until training starts, those of a training step, and
the peak memory. The table in memory has a tenth of the rows. `python -m benchmarks stored --rows 100000000`
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import polars as pl

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


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--epochs", type=int, default=10, help="of 50 updates each")
    given = parser.parse_args()
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
