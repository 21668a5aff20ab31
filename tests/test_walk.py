"""How far `compare series` walks through the package: a reader of a job should have few files to open."""

import pathlib
import sys

import pytest
from tanks import OPTIONS, write

import contextual_rnn
from contextual_rnn.cli import main
from contextual_rnn.study.comparison import Comparison

ROOMS = ("cli.py", "jobs", "study", "data")  # the library itself is not counted
MOST = 14


@pytest.fixture
def entered(tmp_path, monkeypatch, capsys):
    """The files whose functions `compare series` calls from the command line to the verdict, in this process."""
    table, root = write(tmp_path / "a.csv", 2), pathlib.Path(contextual_rnn.__file__).parent
    monkeypatch.setattr(Comparison, "write", lambda self, folder: None)  # the figures come after the verdict
    found = set()

    def watch(frame, event, argument):
        path = frame.f_code.co_filename
        # Bodies of modules and classes run when a module is imported; functions have local variables of their own.
        if event == "call" and path.startswith(str(root)) and frame.f_code.co_flags & 2:
            found.add(pathlib.Path(path).relative_to(root))

    kinds = ["--initial-states", "zero", "context", "--window", "2", "--seeds", "1", "--jobs", "1", "--series", "id"]
    sys.setprofile(watch)
    try:
        main(["compare", "series", "--train", table, "--test", table, *OPTIONS, *kinds, "--out", str(tmp_path / "run")])
    finally:
        sys.setprofile(None)
    assert capsys.readouterr().out.startswith("Does the initial state matter?")
    return sorted(str(path) for path in found if path.parts[0] in ROOMS)


def test_a_comparison_enters_few_files(entered):
    assert {"cli.py", "jobs/series/compare.py", "study/differences.py"} <= set(entered)
    assert len(entered) <= MOST, entered
