"""Linear cosine decay: the published data, the model, and the reproduction of the figures."""

import json
import math

import numpy as np
import pytest
import torch

from contextual_rnn import TrajectorySeeds
from contextual_rnn.errors import InputError
from contextual_rnn.papers.decay import reproduce
from contextual_rnn.papers.decay.data import STEPS, TRAINING_PERIODS, Scaling, Sequences, decay
from contextual_rnn.papers.decay.distribution import MEASURES, PERIODS, calibration
from contextual_rnn.papers.decay.distribution_model import DecayDistribution, context_of
from contextual_rnn.papers.decay.model import HIDDEN, DecayModel, free_run_error, one_step_error
from contextual_rnn.papers.decay.reproduce import _conclusion
from contextual_rnn.serialization import load, save


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


def test_the_core_starts_from_the_same_weights_with_every_kind_of_h0():
    weights = [model(kind)[0].rnn.core.weight_hh_l0 for kind in ("zero", "free", "context", "gaussian")]
    assert all(torch.equal(weights[0], other) for other in weights[1:])


def test_a_model_is_written_and_read_back(tmp_path):
    for made in (model("gaussian")[0], DecayDistribution("noisy start", "bound").eval()):
        made.eval()
        path = tmp_path / "model.safetensors"
        save(made, path)
        again = load(path)
        assert type(again) is type(made)
        assert again.state_dict().keys() == made.state_dict().keys()
        assert all(torch.equal(again.state_dict()[name], value) for name, value in made.state_dict().items())


