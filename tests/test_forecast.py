"""Forecasts by encoder and decoder: what is read, what is fed, the commands, and what they say of bad input."""

import json

import numpy as np
import pytest
import torch

from contextual_rnn import InputError, load
from contextual_rnn.cli import main
from contextual_rnn.data.series import Columns
from contextual_rnn.data.table import Table
from contextual_rnn.jobs.forecast import train as forecast_runs
from contextual_rnn.jobs.forecast.model import (
    ForecastConfig,
    ForecastModel,
    forecasts,
    hold_last,
    squared_errors,
    stack,
    windows,
)
from contextual_rnn.jobs.forecast.train import ForecastTraining, hold_out_ends
from contextual_rnn.jobs.series.runs import SeriesFiles
from contextual_rnn.jobs.series.train import Record
from contextual_rnn.seq2seq import ATTENTIONS, BRIDGES, ScheduledSampling
from contextual_rnn.study.comparison import bootstrap_difference, in_words

PAST, HORIZON = 12, 8


def records(number=3, steps=40, inputs=1, context=1):
    made, time = [], torch.arange(steps, dtype=torch.float32)
    for index in range(number):
        targets = torch.sin(0.5 * time + index)
        made.append(
            Record(
                f"s{index}",
                torch.cos(0.5 * time + index).unsqueeze(1)[:, :inputs],
                torch.stack([targets, 2 * targets - 1], dim=1),
                torch.full((context,), float(index)),
            )
        )
    return made


def model(inputs=1, context=1, **config):
    torch.manual_seed(0)
    found = ForecastModel(ForecastConfig(PAST, HORIZON, hidden=6, **config), inputs, 2, context)
    every = records(inputs=inputs)
    found.standardise(torch.cat([r.inputs for r in every]), torch.cat([r.targets for r in every]))
    return found


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize(("inputs", "context"), [(0, 0), (1, 1)])
def test_trained_on_its_own_output_alone_it_is_trained_on_its_forecasts(inputs, context, attention):
    network = model(inputs, context, attention=attention)
    batch = stack(windows(records(inputs=inputs, context=context), network.settings))
    free = network.forecast(batch.inputs, batch.targets[:, :PAST], batch.context)
    error = ((free - batch.targets[:, PAST:]) / network.target_scale).square().mean()
    own = network.loss(batch, ScheduledSampling(1.0, "output"))
    assert torch.allclose(own, error, rtol=1e-5)
    truth = network.loss(batch)
    assert not torch.allclose(own, truth, rtol=1e-3)
    never = network.loss(batch, ScheduledSampling(0.0, "output"))
    assert torch.equal(never, truth)


def test_no_target_to_come_is_read():
    network = model()
    stretches = windows(records(), network.settings)
    blind = [
        Record(r.name, r.inputs, torch.where(torch.arange(20).unsqueeze(1) < PAST, r.targets, torch.nan), r.context)
        for r in stretches
    ]
    assert all(torch.equal(a, b) for a, b in zip(forecasts(network, stretches), forecasts(network, blind), strict=True))
    other = [Record(r.name, -r.inputs, r.targets, r.context) for r in stretches]
    assert not any(
        torch.allclose(a, b) for a, b in zip(forecasts(network, stretches), forecasts(network, other), strict=True)
    )


@pytest.mark.parametrize("bridge", BRIDGES)
def test_saved_it_forecasts_the_same(bridge, tmp_path):
    from contextual_rnn import save

    network = model(bridge=bridge, attention="additive", cell="lstm", layers=2)
    save(network, tmp_path / "model.safetensors")
    stretches = windows(records(), network.settings)
    again = load(tmp_path / "model.safetensors")
    assert torch.equal(squared_errors(network, stretches), squared_errors(again, stretches))


def test_horizons_follow_each_other():
    stretches = windows(records(1, steps=PAST + 3 * HORIZON + 2), ForecastConfig(PAST, HORIZON))
    starts = [float(one.targets[PAST, 0]) for one in stretches]
    assert len(stretches) == 3
    whole = records(1, steps=60)[0].targets[:, 0]
    assert starts == [float(whole[PAST + HORIZON * number]) for number in range(3)]
    assert all(len(one) == PAST + HORIZON for one in stretches)


def test_holding_the_last_value_is_the_baseline():
    network = model()
    stretches = windows(records(), network.settings)
    expected = ((stretches[0].targets[PAST:] - stretches[0].targets[PAST - 1]) / network.target_scale).square().mean(1)
    assert torch.allclose(hold_last(network, stretches)[0], expected.double())


