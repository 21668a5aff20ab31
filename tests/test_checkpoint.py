"""Checkpoints: a damaged one is never used, but the one before it; and the state of an optimiser is checked first."""

import json
import random
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from contextual_rnn import InputError
from contextual_rnn._core import checkpoint
from contextual_rnn._core.checkpoint import BEST, NAME, PREVIOUS
from contextual_rnn._core.tensor_files import write_tensors
from contextual_rnn.errors import DataWarning
from contextual_rnn.study.fit import TrainingSettings, fit

PROBE = torch.ones(4, 3)


class Interrupted(Exception):
    """Stands for a process that is killed."""


def train(folder, stop_after=None):
    """Train five epochs and return the weights, which are those of the first epoch; or stop after an epoch."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    module, seen = nn.Linear(3, 2), []

    def batches():
        if seen and seen[-1]["epoch"] == stop_after:
            raise Interrupted
        return [torch.randn(4, 3) for _ in range(2)]

    def loss(module, x):
        return module(x).square().mean()

    fit(
        module, loss, batches, TrainingSettings(epochs=5, learning_rate=0.1), folder=folder, on_epoch=seen.append,
        evaluate=lambda module: {"gain": -float(loss(module, PROBE))}, minimise=("gain",),
    )  # fmt: skip
    return module.state_dict()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def stopped(tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path / "run", stop_after=3)
    return tmp_path / "run"


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in other)


def test_the_checkpoint_before_is_used_and_said_if_the_last_is_damaged(stopped, whole):
    (stopped / NAME).write_bytes((stopped / NAME).read_bytes()[:-1])
    with pytest.warns(DataWarning, match=r"checkpoint.safetensors is damaged .*; training goes on from the checkpoint"):
        assert equal(train(stopped), whole)


def test_a_damaged_checkpoint_is_not_kept_as_the_one_before(stopped, whole, monkeypatch):
    (stopped / NAME).write_bytes(b"")

    def killed(*_, **__):
        raise Interrupted

    monkeypatch.setattr(checkpoint, "write_tensors", killed)
    with pytest.raises(Interrupted), pytest.warns(DataWarning):
        train(stopped)
    monkeypatch.undo()
    assert equal(train(stopped), whole)


def test_a_run_whose_checkpoints_are_all_damaged_is_refused(stopped):
    for name in (NAME, PREVIOUS):
        (stopped / name).write_bytes(b"")
    with pytest.raises(InputError, match="no checkpoint before it is whole; delete its folder to start the run again"):
        train(stopped)


def test_a_run_killed_between_two_checkpoints_goes_on_without_a_word(stopped, whole):
    (stopped / NAME).unlink()
    assert equal(train(stopped), whole)


@pytest.mark.parametrize("name", [NAME, PREVIOUS, BEST])
def test_no_flipped_bit_gives_other_weights(stopped, whole, name):
    generator = random.Random(0)
    before = {file.name: file.read_bytes() for file in stopped.iterdir() if file.is_file()}
    for _ in range(40):
        for file, content in before.items():
            (stopped / file).write_bytes(content)
        content = bytearray(before[name])
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        (stopped / name).write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            try:
                assert equal(train(stopped), whole)
            except InputError as error:
                assert f"{name} is damaged" in str(error)  # noqa: PT017
                assert name == BEST


def rewritten(path, change):
    """Write a checkpoint as version 0.1 wrote it, without a checksum, with other tensors."""
    history = json.loads(_header(path))["history"]
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, {"history": json.dumps(history)})


def _header(path):
    content = path.read_bytes()
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]["checkpoint"]


CHANGES = {
    "a moment of one number": lambda tensors: tensors.update({"optimizer.0.exp_avg": torch.zeros(1)}),
    "a moment is missing": lambda tensors: tensors.pop("optimizer.0.exp_avg"),
    "a moment of another dtype": lambda tensors: tensors.update(
        {"optimizer.0.exp_avg": tensors["optimizer.0.exp_avg"].half()}
    ),
    "one more state": lambda tensors: tensors.update({"optimizer.0.other": torch.zeros(2, 3)}),
    "a step of two": lambda tensors: tensors.update({"optimizer.0.step": torch.zeros(2)}),
    "the state of no parameter": lambda tensors: tensors.update({"optimizer.7.exp_avg": torch.zeros(2)}),
    "a weight of another dtype": lambda tensors: tensors.update({"module.bias": torch.zeros(2).double()}),
    "no weights": lambda tensors: tensors.pop("module.bias"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_tensors_that_do_not_fit_are_refused_before_they_are_used(stopped, change):
    (stopped / PREVIOUS).unlink()
    rewritten(stopped / NAME, change)
    with pytest.raises(InputError, match=r"checkpoint.safetensors is damaged \(.*; delete its folder"):
        train(stopped)


def test_a_checkpoint_of_version_0_1_is_continued(stopped, whole):
    (stopped / PREVIOUS).unlink()
    rewritten(stopped / NAME, lambda tensors: None)
    save_file(load_file(stopped / BEST), stopped / BEST)
    assert equal(train(stopped), whole)


def test_best_weights_that_may_be_of_another_epoch_are_refused(stopped):
    tensors = load_file(stopped / BEST)
    save_file(tensors, stopped / BEST, {"best": json.dumps({"epoch": 1})})
    with pytest.raises(InputError, match=r"best.safetensors is damaged \(its checksum is missing\)"):
        train(stopped)
    write_tensors(stopped / BEST, tensors, "best", {"epoch": 2})
    with pytest.raises(InputError, match=r"best.safetensors is damaged \(it has the weights of epoch 2\); delete"):
        train(stopped)