def test_reproduce_draws_the_figures_and_reports(tmp_path):
    out = tmp_path / "lcd"
    said = reproduce(out=out, smoke=True, seeds=1, jobs=1)
    assert said.startswith("After 2 epochs:")
    for name in ("figure_4", "figure_5", "figure_6"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000
        assert (out / "figures" / f"{name}.svg").exists()
    report = json.loads((out / "results.json").read_text())
    kinds = [(run["initial_state"], run["period"]) for run in report["runs"]]
    assert kinds == [  # four kinds, and two more that complete the two by two
        ("zero", "at every step"),
        ("free", "at every step"),
        ("context", "in h0 only"),
        ("gaussian", "in h0 only"),
        ("context", "at every step"),
        ("zero", "nowhere"),
    ]
    assert {"runs", "summary", "differences", "verdict"} == report.keys()
    assert {(row["a"], row["b"]) for row in report["differences"]} >= {
        ("context, in h0 only", "zero, at every step"),
        ("context, at every step", "context, in h0 only"),
    }
    before = {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.safetensors")}
    assert len(before) == 6
    assert reproduce(out=out, smoke=True, seeds=1, jobs=1, resume=True) == said
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.safetensors")}


def test_the_last_words_compare_h0_from_context_with_zero(tmp_path):
    out = tmp_path / "demo"
    before = torch.get_rng_state()
    said = reproduce(out=out, smoke=True, initial_states=["zero", "gaussian"], seeds=1, jobs=1)
    assert torch.equal(torch.get_rng_state(), before)  # training is seeded, but not in the caller's generator
    verdict, places = said.rsplit("\n\n", 1)
    assert (
        places
        == f"Results: {out / 'results.json'}\nFigures: {out / 'figures'} (figure_4.png, figure_5.png, figure_6.png, learning.png)"
    )
    assert max(map(len, verdict.splitlines())) <= 80
    report = json.loads((out / "results.json").read_text())
    last = report["verdict"].splitlines()[-1]
    ours, zero = (
        [run["metrics"] for run in report["runs"] if run["initial_state"] == kind] for kind in ("gaussian", "zero")
    )
    change = ours[0]["one_step_mse"] / zero[0]["one_step_mse"] - 1
    assert last.startswith("At epoch 2, with h0 sampled around a function of the context, the one-step error on unseen")
    assert f"{abs(change):.0%} {'lower' if change < 0 else 'higher'} than with h0 = 0" in last
    assert last.endswith("(1 seed, so this is an example and no finding).")


def test_the_last_words_say_the_early_gain_first_and_the_later_loss_after_it():
    kinds = [{"initial_state": "zero", "period": "at every step"}, {"initial_state": "context", "period": "in h0 only"}]
    errors = {"zero": (0.0024, 0.0005), "context": (0.00156, 0.0011)}
    runs = [
        {
            **kind,
            "seed": seed,
            "metrics": {
                "one_step_mse_at_epoch_10": errors[kind["initial_state"]][0] * (1 + 0.01 * seed),
                "one_step_mse": errors[kind["initial_state"]][1] * (1 + 0.01 * seed),
            },
        }
        for kind in kinds
        for seed in range(5)
    ]
    _blank, first, second = _conclusion(kinds, runs, 65)
    assert first.startswith("At epoch 10, with h0 computed from the context, ")
    assert "is 35% lower than with h0 = 0 and the period at every step (ratio 0.65, 95% interval" in first
    assert second.startswith("At epoch 65, it is 2.2 times as high as with h0 = 0")
    assert second.endswith("5 seeds).")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial_states": ["zero", "contxt"]}, "`initial_states` must be one of .*; did you mean 'context'"),
        ({"initial_states": []}, "`initial_states` needs at least one value"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"seeds": 0}, "`seeds` must be at least 1"),
        ({"jobs": 0}, "`jobs` must be"),
        ({"distribution": True, "initial_states": ["zero"]}, "`initial_states` is for the figures"),
    ],
)
def test_wrong_settings_are_refused_before_a_folder_is_made(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        reproduce(out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_setting_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TypeError, match="'epoch'; did you mean 'epochs'"):
        reproduce(out=tmp_path / "run", epoch=3)
    with pytest.raises(TypeError, match="learning_rate"):  # it is as published
        reproduce(out=tmp_path / "run", learning_rate=1e-3)


def test_distributions_are_trained_sampled_and_scored(tmp_path):
    out = tmp_path / "lcd"
    said = reproduce(out=out, smoke=True, seeds=1, jobs=1, distribution=True)
    assert max(map(len, said.splitlines()[:-2])) <= 80
    assert "noisy start, bound\n  training periods" in said
    report = json.loads((out / "results.json").read_text())
    assert len(report["runs"]) == 3 * 2
    rows = [row for row in report["calibration"] if row["measure"] == "covered_90%"]
    assert len(rows) == 6 * (2 + 9)
    assert all(0 <= row["low"] <= row["middle"] <= row["high"] <= 1 for row in rows)
    assert {(row["a"], row["b"]) for row in report["differences"]} == {
        (f"{known}, bound", f"{known}, published") for known in ("period", "noisy start", "start")
    }
    assert {path.name for path in (out / "figures").glob("*.png")} == {
        "coverage.png",
        "learning.png",
        "trajectories.png",
    }


def test_sequences_of_one_start_are_one_item_of_an_interval():
    """All periods have the same x(0): where their scores are equal, more periods do not narrow an interval."""
    kind, generator = {"told": "period", "objective": "bound"}, np.random.default_rng(0)
    runs = []
    for seed in range(5):
        scores = {measure: generator.random(20).tolist() for measure in MEASURES}
        runs.append({**kind, "seed": seed, "by_period": {str(period): scores for period in PERIODS}})
    rows = [row for row in calibration(runs, [kind]) if row["measure"] == "crps"]
    ends = {row["periods"]: (row["low"], row["high"]) for row in rows}
    assert ends["training periods"] == pytest.approx(ends["T = 1"])
    assert ends["T = 1"][1] - ends["T = 1"][0] > 0.05


def test_a_free_run_of_a_distribution_feeds_its_own_values():
    torch.manual_seed(0)
    model, sequences = DecayDistribution("start", "bound").eval(), Sequences.draw((1.5, 2.0), 3, seed=0)
    context = context_of(sequences, "start", seed=0)
    run = model.free_run(sequences.x, context) + sequences.x[:, 1:]
    own = torch.cat([sequences.x[:, :1], run], dim=1)
    torch.testing.assert_close(model.one_step(own, context), torch.zeros_like(run), rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1])
def test_noise_does_not_depend_on_the_start(seed):
    sequences = Sequences.draw((1.0,), 4000, seed=3 * seed)  # as training draws them
    start = sequences.x[:, 0]
    noise = context_of(sequences, "noisy start", seed)["start"] - start
    for some in (start < 2.5, start > 3.5):
        assert 0.27 < noise[some].std() < 0.33


def test_noise_is_on_the_start_alone():
    sequences = Sequences.draw(TRAINING_PERIODS, 400, seed=0)
    noisy = context_of(sequences, "noisy start", seed=1)["start"] - sequences.x[:, 0]
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.1)
    assert set(context_of(sequences, "period", seed=1)) == {"period"}
    assert torch.equal(context_of(sequences, "start", seed=1)["start"], sequences.x[:, 0])
