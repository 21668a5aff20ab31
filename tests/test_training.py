"""The training loop: the same seed gives the same bytes, and an interrupted run resumes to the same bytes."""

import contextlib
import json
import resource
import signal

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from contextual_rnn import ContextualRNN, FreeState, GaussianState, InputError, save
from contextual_rnn._core.checkpoint import best_epoch
from contextual_rnn._core.flat_adamw import FlatAdamW
from contextual_rnn.study.fit import DivergedError, TrainingSettings, fit


class Interrupted(Exception):
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
                raise Interrupted
            yield torch.randn(5, 4, 1)

    return epoch


def settings(epochs, **more):
    return TrainingSettings(epochs=epochs, learning_rate=0.01, **more)


def trained(folder, breaks_at=None, seed=3):
    folder.mkdir(exist_ok=True)
    rnn = model()
    history = fit(
        rnn, loss, batches(breaks_at), settings(4, clip=1.0), seed=seed, schedule="cosine",
        evaluate=lambda rnn: {"h": 1.0}, folder=folder,
    )  # fmt: skip
    save(rnn, folder / "model.safetensors")
    return history, (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("breaks_at", [1, 3, 4, 8, 12])
def test_an_interrupted_run_resumes_to_the_same_bytes(tmp_path, breaks_at):
    expected = trained(tmp_path / "whole")
    with pytest.raises(Interrupted):
        trained(tmp_path / "broken", breaks_at)
    assert trained(tmp_path / "broken") == expected
    lines = (tmp_path / "broken" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == expected[0]


def test_a_full_disk_is_reported(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        with pytest.raises(OSError, match=r"checkpoint.safetensors cannot be written"):
            trained(tmp_path / "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not list((tmp_path / "full").glob("*.part"))


def test_a_finished_run_is_not_trained_again(tmp_path):
    expected = trained(tmp_path / "run")
    assert trained(tmp_path / "run", breaks_at=1) == expected


def test_another_seed_gives_other_weights(tmp_path):
    assert trained(tmp_path / "a", seed=1)[1] != trained(tmp_path / "b", seed=2)[1]


def test_the_learning_rate_falls_to_zero():
    moved = []
    rnn = model()

    def watch(rnn):
        moved.append(torch.cat([parameter.flatten() for parameter in rnn.parameters()]).clone())
        return {}

    fit(rnn, loss, batches(), settings(20), schedule="cosine", evaluate=watch)
    assert (moved[-1] - moved[-2]).abs().max() < 0.05 * (moved[1] - moved[0]).abs().max()


def test_the_learning_rate_grows_over_the_first_updates_and_so_when_resumed(tmp_path, monkeypatch):
    def rates(folder, breaks_at=None):
        seen, step = [], FlatAdamW.step

        def watch(optimizer):
            seen.append(optimizer.param_groups[0]["lr"])
            step(optimizer)

        monkeypatch.setattr(FlatAdamW, "step", watch)
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(Interrupted):
            fit(model(), loss, batches(breaks_at), settings(4), warmup=8, folder=folder)
        monkeypatch.setattr(FlatAdamW, "step", step)
        return seen

    grown = [0.01 * min(1, update / 8) for update in range(1, 13)]
    assert rates(tmp_path / "whole") == pytest.approx(grown)
    rates(tmp_path / "broken", breaks_at=8)
    assert rates(tmp_path / "broken") == pytest.approx(grown[6:])


def test_a_metric_after_a_minus_sign_is_maximised():
    history = [{"bleu": 3.0}, {"bleu": 5.0}, {"bleu": 5.0}, {"bleu": 4.0}]
    assert best_epoch(history, ("-bleu",)) == 2
    values = iter(history)
    rnn = model()
    found = fit(rnn, loss, batches(), settings(9), evaluate=lambda _: next(values), minimise=("-bleu",), patience=2)
    assert len(found) == 4


def test_tied_weights_are_kept_in_checkpoints(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Linear(3, 3), nn.Linear(3, 3)
            self.other.weight = self.one.weight

        def forward(self, x):
            return self.other(self.one(x))

    def run(epochs, folder):
        torch.manual_seed(0)
        module = Tied()
        error = lambda module, x: module(x).square().mean()  # noqa: E731
        few = lambda: [torch.randn(4, 3) for _ in range(2)]  # noqa: E731
        fit(module, error, few, settings(epochs), folder=folder, evaluate=lambda _: {"e": 0.0}, minimise=("-e",))
        return module

    made = run(3, tmp_path)
    assert made.other.weight is made.one.weight
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_training_stops_as_soon_as_it_may():
    seen = []
    history = fit(
        model(), loss, batches(), settings(9), until=lambda metrics: metrics["epoch"] == 2, on_epoch=seen.append
    )
    assert len(history) == 2
    assert seen == history


def test_a_loss_that_is_not_finite_stops_with_the_step_and_a_remedy():
    def loss_at_step_five(rnn, x, count=[0]):  # noqa: B006 (it counts)
        count[0] += 1
        return loss(rnn, x) * (float("nan") if count[0] == 5 else 1)

    with pytest.raises(DivergedError, match=r"nan at step 2 of epoch 2.*lower learning rate than 0.01"):
        fit(model(), loss_at_step_five, batches(), settings(3))


def test_weights_that_are_not_finite_stop_training():
    class Overflow(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * float("nan")

    with pytest.raises(DivergedError, match="a weight is no longer a finite number"):
        fit(model(), lambda rnn, x: Overflow.apply(loss(rnn, x)), lambda: [torch.ones(5, 4, 1)], settings(1))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_an_accelerator_that_is_not_there_is_named():
    with pytest.raises(InputError, match="`accelerator` cuda is not available on this machine; give cpu or auto"):
        fit(model(), loss, batches(), settings(1, accelerator="cuda"))


ERRORS = [4.0, 2.0, 3.0, 2.0, 5.0, 1.0, 1.0, 1.0]
OTHERS = [0.0, 4.0, 0.0, 4.0, 0.0, 7.0, 6.0, 6.0]  # decides between equal values of the first


def keeps_best(folder=None, breaks_at=None, patience=None):
    rnn, seen = model(), []

    def evaluate(rnn):
        seen.append({name: value.clone() for name, value in rnn.state_dict().items()})
        place = int(rnn.initial_state.epoch) - 1
        return {"error": ERRORS[place], "other": OTHERS[place]}

    rnn.initial_state.register_buffer("epoch", torch.zeros(()))  # counted in the model: a resumed run knows it too
    inner = batches(breaks_at)

    def epoch():
        rnn.initial_state.epoch += 1
        return inner()

    if folder is not None:
        folder.mkdir(exist_ok=True)
    history = fit(
        rnn, loss, epoch, settings(8), evaluate=evaluate, minimise=("error", "other"), patience=patience, folder=folder
    )
    return rnn, history, seen


def test_the_weights_of_the_first_best_epoch_are_restored():
    rnn, history, seen = keeps_best()
    assert [metrics["error"] for metrics in history] == ERRORS
    assert all(torch.equal(value, seen[6][name]) for name, value in rnn.state_dict().items())


def test_patience_ends_training_with_the_best_weights():
    rnn, history, seen = keeps_best(patience=2)
    assert len(history) == 4  # two epochs after the second, the first best
    assert all(torch.equal(value, seen[1][name]) for name, value in rnn.state_dict().items())


@pytest.mark.parametrize("breaks_at", [4, 8, 10, 19, 22])
@pytest.mark.parametrize("patience", [None, 2, 3])
def test_an_interrupted_run_has_the_same_best_weights(tmp_path, breaks_at, patience):
    expected, history, _ = keeps_best(patience=patience)
    if breaks_at <= 3 * len(history):
        with pytest.raises(Interrupted):
            keeps_best(tmp_path / "run", breaks_at, patience)
    found, again, _ = keeps_best(tmp_path / "run", None, patience)
    assert again == history
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in expected.state_dict().items())


@pytest.mark.parametrize(("more", "name"), [({"seed": 4}, "seed"), ({"epochs": 5}, "epochs")])
def test_a_folder_is_not_continued_with_another_seed_or_other_settings(tmp_path, more, name):
    def train(seed=3, epochs=4):
        fit(model(), loss, batches(), settings(epochs), seed=seed, folder=tmp_path)

    train()
    with pytest.raises(InputError, match=f"holds a run with `{name}` .*; give the settings of that run, or another"):
        train(**more)
