"""Forecasts by encoder and decoder: fit, compare and forecast, in Python and from the command line."""

import json
import pathlib
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from forecasts import HORIZON, PAST, TINY, model, records, settings

from contextual_rnn import InputError, load
from contextual_rnn.cli import main
from contextual_rnn.data.scaled_errors import squares_by_series
from contextual_rnn.data.series import Record, collate
from contextual_rnn.jobs import forecast
from contextual_rnn.jobs.forecast import train as training_module
from contextual_rnn.jobs.forecast.metrics import METRICS, errors_of, mean_squares, scores
from contextual_rnn.jobs.forecast.model import ForecastModel
from contextual_rnn.jobs.forecast.settings import ForecastSettings
from contextual_rnn.jobs.forecast.windows import cut_windows, hold_out_ends, not_validated_in_words
from contextual_rnn.seq2seq import ATTENTIONS, BRIDGES, ScheduledSampling

COLUMNS = {"targets": ["y"], "inputs": ["u"], "context": ["kind"], "series": "name", "past": PAST, "horizon": HORIZON}
LEARNS = {"hidden": 12, "updates": 15, "learning_rate": 0.03, "epochs": 10, "base": "last"}


def table(number, steps=90, first=0):
    """Series whose level is the sum of inputs that are shown one step before; the sign depends on the context."""
    frames, time = [], np.arange(steps)
    for index in range(first, first + number):
        level = np.cumsum(np.sin(0.7 * time + index)) * (1 if index % 2 else -1)
        names = {"name": f"s{index}", "kind": "up" if index % 2 else "down"}
        frames.append(pl.DataFrame({**names, "u": np.sin(0.7 * (time + 1) + index), "y": level}))
    return pl.concat(frames)


def pandas(frame):
    return pd.DataFrame(frame.to_dict(as_series=False))


