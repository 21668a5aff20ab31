"""Series from tables, from the command line: fit, compare, predict, and what is said of bad input."""

import csv
import json
import os
import pathlib

import numpy as np
import polars as pl
import pytest
import torch

from contextual_rnn import load
from contextual_rnn.cli import main
from contextual_rnn.data.series import Columns
from contextual_rnn.data.static_context import StaticContext
from contextual_rnn.jobs.series.compare import comparisons
from contextual_rnn.jobs.series.data import fold, read_training
from contextual_rnn.jobs.series.model import KINDS, SeriesConfig, SeriesModel
from contextual_rnn.jobs.series.train import (
    Record,
    collate,
    errors,
    hold_last_errors,
    random_windows,
    scored,
    simulate,
    squared_loss,
)

QUICK = ["--epochs", "2", "--updates", "3", "--batch-size", "4", "--folds", "2", "--length", "10", "--hidden", "4"]


def level(steps, seed, start):
    """A leaking tank: its level follows the inflow, and starts anywhere."""
    inflow = np.random.default_rng(seed).uniform(0, 1, steps)
    levels = [start]
    for value in inflow[1:]:
        levels.append(0.9 * levels[-1] + 0.3 * value)
    return inflow, np.array(levels)


def write(path, series=1, steps=60, **columns):
    frames = []
    for number in range(series):
        inflow, levels = level(steps + number, number, start=number % 5)
        frame = {"id": [f"s{number}"] * len(inflow), "u": inflow, "y": levels}
        frame |= {name: [value(number)] * len(inflow) for name, value in columns.items()}
        frames.append(pl.DataFrame(frame))
    table = pl.concat(frames)
    table.write_parquet(path) if str(path).endswith("parquet") else table.write_csv(path)
    return str(path)


def records(number=3, steps=30):
    made = []
    for index in range(number):
        inflow, levels = level(steps + index, index, start=index)
        columns = (torch.tensor(values, dtype=torch.float32).unsqueeze(1) for values in (inflow, levels))
        made.append(Record(f"s{index}", *columns, torch.tensor([float(index)])))
    return made


def model(kind, window=3, context=1):
    torch.manual_seed(0)
    return SeriesModel(SeriesConfig(kind, hidden=4, window=window), 1, 1, context).eval()


