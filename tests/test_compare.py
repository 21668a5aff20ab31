"""Intervals and sentences: what a comparison may claim."""

import math
import subprocess
import sys
import time

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from contextual_rnn.errors import InputError
from contextual_rnn.study import parallel as side_by_side
from contextual_rnn.study.comparison import difference, in_words, summarise
from contextual_rnn.study.intervals import bootstrap_ratio, mean_interval, ratio_interval
from contextual_rnn.study.parallel import Job, run_all
from contextual_rnn.study.run_folder import RunFolder, read_json


def runs(a, b):
    return [
        {"initial_state": kind, "seed": seed, "metrics": {"error": value}}
        for kind, values in (("a", a), ("b", b))
        for seed, value in enumerate(values)
    ]


def compared(a, b):
    return difference(runs(a, b), {"initial_state": "a"}, {"initial_state": "b"}, "error")


def test_the_t_interval_is_the_textbook_one():
    interval = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5 / 5)  # t of 4 degrees of freedom, two-sided 95 %
    assert interval.middle == pytest.approx(3)
    assert (interval.low, interval.high) == pytest.approx((3 - half, 3 + half))


def test_a_t_interval_of_five_covers_95_per_cent():
    draws = np.random.default_rng(0).standard_normal((4000, 5))
    intervals = [mean_interval(row) for row in draws]
    covered = np.mean([one.low < 0 < one.high for one in intervals])
    assert covered == pytest.approx(0.95, abs=0.012)


@given(st.lists(st.floats(0.1, 10), min_size=5, max_size=9), st.floats(0.1, 10))
def test_a_constant_ratio_is_found_exactly(values, factor):
    interval = ratio_interval([factor * value for value in values], values)
    assert (interval.middle, interval.low, interval.high) == pytest.approx((factor,) * 3)


def test_pairing_removes_what_seeds_share():
    shared = [1.0, 10.0, 3.0, 0.5, 7.0]
    found = compared([0.9 * value + 0.001 * i for i, value in enumerate(shared)], shared)
    assert found["high"] < 1
    assert "10% lower than that of b" in in_words(found)


def test_noise_is_called_no_difference():
    assert in_words(compared([1, 2, 3, 4, 5], [5, 4, 3, 2, 1])).startswith("No difference was found in error")


def test_under_five_seeds_nothing_is_claimed():
    found = compared([1, 1, 1, 1], [2, 2, 2, 2])
    assert found["low"] is None
    assert found["ratio"] == pytest.approx(0.5)
    assert "too few to claim a difference" in in_words(found)


def test_missing_values_are_left_out_and_counted():
    summary = summarise(runs([1.0, None, 3.0], [1.0, 1.0, 1.0]), ["initial_state"])
    assert [(row["initial_state"], row["mean"], row["seeds"]) for row in summary] == [("a", 2.0, 2), ("b", 1.0, 3)]


def test_the_bootstrap_is_paired():
    errors = np.random.default_rng(0).uniform(0.1, 10, (5, 30))
    interval = bootstrap_ratio(0.81 * errors, errors)
    assert (interval.middle, interval.low, interval.high) == pytest.approx((0.9,) * 3)


def test_the_bootstrap_claims_nothing_from_few_seeds_or_of_nothing():
    errors = np.random.default_rng(0).uniform(0.1, 10, (4, 30))
    assert bootstrap_ratio(0.81 * errors, errors).low is None
    assert bootstrap_ratio(errors, 0 * errors).middle is None


def test_a_ratio_to_zero_is_said_to_be_none():
    found = difference(runs([0.0] * 5, [1.0] * 5), {"initial_state": "a"}, {"initial_state": "b"}, "error")
    assert found["ratio"] is None
    assert "cannot be compared as a ratio" in in_words(found)


def count(config, folder):
    ran = folder.parent.parent / f"ran-{config['number']}"
    ran.write_text(ran.read_text() + "x" if ran.exists() else "x")
    return {"metrics": {"square": config["number"] ** 2}}


def test_resume_skips_what_is_done_and_keeps_the_order(tmp_path):
    jobs = [Job(f"job-{number}", {"number": number}, epochs=1) for number in (3, 1, 2)]
    first = run_all(jobs, count, tmp_path / "out", resume=False, title="counting", workers=2)
    assert [result["metrics"]["square"] for result in first] == [9, 1, 4]
    (tmp_path / "out" / "job-1" / "results.json").unlink()
    again = run_all(jobs, count, tmp_path / "out", resume=True, title="counting", workers=2)
    assert [result["metrics"] for result in again] == [result["metrics"] for result in first]
    assert [(tmp_path / f"ran-{number}").read_text() for number in (3, 1, 2)] == ["x", "xx", "x"]


def test_a_run_folder_is_never_overwritten(tmp_path):
    RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=False)
    with pytest.raises(InputError, match="already holds a run; give --resume"):
        RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=False)
    with pytest.raises(InputError, match="epochs = 3 where 4 is asked for"):
        RunFolder.open(tmp_path / "run", {"epochs": 4}, resume=True)
    folder = RunFolder.open(tmp_path / "run", {"epochs": 3}, resume=True)
    assert read_json(folder.config_path) == {"epochs": 3}
    (made_by,) = read_json(folder.path / "provenance.json")
    assert made_by["packages"]["torch"]
    assert made_by["command"]


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match="is a file"):
        RunFolder.open(tmp_path / "file", {}, resume=True)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "results.json").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        RunFolder.open(tmp_path, {}, resume=True)
    assert (tmp_path / "results.json").read_text() == "mine"


ORPHANS = """
import pathlib, sys, time
from contextual_rnn.study.parallel import Job, run_all

def tick(config, folder):
    for _ in range(300):
        with (folder / "ticks").open("a") as file:
            file.write("x")
        time.sleep(0.1)
    return {}

run_all([Job("a", {}, 1), Job("b", {}, 1)], tick, pathlib.Path(sys.argv[1]), resume=True, title="ticking", workers=2)
"""


def test_workers_end_with_the_process_that_started_them(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ORPHANS, str(tmp_path)], stderr=subprocess.DEVNULL)
    files = [tmp_path / name / "ticks" for name in "ab"]
    while not all(file.exists() for file in files):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(2)
    before = [file.stat().st_size for file in files]
    time.sleep(1)
    assert [file.stat().st_size for file in files] == before


def test_a_run_that_another_process_is_at_work_on_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(side_by_side, "PATIENCE", 0.1)
    (tmp_path / "a").mkdir()
    with FileLock(tmp_path / "a/.lock"), pytest.raises(InputError, match="another process is at work on this run"):
        run_all([Job("a", {}, 1)], lambda config, folder: {}, tmp_path, resume=False, title="waiting", workers=1)


def test_a_refused_resume_names_the_one_setting_that_differs(tmp_path):
    config = {"options": {"zero": [{"epochs": 1, "rate": 0.1}]}}
    RunFolder.open(tmp_path / "run", config, resume=False)
    config["options"]["zero"][0]["epochs"] = 3
    with pytest.raises(InputError, match=r"a run with options.zero.0.epochs = 1 where 3 is asked for now; give"):
        RunFolder.open(tmp_path / "run", config, resume=True)
