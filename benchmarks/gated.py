"""What the gated cores cost beside those of PyTorch: forward and backward, variable lengths, free runs, the first call.

One thread, processor time, the rivals in turn in one process, at least 50 calls each. Outputs, final states and all
gradients are compared first; where they differ by more than 5e-6 no figure is printed. The floor is the operations of a
core's products, two a multiply-add and no gradient to the input, at the rate of the best product of two large matrices
in the same run.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks import provenance
from contextual_rnn import gated
from contextual_rnn.gated.stepping import GatedSteps

REPEATS = 50
SHAPES = (
    (32, 128, 2, 32),
    (32, 64, 2, 32),
    (32, 128, 2, 64),
    (128, 25, 1, 128),
    (64, 20, 256, 256),
    (128, 11, 100, 50),
)
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
TARGETS = {
    "GRU": ("7", "7", "4", "1.5", "1.1", "1.6"),
    "LSTM": ("1.3", "1.3", "1.3", "1", "1", "1.3"),
    "RNN": ("1",) * 6,
}
FIRST_CALL = """
import time, torch
from contextual_rnn import gated
core, x = gated.GRU(2, 32, backend="compiled"), torch.randn(8, 4, 2)
start = time.process_time()
core(x)[0].sum().backward()
print(time.process_time() - start)
"""


def pair(name: str, features: int, hidden: int) -> tuple[nn.RNNBase, Any]:
    """Return PyTorch's core and the gated one with the same weights."""
    torch.manual_seed(0)
    plain = getattr(nn, name)(features, hidden)
    return plain, gated.from_torch(plain)


def training_pass(core: nn.Module, x: Any, grad: Tensor) -> Callable[[], list[Tensor]]:
    """Return a function that runs a core forward and back, and returns all results and gradients."""
    parameters = list(core.parameters())

    def run() -> list[Tensor]:
        output, state = core(x)
        output = output if isinstance(output, Tensor) else output.data
        return [
            output,
            *(state if isinstance(state, tuple) else [state]),
            *torch.autograd.grad(output, parameters, grad),
        ]

    return run


def check(rivals: list[Callable[[], Any]]) -> None:
    """Exit where two rivals differ."""
    for a, b in zip(*(rival() for rival in rivals), strict=True):
        error = ((a - b).abs().max() / b.abs().max().clamp(min=1e-3)).item()
        if not error < 5e-6:
            sys.exit(f"no figures: results differ by {error:.1e}")


def seconds(rivals: list[Callable[[], Any]], repeats: int = REPEATS) -> list[list[float]]:
    """Return the processor time of each call of each rival, one after the other."""
    for rival in rivals:
        rival()
    times: list[list[float]] = [[] for _ in rivals]
    for _ in range(repeats):
        for rival, found in zip(rivals, times, strict=True):
            start = time.process_time()
            rival()
            found.append(time.process_time() - start)
    return times


def row(name: str, rivals: list[Callable[[], Any]], target: str = "", floor: float = 0) -> None:
    """Print how long the rivals took: PyTorch first, then ours."""
    plain, ours = seconds(rivals)
    fastest, medians = min(plain) / min(ours), statistics.median(plain) / statistics.median(ours)
    over = f"{min(ours) / floor:.1f}" if floor else ""
    times = f"{min(plain) * 1e3:.2f} | {min(ours) * 1e3:.2f}"
    print(f"| {name} | {times} | {fastest:.2f} | {medians:.2f} | {over} | {target} |", flush=True)


def rate() -> float:
    """Return the operations a second of the best product of two large matrices."""
    a = torch.randn(1024, 1024)
    return 2 * 1024**3 / min(seconds([lambda: a @ a], 20)[0])


def equal_lengths(of_product: float) -> None:
    """Measure forward and backward passes."""
    for name, gates in GATES.items():
        for (batch, steps, features, hidden), target in zip(SHAPES, TARGETS[name], strict=True):
            x, grad = torch.randn(steps, batch, features), torch.randn(steps, batch, hidden)
            rivals = [training_pass(core, x, grad) for core in pair(name, features, hidden)]
            check(rivals)
            operations = 2 * batch * steps * gates * hidden * (3 * hidden + 2 * features)
            shape = f"{name} {batch}, {steps}, {features}, {hidden}"
            row(shape, rivals, target, operations / of_product)


def varying_lengths() -> None:
    """Measure packed sequences of random lengths of which 42% of the steps are alive."""
    batch, steps, features, hidden = 32, 128, 2, 32
    lengths = (torch.rand(batch, generator=torch.Generator().manual_seed(0)) * 0.84 * steps).long().clamp(min=1)
    lengths[0] = steps
    for name in GATES:
        x = pack_padded_sequence(torch.randn(steps, batch, features), lengths, enforce_sorted=False)
        grad = torch.randn(len(x.data), hidden)
        rivals = [training_pass(core, x, grad) for core in pair(name, features, hidden)]
        check(rivals)
        alive = 100 * len(x.data) / batch / steps
        row(f"{name} packed, {alive:.0f}% of 32, 128, 2, 32", rivals, "" if name == "RNN" else "6")


def free_runs() -> None:
    """Measure one sequence of 1024 steps, and one step at a time, without gradients."""
    for name in GATES:
        free_run(name)


@torch.no_grad()
def free_run(name: str) -> None:
    """Measure one core."""
    (plain, ours), x = pair(name, 1, 32), torch.randn(1024, 1, 1)
    check([lambda: [plain(x)[0]], lambda: [ours(x)[0]]])
    target = "15" if name == "GRU" else ""
    row(f"{name} 1, 1024, 1, 32, no gradients", [lambda: plain(x), lambda: ours(x)], target)
    h = torch.zeros(1, 1, 32)
    state = (h, h) if name == "LSTM" else h
    step, one = GatedSteps(plain, state), x[:1]
    row(f"{name} one step of 1, 1, 32, no gradients", [lambda: plain(one, state), lambda: step(one[0])])


def first_call() -> None:
    """Measure the first forward and backward pass, in a new process, without and with what was compiled before."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("cold", "from the cache"):
            environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
            found = subprocess.run(
                [sys.executable, "-c", FIRST_CALL], env=environment, capture_output=True, text=True, check=True
            )
            print(f"first call, {name}: {float(found.stdout):.2f} s (target {'6' if name == 'cold' else '0.6'})")


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print(provenance())
    of_product = rate()
    print(f"best product {of_product / 1e9:.0f} G operations a second\n")
    print("| core and B, T, D, H | PyTorch, ms | ours, ms | ratio of fastest | of medians | ours over floor | target |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    equal_lengths(of_product)
    varying_lengths()
    free_runs()
    first_call()
