"""Benchmarks; run `python -m benchmarks NAME` on a quiet machine.

Each reports ratios of alternatives that are measured in turn in the same run.
"""

import os
import pathlib
import platform
import sys

import torch

import contextual_rnn


def provenance() -> str:
    """Return the machine, the versions and the command, which begin every report."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return "\n".join(
        [
            f"machine   {_processor()}, {os.cpu_count()} cores, {platform.system()}, load {load:.1f}",
            f"versions  Python {platform.python_version()}, torch {torch.__version__}, "
            f"contextual-rnn {contextual_rnn.__version__}",
            f"command   {' '.join(['python -m benchmarks', *sys.argv])}",
        ]
    )


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
