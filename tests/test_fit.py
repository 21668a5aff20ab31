"""Training: the same seed gives the same bytes, and a run broken off at any moment resumes to the same bytes."""

import json

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from contextual_rnn import ContextualRNN, FreeState, GaussianState, save
from contextual_rnn.training.fit import DivergedError, FitConfig, fit


class Broken(Exception):
    """Stands for a process that is killed."""


def model():
    torch.manual_seed(0)
    core = nn.GRU(1, 4, batch_first=True)
    return ContextualRNN(core, GaussianState(FreeState(core)))


def loss(rnn, x):
    return mse_loss(rnn(x)[0].mean(-1), x.squeeze(-1))


def batches(breaks_at=None):
    count = [0]

    def epoch():
        for _ in range(3):
            count[0] += 1
            if count[0] == breaks_at:
                raise Broken
            yield torch.randn(5, 4, 1)

    return epoch


def trained(folder, breaks_at=None, seed=3):
    folder.mkdir(exist_ok=True)
    rnn = model()
    settings = FitConfig(epochs=4, learning_rate=0.01, clip=1.0, schedule="cosine", seed=seed)
    history = fit(rnn, loss, batches(breaks_at), settings, evaluate=lambda rnn: {"h": 1.0}, folder=folder)
    save(rnn, folder / "model.safetensors")
    return history, (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("breaks_at", [1, 3, 4, 8, 12])
def test_a_broken_run_resumes_to_the_same_bytes(tmp_path, breaks_at):
    expected = trained(tmp_path / "whole")
    with pytest.raises(Broken):
        trained(tmp_path / "broken", breaks_at)
    assert trained(tmp_path / "broken") == expected
    lines = (tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == expected[0]


def test_a_finished_run_is_not_trained_again(tmp_path):
    expected = trained(tmp_path / "run")
    assert trained(tmp_path / "run", breaks_at=1) == expected


def test_another_seed_gives_other_weights(tmp_path):
    assert trained(tmp_path / "a", seed=1)[1] != trained(tmp_path / "b", seed=2)[1]


def test_the_learning_rate_falls_to_nothing():
    moved = []
    rnn = model()

    def watch(rnn):
        moved.append(torch.cat([parameter.flatten() for parameter in rnn.parameters()]).clone())
        return {}

    fit(rnn, loss, batches(), FitConfig(epochs=20, learning_rate=0.01, schedule="cosine"), evaluate=watch)
    assert (moved[-1] - moved[-2]).abs().max() < 0.05 * (moved[1] - moved[0]).abs().max()


def test_a_loss_that_is_no_number_stops_with_the_step_and_a_remedy():
    def loss_at_step_five(rnn, x, count=[0]):  # noqa: B006 (it counts)
        count[0] += 1
        return loss(rnn, x) * (float("nan") if count[0] == 5 else 1)

    with pytest.raises(DivergedError, match=r"nan at step 2 of epoch 2.*lower learning rate than 0.01"):
        fit(model(), loss_at_step_five, batches(), FitConfig(epochs=3, learning_rate=0.01))


def test_weights_that_are_no_numbers_stop_training():
    class Overflow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("nan")

    with pytest.raises(DivergedError, match="a weight is no longer a finite number"):
        fit(model(), lambda rnn, x: Overflow.apply(loss(rnn, x)), lambda: [torch.ones(5, 4, 1)], FitConfig(epochs=1))