def test_the_ends_of_series_are_held_out():
    beginnings, ends = hold_out_ends(records(2, steps=200), 20)
    assert [len(one) for one in beginnings + ends] == [160, 160, 40, 40]
    assert torch.equal(torch.cat([beginnings[1].targets, ends[1].targets]), records(2, steps=200)[1].targets)
    with pytest.raises(InputError, match="the longest series has 39 steps; past and horizon take 20, and twice that"):
        hold_out_ends(records(1, steps=39), 20)


def write(path, number, steps=90, first=0):
    lines = ["name,kind,u,y"]
    for index in range(first, first + number):
        kind = "up" if index % 2 else "down"
        level = np.cumsum(np.sin(0.7 * np.arange(steps) + index)) * (1 if index % 2 else -1)
        lines += [f"s{index},{kind},{np.sin(0.7 * (t + 1) + index):.5f},{level[t]:.5f}" for t in range(steps)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


ROLES = ["--targets", "y", "--inputs", "u", "--context", "kind", "--series", "name"]
SMALL = ["--past", "12", "--horizon", "8", "--hidden", "12", "--updates", "20", "--learning-rate", "0.02"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast")
    tables = ["--train", write(folder / "train.csv", 8), "--test", write(folder / "test.csv", 3, first=8)]
    main(["fit", "forecast", *tables, *ROLES, *SMALL, "--epochs", "20", "--out", str(folder / "run")])
    return folder


def test_what_follows_a_table_is_forecast(trained, tmp_path, capsys):
    metrics = json.loads((trained / "run" / "results.json").read_text())["metrics"]
    rows = (trained / "test.csv").read_text().splitlines()
    past, future = tmp_path / "past.csv", tmp_path / "future.csv"
    for path, chosen in ((past, range(82)), (future, range(82, 90))):
        kept = [row for number, row in enumerate(rows[1:]) if number % 90 in chosen]
        path.write_text("\n".join([rows[0], *kept]) + "\n")
    command = ["forecast", str(trained / "run"), "--past", str(past), "--out", str(tmp_path / "out.csv")]
    main([*command, "--future", str(future)])
    assert "8 steps after each of 3 series" in capsys.readouterr().out
    found, truth = Table.read(tmp_path / "out.csv").frame, Table.read(future).frame
    assert found["name"].to_list() == truth["name"].to_list()
    assert [int(step) for step in found["step"]] == [*range(1, 9)] * 3
    errors = np.array([float(value) for value in found["y"]]) - np.array([float(value) for value in truth["y"]])
    held = Table.read(past).frame["y"].to_list()[81::82]
    holding = np.array([float(value) for value in truth["y"]]) - np.repeat([float(value) for value in held], 8)
    assert np.sqrt(np.mean(errors**2)) < 0.5 * np.sqrt(np.mean(holding**2))
    assert metrics["rmse"] < 1


def test_errors_of_several_targets_say_what_they_are_in(trained, tmp_path, capsys):
    command = ["fit", "forecast", "--train", str(trained / "train.csv"), "--series", "name", *SMALL, "--epochs", "1"]
    main([*command, "--targets", "y", "u", "--out", str(tmp_path / "two")])
    assert "in standard deviations of each target in training" in capsys.readouterr().out
    main([*command, "--targets", "y", "--out", str(tmp_path / "one")])
    assert "in the target's own unit" in capsys.readouterr().out


def failure(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


def test_what_is_wrong_with_the_call_is_said(trained, tmp_path, capsys):
    table, out = trained / "test.csv", ["--out", tmp_path / "out.csv"]
    forecast = ["forecast", trained / "run", "--past", table]
    assert "must be known of the steps to forecast too: give --future" in failure(capsys, *forecast, *out)
    assert "is one of the tables" in failure(capsys, *forecast, "--future", table, "--out", table)
    other = write(tmp_path / "other.csv", 2)
    assert "has no series 's8', whose inputs are needed" in failure(capsys, *forecast, "--future", other, *out)
    short = write(tmp_path / "short.csv", 1, steps=10)
    assert "'s0' has 10 steps, and at least 12" in failure(
        capsys, "forecast", trained / "run", "--past", short, "--future", table, *out
    )
    fit = ["fit", "forecast", "--train", short, *ROLES, *SMALL, "--out", tmp_path / "run"]
    assert "has 10 steps, and at least 20 are needed" in failure(capsys, *fit)
    assert "--horizon must be greater than 0" in failure(capsys, *fit, "--horizon", 0)
    compare = ["compare", "forecast", "--train", table, *ROLES, *SMALL, "--out", tmp_path / "run"]
    assert "needs --test" in failure(capsys, *compare)
    assert not (tmp_path / "run").exists()
    assert "holds a PairModel, not a ForecastModel" in failure(
        capsys, "forecast", pairs(tmp_path), "--past", table, *out
    )


def pairs(folder):
    from contextual_rnn import save
    from contextual_rnn.data.pairs import Units
    from contextual_rnn.jobs.pairs.model import PairConfig, PairModel

    (folder / "pairs").mkdir()
    save(
        PairModel(PairConfig(hidden=2, embedding=2), ["a"], ["b"], Units("characters", "characters")),
        folder / "pairs" / "model.safetensors",
    )
    return folder / "pairs"


def test_comparing_tells_what_each_factor_is_worth(trained, tmp_path, capsys):
    tables = ["--train", str(trained / "train.csv"), "--test", str(trained / "test.csv")]
    command = [
        "compare",
        "forecast",
        *tables,
        *ROLES,
        *SMALL,
        "--epochs",
        "4",
        "--seeds",
        "2",
        "--out",
        str(tmp_path / "run"),
    ]
    main(command)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert capsys.readouterr().out.strip() == results["verdict"].strip()
    kinds = ["project, none, output", "zero, none, output", "project, none, truth"]
    assert list(dict.fromkeys(run["initial_state"] for run in results["runs"])) == kinds
    for run in results["runs"]:
        assert len(run["rmse_by_step"]) == 8
        assert run["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(run["squared_error_by_series"])), rel=1e-5)
        assert run["metrics"]["last_step_rmse"] == pytest.approx(run["rmse_by_step"][-1], rel=1e-5)
    assert results["baselines"]["hold-last"]["rmse"] > 0
    for name in ("errors", "forecasts"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 5000
    before = (tmp_path / "run" / "results.json").read_bytes()  # with the seconds of each run
    main([*command, "--resume"])
    assert (tmp_path / "run" / "results.json").read_bytes() == before


def test_stretches_of_a_series_count_as_one():
    stretches = windows([*records(1, steps=60), *records(2, steps=40)[1:]], ForecastConfig(PAST, HORIZON))
    errors = torch.arange(len(stretches) * HORIZON, dtype=torch.float64).view(-1, HORIZON)
    count = sum(one.name == "s0" for one in stretches)
    assert forecast_runs.by_series(errors, stretches) == [float(errors[:count].mean()), float(errors[count:].mean())]
    runs = [
        {"initial_state": kind, "seed": seed, "squared_error_by_series": [1.0 + seed, level]}
        for kind, level in (("a", 4.0), ("b", 1.0))
        for seed in range(5)
    ]
    assert "over 2 test series" in in_words(bootstrap_difference(runs, "a", "b"))


@pytest.mark.parametrize("size", [1e20, 1e-24])
def test_targets_of_any_size_have_errors(size):
    network = model()
    sized = [Record(r.name, r.inputs, size * r.targets, r.context) for r in records()]
    network.standardise(torch.cat([r.inputs for r in sized]), torch.cat([r.targets for r in sized]))
    found = squared_errors(network, windows(sized, network.settings))
    assert found.isfinite().all()
    assert (found > 0).all()


def test_a_column_of_series_called_step_is_kept(trained, tmp_path):
    text = (trained / "train.csv").read_text().replace("name,", "step,", 1)
    (tmp_path / "train.csv").write_text(text)
    roles = ["--targets", "y", "--series", "step"]
    fit = ["fit", "forecast", "--train", str(tmp_path / "train.csv"), *roles, *SMALL, "--epochs", "1"]
    main([*fit, "--out", str(tmp_path / "run")])
    main(["forecast", str(tmp_path / "run"), "--past", str(tmp_path / "train.csv"), "--out", str(tmp_path / "out.csv")])
    found = Table.read(tmp_path / "out.csv").frame
    assert found["step"].to_list()[::8] == [f"s{index}" for index in range(8)]
    assert [int(step) for step in found["step_"]] == [*range(1, 9)] * 8


def test_a_broken_run_resumes_to_the_same_bytes(trained, tmp_path, monkeypatch):
    files = SeriesFiles(str(trained / "train.csv"), Columns(("u",), ("y",), ("kind",), "name"), None, None)
    config = forecast_runs.job(
        "run", ForecastConfig(PAST, HORIZON, hidden=4), ForecastTraining(3, 4, 8, sampling=0.9), files, 1
    ).config
    config = json.loads(json.dumps(config))

    def train(name, breaks_at=None):
        (tmp_path / name).mkdir(exist_ok=True)
        draws, count = forecast_runs.random_stretches, [0]

        def breaking(*arguments):
            def batches():
                for batch in draws(*arguments)():
                    count[0] += 1
                    if count[0] == breaks_at:
                        raise KeyboardInterrupt
                    yield batch

            return batches

        with monkeypatch.context() as patch:
            patch.setattr(forecast_runs, "random_stretches", breaking)
            return forecast_runs.train(config, tmp_path / name), (tmp_path / name / "model.safetensors").read_bytes()

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("broken", breaks_at=7)
    assert train("broken") == whole
