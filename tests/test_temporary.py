"""Temporary folders: nothing is left over, however a process ends, but for SIGKILL; that is removed by the next one."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

CORE = pathlib.Path(__file__).parents[1] / "contextual_rnn/_core"
PROGRAM = f"""
import runpy, sys, time
temporary, stopping = (runpy.run_path({str(CORE)!r} + f"/{{name}}.py") for name in ("temporary", "stopping"))
with stopping["stopping_on_signals"](), temporary["temporary_folder"]() as path:
    (path / "file").write_text("content")
    print(path, flush=True)
    if sys.argv[1] == "error":
        raise ValueError
    time.sleep(0 if sys.argv[1] == "end" else 60)
"""  # without an import of torch, which takes seconds


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a process, and returns it and the path of its temporary folder."""
    started = []

    def start(how):
        command = [sys.executable, "-c", PROGRAM, how]
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, **more)
        started.append(process)
        return process, pathlib.Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("how", ["end", "error", "SIGTERM", "SIGINT", "SIGHUP"])
def test_a_temporary_folder_is_removed_however_its_process_ends(how, tmp_path, start):
    process, _ = start(how)
    if how.startswith("SIG"):
        process.send_signal(signal.Signals[how])
    process.wait(60)
    assert not list(tmp_path.iterdir())


def test_the_next_process_removes_what_a_killed_one_has_left_and_nothing_else(tmp_path, start):
    (_, kept), (killed, left) = start("live"), start("live")
    killed.kill()
    killed.wait()
    assert (left / "file").exists()
    prefix = kept.name[:-8]  # without what is drawn at random
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / ".lock").touch()
    (tmp_path / f"{prefix}linked").symlink_to(mine)
    (tmp_path / f"{prefix}not-locked").mkdir()
    writable = tmp_path / f"{prefix}writable"
    writable.mkdir()
    writable.chmod(0o777)  # others may have put links into it
    (writable / ".lock").symlink_to(mine / ".lock")
    before = {path.name for path in tmp_path.iterdir()}
    start("end")[0].wait(60)
    assert {path.name for path in tmp_path.iterdir()} == before - {left.name}
    assert (kept / "file").exists()


def test_a_command_that_is_ended_removes_its_stored_rows_and_says_how_to_go_on(tmp_path):
    rows = pl.DataFrame({"u": [0.1 * (i % 7) for i in range(300)], "y": [0.1 * (i % 5) for i in range(300)]})
    rows.write_parquet(tmp_path / "table.parquet")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = "fit series --inputs u --targets y --memory 1e-9 --epochs 100000 --length 20"
    paths = ["--train", str(tmp_path / "table.parquet"), "--out", str(tmp_path / "run")]
    process = subprocess.Popen(
        [sys.executable, "-m", "contextual_rnn", *command.split(), *paths],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 90
    while not list(tmp_path.glob("run/**/metrics.jsonl")) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.1)
    assert len(list(temporary.glob("contextual-rnn-*"))) == 2  # of the rows, and of the runs
    process.terminate()
    assert process.wait(90) == 143
    assert process.communicate()[1].splitlines()[-1] == "contextual-rnn: stopped; --resume continues from here"
    assert not list(temporary.iterdir())
