"""Every example runs as a user runs it; tests/test_export.py runs streaming.py."""

import json
import math
import pathlib
import re
import runpy
import subprocess
import sys

import pytest
import torch
from forked import run_program

FOLDER = pathlib.Path(__file__).parents[1] / "examples"
NEEDS = {"lightning_module.py": "lightning", "hub.py": "huggingface_hub", "skorch_regressor.py": "skorch"}
ALONE = sorted(
    path
    for path in FOLDER.glob("*.py")
    if path.name not in {"distributed.py", "macro_average.py", "names.py", "own_core.py", "streaming.py", *NEEDS}
)


@pytest.mark.parametrize("path", ALONE, ids=lambda path: path.name)
def test_every_example_runs_and_says_something(path, tmp_path):
    done = run_program(path, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not done.stderr


def test_names_are_written_and_their_language_is_guessed(tmp_path):
    done = run_program(FOLDER / "names.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Greek: \w+, ", done.stdout, re.MULTILINE)
    assert re.search(r"^Papazoglou is most likely \w+ \(0\.\d\d\)$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("lightning_module.py", ["2"], r"loss after 20 epochs: -0\.3"),
        ("hub.py", [], "the loaded model generates the same: True"),
        ("skorch_regressor.py", [], r"mean squared error: 0\.0[01]\d+ of a variance of 0\.17"),
    ],
)
def test_every_example_of_another_tool_says_what_is_right(name, arguments, said, tmp_path):
    pytest.importorskip(NEEDS[name], reason="not installed: pip install 'contextual-rnn[compatibility]'")
    command = [sys.executable, str(FOLDER / name), *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(said, done.stdout), done.stdout


def test_two_processes_learn_what_one_learns(tmp_path):
    found = run_program(FOLDER / "distributed.py", tmp_path).stdout
    example = runpy.run_path(str(FOLDER / "distributed.py"))
    model, (x, context) = example["make_model"](), example["make_data"]()
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.01), []
    for _ in range(20):
        losses.append(model(x, context))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert found == f"update 1: loss {losses[0]:.6f}\nupdate 20: loss {losses[-1]:.6f}\n"


def test_the_example_of_an_own_core_learns(tmp_path):
    done = run_program(FOLDER / "own_core.py", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    before, after = map(float, re.findall(r"loss after \d+ steps: ([\d.]+)", done.stdout))
    assert after < before / 10


def test_the_macro_average_has_the_interval_of_independent_languages(tmp_path):
    rows = {"one": (10, 4), "two": (20, 3)}
    for name, (rate, half) in rows.items():
        row = {"word_error_rate": rate, "phone_error_rate": 2.0, "low": rate - half, "high": rate + half}
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(json.dumps({"errors": [row], "ensembles": []}))
    said = run_program(FOLDER / "macro_average.py", tmp_path, *rows).stdout
    (row,) = (line for line in said.splitlines() if line.startswith("all"))
    half = math.hypot(4, 3) / 2
    assert [float(number) for number in re.findall(r"[\d.]+", row)] == [15, 15 - half, 15 + half]
    assert "no ensemble" in said
    assert "name the run folders" in run_program(FOLDER / "macro_average.py", tmp_path).stderr
