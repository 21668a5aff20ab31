"""Damage runs, tables, pair files and model files at random, and count how the package answers.

    python -m benchmarks endurance [--minutes 3] [--seed 0] [--parts kills runs tables ...]

Each trial ends in one of three ways. *Right*: the result is that of the undamaged files. *Sentence*: an `InputError`.
*Wrong*: another result, another exception, a crash, or more than the memory or the time that docs/reliability.md
promises. The program prints the seed of every trial that is wrong, and then ends with exit code 1.

    kills    SIGKILL at every file event of two training runs, in turn; they are then resumed
    jobs     SIGKILL of `fit series` and `compare series` at a random file event; they are then resumed
    workers  SIGKILL of a process of a comparison with two workers, at a random file event; it is then resumed
    runs     flipped bits, cuts and overwritten bytes in a random file of a finished or an unfinished run
    tables   mutated CSV files; what is read is compared with Python's csv module
    pairs    mutated files of pairs; what is read is compared with their lines
    models   mutated model files: damaged bytes, and headers with other numbers
    binary   damaged Parquet, Arrow, MATLAB and gzipped files, and Parquet files that stay on the disk
    subwords damaged models of subwords
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import os
import pathlib
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable

import torch

from contextual_rnn import InputError

from . import _endurance_files as files
from . import _endurance_formats as formats
from . import _endurance_runs as runs

BATCH = 50  # trials of one process
PARTS: dict[str, Callable[[random.Random, int, pathlib.Path], bool]] = {
    "kills": runs.kill,
    "jobs": runs.kill_job,
    "workers": runs.kill_worker,
    "runs": runs.damage,
    "tables": files.table,
    "pairs": files.pairs,
    "models": files.model,
    "binary": formats.binary,
    "subwords": formats.subwords,
}
SHARES = {
    "kills": 3,
    "jobs": 2,
    "workers": 2,
    "runs": 5,
    "tables": 2,
    "pairs": 1,
    "models": 2,
    "binary": 2,
    "subwords": 1,
}
NEW_PROCESS = ("binary",)  # whose library has threads, which a fork does not have


def answer(part: str, seed: int, number: int, folder: pathlib.Path) -> str:
    """Do one trial, and return right, sentence, or wrong and why."""
    try:
        is_right = PARTS[part](random.Random(f"{seed}/{part}/{number}"), number, folder)
    except InputError:
        return "sentence"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"wrong: {type(error).__name__} in {last.name}: {str(error)[:100]}"
    return "right" if is_right else "wrong: another result"


def batch(part: str, seed: int, numbers: range, folder: pathlib.Path, connection: object) -> None:
    """Do trials in a process of their own, and send each answer."""
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    for number in numbers:
        connection.send(answer(part, seed, number, folder))  # type: ignore[attr-defined]


def answers(part: str, seed: int, numbers: range, folder: pathlib.Path) -> list[str]:
    """Return the answers to trials; a process that crashed is a wrong one."""
    context = multiprocessing.get_context("spawn" if part in NEW_PROCESS else "fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=batch, args=(part, seed, numbers, folder, sender))
    process.start()
    sender.close()
    found: list[str] = []
    try:
        while len(found) < len(numbers):
            found.append(receiver.recv())
    except EOFError:
        process.join()
        found.append(f"wrong: the process ended with exit code {process.exitcode}")
    process.join()
    return found


def campaign(
    part: str, seed: int, seconds: float, folder: pathlib.Path, most: int | None = None
) -> collections.Counter[str]:
    """Do trials of a part for some time, or `most` of them, and print those that are wrong."""
    counts: collections.Counter[str] = collections.Counter()
    end, number = time.monotonic() + seconds, 0
    while (time.monotonic() < end or not number) if most is None else number < most:
        size = 1 if part in ("jobs", "workers") else BATCH if most is None else most
        for answer in answers(part, seed, range(number, number + size), folder):
            kind = answer.partition(":")[0]
            counts[kind] += 1
            if kind == "wrong":
                print(f"  {part}, seed {seed}, trial {number}: {answer}")
            number += 1
    return counts


def main() -> int:
    """Do the campaign; return 1 if an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks endurance")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--trials", type=int, help="of each part, instead of minutes")
    parser.add_argument("--trial", type=int, help="repeat one trial of one part, and show its error")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"seed {options.seed}, {options.minutes:g} minutes")
    total, wrong = sum(SHARES[part] for part in options.parts), 0
    with tempfile.TemporaryDirectory(prefix="endurance-") as path:
        folder = pathlib.Path(path)
        for part in options.parts:
            made = folder / part
            made.mkdir()
            module = sys.modules[PARTS[part].__module__]
            module.prepare(made)
            if options.trial is not None:
                chosen = random.Random(f"{options.seed}/{part}/{options.trial}")
                print(part, PARTS[part](chosen, options.trial, made))
                continue
            counts = campaign(part, options.seed, 60 * options.minutes * SHARES[part] / total, made, options.trials)
            wrong += counts["wrong"]
            words = ", ".join(f"{counts[kind]} {kind}" for kind in ("right", "sentence", "wrong"))
            print(f"{part:8} {counts.total():6} trials: {words}", flush=True)
    return int(wrong > 0)
