"""One model trained by several processes: the same steps, deaths, and resuming."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import types

import polars as pl
import pytest
import torch
from spelling import SMALL, WORDS, listed
from tanks import columns

from contextual_rnn import InputError
from contextual_rnn._core.group import join_group, select
from contextual_rnn.data.series import Datasets
from contextual_rnn.jobs import forecast, generation, pairs, series, texts
from contextual_rnn.jobs.forecast.settings import ForecastSettings
from contextual_rnn.jobs.generation.settings import GenerationSettings
from contextual_rnn.jobs.pairs.settings import PairSettings
from contextual_rnn.jobs.series.settings import SeriesSettings
from contextual_rnn.jobs.texts.settings import TextSettings
from contextual_rnn.study.launch import Together, follow, train
from contextual_rnn.study.parallel import Run

STEPS = {"epochs": 2, "batch_size": 5}
CORE = {"hidden": 6, "accelerator": "cpu"}


def tables():
    """Return tables of series of unequal lengths, and of texts."""
    tanks = pl.DataFrame(columns(7, 30, c=float))
    rows = [(letter * size, letter, size) for size in (2, 3, 4, 5) for letter in "ab"] * 5
    return tanks, pl.DataFrame(rows, schema=["name", "first", "size"], orient="row")


def jobs():
    """Return the training of every job, and its settings."""
    tanks, names = tables()
    tank = {"series": "id", "context": ("c",), "targets": ("y",), **CORE}
    given = SeriesSettings(inputs=("u",), window=3, length=40, washout=2, updates=5, **tank, **STEPS)
    yield "series", series.train.Training.of(Datasets.read(tanks, None, None, given), [[given]], 2), given
    gaps = tanks.with_columns(y=pl.when(pl.int_range(pl.len()) % 7 == 3).then(None).otherwise("y"))
    given = ForecastSettings(inputs=("u",), past=8, horizon=3, updates=5, missing="hold", base="last", **tank, **STEPS)
    yield "forecast", forecast.train.Training(forecast.train.read_tables(gaps, None, None, given)), given
    given = GenerationSettings(least_updates=5, **tank, **STEPS)
    yield "generation", generation.train.Training(Datasets.read(tanks, None, None, given)), given
    small = {**SMALL, "hidden": 8, "batch_size": 12, "epochs": 4}  # 12 + 12 + 1 pairs an epoch
    given = PairSettings(**{name: value for name, value in small.items() if name != "jobs"})
    yield "pairs", pairs.train.Training(pairs.data.PairData.read(listed(WORDS[:25]), listed(WORDS[25:28]), None)), given
    given = TextSettings(text="name", context=("first", "size"), embedding=4, updates=5, dropout=0.0, **CORE, **STEPS)
    yield "texts", texts.train.Training(texts.data.TextData.read(names, None, None, given)), given


class Trained(Exception):
    """Ends the work of a job when its model is trained."""


def train_every_job(dtype, config, folder):
    """Train the model of every job, and write the weights."""
    out = pathlib.Path(config["out"])
    for name, training, settings in jobs():
        module = sys.modules[type(training).__module__]
        original = module.train_module

        def trained(
            model, loss, batches, *args, evaluate=None, minimise=None, patience=None, original=original, **more
        ):
            def cast(part):
                return part.to(dtype) if isinstance(part, torch.Tensor) and part.is_floating_point() else part

            def converted():
                for batch in batches():
                    yield type(batch)(*map(cast, batch)) if hasattr(batch, "_fields") else tuple(map(cast, batch))

            original(model.to(dtype), loss, converted, *args, **{**more, "folder": None})
            raise Trained(model)

        module.train_module = trained
        try:
            training({"settings": settings.to_json(), "seed": 0, "fold": None}, folder)
        except Trained as end:
            if os.environ.get("RANK", "0") != "1":
                torch.save(end.args[0].state_dict(), out / f"{name}-{dtype}.pt".replace("torch.", ""))
        finally:
            module.train_module = original
    return {}


def train_in_both_precisions(config, folder):
    """Train the model of every job in float32 and in float64."""
    for dtype in (torch.float32, torch.float64):
        train_every_job(dtype, config, folder)
    return {}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The weights of every job, by the number of processes that trained it."""
    found = {}
    for size in (1, 2):
        out = tmp_path_factory.mktemp(f"with-{size}")
        run, together = Run("run", {"out": str(out)}, 1), Together(size, 1, "cpu", "32")
        train(run, train_in_both_precisions, out / "runs", resume=False, title="t", together=together, group=None)
        found[size] = {path.stem: torch.load(path) for path in sorted(out.glob("*.pt"))}
    return found


