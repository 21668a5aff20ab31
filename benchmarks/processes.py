"""The time of a training epoch of `fit pairs` in several processes of one thread, beside one process.

Also the time of one sum of all gradients as one tensor, as training does it, and of one sum per parameter. Run it on
idle cores: `python -m benchmarks processes --devices 2`
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch

from contextual_rnn._core.flat_adamw import FlatAdamW
from contextual_rnn._core.group import current_group, select
from contextual_rnn.data.encoded_pairs import bucketed
from contextual_rnn.jobs.pairs.data import PairData
from contextual_rnn.jobs.pairs.model import PairModel
from contextual_rnn.jobs.pairs.network import PairLoss
from contextual_rnn.jobs.pairs.settings import PairSettings
from contextual_rnn.jobs.pairs.train import Training, vocabularies
from contextual_rnn.study.launch import Together, train
from contextual_rnn.study.parallel import Run

from . import provenance

SUMS = 50


def pairs(count: int) -> list[tuple[str, str]]:
    """Return words of 4 to 20 letters, and the same in capitals."""
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefghijklmnop", k=generator.randint(4, 20))) for _ in range(count)]
    return [(word, word.upper()) for word in words]


def measure(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train in this process, and return the seconds of every epoch and the milliseconds of a sum of gradients."""
    import contextual_rnn.jobs.pairs.train as module

    seconds: list[float] = []
    original = module.train_module

    def timed(model: Any, loss: Any, batches: Any, settings: Any, **more: Any) -> Any:
        given = more | {"evaluate": None, "minimise": None, "patience": None, "folder": None}
        started = [time.perf_counter()]
        given["on_epoch"] = lambda _: started.append(time.perf_counter())
        found = original(model, loss, batches, settings, **given)
        seconds.extend(after - before for before, after in itertools.pairwise(started))
        raise _Done(_sums(model), found)

    module.train_module = timed
    settings = PairSettings(epochs=4, hidden=config["hidden"], embedding=64, batch_size=config["batch_size"])
    data = PairData.read(pairs(config["pairs"]), pairs(50), None)
    try:
        Training(data)({"settings": settings.to_json(), "seed": 0, "fold": None}, folder)
    except _Done as done:
        return {"metrics": {}, "seconds_of_epochs": seconds, "sums": done.args[0]}
    finally:
        module.train_module = original
    raise AssertionError("training has not started")


class _Done(Exception):
    """Ends the run when the model is trained."""


def _sums(model: torch.nn.Module) -> dict[str, float]:
    """Return the milliseconds of a sum of all gradients over the processes: as one tensor, and one by one."""
    if current_group() is None:
        return {}
    parts = [torch.zeros_like(parameter) for parameter in model.parameters()]
    found = {}
    for name, several in (("one tensor", [torch.cat([part.flatten() for part in parts])]), ("each parameter", parts)):
        started = time.perf_counter()
        for _ in range(SUMS):
            for part in several:
                torch.distributed.all_reduce(part)
        found[name] = 1000 * (time.perf_counter() - started) / SUMS
    return found


def shares(config: dict[str, Any]) -> dict[str, float]:
    """Return the milliseconds of the processor that each part of a training step of two processes takes, the median.

    They are measured in one process, with minibatches that are full: the gradient of a whole minibatch and of every
    second row, what every process does again, and the copies around the sum of the gradients.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = PairSettings(hidden=config["hidden"], embedding=64, batch_size=config["batch_size"])
    data = PairData.read(pairs(config["pairs"]), pairs(50), None)
    model = PairModel(settings, *vocabularies(data.training), data.units, data.labels)
    encoded, own = model.encode(data.training), list(model.parameters())
    loss, optimiser = PairLoss(None, settings.unknown), FlatAdamW(own, settings.learning_rate, max_norm=1.0)
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        started = time.thread_time()
        found = work()
        times.setdefault(name, []).append(1000 * (time.thread_time() - started))
        return found

    halves = [0, 0]
    for _ in range(2):
        stream = bucketed(encoded, settings.batch_size)
        while (batch := timed("draw the minibatch", lambda stream=stream: next(stream, None))) is not None:
            if len(batch.source) < settings.batch_size:
                continue
            parts = [select(batch, slice(rank, None, 2)) for rank in range(2)]
            for rank, part in enumerate(parts):
                halves[rank] += int(part.source_lengths.sum() + part.target_lengths.sum())
            for name, part in (("gradient, all rows", batch), ("gradient, half of the rows", parts[0])):
                optimiser.zero_grad()
                timed(name, lambda part=part: loss(model, part).backward())
            timed("copies of the gradient", lambda: torch.cat([one.grad.reshape(-1) for one in own]).split(1000))
            timed("optimiser", optimiser.step)
    found = {name: statistics.median(several) for name, several in times.items()}
    again = found["draw the minibatch"] + found["optimiser"]
    together = found["gradient, half of the rows"] + again + found["copies of the gradient"]
    return found | {
        "two processes over one, without the sum": together / (found["gradient, all rows"] + again),
        "symbols of process 0 over those of process 1": halves[0] / halves[1],
    }


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--shares", action="store_true", help="only the time of each part of a step, in one process")
    given = parser.parse_args()
    config = {"pairs": given.pairs, "hidden": given.hidden, "batch_size": given.batch_size}
    print(f"{provenance()}\n\n{json.dumps(config)}\n")
    if given.shares:
        print("\n".join(f"{name}: {value:.3f}" for name, value in shares(config).items()))
        return
    best: dict[int, float] = {}
    for size in (1, given.devices):
        with tempfile.TemporaryDirectory() as folder:
            run, together = Run("run", config, 4), Together(size, 1, "cpu", "32")
            out = pathlib.Path(folder, "runs")
            found = train(run, measure, out, resume=False, title="training", together=together, group=None)
        best[size] = min(found["seconds_of_epochs"][1:])  # the first one compiles
        sums = "; ".join(f"a sum of {name}: {ms:.2f} ms" for name, ms in found["sums"].items())
        print(f"{size} processes: {best[size]:.2f} s per epoch, {best[size] / best[1]:.2f} of one process. {sums}")
