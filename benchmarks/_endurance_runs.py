"""Trials of `endurance` on runs: processes that are killed, and files that are damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import warnings
from typing import Any

import torch
from torch import nn

from contextual_rnn import load, save
from contextual_rnn.errors import DataWarning
from contextual_rnn.jobs import series
from contextual_rnn.study.fit import TrainingSettings, fit
from contextual_rnn.study.parallel import Run, run_all
from contextual_rnn.study.run_folder import read_json, read_lines

from ._endurance_watch import watch

EPOCHS = 4
HOOK = """
import importlib.util, os
if "ENDURANCE_OUT" in os.environ:
    path = next(folder for folder in os.environ["PYTHONPATH"].split(os.pathsep)[1:])
    spec = importlib.util.spec_from_file_location("watch", os.path.join(path, "benchmarks", "_endurance_watch.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    out = os.environ["ENDURANCE_OUT"]
    module.watch(out + os.sep, int(os.environ["ENDURANCE_EVENT"]), out + ".killed")
"""  # of Python's sitecustomize, which worker processes import as well
PROBE = torch.linspace(-1, 1, 12).reshape(4, 3)


def work(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train a small model, whose best epoch is not the last."""
    torch.manual_seed(config["seed"])
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    history = fit(
        module, lambda module, x: module(x).square().mean(), lambda: [torch.randn(4, 3) for _ in range(2)],
        TrainingSettings(epochs=EPOCHS, learning_rate=0.05), seed=config["seed"], folder=folder, minimise=("error",),
        evaluate=lambda module: {"error": abs(float(module(PROBE).mean()) - 0.1)},
    )  # fmt: skip
    save(module, folder / "model.safetensors")
    return {"metrics": history[-1]}


def train(out: pathlib.Path, jobs: int = 1) -> None:
    """Do two runs, or go on with them."""
    listed = [Run(f"run-{seed}", {"seed": seed}, EPOCHS) for seed in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        run_all(listed, work, out, resume=True, title="training", jobs=jobs)


def found(out: pathlib.Path) -> list[Any]:
    """Return what the runs found: the results without the seconds, the metrics of the epochs, and the predictions."""
    everything: list[Any] = []
    for seed in range(2):
        run = out / f"run-{seed}"
        results = {key: value for key, value in read_json(run / "results.json").items() if key != "seconds"}
        with torch.no_grad():
            everything += [results, read_lines(run / "metrics.jsonl"), load(run)(PROBE).tolist()]
    return everything


def prepare(folder: pathlib.Path) -> None:
    """Make an undamaged run, and one that was killed."""
    rows = [f"s{row // 20},{row % 7 / 7:.3f},{row % 5 / 5:.3f}" for row in range(60)]
    (folder / "table.csv").write_text("\n".join(["id,u,y", *rows]) + "\n")
    train(folder / "whole")
    (folder / "expected.json").write_text(json.dumps(found(folder / "whole")))
    number = 0
    while not (folder / "unfinished/run-1/checkpoint-previous.safetensors").exists():
        number += 10
        shutil.rmtree(folder / "unfinished", ignore_errors=True)
        _killed(folder / "unfinished", number)


def _killed(out: pathlib.Path, event: int) -> bool:
    """Train in another process, which is killed at an event; return whether it was."""

    def target() -> None:
        sys.stderr = open("/dev/null", "w")  # noqa: SIM115
        watch(str(out), event)
        train(out)

    process = multiprocessing.get_context("fork").Process(target=target)
    process.start()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the run that was to be killed ended with exit code {process.exitcode}")
    return process.exitcode != 0


def kill(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Kill a run at one event, and a resumed run at another, and then resume it."""
    out = folder / f"killed-{number}"
    if not _killed(out, number + 1):  # there are fewer events: start again, and kill the resumed run as well
        shutil.rmtree(out)
        _killed(out, generator.randrange(1, 200))
        _killed(out, generator.randrange(1, 100))
    return _is_right(out, folder)


def kill_worker(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Kill a process of a comparison with two workers."""
    out = folder / f"killed-{number}"
    code = "import pathlib, sys; from benchmarks._endurance_runs import train; train(pathlib.Path(sys.argv[1]), 2)"
    _kill_program(code, [str(out)], out, generator.randrange(1, 60))
    return _is_right(out, folder)


def _kill_program(code: str, arguments: list[str], out: pathlib.Path, event: int) -> None:
    """Execute Python code, of which one process is killed at a file event in a folder.

    The process is a new one, and no fork of this one, since threads of polars do not outlive a fork.
    """
    hook, root = out.parent / "hook", str(pathlib.Path(__file__).parent.parent)
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(hook), root]),
        "ENDURANCE_EVENT": str(event),
        "ENDURANCE_OUT": str(out),
    }
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    is_sentence = "InputError: one of the 2 worker processes" in ended.stderr
    if ended.returncode not in (0, -signal.SIGKILL) and not is_sentence:
        raise RuntimeError(ended.stderr[-200:])


def job(name: str | pathlib.Path, out: pathlib.Path, table: pathlib.Path) -> None:
    """Do a small `fit series` or `compare series`, or go on with it."""
    given = {"train": str(table), "test": str(table), "inputs": ["u"], "targets": ["y"], "series": "id", "window": 3}
    small = {"epochs": 2, "updates": 2, "batch_size": 4, "length": 10, "hidden": 4, "jobs": 1, "resume": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        if str(name) == "fit":
            series.fit(**given, **small, out=out)
        else:
            series.compare(**given, **small, out=out, seeds=2, initial_states=["zero", "context"])


def job_found(out: pathlib.Path) -> list[Any]:
    """Return the models and the results of a job."""
    models = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("model.safetensors"))}
    return [models, _without_seconds(read_json(out / "results.json")), len(list((out / "figures").iterdir()))]