def failure(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize(("inputs", "context"), [(0, 0), (1, 1)])
def test_training_on_its_own_outputs_alone_minimises_the_error_of_its_forecasts(inputs, context, attention):
    network = model(inputs, context, attention=attention)
    batch = collate(cut_windows(records(inputs=inputs, context=context), network.settings))
    free = network(batch[0], batch[1][:, :PAST], batch[2])
    error = ((free - batch[1][:, PAST:]) / network.target_scale).square().mean()
    own = network.loss(batch, ScheduledSampling(1.0, "output"))
    assert torch.allclose(own, error, rtol=1e-5)
    truth = network.loss(batch)
    assert not torch.allclose(own, truth, rtol=1e-3)
    assert torch.equal(network.loss(batch, ScheduledSampling(0.0, "output")), truth)


def test_targets_of_the_horizon_are_not_read():
    network = model()
    windows = cut_windows(records(), network.settings)
    past = torch.arange(PAST + HORIZON).unsqueeze(1) < PAST
    blind = [Record(r.name, r.inputs, torch.where(past, r.targets, torch.nan), r.context) for r in windows]
    other = [Record(r.name, -r.inputs, r.targets, r.context) for r in windows]
    seen, unseen, changed = (list(network.forecasts(several)) for several in (windows, blind, other))
    assert all(torch.equal(a, b) for a, b in zip(seen, unseen, strict=True))
    assert not any(torch.allclose(a, b) for a, b in zip(seen, changed, strict=True))


@pytest.mark.parametrize("bridge", BRIDGES)
def test_a_saved_model_forecasts_the_same(bridge, tmp_path):
    network = model(bridge=bridge, attention="additive", cell="lstm", layers=2)
    network.save(tmp_path / "model.safetensors")
    windows = cut_windows(records(), network.settings)
    again = load(tmp_path / "model.safetensors")
    assert torch.equal(torch.stack(list(network.forecasts(windows))), torch.stack(list(again.forecasts(windows))))


def test_horizons_follow_one_another():
    windows = cut_windows(records(1, steps=PAST + 3 * HORIZON + 2), settings())
    whole = records(1, steps=60)[0].targets[:, 0]
    assert [float(one.targets[PAST, 0]) for one in windows] == [float(whole[PAST + HORIZON * k]) for k in range(3)]
    assert all(len(one) == PAST + HORIZON for one in windows)


def test_a_pickled_window_does_not_hold_the_whole_series():
    (whole,) = records(1, steps=50_000)
    window = pickle.loads(pickle.dumps(whole.part(10, 20)))
    assert torch.equal(window.targets, whole.targets[10:20])
    assert len(pickle.dumps(window)) < 5000 < len(pickle.dumps(whole))


def test_a_report_counts_the_series_in_which_the_model_is_better(fitted):
    network, _ = fitted
    assert {"mase", "rmsse"} <= network.report.rows["test"].keys() & network.report.rows["linear, test"].keys()
    words = " ".join(str(network.report).split())
    assert re.search(r"The model has a lower RMSE than persistence in \d+ of \d+ series; it is worst in 's\d+'", words)


def test_metrics_are_those_of_their_definition():
    errors = torch.randn(5, HORIZON, 2, dtype=torch.float64)
    found = scores(errors)
    assert found["rmse"] == pytest.approx(float(errors.square().mean().sqrt()))
    assert found["last_step_rmse"] == pytest.approx(float(errors[:, -1].square().mean().sqrt()))
    windows = [*cut_windows(records(1, steps=60), settings()), *cut_windows(records(2, steps=40)[1:], settings())]
    errors = torch.randn(len(windows), HORIZON, 2, dtype=torch.float64)
    count = sum(one.name == "s0" for one in windows)
    squares = mean_squares(errors)
    found = squares_by_series(errors, [window.name for window in windows])
    assert found == pytest.approx([float(squares[:count].mean()), float(squares[count:].mean())])


@pytest.mark.parametrize("size", [1e20, 1e-24])
def test_targets_of_any_size_have_errors(size):
    network = model()
    sized = [Record(r.name, r.inputs, size * r.targets, r.context) for r in records()]
    network.standardise(sized)
    found = mean_squares(errors_of(network.forecasts, cut_windows(sized, network.settings), network))
    assert found.isfinite().all()
    assert (found > 0).all()


def test_the_ends_of_series_are_held_out():
    beginnings, ends = hold_out_ends(records(2, steps=200), 20)
    assert [len(one) for one in beginnings + ends] == [160, 160, 40, 40]
    assert torch.equal(torch.cat([beginnings[1].targets, ends[1].targets]), records(2, steps=200)[1].targets)
    assert [len(one) for one in hold_out_ends([*records(1, steps=200), *records(1, steps=39)], 20)[0]] == [160, 39]
    named = not_validated_in_words([f"s{number}" for number in range(8)], [40, 41, *[39] * 6], 20)
    assert named[0].startswith(
        "6 of 8 series are too short to validate on, with fewer than 40 steps (twice `past` and `horizon`), and trained "
        "on whole: 's2', 's3', 's4', 's5', 's6' and 1 more. The other 2 alone decide on"
    )
    assert not not_validated_in_words(["a"], [40], 20)
    with pytest.raises(InputError, match="the longest training series has 39 steps, but 40 are needed"):
        hold_out_ends(records(1, steps=39), 20)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecast") / "run"
    return forecast.fit(table(8), test=pandas(table(3, first=8)), **COLUMNS, **LEARNS, out=folder), folder


def split(frame):
    """Return the first 82 steps of every series, and the last 8."""
    step = pl.int_range(pl.len()).over("name")
    return frame.filter(step < 82), frame.filter(step >= 82)


def test_forecasts_of_new_series_are_better_than_persistence(fitted):
    network, folder = fitted
    past, future = split(table(3, first=8))
    found = network.forecast(past, future.drop("y"))
    assert found.columns == ["name", "step", "y_predicted"]
    assert found["name"].to_list() == future["name"].to_list()
    assert found["step"].to_list() == [*range(1, 9)] * 3
    last = past.group_by("name", maintain_order=True).last()["y"].to_numpy().repeat(HORIZON)
    errors, held = (np.sqrt(np.mean((future["y"] - values).to_numpy() ** 2)) for values in (found["y_predicted"], last))
    assert errors < 0.5 * held
    rows = network.report.rows
    assert list(rows) == ["training", "validation", "test", "persistence, test", "mean, test", "linear, test"]
    assert rows["test"]["rmse"] < 0.5 * rows["persistence, test"]["rmse"] < rows["mean, test"]["rmse"]
    results = json.loads((folder / "results.json").read_text())
    assert results["metrics"]["rmse"] == rows["test"]["rmse"]
    written = pl.read_csv(folder / "errors_by_series.csv")
    assert written["name"].to_list() == ["s8", "s9", "s10"]
    assert written["forecasts"].to_list() == [9, 9, 9]
    sums = written["forecasts"] * written["MAE of the model"]
    assert sums.sum() / 27 == pytest.approx(rows["test"]["mae"], rel=1e-4)
    assert (written["RMSE of the model"] < written["RMSE of persistence"]).all()
    assert f"Errors by series: {folder / 'errors_by_series.csv'}" in str(network.report)
    history = [json.loads(line) for line in (folder / "final" / "metrics.jsonl").read_text().splitlines()]
    best = min(history, key=lambda metrics: metrics["scaled_validation_rmse"])
    assert rows["validation"]["rmse"] == best["validation_rmse"]  # the weights are those of the best epoch
    assert {path.name for path in (folder / "figures").glob("*.png")} == {"forecasts.png", "history.png"}


def test_the_kind_of_frame_and_the_index_are_kept(fitted):
    network, _ = fitted
    past, future = split(table(2))
    times = pd.date_range("2026-03-28", periods=len(future), freq="h", tz="Europe/Berlin")
    shuffled = pandas(future).set_index(times).iloc[::-1].groupby("name", sort=False).apply(lambda part: part[::-1])
    shuffled = shuffled.droplevel(0) if shuffled.index.nlevels > 1 else shuffled
    found = network.forecast(pandas(past), shuffled.assign(name=[*["s1"] * 8, *["s0"] * 8]))
    assert isinstance(found, pd.DataFrame)
    assert list(found.index) == list(times)  # s0 first, as in the past
    assert found.index.tz is not None
    assert list(found["name"]) == ["s0"] * 8 + ["s1"] * 8
    plain = network.forecast(past, pandas(future))
    assert isinstance(plain, pl.DataFrame)
    np.testing.assert_allclose(plain["y_predicted"], found["y_predicted"], rtol=1e-6)


def test_a_run_in_two_tables_equals_a_run_over_files(fitted, tmp_path, capsys):
    network, folder = fitted
    past, future = split(table(3, first=8))
    past.write_csv(tmp_path / "past.csv")
    future.write_csv(tmp_path / "future.csv")
    out = tmp_path / "out.csv"
    main([str(one) for one in ["forecast", folder, "--past", tmp_path / "past.csv", "--future", tmp_path / "future.csv",
          "--out", out]])  # fmt: skip
    assert "8 steps after the last row of each of 3 series." in capsys.readouterr().out
    written = pl.read_csv(out)
    np.testing.assert_allclose(written["y_predicted"], network.forecast(past, future)["y_predicted"], rtol=1e-4)


def test_a_model_without_inputs_context_or_series_column():
    train = table(1).select("y").rename({"y": "step"})
    network = forecast.fit(train, targets=["step"], past=PAST, horizon=HORIZON, base="last", **TINY)
    found = network.forecast(pandas(train))
    assert list(found.columns) == ["step", "step_predicted"]
    assert list(found["step"]) == list(range(1, 9))
    with pytest.raises(InputError, match="the model has no inputs, and `future` has no targets"):
        network.forecast(train, train.rename({"step": "other"}))
    future = train[:HORIZON] + 1
    assert network.forecast(train, future)["step"].to_list() == pytest.approx(future["step"].to_list())


def test_a_series_column_of_integers_named_step_is_kept():
    train = table(2).with_columns(step=pl.col("name").str.strip_prefix("s").cast(pl.Int64))
    network = forecast.fit(train, targets=["y", "u"], series="step", past=PAST, horizon=HORIZON, base="last", **TINY)
    assert "standard deviations of each target" in " ".join(str(network.report).split())
    found = network.forecast(train)
    assert found.columns == ["step", "step_", "y_predicted", "u_predicted"]
    assert found["step"].to_list() == [0] * 8 + [1] * 8


def test_what_is_wrong_with_tables_is_said(fitted):
    network, _ = fitted
    past, future = split(table(3, first=8))
    begins = "at least 20 are needed, since `past` is 12 and `horizon` is 8; begin each series with the 12 rows before "
    with pytest.raises(InputError, match=begins):
        forecast.fit(table(2), test=future, **COLUMNS, **TINY, base="last")
    for given, said in (
        ((past,), "give `future`, a table with the columns"),
        ((past, table(2)), "has no series 's8', whose inputs are needed"),
        ((past.head(5), future), "series 's8' has 5 steps, but at least 12 are needed"),
        ((past, future.group_by("name", maintain_order=True).head(7)), "has 7 steps, but at least 8 are needed"),
        ((past.with_columns(kind=pl.lit("left")), future), "the training table has no label 'left'"),
        ((3, future), "`past` must be a path, a pandas or polars data frame, or an Arrow table; found int"),
    ):
        with pytest.raises(InputError, match=said):
            network.forecast(*given)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"horizon": 0}, "`horizon` must be at least 1; found 0"),
        ({"sampling": 1.5}, "`sampling` must be at least 0 and at most 1; found 1.5"),
        ({"bridge": "projct"}, "`bridge` must be one of .*; did you mean 'project'"),
        ({"feeding": "embedding"}, "`feeding` must be one of truth, output; found 'embedding'"),
        ({"hidden": [4, 8]}, "`hidden` must be an integer"),
        ({"past": 90}, "series 's0' has 90 steps, but one series must have at least 196"),
        ({"past": 40}, "the longest training series has 90 steps, but 96 are needed"),
    ],
)
def test_settings_are_checked(options, said):
    with pytest.raises(InputError, match=said):
        forecast.fit(table(2), **{**COLUMNS, **TINY, "base": "last", **options})


