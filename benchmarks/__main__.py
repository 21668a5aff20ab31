"""`python -m benchmarks NAME` runs `benchmarks/NAME.py`."""

import importlib
import pathlib
import sys

NAMES = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("[!_]*.py"))

if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
    sys.exit(f"usage: python -m benchmarks NAME, where NAME is one of {', '.join(NAMES)}")
name = sys.argv[1]
sys.argv = sys.argv[1:]  # the benchmark's own arguments follow its name
sys.exit(importlib.import_module(f"benchmarks.{name}").main())
