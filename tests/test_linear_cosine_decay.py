"""Linear cosine decay: the data as published, and the command that reproduces its figures."""

import json
import math

import pytest
import torch

from contextual_rnn import TrajectorySeeds
from contextual_rnn.cli import main
from contextual_rnn.papers.decay.distribution_model import DecayDistribution, told_of
from contextual_rnn.papers.decay.model import (
    HIDDEN,
    STEPS,
    TRAINING_PERIODS,
    DecayModel,
    Scaling,
    Sequences,
    decay,
    free_run_error,
    one_step_error,
)


def model(kind="gaussian", period_at_every_step=False):
    torch.manual_seed(0)
    training = Sequences.draw(TRAINING_PERIODS, 20, seed=0)
    scaling = Scaling.of(training)
    return DecayModel(kind, period_at_every_step, scaling.lowest_change, scaling.highest_change).eval(), training


def test_values_of_the_equation():
    x = decay(torch.tensor([4.0]), torch.tensor([2.0]))
    assert x.shape == (1, 26)
    by_hand = [4 * ((26 - t) / 26 * (1 + math.cos(2 * math.pi * 2 * t / 26)) / 2 + 0.001) for t in range(26)]
    assert x[0].tolist() == pytest.approx(by_hand, abs=1e-6)
    assert x[0, 0] == pytest.approx(4.004)


def test_training_changes_fill_the_scale():
    training = Sequences.draw(TRAINING_PERIODS, 100, seed=1)
    assert training.x.shape == (500, 26)
    scaled = Scaling.of(training).change(training.x.diff(dim=1))
    assert float(scaled.min()) == pytest.approx(-1)
    assert float(scaled.max()) == pytest.approx(1)
    assert set(training.period.tolist()) == set(TRAINING_PERIODS)
    assert 2 * 1.001 <= float(training.x[:, 0].min()) <= float(training.x[:, 0].max()) <= 4 * 1.001


def test_changes_scale_back_and_are_clipped():
    scaling = Scaling(-2.0, 1.0)
    change = torch.tensor([-2.0, 0.3, 1.0])
    assert torch.allclose(scaling.unscale_change(scaling.change(change)), change)
    assert scaling.unscale_change(torch.tensor([7.0])).item() == pytest.approx(1.0)


def test_the_model_starts_as_the_paper_has_it():
    lstm = model()[0].rnn.core
    assert (lstm.bias_ih_l0 + lstm.bias_hh_l0)[HIDDEN : 2 * HIDDEN].tolist() == [1.0] * HIDDEN
    assert model()[0].rnn.initial_state.base.features == 50


@pytest.mark.parametrize("kind", ["zero", "free", "context", "gaussian"])
@pytest.mark.parametrize("every_step", [True, False])
def test_a_free_run_repeats_the_one_step_model(kind, every_step):
    decay_model, sequences = model(kind, every_step)
    x, period = sequences.x[::20], sequences.period[::20]
    run = decay_model.free_run(x[:, 0], period, STEPS)
    predicted = decay_model.scaling.unscale_change(decay_model(run[:, :-1], period))
    assert torch.allclose(run[:, :-1] + predicted, run[:, 1:], atol=1e-5)


def test_errors_are_those_of_their_definition():
    decay_model, sequences = model("zero", True)
    with torch.no_grad():
        predicted = decay_model(sequences.x[:, :-1], sequences.period)
    wanted = decay_model.scaling.change(sequences.x[:, 1:] - sequences.x[:, :-1])
    assert one_step_error(decay_model, sequences) == pytest.approx(float(((predicted - wanted) ** 2).mean()), rel=1e-5)
    run = decay_model.free_run(sequences.x[:, 0], sequences.period, STEPS)
    rmse = float(((run - sequences.x)[:, 1:] ** 2).mean() ** 0.5)
    assert free_run_error(decay_model, sequences) == pytest.approx(rmse, rel=1e-5)


def test_sampled_trajectories_differ_and_do_not_depend_on_their_batch():
    decay_model, _ = model()
    x0, period = torch.full((6,), 3.0), torch.full((6,), 2.0)
    runs = decay_model.free_run(x0, period, 10, sample=True, generator=TrajectorySeeds(5))
    assert float(runs[:, 1:].std(dim=0).min()) > 0
    later = decay_model.free_run(x0[:2], period[:2], 10, sample=True, generator=TrajectorySeeds(5, first=4))
    assert torch.allclose(later, runs[4:], atol=1e-5)


def test_reproduce_draws_the_figures_and_reports(tmp_path, capsys):
    out = tmp_path / "lcd"
    main(["reproduce", "lcd", "--smoke", "--seeds", "2", "--out", str(out)])
    printed = capsys.readouterr().out
    assert "one-step error is lowest from h0 =" in printed
    assert str(out / "figures") in printed
    for name in ("figure_4", "figure_5", "figure_6"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000
        assert (out / "figures" / f"{name}.svg").exists()
    report = json.loads((out / "results.json").read_text())
    assert len(report["runs"]) == 6 * 2  # four kinds, and two more that complete the two by two
    assert {(run["initial_state"], run["period"]) for run in report["runs"]} >= {
        ("zero", "nowhere"),
        ("context", "at every step"),
    }
    assert {"runs", "summary", "differences", "verdict"} <= report.keys()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.safetensors")}
    main(["reproduce", "lcd", "--smoke", "--seeds", "2", "--out", str(out), "--resume"])
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.safetensors")}


def test_distributions_are_trained_sampled_and_scored(tmp_path, capsys):
    out = tmp_path / "lcd"
    main(["reproduce", "lcd", "--distribution", "--smoke", "--seeds", "2", "--out", str(out)])
    said = capsys.readouterr().out
    assert "Told noisy start, bound objective, unseen periods:" in said
    report = json.loads((out / "results.json").read_text())
    assert len(report["runs"]) == 3 * 2 * 2
    rows = [row for row in report["calibration"] if row["measure"] == "covered_90%"]
    assert len(rows) == 6 * (2 + 9)
    assert all(0 <= row["low"] <= row["middle"] <= row["high"] <= 1 for row in rows)
    assert {path.name for path in (out / "figures").glob("*.png")} == {"coverage.png", "trajectories.png"}


def test_a_free_run_of_a_distribution_feeds_what_it_says():
    torch.manual_seed(0)
    model, sequences = DecayDistribution("start", "bound").eval(), Sequences.draw((1.5, 2.0), 3, seed=0)
    context = told_of(sequences, "start", seed=0)
    run = model.free_run(sequences.x, context) + sequences.x[:, 1:]
    own = torch.cat([sequences.x[:, :1], run], dim=1)
    torch.testing.assert_close(model.one_step(own, context), torch.zeros_like(run), rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_does_not_depend_on_the_start(seed):
    sequences = Sequences.draw((1.0,), 4000, seed=3 * seed)  # as training draws them
    start = sequences.x[:, 0]
    noise = told_of(sequences, "noisy start", seed)["start"] - start
    for some in (start < 2.5, start > 3.5):
        assert 0.27 < noise[some].std() < 0.33


def test_noise_is_on_what_is_told_of_the_start_alone():
    sequences = Sequences.draw(TRAINING_PERIODS, 400, seed=0)
    noisy = told_of(sequences, "noisy start", seed=1)["start"] - sequences.x[:, 0]
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.1)
    assert set(told_of(sequences, "period", seed=1)) == {"period"}
    assert torch.equal(told_of(sequences, "start", seed=1)["start"], sequences.x[:, 0])
