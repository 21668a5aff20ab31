"""The campaign of `benchmarks/endurance.py`, in a few trials of every part."""

import pytest

from benchmarks import _endurance_files as files
from benchmarks import _endurance_runs as runs
from benchmarks import endurance

TRIALS = {"kills": 4, "runs": 12, "tables": 60, "pairs": 60, "models": 12}


@pytest.mark.parametrize("part", TRIALS)
def test_nothing_is_wrong(tmp_path, part):
    (runs if part in ("kills", "runs") else files).prepare(tmp_path)
    found = endurance.answers(part, 1, range(TRIALS[part]), tmp_path)
    assert len(found) == TRIALS[part]
    assert set(found) <= {"right", "sentence"}, found


def test_another_result_an_error_and_a_crash_are_wrong(tmp_path, monkeypatch):
    trials = [lambda: False, lambda: 1 / 0, lambda: True, lambda: endurance.os.kill(endurance.os.getpid(), 9)]
    monkeypatch.setitem(endurance.PARTS, "runs", lambda generator, number, folder: trials[number]())
    found = endurance.answers("runs", 0, range(4), tmp_path)
    assert found[0] == "wrong: another result"
    assert found[1].startswith("wrong: ZeroDivisionError")
    assert found[2:] == ["right", "wrong: the process ended with exit code -9"]
