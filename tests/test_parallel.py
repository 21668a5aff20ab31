"""Runs in parallel: their order, their locks, what happens when a process ends, and the progress that is shown."""

import io
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from filelock import FileLock

from contextual_rnn.errors import InputError
from contextual_rnn.study import parallel
from contextual_rnn.study.fit import DivergedError
from contextual_rnn.study.parallel import Progress, Run, caller_unchanged, duration_in_words, run_all


def count(config, folder):
    ran = folder.parent.parent / f"ran-{config['number']}"
    ran.write_text(ran.read_text() + "x" if ran.exists() else "x")
    return {"metrics": {"square": config["number"] ** 2, "threads": torch.get_num_threads()}}


@pytest.mark.parametrize("jobs", [1, 2])
def test_resume_skips_what_is_done_and_keeps_the_order(tmp_path, jobs):
    runs = [Run(f"run-{number}", {"number": number}, epochs=1) for number in (3, 1, 2)]
    first = run_all(runs, count, tmp_path / "out", resume=False, title="counting", jobs=jobs)
    assert [result["metrics"]["square"] for result in first] == [9, 1, 4]
    assert {result["metrics"]["threads"] for result in first} == {1}
    (tmp_path / "out" / "run-1" / "results.json").unlink()
    again = run_all(runs, count, tmp_path / "out", resume=True, title="counting", jobs=jobs)
    assert [result["metrics"] for result in again] == [result["metrics"] for result in first]
    assert [(tmp_path / f"ran-{number}").read_text() for number in (3, 1, 2)] == ["x", "xx", "x"]


def test_no_runs_are_no_results(tmp_path):
    assert run_all([], count, tmp_path, resume=False, title="counting") == []


def test_a_run_in_this_process_leaves_its_threads_as_they_were(tmp_path, monkeypatch):
    torch.set_num_threads(2)
    try:
        (result,) = run_all([Run("a", {"number": 1}, 1)], count, tmp_path / "out", resume=False, title="t", jobs=1)
        assert result["metrics"]["threads"] == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_the_caller_keeps_its_random_states_and_environment(monkeypatch):
    monkeypatch.setenv("KEPT", "before")
    monkeypatch.delenv("ADDED", raising=False)
    states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    with caller_unchanged():
        torch.manual_seed(3)
        os.environ["KEPT"], os.environ["ADDED"] = "after", "after"
    assert os.environ["KEPT"] == "before"
    assert "ADDED" not in os.environ
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002


def diverge(config, folder):
    raise DivergedError("the loss became nan")


def test_a_run_that_diverges_is_named(tmp_path):
    with pytest.raises(DivergedError, match=r"^b-seed-1: the loss became nan"):
        run_all([Run("b-seed-1", {}, 1)], diverge, tmp_path, resume=False, title="training", jobs=1)


def test_a_run_that_another_process_works_on_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "LOCK_TIMEOUT", 0.1)
    (tmp_path / "a").mkdir()
    with FileLock(tmp_path / "a/.lock"), pytest.raises(InputError, match="another process is working on this run"):
        run_all([Run("a", {}, 1)], lambda config, folder: {}, tmp_path, resume=False, title="waiting", jobs=1)


def test_an_interrupt_ends_the_runs_and_the_rest_resumes(tmp_path):
    seen = []

    def work(config, folder):
        seen.append(config["number"])
        if seen == [0, 1]:
            raise KeyboardInterrupt
        return {"number": config["number"]}

    runs = [Run(str(number), {"number": number}, 1) for number in range(3)]
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, work, tmp_path, resume=False, title="t", jobs=1)
    assert [result["number"] for result in run_all(runs, work, tmp_path, resume=True, title="t", jobs=1)] == [0, 1, 2]
    assert seen == [0, 1, 1, 2]


ORPHANS = """
import pathlib, sys, time
from contextual_rnn.study.parallel import Run, run_all

def tick(config, folder):
    for _ in range(300):
        with (folder / "ticks").open("a") as file:
            file.write("x")
        time.sleep(0.1)
    return {}

run_all([Run("a", {}, 1), Run("b", {}, 1)], tick, pathlib.Path(sys.argv[1]), resume=True, title="ticking", jobs=2)
"""


def test_workers_end_with_the_process_that_started_them(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ORPHANS, str(tmp_path)], stderr=subprocess.DEVNULL)
    files = [tmp_path / name / "ticks" for name in "ab"]
    while not all(file.exists() for file in files):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(1.5)
    before = [file.stat().st_size for file in files]
    time.sleep(0.5)
    assert [file.stat().st_size for file in files] == before


class Terminal(io.StringIO):
    def isatty(self):
        return True


def epochs(folder, *losses):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"epoch": place, "loss": loss}) for place, loss in enumerate(losses, 1)]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))


def test_a_terminal_shows_a_bar_with_the_newest_run_and_its_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(parallel, "INTERVAL", 0.01)
    with Progress([("a", 3), ("b", 3)], tmp_path, "training", 1) as finished:
        time.sleep(0.05)
        assert sys.stderr.getvalue() == ""  # no bar at 0%
        epochs(tmp_path / "a", 3.0, 2.0, 1.0)
        finished("a")
        time.sleep(0.05)
        epochs(tmp_path / "b", 0.123456)
    shown = sys.stderr.getvalue()
    assert "training:" in shown
    assert "4/6" in shown
    assert "b, loss 0.123" in shown
    assert "a finished" not in shown