def test_compare_tries_each_factor_alone(tmp_path):
    options = {**COLUMNS, **TINY, "feeding": ["output", "truth"], "seeds": 2, "jobs": 1, "out": tmp_path / "run"}
    train, test = table(4), table(10, first=8)
    found = forecast.compare(train, test, **options)
    assert found.answer.startswith("Does the bridge matter? Not enough runs to tell. The forecast RMSE of zero is ")
    assert "\nFeeding truth instead of output (project, none, truth against project, none, output):" in found.verdict
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    kinds = ["project, none, output", "zero, none, output", "project, none, truth"]
    assert list(dict.fromkeys(run["initial_state"] for run in results["runs"])) == kinds
    for run in results["runs"]:
        assert len(run["rmse_by_step"]) == HORIZON
        assert run["metrics"]["rmse"] == pytest.approx(np.sqrt(np.mean(run["squared_error_by_series"])), rel=1e-5)
        assert run["metrics"]["last_step_rmse"] == pytest.approx(run["rmse_by_step"][-1], rel=1e-5)
    assert set(results["baselines"]) == {"persistence", "mean", "linear"}
    assert [row["family"] for row in results["differences"]] == ["primary", "secondary", "secondary", "secondary"]
    assert [metric.key for metric in METRICS] == [row["metric"] for row in results["differences"][:2]]
    assert all(len(line) <= 80 for line in found.table().splitlines())
    for name in ("errors", "forecasts", "horizon"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 5000
    before = (tmp_path / "run" / "results.json").read_bytes()  # with the seconds of each run
    forecast.compare(train, test, **options, resume=True)
    assert (tmp_path / "run" / "results.json").read_bytes() == before


def test_compare_of_a_single_variant_compares_nothing():
    options = {**COLUMNS, **TINY, "seeds": 1, "jobs": 1}
    found = forecast.compare(table(2), table(1), bridge=["zero"], feeding="truth", refit=True, **options)
    assert "Each model was fitted again to all rows of the training table (refit)." in found.note
    assert "Errors are in the unit of the target, of 9 forecasts, whose horizons do not overlap; lower is" in found.note
    assert not found.differences
    assert "nothing to compare" in found.answer
    with pytest.raises(InputError, match="`test` is required"):
        forecast.compare(table(2), None, **options)
    with pytest.raises(InputError, match="`attention` needs at least one value"):
        forecast.compare(table(2), table(1), attention=[], **options)
    with pytest.raises(InputError, match="`bridge` must be one of"):
        forecast.compare(table(2), table(1), bridge=["zero", "copied"], **options)


def test_the_commands_say_what_is_wrong(fitted, tmp_path, capsys):
    _, folder = fitted
    past = tmp_path / "past.csv"
    table(2).write_csv(past)
    command = ["forecast", folder, "--past", past]
    assert "give --future" in failure(capsys, *command, "--out", tmp_path / "out.csv")
    assert "give another name" in failure(capsys, *command, "--future", past, "--out", past)
    fit = ["fit", "forecast", "--train", past, "--targets", "y", "--out", tmp_path / "run"]
    assert "--horizon must be at least 1" in failure(capsys, *fit, "--horizon", 0)
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_resumes_to_the_same_bytes(tmp_path, monkeypatch):
    chosen = ForecastSettings(**{**COLUMNS, "hidden": 4, "updates": 4, "epochs": 3, "sampling": 0.9})
    data = training_module.read_tables(table(4), None, None, chosen)
    config = json.loads(json.dumps(training_module.Training(data).run("run", chosen, 1).config))

    def train(name, breaks_at=None):
        (tmp_path / name).mkdir(exist_ok=True)
        draws, count = training_module.random_windows, [0]

        def breaking(*arguments):
            def batches():
                for batch in draws(*arguments)():
                    count[0] += 1
                    if count[0] == breaks_at:
                        raise KeyboardInterrupt
                    yield batch

            return batches

        with monkeypatch.context() as patch:
            patch.setattr(training_module, "random_windows", breaking)
            results = training_module.Training(data)(config, tmp_path / name)
        return results, (tmp_path / name / "model.safetensors").read_bytes()

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("broken", breaks_at=7)
    assert train("broken") == whole


def test_nothing_is_left_on_disk_without_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = forecast.compare(table(2), table(1), bridge=["zero"], feeding=["truth"], **COLUMNS, **TINY, seeds=1, jobs=1)
    assert not list(pathlib.Path(tmp_path).iterdir())
    assert found.plot_forecasts(2).axes
    found.save(tmp_path / "run")
    assert isinstance(load(tmp_path / "run" / "runs" / "zero-none-truth-seed-0"), ForecastModel)
