"""The kinds of initial state of the job on series that are compared on request."""

import dataclasses

import pytest
import torch
from tanks import QUICK, TANK, model, panda, records

from contextual_rnn import InputError, estimate_state, load
from contextual_rnn._core.records import collate
from contextual_rnn.jobs import series
from contextual_rnn.jobs.series import SeriesModel

KINDS = ["context", "estimated", "context+estimated", "handoff"]


def with_weight(kind, weight):
    """A model of known parameters with this weight."""
    made = model(kind)
    other = SeriesModel(dataclasses.replace(made.settings, estimate_weight=weight), dict(made.fields.items()))
    other.load_state_dict(made.state_dict())
    return other.eval()


def predicted(of, batch):
    inputs, targets, context, lengths = batch
    with torch.no_grad():
        return of(inputs, targets[:, :3], context, lengths)[0]


@pytest.mark.parametrize("kind", KINDS[1:3])
def test_a_heavy_weight_leaves_the_start_that_the_model_was_trained_with(kind):
    batch = collate(records())
    trained = predicted(model(kind).train(), batch)
    torch.testing.assert_close(predicted(with_weight(kind, 1e9), batch), trained, atol=1e-5, rtol=1e-5)
    assert (predicted(with_weight(kind, 0.01), batch) - trained).abs().max() > 1e-3


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder, test = tmp_path_factory.mktemp("estimated") / "run", panda(2)
    chosen = {**TANK, **QUICK, "series": "id", "window": 3, "estimate_weight": 0.5}
    found = series.compare(panda(3), test, initial_states=KINDS, seeds=1, jobs=1, out=folder, **chosen)
    return found, folder, test


def test_the_kinds_are_compared_with_context(compared):
    found, _, _ = compared
    assert {run["initial_state"] for run in found.runs} == set(KINDS)
    errors = [run["metrics"]["free_run_rmse"] for run in found.runs]
    assert len(set(errors)) == 4


def test_a_saved_model_predicts_as_it_was_scored(compared):
    found, folder, test = compared
    for run in found.runs:
        read = load(folder / "runs" / f"{run['initial_state']}-seed-0")
        assert read.settings.estimate_weight == 0.5
        assert read.predict(test).rmse["y"] == pytest.approx(run["metrics"]["free_run_rmse"], rel=1e-4)


def test_missing_targets_of_the_window_do_not_count():
    chosen = {**TANK, **QUICK, "series": "id", "window": 3, "missing": "hold", "initial_state": "estimated"}
    made = SeriesModel(series.SeriesSettings(**chosen)).eval()
    inputs, opening = torch.rand(1, 6, 2), torch.tensor([[[0.5, 0.0], [9.0, 1.0], [0.7, 0.0]]])
    other = opening.clone()
    other[0, 1, 0] = -9.0
    with torch.no_grad():
        first, second = (made(inputs, one, torch.zeros(1, 0), torch.tensor([6]))[0] for one in (opening, other))
    assert torch.equal(first, second)


def test_handoff_maps_the_final_state_of_a_core_over_the_window():
    made, (inputs, targets, context, lengths) = model("handoff"), collate(records())
    steps = [made.standardised_inputs(inputs)[:, :3], made.standardised_targets(targets[:, :3])]
    read = torch.cat([*steps, context.unsqueeze(1).expand(-1, 3, -1)], dim=2)
    state = made.rnn.initial_state
    with torch.no_grad():
        _, final = state.network.rnn.core(read)
        h0 = state.maps[0](final[0]).unsqueeze(1)
        wanted = made.head(made.rnn(made.standardised_inputs(inputs)[:, 3:], state=h0)[0])
        found = made(inputs, targets[:, :3], context, lengths)[0]
    found = (found - made.target_mean) / made.target_scale
    torch.testing.assert_close(found[:, :20], wanted[:, :20])  # the first series ends after 27 steps


def test_the_state_of_a_model_that_was_trained_from_zero_can_be_estimated():
    zero, known = model("zero"), records()
    plain, heavy, light = ([y for _, y, _ in zero.simulate(known, weight)] for weight in (None, 1e9, 0.1))
    torch.testing.assert_close(heavy, plain, atol=1e-4, rtol=1e-4)
    assert (light[0] - plain[0]).abs().max() > 5e-4  # of a core with random weights, which forgets its start soon

    inputs, targets = known[0].inputs.unsqueeze(0), known[0].targets.unsqueeze(0)
    h0 = estimate_state(
        lambda x, state: zero.carry_on(x, state, None),
        inputs[:, :3],
        targets[:, :3],
        start=(zero.rnn.initial_state(1), torch.zeros(1, zero.carried_size)),
        weight=0.1,
        scale=zero.target_scale,
    )
    with torch.no_grad():
        expected = zero.carry_on(inputs, h0, None)[0][0, 3:]
    torch.testing.assert_close(light[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("context", {"estimate_weight": 0.1}, "that of 'context' starts after the window"),
        ("warm-up", {"estimate_weight": 0.1}, "that of 'warm-up' reads the targets of the window"),
        ("zero", {"estimate_weight": -1.0}, "at least 0; found -1.0"),
        ("zero", {"estimate_weight": 0.1, "start": {}}, "which `start` gives"),
    ],
)
def test_a_state_that_cannot_be_estimated_is_refused(kind, options, said):
    with pytest.raises(InputError, match=said):
        model(kind).predict(panda(2, c=float), **options)
