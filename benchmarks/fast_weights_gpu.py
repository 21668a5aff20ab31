"""Time of fast weights on a CUDA device: Triton kernels, explicit matrices, and the compiled attention form.

Forward and backward for B = 1024, T = 128, H = 64 in float32, from projected inputs. Times are reported only if outputs
and gradients agree with those of the explicit matrices. The bytes and operations of the kernels are compared with the
rates at which the device copies and multiplies, measured in the same run.
"""

import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks import provenance
from contextual_rnn.fast_weights import attention
from contextual_rnn.fast_weights.operation import fast_weights
from contextual_rnn.fast_weights.recurrence import Recurrence
from contextual_rnn.fast_weights.reference import reference

BATCH, STEPS, HIDDEN, REPEATS = 1024, 128, 64, 100
RECURRENCE = Recurrence()


def inputs() -> list[Tensor]:
    """Return projected inputs, W, h_0, gain and offset."""
    torch.manual_seed(0)
    sizes = [(BATCH, STEPS, HIDDEN), (HIDDEN, HIDDEN), (BATCH, HIDDEN), (HIDDEN,), (HIDDEN,)]
    return [(0.3 * torch.randn(size, device="cuda")).requires_grad_() for size in sizes]


def step(run: Callable[..., tuple], given: list[Tensor]) -> list[Tensor]:
    """Return the outputs and all gradients of one forward and backward pass."""
    projected, weight, h, gain, offset = given
    output = run(projected, weight, h, None, gain, offset, RECURRENCE)[0]
    return [output, *torch.autograd.grad(output.square().mean(), given)]


def milliseconds(run: Callable[[], object], repeats: int = REPEATS) -> list[float]:
    """Return the duration of every call on the device, after three calls that are not counted."""
    times = []
    for repeat in range(repeats + 3):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times += [start.elapsed_time(end)] if repeat >= 3 else []
    return times


def ceilings() -> tuple[float, float]:
    """Return the measured bytes copied and float32 operations done per second."""
    much = torch.empty(2**28, device="cuda")
    square = torch.randn(4096, 4096, device="cuda")
    copied = 2 * much.numel() * 4 / (1e-3 * min(milliseconds(much.clone, 20)))
    return copied, 2 * 4096**3 / (1e-3 * min(milliseconds(lambda: square @ square, 20)))


def main() -> int:
    """Print the table; the exit code is 1 if the forms disagree."""
    print(provenance())
    if not torch.cuda.is_available():
        print("device    none: this benchmark needs CUDA")
        return 0
    from contextual_rnn.fast_weights import triton_operation

    print(f"device    {torch.cuda.get_device_name()}")
    compiled = torch.compile(lambda *given: fast_weights(*given, kernels=attention, return_fast=False))
    forms: dict[str, Callable[..., tuple]] = {
        "triton": lambda *given: triton_operation.fast_weights(*given, return_fast=False),
        "matrices": reference,
        "attention": lambda *given: fast_weights(*given, kernels=attention, return_fast=False),
        "attention, compiled": compiled,  # last: compiling its 128 steps takes minutes
    }
    given = inputs()
    right = [one.detach() for one in step(reference, given)]
    fastest: dict[str, float] = {}
    for name, run in forms.items():
        pairs = [(a.detach(), b) for a, b in zip(step(run, given), right, strict=True)]
        if not all(torch.allclose(a, b, rtol=1e-2, atol=1e-3 * float(b.abs().max())) for a, b in pairs):
            print(f"parity    FAILED: {name} differs from the explicit matrices; no time is reported")
            return 1
        values = milliseconds(lambda run=run: step(run, given))
        fastest[name] = min(values)
        slower = f"; {min(values) / fastest['triton']:.3g} times triton" if fastest.keys() > {"triton"} else ""
        print(
            f"{name:<20} fastest {min(values):8.3f} ms, median {statistics.median(values):8.3f} ms{slower}", flush=True
        )
        if name == "triton":
            report(1e-3 * min(values), *ceilings())
    print("Outputs and gradients of every form agree with the explicit matrices.")
    print("Targets: matrices at least 10 times triton, compiled attention at least 2 times.")
    return 0


def report(took: float, copied: float, multiplied: float) -> None:
    """Print how near the kernels are to the limits of the device; `took` is their time in seconds."""
    # Forward reads the inputs and writes h, q and the normalised values; backward reads these and writes the gradient.
    moved = 4 * BATCH * STEPS * HIDDEN * (4 + 5) + 2 * 4 * BATCH * STEPS / 16 * HIDDEN**2
    # Products with W, A and G, forward 2 and backward 5, and rank-one additions, 1 and 1 + 8.5, two operations each.
    done = 2 * BATCH * STEPS * HIDDEN**2 * (2 + 5 + 1 + 9.5)
    print(f"{'bytes':<32} {moved / took / copied:.3g} of the {copied / 1e9:.0f} GB per second of a copy")
    print(f"{'operations':<32} {done / took / multiplied:.3g} of the {multiplied / 1e12:.1f} T per second of a product")