def failure(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "Traceback" not in message
    return message


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_company_change_no_prediction(kind):
    alone = [next(simulate(model(kind), [record])) for record in records()]
    together = list(simulate(model(kind), records()))
    for (_, one, state), (record, many, many_state) in zip(alone, together, strict=True):
        assert one.shape == (len(record) - 3, 1)
        assert torch.allclose(one, many, atol=1e-6)
        carried = model(kind).carry_on(record.inputs[None], state, torch.tensor([len(record)]))[0]
        again = model(kind).carry_on(record.inputs[None], many_state, torch.tensor([len(record)]))[0]
        assert torch.allclose(carried, again, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_carrying_on_equals_the_whole_run(kind):
    record = records(1)[0]
    (_, whole, _), (_, first, state) = (next(simulate(model(kind), [part])) for part in (record, record.part(0, 12)))
    rest, _ = model(kind).carry_on(record.inputs[None, 12:], state, torch.tensor([len(record) - 12]))
    assert torch.allclose(whole, torch.cat([first, rest[0]]), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_targets_after_the_window_are_never_read_and_those_in_it_are_where_they_should_be(kind):
    record = records(1)[0]
    with torch.no_grad():
        inputs, targets, context, lengths = collate([record])
        before, _ = model(kind)(inputs, targets[:, :3], context, lengths)
        after, _ = model(kind)(inputs, targets[:, :3] + 1, context, lengths)
    record.targets[3:] = torch.nan
    (_, without_later, _) = next(simulate(model(kind), [record]))
    assert torch.equal(before[0], without_later)
    told = kind in ("warm-up", "every-step", "context", "gaussian")
    assert torch.equal(before, after) is not told


def test_the_washout_and_the_padding_are_left_out_of_the_loss():
    counted = scored(torch.zeros(2, 10, 1), torch.tensor([10, 6]), window=3, washout=2)
    assert counted.tolist() == [[False] * 2 + [True] * 5, [False] * 2 + [True] + [False] * 4]
    batch = collate(records())
    changed = (batch[0], batch[1].clone(), *batch[2:])
    changed[1][:, 3:5] += 100
    changed[1][0, 30:] += 100
    loss = squared_loss(washout=2)
    assert torch.equal(loss(model("zero"), batch), loss(model("zero"), changed))


def test_windows_are_drawn_evenly_and_short_series_whole():
    torch.manual_seed(0)
    long, short = Record("long", torch.arange(12.0).view(-1, 1), torch.zeros(12, 1), torch.zeros(0)), records(1, 4)[0]
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
    many = records(9)
    rest, held_out = fold(many, 1, 3, window=3)
    assert [one.name for one in held_out] == ["s1", "s4", "s7"]
    assert len(rest) == 6


def test_metrics_are_those_of_their_definition():
    (record,) = records(1, 40)
    found = errors(model("context"), [record], length=10)
    (_, predicted, _) = next(simulate(model("context"), [record]))
    squared = (predicted - record.targets[3:]) ** 2
    assert found["free_run_rmse"] == pytest.approx(float(squared.mean().sqrt()))
    assert found["first_20_rmse"] == pytest.approx(float(squared[:20].mean().sqrt()))
    parts = [record.part(0, 13), record.part(13, 26), record.part(26, 39)]
    windows = torch.cat(
        [(predicted - part.targets[3:]) ** 2 for part, predicted, _ in simulate(model("context"), parts)]
    )
    assert found["window_rmse"] == pytest.approx(float(windows.mean().sqrt()))
    held = hold_last_errors([record], 3, 10, torch.ones(1))["free_run_rmse"]
    assert held == pytest.approx(float(((record.targets[3:] - record.targets[2]) ** 2).mean().sqrt()))


def test_a_window_longer_than_its_picture_is_drawn(tmp_path):
    table = write(tmp_path / "train.csv", 4, steps=200)
    out = tmp_path / "out"
    main(["compare", "series", "--train", table, "--test", table, "--series", "id", "--inputs", "u", "--targets", "y",
          "--initial-states", "zero", "--window", "160", "--seeds", "1", *QUICK, "--out", str(out)])  # fmt: skip
    assert (out / "figures" / "start.png").exists()


def test_compare_ends_with_a_verdict_and_tests_nothing_while_it_chooses(tmp_path, capsys):
    train, test = write(tmp_path / "train.csv", 6), write(tmp_path / "test.csv", 12, steps=40)
    command = ["compare", "series", "--train", train, "--test", test, "--series", "id", "--inputs", "u", "--targets", "y",
               "--window", "3", "--seeds", "5", "--washout", "0", "2", *QUICK, "--out", str(tmp_path / "out")]  # fmt: skip
    kinds = ["zero", "warm-up", "context"]
    main([*command, "--initial-states", *kinds])
    printed = capsys.readouterr().out
    for words in ("hold-last", "lowest median free_run_rmse", "Knowing the outputs of the window (warm-up against zero)",
                  "Starting from h0 = g(context) rather than warming up", "95 % interval", "over 12 test series"):  # fmt: skip
        assert words in printed
    out = tmp_path / "out"
    report = json.loads((out / "results.json").read_text())
    assert len(report["runs"]) == 15
    assert {row["initial_state"] for row in report["summary"]} == {*kinds, "hold-last"}
    assert all(len(report["chosen"][kind]["validation"]) == 2 for kind in kinds)
    assert all((out / "figures" / name).exists() for name in ("errors.png", "start.png", "errors.svg"))
    for config in (out / "tuning").glob("*/config.json"):
        assert json.loads(config.read_text())["files"]["test"] is None
    times = {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    main([*command, "--initial-states", *kinds, "--resume"])
    assert times == {path: path.stat().st_mtime_ns for path in out.rglob("model.safetensors")}
    assert "already holds a run" in failure(capsys, *command)


def test_a_run_is_not_resumed_on_other_data(tmp_path, capsys):
    table = write(tmp_path / "a.csv")
    command = [
        "fit",
        "series",
        "--train",
        table,
        "--inputs",
        "u",
        "--targets",
        "y",
        *QUICK,
        "--out",
        str(tmp_path / "run"),
    ]
    main(command)
    main([*command, "--resume"])
    write(tmp_path / "a.csv", steps=61)
    assert "holds a run with sha256" in failure(capsys, *command, "--resume")


@pytest.mark.parametrize("cell", ["lstm", "fast-weights"])
def test_fit_then_predict_today_and_tomorrow(tmp_path, capsys, cell):
    train = write(tmp_path / "train.parquet", 5, place=lambda number: "ab"[number % 2], area=float)
    run = str(tmp_path / "run")
    columns = ["--series", "id", "--inputs", "u", "--targets", "y", "--context", "place", "area", "--window", "3"]
    main(["fit", "series", "--train", train, *columns, *QUICK, "--cell", cell, "--out", run])
    assert load(pathlib.Path(run) / "model.safetensors").settings.initial_state == "context"
    table = pl.read_parquet(train).filter(pl.col("id").is_in(["s1", "s2"]))
    days = {"whole": table, "today": table.group_by("id", maintain_order=True).head(20)}
    days["tomorrow"] = table.group_by("id", maintain_order=True).agg(pl.all().slice(20)).explode(pl.exclude("id"))
    days["tomorrow"] = days["tomorrow"].drop("y")
    for name, day in days.items():
        day.write_csv(tmp_path / f"{name}.csv")
    state = str(tmp_path / "state.safetensors")
    for name, more in (("whole", []), ("today", ["--end", state]), ("tomorrow", ["--start", state])):
        main(
            [
                "predict",
                run,
                "--inputs",
                str(tmp_path / f"{name}.csv"),
                "--out",
                str(tmp_path / f"{name}.out.csv"),
                *more,
            ]
        )
    whole, today, tomorrow = (pl.read_csv(tmp_path / f"{name}.out.csv") for name in days)
    assert whole.columns == ["id", "step", "y"]
    for series in ("s1", "s2"):
        parts = [part.filter(pl.col("id") == series)["y"].to_numpy() for part in (today, tomorrow)]
        assert np.allclose(np.concatenate(parts), whole.filter(pl.col("id") == series)["y"].to_numpy(), atol=1e-5)
    assert "root mean squared error" in capsys.readouterr().out


def test_a_table_without_a_series_column_goes_on_under_another_name(tmp_path):
    run, state = str(tmp_path / "run"), str(tmp_path / "state")
    main(
        ["fit", "series", "--train", write(tmp_path / "a.csv"), "--inputs", "u", "--targets", "y", *QUICK, "--out", run]
    )
    main(["predict", run, "--inputs", write(tmp_path / "b.csv"), "--out", str(tmp_path / "b.out.csv"), "--end", state])
    main(
        ["predict", run, "--inputs", write(tmp_path / "c.csv"), "--out", str(tmp_path / "c.out.csv"), "--start", state]
    )
    assert len(pl.read_csv(tmp_path / "c.out.csv")) == 60


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    table = write(tmp_path / "a.csv")
    for name in ("one", "two"):
        main(["fit", "series", "--train", table, "--inputs", "u", "--targets", "y", "--window", "2", *QUICK,
              "--initial-state", "gaussian", "--out", str(tmp_path / name)])  # fmt: skip
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--initial-states", "context"], "context needs something to start from: give --window, --context, or both"),
        (
            ["--initial-states", "warm-up", "--context", "area"],
            "warm-up is told the targets of a window: give --window",
        ),
        (["--targets", "z"], "has no column 'z'"),
        (["--window", "100"], "has 60 steps, and at least 102 are needed"),
        (["--washout", "10"], "leaves nothing of a --length of 10 steps"),
        (["--folds", "1"], "--folds must be at least 2"),
        (["--cell", "fast-weights", "--layers", "2"], "--layers must be 1 for --cell fast-weights; found 2"),
        (["--seeds", "0"], "--seeds must be greater than 0"),
        (["--learning-rate", "0"], "--learning-rate must be greater than 0"),
        (["--learning-rate", "1e30"], "-seed-"),
        (["--window", "40", "--epochs", "1", "2"], "too few for 2 folds with a window of 40"),
        (["--out", "FILE"], "is a file"),
        (["--out", "FILE/in"], "cannot be made"),
        (["--targets"], "--targets needs at least one value"),
        (["--washout", "35", "--length", "40", "--epochs", "1", "2"], "nothing is left to learn from"),
        (["--learning-rate", "nan"], "--learning-rate must be greater than 0; found nan"),
        (["--learning-rate"], "--learning-rate needs at least one value"),
        (["--weight-decay", "inf"], "must be at least 0 and finite"),
    ],
)
def test_bad_requests_get_one_sentence(tmp_path, capsys, more, words):
    table = write(tmp_path / "a.csv", area=float)
    more = [word.replace("FILE", table) for word in more]
    command = ["compare", "series", "--train", table, "--test", table, "--inputs", "u", "--targets", "y", *QUICK,
               "--out", str(tmp_path / "out")]  # fmt: skip
    message = failure(capsys, *command, *more)
    assert words in message


def test_predict_says_what_is_wrong(tmp_path, capsys):
    table, run, out = write(tmp_path / "a.csv", area=float), str(tmp_path / "run"), str(tmp_path / "out.csv")
    main(["fit", "series", "--train", table, "--inputs", "u", "--targets", "y", "--window", "3", *QUICK, "--out", run])
    assert "there is no such file" in failure(capsys, "predict", out, "--inputs", table, "--out", out)
    assert "a table must be" in failure(capsys, "predict", run, "--inputs", table, "--out", "out.xls")
    assert "there is no such file of states" in failure(
        capsys, "predict", run, "--inputs", table, "--out", out, "--start", str(tmp_path / "none")
    )
    model_file = str(tmp_path / "run/model.safetensors")
    assert "is no file of states" in failure(
        capsys, "predict", run, "--inputs", table, "--out", out, "--start", model_file
    )
    with open(tmp_path / "gap.csv", "w", newline="") as file:
        csv.writer(file).writerows([["u", "y"], [1, 1], [1, ""], [1, 1], [1, 1]])
    message = failure(capsys, "predict", run, "--inputs", str(tmp_path / "gap.csv"), "--out", out)
    assert "gap.csv, line 3, column 'y': a number is missing" in message
    assert not os.path.exists(out)


def test_cascaded_tanks_are_read_as_the_results_page_says(tmp_path):
    folder = os.environ.get("CONTEXTUAL_RNN_DATA")
    if not folder:
        pytest.skip("CONTEXTUAL_RNN_DATA is not set: the cascaded tanks were not read")
    published = pathlib.Path(folder, "system_identification", "cascaded_tanks.csv")
    run = str(tmp_path / "run")
    main(["fit", "series", "--train", str(published), "--inputs", "uEst", "--targets", "yEst", "--window", "5", *QUICK,
          "--out", run])  # fmt: skip
    assert load(pathlib.Path(run) / "model.safetensors").target_mean.item() == pytest.approx(5.58, abs=0.2)


def test_an_option_that_diverges_is_no_choice(tmp_path):
    main(["fit", "series", "--train", write(tmp_path / "a.csv"), "--inputs", "u", "--targets", "y", *QUICK,
          "--learning-rate", "1e30", "0.01", "--out", str(tmp_path / "run")])  # fmt: skip
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert [option["validation_free_run_rmse"] is None for option in results["validation"]] == [True, False]
    assert results["chosen"]["learning_rate"] == 0.01


def test_labels_that_are_numerals_are_known_in_a_later_table(tmp_path):
    train = write(tmp_path / "a.csv", 4, place=lambda number: "12b2"[number])
    run, later = str(tmp_path / "run"), write(tmp_path / "b.csv", 1, place=lambda number: "1")
    columns = ["--series", "id", "--inputs", "u", "--targets", "y", "--context", "place"]
    main(["fit", "series", "--train", train, *columns, *QUICK, "--out", run])
    main(["predict", run, "--inputs", later, "--out", str(tmp_path / "out.csv")])
    assert len(pl.read_csv(tmp_path / "out.csv")) == 60


def test_a_quantity_that_never_varied_has_no_tiny_scale():
    assert StaticContext.learn([{"area": "0.1"}] * 6).fields["area"]["scale"] == 1.0


def test_several_targets_count_alike_whatever_their_units(tmp_path):
    table = pl.read_csv(write(tmp_path / "a.csv")).with_columns(ohms=pl.col("y") * 1e6)
    table.write_csv(tmp_path / "two.csv")
    (record,) = read_training(str(tmp_path / "two.csv"), Columns(("u",), ("y", "ohms")), 0)[0]
    two = SeriesModel(SeriesConfig("zero", hidden=4), 1, 2)
    two.standardise(record.inputs, record.targets)
    assert errors(two, [record], 10)["free_run_rmse"] < 10


def test_predict_loses_no_table_no_column_and_no_state(tmp_path, capsys):
    train = write(tmp_path / "a.csv", 2)
    pl.read_csv(train).rename({"y": "step"}).write_csv(train)
    run, state, out = str(tmp_path / "run"), str(tmp_path / "state"), str(tmp_path / "out.csv")
    main(
        [
            "fit",
            "series",
            "--train",
            train,
            "--series",
            "id",
            "--inputs",
            "u",
            "--targets",
            "step",
            *QUICK,
            "--out",
            run,
        ]
    )
    assert "is the table of inputs" in failure(capsys, "predict", run, "--inputs", train, "--out", train)
    assert "there is no folder" in failure(capsys, "predict", run, "--inputs", train, "--out", out, "--end", "no/where")
    main(["predict", run, "--inputs", train, "--out", out, "--end", state])
    assert pl.read_csv(out).columns == ["id", "step_", "step"]
    only = str(tmp_path / "one.csv")
    pl.read_csv(train).filter(pl.col("id") == "s1").write_csv(only)
    main(["predict", run, "--inputs", only, "--out", out, "--start", state, "--end", state])
    main(["predict", run, "--inputs", train, "--out", out, "--start", state])
    assert set(pl.read_csv(out)["id"]) == {"s0", "s1"}


def test_every_kind_that_is_asked_for_is_compared():
    pairs = comparisons(["gaussian", "warm-up", "every-step"], context_columns=False)
    assert {kind for a, b, _ in pairs for kind in (a, b)} == {"gaussian", "warm-up", "every-step"}
    assert "the context columns" in comparisons(["zero", "warm-up"], context_columns=True)[0][2]
