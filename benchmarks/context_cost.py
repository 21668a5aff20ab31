"""The time that an initial state from context adds to a training step of `nn.LSTM`.

A training step is forward, loss, backward and fused Adam. `ContextualRNN(nn.LSTM(8, 128), ContextState(core, MLP(4,
[50])))` is compared with the bare `nn.LSTM` and h0 = 0, in turn, at batch size 128, 100 steps, and one thread. Times
are reported only if the outputs, states and gradients of both agree for the same h0.
"""

import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks import provenance
from contextual_rnn import MLP, ContextState, ContextualRNN

BATCH, STEPS, INPUTS, HIDDEN, CONTEXT = 128, 100, 8, 128, 4
PAIRS, WARM_UP, TARGET = 100, 5, 1.03


def training_step(module: nn.Module, forward: Callable[[], Tensor]) -> Callable[[], None]:
    """Return a function that does one training step."""
    optimiser = torch.optim.Adam(module.parameters(), fused=True)

    def step() -> None:
        optimiser.zero_grad()
        forward().square().mean().backward()
        optimiser.step()

    return step


def agree(rnn: ContextualRNN, bare: nn.LSTM, x: Tensor, context: Tensor) -> bool:
    """Return whether outputs, final states and gradients equal those of the bare core, for the same h0."""
    h0 = rnn.initial_state(BATCH, context)
    output, state = rnn(x, context)
    expected, last = bare(x, tuple(leaf.transpose(0, 1).contiguous() for leaf in h0))
    pairs = [(output, expected), *((leaf, other.transpose(0, 1)) for leaf, other in zip(state, last, strict=True))]
    gradients = [
        torch.autograd.grad(out.square().mean(), list(core.parameters()), retain_graph=True)
        for out, core in ((output, rnn.core), (expected, bare))
    ]
    return all(torch.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in [*pairs, *zip(*gradients, strict=True)])


def seconds(step: Callable[[], None]) -> float:
    """Return the duration of one step."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> int:
    """Print the ratio of the times; the exit code is 1 if the results differ."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(provenance())
    core = nn.LSTM(INPUTS, HIDDEN, batch_first=True)
    bare = copy.deepcopy(core)
    rnn = ContextualRNN(core, ContextState(core, MLP(CONTEXT, [50])))
    x, context = torch.randn(BATCH, STEPS, INPUTS), torch.randn(BATCH, CONTEXT)
    if not agree(rnn, bare, x, context):
        print("parity    FAILED: outputs, states or gradients differ for the same h0; no time is reported")
        return 1
    print("parity    outputs, states and gradients agree for the same h0")
    steps = [training_step(rnn, lambda: rnn(x, context)[0]), training_step(bare, lambda: bare(x)[0])]
    for step in steps * WARM_UP:
        step()
    times: tuple[list[float], list[float]] = ([], [])
    for pair in range(PAIRS):
        for which in (0, 1) if pair % 2 else (1, 0):
            times[which].append(seconds(steps[which]))
    medians, minima = (statistics.median(times[0]) / statistics.median(times[1]), min(times[0]) / min(times[1]))
    print(f"ratio     {medians:.3f} of medians, {minima:.3f} of minima, {PAIRS} pairs; target at most {TARGET}")
    return 0
