"""Every example runs as a user runs it."""

import json
import math
import pathlib
import re
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "examples"
ALONE = sorted(set(FOLDER.glob("*.py")) - {FOLDER / "macro_average.py"})


def run(path, folder, *arguments):
    command = [sys.executable, "-W", "error", str(path), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.name)
def test_every_example_runs_and_says_something(path, tmp_path):
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not done.stderr


def test_the_example_of_an_own_core_learns(tmp_path):
    said = run(FOLDER / "own_core.py", tmp_path).stdout
    before, after = map(float, re.findall(r"loss after \d+ steps: ([\d.]+)", said))
    assert after < before / 10


def test_the_macro_average_has_the_interval_of_independent_languages(tmp_path):
    rows = {"one": (10, 4), "two": (20, 3)}
    for name, (rate, half) in rows.items():
        row = {"word_error_rate": rate, "phone_error_rate": 2.0, "low": rate - half, "high": rate + half}
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps({"errors": [row], "ensembles": []}))
    said = run(FOLDER / "macro_average.py", tmp_path, *rows).stdout
    (row,) = (line for line in said.splitlines() if line.startswith("all"))
    half = math.hypot(4, 3) / 2
    assert [float(number) for number in re.findall(r"[\d.]+", row)] == [15, 15 - half, 15 + half]
    assert "no ensemble" in said
    assert "name the run folders" in run(FOLDER / "macro_average.py", tmp_path).stderr
