"""Exported files against the models that they were made from: agreement, time, and weights of 8 bits.

`--jobs` chooses the jobs whose every kind of initial state, cell and number of layers is exported and compared at every
batch size and length; `--times` and `--int8` run the other parts. `--alone PYTHON` compares the forecasts, simulations
and transcriptions of trained models with those of an interpreter that has numpy and onnxruntime alone.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from typing import Any

import torch

from benchmarks import provenance
from benchmarks._export_alone import compare_alone
from benchmarks._export_cases import CASES
from benchmarks._export_times import print_int8, print_times
from contextual_rnn import FastWeightsRNN, InputError
from contextual_rnn.export.check import difference
from contextual_rnn.export.files import graphs_of
from contextual_rnn.export.onnx_format import Session, onnx_bytes
from contextual_rnn.export.torch_format import Loaded, torch_bytes

BATCHES, STEPS = (1, 3, 17), (1, 5, 50, 300)
TARGET = 1e-5


def main() -> int:
    """Print the tables; the exit code is 1 if a file differs from its model by more than 1e-5."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", nargs="*", choices=CASES, default=None, help="by default, all")
    parser.add_argument("--format", choices=("onnx", "torch"), default="onnx")
    parser.add_argument("--part", default="1/1", help="such as 2/3: the second third of the models of each job")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--int8", action="store_true")
    parser.add_argument("--alone", metavar="PYTHON")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(provenance(), flush=True)
    only_others = given.jobs is None and (given.times or given.int8 or given.alone)
    jobs = [] if only_others else given.jobs or list(CASES)
    part, parts = map(int, given.part.split("/"))
    largest = [0.0, *(print_agreement(job, given.format, part, parts) for job in jobs)]
    if given.times:
        print_times()
    if given.int8:
        print_int8()
    if given.alone:
        largest.append(compare_alone(given.alone))
    return int(not max(largest) <= TARGET)


def print_agreement(job: str, format: str, part: int, parts: int) -> float:
    """Export every model of a job, print a row of the table, and return the largest difference."""
    torch.manual_seed(0)
    differences: dict[str, float] = {}
    refused, start, models, compared = Counter[str](), time.perf_counter(), 0, 0
    for name, make in itertools.islice(CASES[job](), part - 1, None, parts):
        models += 1
        try:
            for graph, found in _differences(make().eval(), format).items():
                differences[f"{name}, {graph}"] = max(found)
                compared += len(found)
        except InputError as error:
            refused[str(error)] += 1
    worst = max(differences, key=differences.__getitem__)
    every = sum(1 for _ in CASES[job]())
    print(
        f"{job}: {models} of {every} models, {len(differences)} graphs, {compared} comparisons; largest difference "
        f"{differences[worst]:.2g} ({worst}); {time.perf_counter() - start:.0f} s"
    )
    for name, largest in differences.items():
        if not largest <= TARGET:
            print(f"  over {TARGET:g}: {name}, {largest:.3g}")
    for sentence, count in refused.items():
        print(f"  {count} refused: {sentence}")
    return differences[worst]


def _differences(model: Any, format: str) -> dict[str, list[float]]:
    """Return the differences of every graph of a model, at every batch size and length that it tells apart."""
    for module in model.modules():
        if isinstance(module, FastWeightsRNN):
            module.backend = "reference"  # needs no compilation
    found = {}
    for spec in graphs_of(model).specs:
        run: Any = Session(onnx_bytes(spec, {})) if format == "onnx" else Loaded(torch_bytes(spec, {}))
        steps = STEPS if len(spec.dynamic) > 1 else STEPS[:1]  # a graph of one step, or of a fixed past, has no time
        sizes = itertools.product(BATCHES, steps)
        found[spec.name or "whole"] = [difference(spec, run, *size) for size in sizes]
    return found