def _without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seconds(one) for key, one in value.items() if key != "seconds"}
    return [_without_seconds(one) for one in value] if isinstance(value, list) else value


def kill_job(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Kill `fit series` or `compare series` at a file event, and go on with it."""
    name, out, table = ("fit", "compare")[number % 2], folder / f"killed-{number}", folder / "table.csv"
    if not (folder / name).exists():
        job(name, folder / name, table)
    code = "import pathlib, sys; from benchmarks._endurance_runs import job; job(*map(pathlib.Path, sys.argv[1:]))"
    _kill_program(code, [name, str(out), str(table)], out, generator.randrange(1, 90 if name == "fit" else 250))
    try:
        job(name, out, table)
        return job_found(out) == job_found(folder / name)
    finally:
        shutil.rmtree(out)


def damage(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Damage one file of a run, and go on with the run."""
    out = folder / f"damaged-{number}"
    shutil.copytree(folder / generator.choice(["whole", "unfinished"]), out)
    chosen = generator.choice(sorted(path for path in out.rglob("*") if path.is_file() and path.name[0] != "."))
    chosen.write_bytes(damaged(generator, chosen.read_bytes()))
    return _is_right(out, folder)


def damaged(generator: random.Random, content: bytes) -> bytes:
    """Return the content of a file with flipped bits, cut short, or with other bytes in a part of it."""
    if not content:
        return b"x"
    changed = bytearray(content)
    way, place = generator.randrange(5), generator.randrange(len(content))
    if way < 3:
        for _ in range(1 + 3 * (way == 2)):
            changed[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    elif way == 3:
        del changed[place:]
    else:
        changed[place : place + 16] = generator.randbytes(16)
    return bytes(changed)


def _is_right(out: pathlib.Path, folder: pathlib.Path) -> bool:
    """Go on with the runs, and return whether they found what undamaged ones found."""
    try:
        train(out)
        return json.loads(json.dumps(found(out))) == json.loads((folder / "expected.json").read_text())
    finally:
        shutil.rmtree(out)
