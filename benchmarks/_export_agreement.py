"""Agreement of exported graphs with their models, for the benchmark of export; results are kept in a file."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import pathlib
import subprocess
import time
import zlib
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks._export_cases import CASES
from contextual_rnn import FastWeightsRNN, InputError
from contextual_rnn.export.check import difference
from contextual_rnn.export.files import graphs_of
from contextual_rnn.export.onnx_format import Session, onnx_bytes
from contextual_rnn.export.torch_format import Loaded, torch_bytes

BATCHES, STEPS = (1, 3, 17), (1, 5, 50, 300)
TARGET = 1e-5

Key = tuple[str, str, str]  # the job, the format and the model
Found = dict[Key, dict[str, Any]]


def read_record(path: pathlib.Path | None) -> Found:
    """Return the results that a file has; a last line that was cut short is left out."""
    found: Found = {}
    for line in path.read_text().splitlines() if path is not None and path.exists() else []:
        try:
            result = json.loads(line)
        except ValueError:
            continue
        found[result["job"], result["format"], result["model"]] = result
    return found


def compare(
    job: str, format: str, part: tuple[int, int], found: Found, record: pathlib.Path | None, end: float
) -> None:
    """Compare the models of a part of a job that have no result yet, until a time, and add their results."""
    for name, make in itertools.islice(CASES[job](), part[0] - 1, None, part[1]):
        if (job, format, name) in found or time.monotonic() > end:
            continue
        torch.manual_seed(zlib.crc32(f"{job}: {name}".encode()))  # the same weights in every part
        start = time.perf_counter()
        result: dict[str, Any] = {"job": job, "format": format, "model": name, "commit": _commit()}
        try:
            result["graphs"], result["rounding"] = _differences(make().eval(), format)
        except InputError as error:
            result["refused"] = str(error)
        found[job, format, name] = {**result, "seconds": round(time.perf_counter() - start, 1)}
        if record is not None:
            with record.open("a") as file:
                file.write(json.dumps(found[job, format, name]) + "\n")


def print_agreement(job: str, format: str, found: Found) -> float:
    """Print a row of the table from the results so far, and return the largest difference."""
    every = [name for name, _ in CASES[job]()]
    results = {name: found[job, format, name] for name in every if (job, format, name) in found}
    graphs = {f"{name}, {graph}": one for name, all in results.items() for graph, one in all.get("graphs", {}).items()}
    rounding = {
        f"{name}, {graph}": one for name, all in results.items() for graph, one in all.get("rounding", {}).items()
    }
    largest = {name: max(map(float, one.values())) for name, one in graphs.items()}
    worst = max(largest, key=largest.__getitem__, default="")
    print(
        f"{job}: {len(results)} of {len(every)} models, {len(graphs)} graphs, {sum(map(len, graphs.values()))} "
        f"comparisons; largest difference {largest.get(worst, 0.0):.2g} ({worst}); "
        f"{sum(one['seconds'] for one in results.values()):.0f} s"
    )
    for name, one in graphs.items():
        for size, value in one.items():
            if not float(value) <= TARGET:
                print(f"  over {TARGET:g}: {name}, {size}: {value:.3g}{_in_words(rounding.get(name, {}).get(size))}")
    for sentence, count in Counter(one["refused"] for one in results.values() if "refused" in one).items():
        print(f"  {count} refused: {sentence}")
    return largest.get(worst, 0.0)


def _differences(model: Any, format: str) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, list[float]]]]:
    """Return the differences of every graph of a model, by each batch size and length that it tells apart.

    Where a difference is over the target, the second result has the distances of the model and of the file from the
    model in double precision.
    """
    for module in model.modules():
        if isinstance(module, FastWeightsRNN):
            module.backend = "reference"  # needs no compilation
    found: dict[str, dict[str, float]] = {}
    rounding: dict[str, dict[str, list[float]]] = {}
    for spec in graphs_of(model).specs:
        run: Any = Session(onnx_bytes(spec, {})) if format == "onnx" else Loaded(torch_bytes(spec, {}))
        name, one = spec.name or "whole", {}
        steps = STEPS if len(spec.dynamic) > 1 else STEPS[:1]  # a graph of one step, or of a fixed past, has no time
        for B, T in itertools.product(BATCHES, steps):
            size = f"B {B}, T {T}"
            one[size] = difference(spec, run, B, T)
            if not one[size] <= TARGET:
                exact = dataclasses.replace(spec, module=_Double(spec.module))
                runs = (lambda inputs, module=spec.module: [value.numpy() for value in module(*inputs)], run)
                rounding.setdefault(name, {})[size] = [difference(exact, each, B, T) for each in runs]
        found[name] = one
    return found, rounding


class _Double(nn.Module):
    """A module in double precision, of inputs in single precision."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).double()

    def forward(self, *inputs: Tensor) -> Any:
        return self.module(*(one.double() if one.is_floating_point() else one for one in inputs))


def _in_words(distances: list[float] | None) -> str:
    if distances is None:
        return ""
    model, file = distances
    return f"; from double precision: the model {model:.2g}, the file {file:.2g}"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