def test_two_processes_take_the_steps_of_one(weights):
    alone, together = weights[1], weights[2]
    assert len(alone) == 10
    assert alone.keys() == together.keys()
    for job, tensors in alone.items():
        most = 1e-5 if job.endswith("32") else 1e-10
        for name, tensor in tensors.items():
            other = together[job][name]
            assert tensor.dtype == other.dtype, (job, name)
            tensor, other = tensor.double(), other.double()  # counts of steps are integers
            assert float((tensor - other).norm()) <= most * float(tensor.norm()), (job, name)


def test_rows_of_a_minibatch_are_those_of_its_parts():
    batch = {"a": torch.arange(5), "b": ["u", "v", "w", "x", "y"]}, torch.zeros(5, 2)
    named, numbers = select(batch, slice(1, None, 2))
    assert named["a"].tolist() == [1, 3]
    assert named["b"] == ["v", "x"]
    assert numbers.shape == (2, 2)


def child(parent, rank):
    """Return the process of a rank that another process has started; None if there is none."""
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            own = f"RANK={rank}\0".encode() in b"\0" + (folder / "environ").read_bytes()
            if own and int((folder / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                return int(folder.name)
        except (OSError, ValueError):
            continue
    return None


@pytest.mark.skipif(not pathlib.Path("/proc/self/environ").exists(), reason="the processes are found in /proc")
def test_a_process_that_is_killed_ends_all_and_one_process_resumes(tmp_path):
    table = tmp_path / "table.csv"
    tables()[0].write_csv(table)
    options = {"inputs": ["u"], "targets": ["y"], "series": "id", "length": 10, "hidden": 4, "window": 3}
    options |= {"epochs": 12, "updates": 10, "batch_size": 3}
    given = [
        f"--{name.replace('_', '-')}={value if isinstance(value, (int, str)) else value[0]}"
        for name, value in options.items()
    ]
    command = [sys.executable, "-m", "contextual_rnn", "fit", "series", "--train", str(table), *given]
    out = tmp_path / "run"
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen([*command, "--out", str(out), "--devices", "2"], stdout=said, stderr=said)
    metrics = out / "final" / "metrics.jsonl"
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < 1:
        assert process.poll() is None, (tmp_path / "said").read_text()
        time.sleep(0.05)
    os.kill(child(process.pid, 1), signal.SIGKILL)
    killed = time.monotonic()
    assert process.wait(30) == 2
    assert time.monotonic() - killed < 30
    assert child(process.pid, 0) is None
    text = (tmp_path / "said").read_text()
    assert "process 1 of the 2 that train the model together was ended by the system (SIGKILL)" in text
    assert "--resume" in text
    assert "Traceback" not in text
    done = metrics.read_bytes().count(b"\n")
    resumed = series.fit(str(table), out=out, resume=True, **options)
    assert 1 <= done < 12
    alone = series.fit(str(table), **options)
    for name, tensor in alone.state_dict().items():
        assert torch.allclose(tensor, resumed.state_dict()[name], rtol=1e-2, atol=1e-3), name


def test_a_process_that_has_read_other_data_is_named(tmp_path):
    class Told:
        rank = 1

        def broadcast(self):
            return "train", ({}, {"train": "a", "test": "b"})

    class Work:
        data = types.SimpleNamespace(identity={"sha256": {"train": "c", "test": "b"}})

    with pytest.raises(InputError, match="process 1 has read other data in `train` than process 0; give every machine"):
        follow(Work(), Told(), tmp_path)


def test_other_numbers_of_processes_than_were_started_are_refused(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="`devices` 3 and `nodes` 1 make 3 processes, but 2 were started"):
        join_group("cpu", "32", 3, 1)


def test_several_machines_need_a_launcher():
    with pytest.raises(InputError, match="`nodes` 2: start the command on every machine with torchrun, or with srun"):
        series.fit(tables()[0], inputs=["u"], targets=["y"], series="id", nodes=2)
