"""Time and size of exported files beside those of their models."""

from __future__ import annotations

import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from contextual_rnn import MLP, ContextState, ContextualRNN, FastWeightsRNN
from contextual_rnn.export.check import difference
from contextual_rnn.export.files import graphs_of
from contextual_rnn.export.graph_spec import GraphSpec
from contextual_rnn.export.int8 import quantised
from contextual_rnn.export.onnx_format import Session, onnx_bytes
from contextual_rnn.export.torch_format import Loaded, torch_bytes

WIDTH, HIDDEN = 16, 128
CALLS = 3  # measured in each turn
CORES: dict[str, Callable[[], nn.Module]] = {
    "LSTM": lambda: nn.LSTM(WIDTH, HIDDEN, batch_first=True),
    "LSTM, 2 layers": lambda: nn.LSTM(WIDTH, HIDDEN, 2, batch_first=True),
    "GRU": lambda: nn.GRU(WIDTH, HIDDEN, batch_first=True),
    "RNN": lambda: nn.RNN(WIDTH, HIDDEN, batch_first=True),
    "fast weights": lambda: FastWeightsRNN(WIDTH, HIDDEN),
}


def specs(core: str) -> tuple[GraphSpec, GraphSpec]:
    """Return the graph of whole sequences and that of a step, of a core that starts from a context."""
    torch.manual_seed(0)
    made = CORES[core]()
    whole, step = graphs_of(ContextualRNN(made, ContextState(made, MLP(4, [32])))).specs
    return whole, step


def print_times() -> None:
    """Print times relative to PyTorch's, of the fastest calls and of medians, for one step and for 32 rows of 128."""
    print("\n| core | graph | PyTorch, ms | ONNX Runtime | int8 | program of torch.export |")
    print("| --- | --- | --- | --- | --- | --- |")
    for core in CORES:
        whole, step = specs(core)
        for name, spec, sizes in (("step, B = 1", step, (1, 1)), ("B = 32, T = 128", whole, (32, 128))):
            content = onnx_bytes(spec, {})
            inputs = list(spec.examples(spec.sizes(*sizes)))
            if "lengths" in (names := [one.name for one in spec.inputs]):
                inputs[names.index("lengths")] = torch.full((sizes[0],), sizes[1])  # no row is padded
            sides = [_model(spec), Session(content), Session(quantised(content)[0]), Loaded(torch_bytes(spec, {}))]
            ours, *others = _in_turns(sides, inputs)
            ratios = " | ".join(
                f"{min(one) / min(ours):.2f} ({statistics.median(one) / statistics.median(ours):.2f})" for one in others
            )
            print(f"| {core} | {name} | {min(ours) * 1e3:.3f} | {ratios} |", flush=True)


def _model(spec: GraphSpec) -> Callable[[list[Tensor]], Any]:
    def run(inputs: list[Tensor]) -> Any:
        with torch.no_grad():
            return spec.module(*inputs)

    return run


def _in_turns(sides: list[Any], inputs: list[Tensor], seconds: float = 3.0) -> list[list[float]]:
    """Return the times of each side, in turn for some seconds; the first call of a turn warms up."""
    times: list[list[float]] = [[] for _ in sides]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 3 * CALLS:
        for place, side in enumerate(sides):
            side(inputs)
            for _ in range(CALLS):
                start = time.perf_counter()
                side(inputs)
                times[place].append(time.perf_counter() - start)
    return times


def print_int8() -> None:
    """Print what is quantised, the sizes of the files, and the largest differences from the model."""
    print("\n| core | what has 8 bits | KiB | KiB with 8 bits | largest difference, T = 12 | T = 128 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for core in CORES:
        spec = specs(core)[0]
        content = onnx_bytes(spec, {})
        small, what = quantised(content)
        run = Session(small)
        differences = " | ".join(f"{difference(spec, run, 32, steps):.2g}" for steps in (12, 128))
        print(f"| {core} | {what} | {len(content) / 1024:.0f} | {len(small) / 1024:.0f} | {differences} |", flush=True)
    print_trained_int8()


def print_trained_int8() -> None:
    """Print the root mean square error of a trained model of series, with weights of 32 and of 8 bits."""
    from contextual_rnn.jobs import series

    table, test = (tanks(24, seed) for seed in (0, 1))
    model = series.fit(
        table, test=test, inputs=["u"], targets=["y"], series="id", window=3, cell="lstm", hidden=64, epochs=15,
        updates=20, length=60, jobs=1,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        model.export(path / "float.onnx")
        model.export(path / "int8.onnx", int8=True)
        u, y = (test[name].to_numpy().reshape(24, 120, 1).astype(np.float32) for name in ("u", "y"))
        given = [torch.from_numpy(u), torch.full((24,), 120), torch.from_numpy(y[:, :3])]
        for name in ("float", "int8"):
            content = (path / f"{name}.onnx").read_bytes()
            error = Session(content)(given)[0] - y[:, 3:]
            size = len(content) / 1024
            print(f"a trained LSTM of leaking tanks, {name}: {size:.0f} KiB, RMSE {np.sqrt(np.mean(error**2)):.4f}")


def tanks(series: int, seed: int, steps: int = 120) -> pl.DataFrame:
    """Return the inflow and the level of leaking tanks, which start at levels from 0 to 5."""
    random = np.random.default_rng(seed)
    inflow, levels = random.uniform(0, 1, (series, steps)), np.zeros((series, steps))
    levels[:, 0] = random.uniform(0, 5, series)
    for step in range(1, steps):
        before = levels[:, step - 1]
        levels[:, step] = (before - 0.15 * np.sqrt(before) + 0.3 * inflow[:, step]).clip(0)
    names = np.repeat([f"s{number}" for number in range(series)], steps)
    return pl.DataFrame({"id": names, "u": inflow.ravel(), "y": levels.ravel()})
