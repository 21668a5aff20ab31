"""The campaign of `benchmarks/endurance.py`, in a few trials of most parts, in a process of its own, since it forks."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def test_nothing_is_wrong():
    command = [sys.executable, "-m", "benchmarks", "endurance", "--trials", "5", "--seed", "1", "--parts"]
    parts = ["kills", "runs", "tables", "pairs", "models", "binary", "subwords"]
    ended = subprocess.run([*command, *parts], cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("5 trials: ") == len(parts)
