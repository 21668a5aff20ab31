"""Exported files against the models that they were made from: agreement, time, and weights of 8 bits.

`--jobs` chooses the jobs whose every kind of initial state, cell and number of layers is exported and compared at every
batch size and length. `--record FILE` keeps the result of every model, so that a run that was stopped, or that
`--minutes` ends, goes on where it was. `--times` and `--int8` run the other parts. `--alone PYTHON` compares the
forecasts, simulations and transcriptions of trained models with those of an interpreter that has numpy and onnxruntime
alone.
"""

from __future__ import annotations

import argparse
import pathlib
import time

import torch

from benchmarks import provenance
from benchmarks._export_agreement import TARGET, compare, print_agreement, read_record
from benchmarks._export_alone import compare_alone
from benchmarks._export_cases import CASES
from benchmarks._export_times import print_int8, print_times


def main() -> int:
    """Print the tables; the exit code is 1 if a file differs from its model by more than 1e-5."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", nargs="*", choices=CASES, default=None, help="by default, all")
    parser.add_argument("--format", choices=("onnx", "torch"), default="onnx")
    parser.add_argument("--part", default="1/1", help="such as 2/3: the second third of the models of each job")
    parser.add_argument("--record", type=pathlib.Path, metavar="FILE", help="of results so far; one line per model")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="after which no further model is begun")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--alone", metavar="PYTHON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(provenance(), flush=True)
    only_others = given.jobs is None and (given.times or given.int8 or given.alone)
    jobs = [] if only_others else given.jobs or list(CASES)
    part, parts = map(int, given.part.split("/"))
    found, end = read_record(given.record), time.monotonic() + 60 * given.minutes
    for job in jobs:
        compare(job, given.format, (part, parts), found, given.record, end)
    largest = [0.0, *(print_agreement(job, given.format, found) for job in jobs)]
    if given.times:
        print_times()
    if given.int8:
        print_int8()
    if given.alone:
        largest.append(compare_alone(given.alone))
    return int(not max(largest) <= TARGET)
