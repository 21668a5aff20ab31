"""Time and peak memory of reading a table of four columns of numbers, beside those of polars, on one thread.

Each measurement is the least of several fresh processes. `python -m benchmarks reading --rows 10000000`
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

COLUMNS = ("a", "b", "c", "d")
POLARS = """
frame = pl.read_{kind}({path!r})
"""
OURS = """
series = read_series({path!r}, ColumnSettings(inputs=("a", "b"), targets=("c", "d")))
"""
SCRIPT = """
import json, re, time
import polars as pl
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.series import read_series
def peak(): return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024
before, start, processor = peak(), time.perf_counter(), time.process_time()
{reading}
processor, seconds = time.process_time() - processor, time.perf_counter() - start
print(json.dumps([seconds, processor, peak() - before]))
"""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    generator = np.random.default_rng(0)
    frame = pl.DataFrame({name: generator.normal(size=given.rows).round(6) for name in COLUMNS})
    size = given.rows * len(COLUMNS) * 8
    print(f"{provenance()}\n\n{given.rows} rows, {len(COLUMNS)} columns of {size / 4e6:.0f} MB\n")
    print(
        "| file | reader | seconds | of the processor | peak memory in sizes of the four columns |\n"
        "| --- | --- | --- | --- | --- |"
    )
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("csv", "parquet"):
            path = str(pathlib.Path(folder, f"table.{kind}"))
            frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
            for name, reading in (("polars", POLARS), ("read_series", OURS)):
                found = [_measured(reading.format(kind=kind, path=path)) for _ in range(given.repeats)]
                seconds, processor, memory = (min(values) for values in zip(*found, strict=True))
                print(f"| {kind} | {name} | {seconds:.2f} | {processor:.2f} | {memory / size:.2f} |", flush=True)


def _measured(reading: str) -> tuple[float, float, float]:
    environment = os.environ | {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT.format(reading=reading)]
    found = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
    seconds, processor, memory = json.loads(found)
    return seconds, processor, memory
