"""The model of series and its metrics: padding, free runs, carrying on, and what the errors are."""

import numpy as np
import polars as pl
import pytest
import torch
from tanks import columns, model, records

from contextual_rnn import load
from contextual_rnn._core.folds import fold
from contextual_rnn.data.fields import learn_fields
from contextual_rnn.data.series import Record, collate, random_windows, read_series
from contextual_rnn.errors import InputError
from contextual_rnn.jobs import series
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings
from contextual_rnn.jobs.series.metrics import mean_baseline, persistence, scores
from contextual_rnn.jobs.series.train import SquaredLoss, scoring_of
from contextual_rnn.kinds import COMPARED


@pytest.mark.parametrize("kind", COMPARED)
def test_padding_and_other_series_change_no_prediction(kind):
    alone = [next(model(kind).simulate([record])) for record in records()]
    together = list(model(kind).simulate(records()))
    for (_, one, state), (record, many, many_state) in zip(alone, together, strict=True):
        assert one.shape == (len(record) - 3, 1)
        assert torch.allclose(one, many, atol=1e-6)
        length = torch.tensor([len(record)])
        carried, again = (model(kind).carry_on(record.inputs[None], one, length)[0] for one in (state, many_state))
        assert torch.allclose(carried, again, atol=1e-6)


@pytest.mark.parametrize("kind", COMPARED)
def test_carrying_on_equals_the_whole_run(kind):
    record = records(1)[0]
    (_, whole, _), (_, first, state) = (next(model(kind).simulate([part])) for part in (record, record.part(0, 12)))
    rest, _ = model(kind).carry_on(record.inputs[None, 12:], state, torch.tensor([len(record) - 12]))
    assert torch.allclose(whole, torch.cat([first, rest[0]]), atol=1e-5)


@pytest.mark.parametrize("kind", COMPARED)
def test_targets_are_read_in_the_window_only_and_only_by_kinds_that_use_it(kind):
    record = records(1)[0]
    with torch.no_grad():
        inputs, targets, context, lengths = collate([record])
        before, _ = model(kind)(inputs, targets[:, :3], context, lengths)
        after, _ = model(kind)(inputs, targets[:, :3] + 1, context, lengths)
    record.targets[3:] = torch.nan
    (_, without_later, _) = next(model(kind).simulate([record]))
    assert torch.equal(before[0], without_later)
    reads_targets = kind not in ("zero", "free", "error-noise")
    assert torch.equal(before, after) is not reads_targets


def test_window_washout_and_padding_are_left_out_of_the_loss():
    batch = collate(records())
    changed = (batch[0], batch[1].clone(), *batch[2:])
    changed[1][:, 3:5] += 100  # the washout
    changed[1][0, 30:] += 100  # the padding of the first series
    loss = SquaredLoss(washout=2)
    assert torch.equal(loss(model("zero"), batch), loss(model("zero"), changed))
    changed[1][0, 5] += 100  # the first step that counts
    assert loss(model("zero"), batch) < loss(model("zero"), changed)
    changed = (batch[0], batch[1].clone(), *batch[2:])
    changed[1][0, 29] += 100  # the last
    assert loss(model("zero"), batch) < loss(model("zero"), changed)


def test_windows_are_drawn_evenly_and_short_series_whole():
    torch.manual_seed(0)
    long = Record("long", torch.arange(12.0).view(-1, 1), torch.zeros(12, 1), torch.zeros(0))
    short = Record("short", torch.full((4, 1), -1.0), torch.zeros(4, 1), torch.zeros(0))
    starts = []
    for inputs, _, _, lengths in random_windows([long, short], 10, 50, 40)():
        assert set(lengths.tolist()) <= {10, 4}
        starts += inputs[:, 0, 0].tolist()
    counts = np.unique(starts, return_counts=True)
    assert counts[0].tolist() == [-1, 0, 1, 2]  # one place in the short series, three in the long
    assert counts[1].min() > 400


def test_folds_hold_out_every_step_once_and_train_on_none_of_them():
    (record,) = records(1, 40)
    seen = []
    for index in range(4):
        rest, (held_out,) = fold([record], index, 4, window=3)
        seen.append(held_out.inputs)
        assert not set(held_out.inputs.flatten().tolist()) & set(torch.cat([r.inputs for r in rest]).flatten().tolist())
    assert torch.equal(torch.cat(seen), record.inputs)
    rest, held_out = fold(records(9), 1, 3, window=3)
    assert [one.name for one in held_out] == ["s1", "s4", "s7"]
    assert len(rest) == 6
    with pytest.raises(InputError, match="'s0' has 30 steps, too few for 4 folds with a `window` of 6"):
        fold(records(1), 0, 4, window=6)
    with pytest.raises(InputError, match="too few for 4 folds of whole series: at least 8 are needed"):
        fold(records(7), 0, 4, window=3, whole=True)


def test_metrics_are_those_of_their_definition():
    (record,) = records(1, 40)
    one = model("context")
    found = scores(one.predictions, [record], scoring_of(one, length=10))
    (predicted,) = one.predictions([record])
    squared = (predicted - record.targets[3:]) ** 2
    assert found["free_run_rmse"] == pytest.approx(float(squared.mean().sqrt()))
    assert found["first_20_rmse"] == pytest.approx(float(squared[:20].mean().sqrt()))
    parts = [record.part(0, 13), record.part(13, 26), record.part(26, 39)]
    windows = [(out - part.targets[3:]) ** 2 for part, out in zip(parts, one.predictions(parts), strict=True)]
    assert found["window_rmse"] == pytest.approx(float(torch.cat(windows).mean().sqrt()))
    held = scores(persistence(3), [record], scoring_of(one, 10))["free_run_rmse"]
    assert held == pytest.approx(float(((record.targets[3:] - record.targets[2]) ** 2).mean().sqrt()))
    flat = scores(mean_baseline(torch.tensor([0.5]), 3), [record], scoring_of(one, 10))["free_run_rmse"]
    assert flat == pytest.approx(float(((record.targets[3:] - 0.5) ** 2).mean().sqrt()))


def test_several_targets_count_alike_whatever_their_units():
    (record,) = records(1)
    record = Record("both", record.inputs, torch.cat([record.targets, 1e6 * record.targets], 1), torch.zeros(1))
    two = model("zero", targets=("y", "ohms"))
    two.standardise([record])
    assert scores(two.predictions, [record], scoring_of(two, 10))["free_run_rmse"] < 10


def test_a_quantity_that_never_varies_has_scale_1():
    settings = SeriesSettings(inputs=["u"], targets=["y"], context=["area"], series="id")
    series = read_series(pl.DataFrame(columns(6, 4, area=lambda number: 0.1)), settings)
    field = learn_fields(series, settings)["area"]
    assert field(torch.tensor([0.1, 1.1], dtype=torch.float64), 2).flatten().tolist() == pytest.approx([0, 1])


def test_a_saved_model_is_read_back_whole(tmp_path):
    one = model("every-step")
    one.save(tmp_path / "tank")
    for again in (load(tmp_path / "tank"), series.load(tmp_path / "tank")):
        assert isinstance(again, SeriesModel)
        assert again.settings == one.settings
        assert torch.equal(next(again.predictions(records(1))), next(one.predictions(records(1))))
