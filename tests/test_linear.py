"""The linear baseline: it recovers a linear system, simulates from its own outputs, and leaves out what is missing."""

import numpy as np
import pytest
import torch

from contextual_rnn._core.records import Record
from contextual_rnn.linear import LinearModel, choose_linear


def system(seed, steps=300, start=0.0):
    """A stable second-order system with one input, without noise, and its context."""
    u, y = np.random.default_rng(seed).normal(size=steps), np.full(steps, start)
    for t in range(2, steps):
        y[t] = 1.5 * y[t - 1] - 0.7 * y[t - 2] + 0.3 * u[t - 1] + 2
    inputs, targets = (torch.tensor(values, dtype=torch.float32).unsqueeze(1) for values in (u, y))
    return Record(f"s{seed}", inputs, targets, torch.zeros(0))


def rmse(model, records):
    found = model.predictions(records)
    return float(
        np.sqrt(
            np.mean(
                [float((a - b.targets[model.window :]).square().mean()) for a, b in zip(found, records, strict=True)]
            )
        )
    )


def test_a_linear_system_is_simulated_exactly():
    training, test = [system(seed) for seed in range(4)], [system(9, 100, start=5.0), system(8, 40, start=-5.0)]
    splits = [(training[:2], training[2:]), (training[2:], training[:2])]
    model = choose_linear(training, splits, 3, rmse)
    assert model.order >= 2
    assert rmse(model, test) < 1e-2 * float(torch.cat([record.targets for record in test]).std())
    assert [len(one) for one in model.predictions(test)] == [97, 37]


def test_without_a_window_only_inputs_are_read():
    training = [system(seed) for seed in range(3)]
    model = choose_linear(training, [(training[:2], training[2:])], 0, rmse)
    assert model.order == 0
    again = [
        Record("a", record.inputs, torch.full_like(record.targets, torch.nan), record.context) for record in training
    ]
    torch.testing.assert_close(model.predictions(again), model.predictions(training))


def test_missing_targets_are_left_out():
    whole, record = system(0), system(0)
    record.targets[50:60] = torch.nan
    one, other = (LinearModel(3, 2, 2, 1e-9).fit([each]) for each in (whole, record))
    np.testing.assert_allclose(one.coefficients, other.coefficients, atol=1e-2)


def test_orders_whose_lags_are_never_known_are_left_out():
    training = [system(seed) for seed in range(2)]
    for record in training:
        record.targets[torch.arange(300) % 3 > 0] = torch.nan
    assert choose_linear(training, [(training, [system(5)])], 6, rmse).order == 0


def test_an_unstable_model_stays_finite():
    growing = torch.tensor(1.5 ** np.arange(60), dtype=torch.float32).unsqueeze(1)
    record = Record("a", torch.zeros(60, 1), growing, torch.zeros(0))
    (found,) = (
        LinearModel(1, 1, 1, 1e-9)
        .fit([record])
        .predictions([Record("b", torch.zeros(5000, 1), growing.new_ones(5000, 1), torch.zeros(0))])
    )
    assert found.isfinite().all()


def test_nothing_known_is_refused():
    record = Record("a", torch.zeros(5, 1), torch.full((5, 1), torch.nan), torch.zeros(0))
    with pytest.raises(ValueError, match="no step has a target"):
        LinearModel(1, 1, 1, 1e-9).fit([record])
