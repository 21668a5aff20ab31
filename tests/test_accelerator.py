"""Every class and every job on a CUDA device, beside the CPU. They are skipped where there is none."""

import copy
import json
import math

import polars as pl
import pytest
import torch
from spelling import SMALL, WORDS, listed
from tanks import columns
from torch.distributions import Normal
from torch.utils._pytree import tree_map
from zoo import CASES, run

from contextual_rnn.cli import main
from contextual_rnn.jobs import forecast, generation, pairs, series, texts

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device: nothing was trained on an accelerator"
)

STEPS = {"epochs": 2, "batch_size": 5, "hidden": 8}
TANK = {"series": "id", "context": ["c"], "targets": ["y"], **STEPS}
SERIES = {"inputs": ["u"], "window": 3, "length": 20, "updates": 5, **TANK}
FORECAST = {"inputs": ["u"], "past": 8, "horizon": 3, "updates": 5, **TANK}
GENERATION = {"least_updates": 5, **TANK}
PAIRS = {name: value for name, value in SMALL.items() if name != "jobs"} | {"hidden": 8, "epochs": 2}
TEXTS = {"text": "name", "context": ["first", "size"], "embedding": 4, "updates": 5, "dropout": 0.0, **STEPS}


def tanks():
    return pl.DataFrame(columns(8, 40, c=float))


def names():
    rows = [(letter * size, letter, size) for size in (2, 3, 4, 5) for letter in "ab"] * 5
    return pl.DataFrame(rows, schema=["name", "first", "size"], orient="row")


JOBS = {
    "series": (series, tanks, SERIES),
    "series, estimated": (series, tanks, {**SERIES, "initial_state": "estimated"}),
    "series, gaussian": (series, tanks, {**SERIES, "initial_state": "gaussian"}),
    "series, lstm": (series, tanks, {**SERIES, "cell": "lstm", "initial_state": "context"}),
    "series, fast weights": (series, tanks, {**SERIES, "cell": "fast-weights"}),
    "forecast": (forecast, tanks, FORECAST),
    "forecast, attention": (forecast, tanks, {**FORECAST, "attention": "additive", "feeding": "output"}),
    "generation": (generation, tanks, GENERATION),
    "texts": (texts, names, TEXTS),
    "texts, both": (texts, names, {**TEXTS, "context_in": "both", "cell": "gru"}),
    "pairs": (pairs, lambda: listed(WORDS[:25]), PAIRS),
    "pairs, own words": (pairs, lambda: listed(WORDS[:25]), {**PAIRS, "feeding": "embedding"}),
    "pairs, own distribution": (pairs, lambda: listed(WORDS[:25]), {**PAIRS, "feeding": "output"}),
    "pairs, input feeding": (pairs, lambda: listed(WORDS[:25]), {**PAIRS, "input_feeding": True}),
}
every_job = pytest.mark.parametrize("name", JOBS)


def on_cuda(part):
    return tree_map(lambda one: one.cuda() if isinstance(one, torch.Tensor) else one, part)


def floating(tensors):
    return [one for one in tensors if one.is_floating_point()]


@pytest.fixture
def noise_of_the_cpu(monkeypatch):
    """Draws that are the same on every device."""
    draw = torch.randn

    def drawn(*size, device=None, dtype=None, **options):
        return draw(*size, **options).to(device=device, dtype=dtype)

    monkeypatch.setattr(torch, "randn", drawn)
    monkeypatch.setattr(torch, "randn_like", lambda one, **_: drawn(one.shape, device=one.device, dtype=one.dtype))
    monkeypatch.setattr(Normal, "rsample", None)


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients_are_those_of_the_cpu(name, noise_of_the_cpu):
    case = CASES[name]
    model = case.model().double().train()  # cuDNN has gradients in training mode alone
    arguments = tree_map(lambda one: one.double() if one.is_floating_point() else one, case.arguments(3))
    results = []
    for moved, given in [(copy.deepcopy(model), arguments), (copy.deepcopy(model).cuda(), on_cuda(arguments))]:
        outputs = floating(run(moved, given))
        loss = sum((one**2).sum() for one in outputs if one.requires_grad)
        weights = [one for one in moved.parameters() if one.requires_grad]
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        assert {one.device for one in outputs} == {moved_device(moved)}
        results.append([[one.cpu() for one in outputs], [None if one is None else one.cpu() for one in gradients]])
    torch.testing.assert_close(results[1], results[0], rtol=1e-8, atol=1e-9)


