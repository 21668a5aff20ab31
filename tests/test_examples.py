"""Every example runs as a user runs it."""

import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLES = sorted(pathlib.Path(__file__).parents[1].joinpath("examples").glob("*.py"))


def run(path, folder):
    return subprocess.run(
        [sys.executable, "-W", "error", str(path)], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_runs_and_says_something(path, tmp_path):
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not done.stderr


def test_the_example_of_an_own_core_learns(tmp_path):
    (own_core,) = (path for path in EXAMPLES if path.name == "own_core.py")
    before, after = map(float, re.findall(r"loss after \d+ steps: ([\d.]+)", run(own_core, tmp_path).stdout))
    assert after < before / 10
