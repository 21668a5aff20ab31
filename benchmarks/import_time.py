"""The time of `import contextual_rnn` relative to `import torch`, each in a new process, in turn."""

import statistics
import subprocess
import sys
import time

from benchmarks import provenance

PAIRS, WARM_UP, TARGET = 15, 2, 1.2
MODULES = ("contextual_rnn", "torch")


def seconds(module: str) -> float:
    """Return the duration of a new process that imports a module."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def main() -> int:
    """Print the ratio of the times."""
    print(provenance())
    times: dict[str, list[float]] = {module: [] for module in MODULES}
    for pair in range(-WARM_UP, PAIRS):
        for module in MODULES if pair % 2 else reversed(MODULES):
            took = seconds(module)
            if pair >= 0:
                times[module].append(took)
    ours, torchs = (times[module] for module in MODULES)
    medians, minima = statistics.median(ours) / statistics.median(torchs), min(ours) / min(torchs)
    print(f"ratio     {medians:.3f} of medians, {minima:.3f} of minima, {PAIRS} pairs; target at most {TARGET}")
    return 0