def moved_device(module):
    return next(module.parameters()).device


@every_job
def test_a_job_trains_as_on_the_cpu(name, tmp_path):
    job, data, options = JOBS[name]
    losses = {}
    for accelerator in ("cpu", "cuda"):
        folder = tmp_path / f"on {accelerator}"
        job.fit(data(), **options, accelerator=accelerator, jobs=1, out=folder)
        lines = (folder / "final" / "metrics.jsonl").read_text().splitlines()
        losses[accelerator] = [json.loads(line)["loss"] for line in lines]
    assert len(losses["cuda"]) == 2
    assert all(map(math.isfinite, losses["cuda"]))
    if "gaussian" not in name:  # the noise of a device is its own
        torch.testing.assert_close(losses["cuda"][0], losses["cpu"][0], rtol=0.05, atol=0.02)


@every_job
def test_bfloat16(name, tmp_path):
    job, data, options = JOBS[name]
    model = job.fit(data(), **options, accelerator="cuda", precision="bf16-mixed", jobs=1)
    assert {one.dtype for one in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["series", "forecast", "generation", "texts", "pairs"])
def test_a_model_file_of_a_card_is_used_without_one(name, tmp_path):
    job, data, options = JOBS[name]
    model = job.fit(data(), **options, accelerator="cuda", jobs=1, out=tmp_path / "run")
    kind = type(model)
    loaded = kind.load(tmp_path / "run" / "final" / "model.safetensors")
    assert {one.device.type for one in loaded.parameters()} == {"cpu"}
    for key, one in loaded.state_dict().items():
        torch.testing.assert_close(one, model.state_dict()[key].cpu(), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["series", "forecast", "generation", "texts", "pairs"])
def test_a_comparison(name, tmp_path):
    job, data, options = JOBS[name]
    found = job.compare(data(), data(), **options, seeds=2, accelerator="cuda", jobs=2, out=tmp_path / "run")
    assert (tmp_path / "run" / "results.json").exists()
    again = job.compare(
        data(), data(), **options, seeds=2, accelerator="cuda", jobs=2, out=tmp_path / "run", resume=True
    )
    assert again.table() == found.table()


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole = series.fit(tanks(), **{**SERIES, "epochs": 4}, accelerator="cuda", jobs=1)
    from contextual_rnn.study import fit as module

    saved, original = [], module.Checkpoint.save

    def stop(checkpoint, history):
        original(checkpoint, history)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(module.Checkpoint, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        series.fit(tanks(), **{**SERIES, "epochs": 4}, accelerator="cuda", jobs=1, out=tmp_path / "run")
    monkeypatch.setattr(module.Checkpoint, "save", original)
    model = series.fit(
        tanks(), **{**SERIES, "epochs": 4}, accelerator="cuda", jobs=1, out=tmp_path / "run", resume=True
    )
    for key, one in whole.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key].cpu(), one.cpu(), rtol=1e-5, atol=1e-6)


def test_the_command_line_and_too_many_devices(tmp_path, capsys):
    table = str(tmp_path / "tanks.csv")
    tanks().write_csv(table)
    options = ["--inputs", "u", "--targets", "y", "--series", "id", "--epochs", "1", "--updates", "2", "--hidden", "4"]
    options += ["--length", "20", "--accelerator", "auto"]
    assert not main(["fit", "series", "--train", table, *options, "--out", str(tmp_path / "run")])
    assert not main(["predict", str(tmp_path / "run"), "--inputs", table, "--out", str(tmp_path / "out.csv")])
    assert (tmp_path / "out.csv").exists()
    count = torch.cuda.device_count() + 1
    many = [*options[:-1], "cuda", "--devices", str(count), "--out", str(tmp_path / "many")]
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        raise SystemExit(main(["fit", "series", "--train", table, *many]))
    assert end.value.code == 2
    assert f"--devices {count}: {count - 1} GPU" in capsys.readouterr().err
    assert not (tmp_path / "many").exists()