def test_a_terminal_says_that_processes_are_starting(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress([("a", 3)], tmp_path, "training", 2):
        pass
    assert sys.stderr.getvalue() == "training: starting 2 worker processes\n"


def test_a_terminal_says_why_the_first_epoch_takes_long(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(parallel, "INTERVAL", 0.01)
    monkeypatch.setattr(parallel, "PATIENCE", 0.03)
    with Progress([("a", 3)], tmp_path, "training", 1):
        time.sleep(0.2)
    line = "training: in the first epoch; the first run on a machine compiles the recurrent cores, which takes some seconds"
    assert sys.stderr.getvalue() == line + "\n"


def test_a_bar_reads_half_written_and_unusual_files(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    for name, text in (("a", '{"epoch": 1, "error": 2}\n'), ("b", '{"epoch": 1, "loss": 2.5}\n{"epo'), ("c", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text(text)
    for name, newest in (("a", 3), ("b", 4)):
        os.utime(tmp_path / name / "metrics.jsonl", (newest, newest))
    for name in "ab":
        with Progress([(name, 2)], tmp_path, "training", 1):
            pass
    with Progress([("c", 2)], tmp_path, "training", 1):
        pass
    shown = sys.stderr.getvalue()
    assert "1/2" in shown
    assert "b, loss 2.5" in shown
    assert "a, loss" not in shown


def test_a_log_has_one_line_per_finished_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run_all([Run(name, {"number": 1}, 1) for name in "ab"], count, tmp_path / "o", resume=False, title="t", jobs=1)
    assert sys.stderr.getvalue() == "t: a finished, 1 of 2\nt: b finished, 2 of 2\n"
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run_all([Run(name, {"number": 1}, 1) for name in "abc"], count, tmp_path / "o", resume=True, title="t", jobs=1)
    assert sys.stderr.getvalue() == "t: 2 of 3 runs were finished before\nt: c finished, 3 of 3\n"


def test_a_closed_standard_error_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    run_all([Run("a", {"number": 1}, 1)], count, tmp_path / "out", resume=False, title="t", jobs=1)


def ends_itself(config, folder):
    if config["number"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"metrics": {}}


def test_a_worker_that_the_system_ended_is_one_sentence(tmp_path):
    runs = [Run(str(number), {"number": number}, 1) for number in range(2)]
    with pytest.raises(InputError, match="one of the 2 worker processes was ended by the system, probably because the"):
        run_all(runs, ends_itself, tmp_path, resume=False, title="t", jobs=2)


HOLDS = """
import sys, time
from contextual_rnn.study.run_folder import RunFolder
with RunFolder.open(sys.argv[1], {}, resume=True):
    print("locked", flush=True)
    time.sleep(2.5)
"""


def test_a_resumed_run_waits_as_long_as_another_process_works_on_it(tmp_path, monkeypatch):
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path / "a")], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"locked\n"
    monkeypatch.setattr(parallel, "LOCK_TIMEOUT", 0.1)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    run_all([Run("a", {}, 1)], lambda config, folder: {"metrics": {}}, tmp_path, resume=True, title="t", jobs=1)
    waiting = f"waiting for process {holder.pid} on"
    assert waiting in sys.stderr.getvalue()
    holder.wait()
    holder.stdout.close()


class Closed(Terminal):
    def write(self, *text):
        raise BrokenPipeError

    flush = write


@pytest.mark.parametrize("is_live", [True, False])
def test_a_run_goes_on_if_nobody_reads_its_progress(tmp_path, monkeypatch, is_live):
    stream = Closed()
    stream.isatty = lambda: is_live
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(parallel, "INTERVAL", 0.01)

    def work(config, folder):
        epochs(folder, 1.0)
        time.sleep(0.05)
        return {"metrics": {}}

    run_all([Run("a", {}, 1)], work, tmp_path / "out", resume=True, title="t", jobs=1)


@pytest.mark.parametrize(("runs", "processes", "said"), [(5, 1, "80 s, 1"), (5, 2, "40 s, 2"), (2, 2, ""), (5, 0, "")])
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_the_first_run_says_how_long_the_others_take(runs, processes, said, stream, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream())
    names = [("old", 1), *((f"run-{number}", 1) for number in range(runs))]
    with Progress(names, tmp_path, "training", processes, {"old"}) as finished:
        epochs(tmp_path / "run-0", 1.0)
        finished("old")
        now = time.monotonic()
        monkeypatch.setattr(parallel.time, "monotonic", lambda: now + 20)
        finished("run-0")
        finished("run-1")
    shown = sys.stderr.getvalue()
    assert shown.count("the first run took 20 s") == bool(said)
    if said:
        assert f"training: the first run took 20 s; the others take about {said} at a time" in shown


def test_durations_are_in_units_that_suit_them():
    assert list(map(duration_in_words, (0.4, 89, 100, 5000, 9000))) == ["0 s", "89 s", "2 min", "83 min", "2.5 h"]


def test_a_bar_is_shown_beside_wrong_files(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    for name, text in (("a", "[3]\n"), ("b", '{"loss": "high"}\n'), ("c", "[" * 100_000 + "\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text(text)
        with Progress([(name, 2)], tmp_path, "training", 1):
            pass
    assert "1/2" in sys.stderr.getvalue()
