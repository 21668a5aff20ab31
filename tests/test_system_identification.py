"""`reproduce system-identification`: the records, the core of states, the folds, and what the command reports."""

import json
import math
import os
import re

import numpy as np
import pytest
import torch

from contextual_rnn import ContextualRNN, FreeState
from contextual_rnn.data.published import VARIABLE
from contextual_rnn.errors import InputError
from contextual_rnn.papers.system_identification import reproduce
from contextual_rnn.papers.system_identification.model import SystemModel, ensemble, rmse
from contextual_rnn.papers.system_identification.recipes import split
from contextual_rnn.papers.system_identification.records import BENCHMARKS, read
from contextual_rnn.papers.system_identification.reproduce import choose
from contextual_rnn.papers.system_identification.state_space_model import StateSpace, _Compiled, recurrence


def tensors(steps, dtype=torch.float64):
    """The arguments of `recurrence` for 3 rows, 4 states and 5 units; the first is not contiguous."""
    torch.manual_seed(steps)
    shapes = (steps, 3, 9), (3, 4), (9, 4), (4, 5)
    driven, *others = (0.5 * torch.randn(shape, dtype=dtype) for shape in shapes)
    return [one.requires_grad_() for one in (driven.transpose(0, 1), *others)]


@pytest.mark.parametrize("steps", [1, 2, 63])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_compiled_loops_equal_the_equation(steps, dtype):
    pytest.importorskip("numba")
    arguments = tensors(steps, dtype)
    plain, fast = recurrence(*arguments), _Compiled.apply(*arguments)
    torch.testing.assert_close(fast, plain)
    upstream = torch.randn(steps, 3, 4, dtype=dtype).transpose(0, 1)
    gradients = [torch.autograd.grad(outputs, arguments, upstream) for outputs in (fast, plain)]
    close = {} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, **close)


def test_the_equation_has_the_right_gradients():
    assert torch.autograd.gradcheck(recurrence, tensors(5))


def test_the_core_is_the_equation_and_carries_its_state_on():
    torch.manual_seed(0)
    core = StateSpace(2, 3, 4).double()
    inputs, state = torch.randn(5, 7, 2).double(), torch.randn(5, 3).double()
    x, first = state, inputs[:, 0]
    units = torch.tanh(x @ core.unit_state_weight.T + first @ core.unit_input_weight.T + core.unit_bias)
    wanted = x + x @ core.state_weight.T + first @ core.input_weight.T + units @ core.unit_weight.T
    rnn = ContextualRNN(core, FreeState(core))
    outputs, last = rnn(inputs, state=state)
    torch.testing.assert_close(outputs[:, 0], wanted)
    halfway, between = rnn(inputs[:, :4], state=state)
    torch.testing.assert_close(rnn(inputs[:, 4:], state=between)[1], last)
    torch.testing.assert_close(halfway, outputs[:, :4])
    with pytest.raises(ValueError, match="state"):
        core(inputs, state[:, :2])


def tank(rows, seed):
    """A level that an input fills and that drains, from an unknown start."""
    generator = np.random.default_rng(seed)
    inputs = 1 + np.repeat(generator.random(rows // 8 + 1), 8)[:rows]
    level, levels = 3 * generator.random(), []
    for value in inputs:
        levels.append(level)
        level += 0.2 * (value - math.sqrt(max(level, 0)))
    return inputs, np.array(levels)


def write_tanks(folder, rows=240):
    columns = dict(zip(("uEst", "yEst", "uVal", "yVal"), (*tank(rows, 0), *tank(rows, 1)), strict=True))
    lines = [",".join(f'"{name}"' for name in columns) + ","]
    lines += [",".join(map(str, row)) + "," for row in zip(*columns.values(), strict=True)]
    (folder / "cascaded_tanks.csv").write_text("\n".join(lines) + "\n")
    return columns


OPTIONS = {"records": ["cascaded-tanks"], "windows": [5], "jobs": 1}


def test_a_run_scores_what_follows_the_window(tmp_path):
    columns = write_tanks(tmp_path)
    out = tmp_path / "run"
    kinds = ["context", "context+estimated"]
    said = reproduce(out=out, data=tmp_path, smoke=True, seeds=2, initial_states=kinds, **OPTIONS)
    lines = said.partition("Results:")[0].splitlines()
    assert max(len(line) for line in lines if "  " not in line) <= 80
    header, *rows = [re.split("  +", line) for line in lines if "  " in line]
    assert header[-2:] == ["s", "ensemble"]
    assert all(len(row) == len(header) for row in rows)  # no row of the table is broken
    said = " ".join(said.split())
    assert "cascaded-tanks, test: RMSE in V after the window, median of 2 seeds." in said
    assert "best grey-box 0.191" in said
    assert "Chosen on folds: " in said
    assert (out / "figures" / "errors.png").stat().st_size > 10_000
    report = json.loads((out / "results.json").read_text())
    row = report["benchmarks"][0]
    runs = [run for run in report["runs"] if run["initial_state"] == "context"]
    assert row["median"]["rmse"] == pytest.approx(np.mean([run["metrics"]["rmse"] for run in runs]))
    record = read("cascaded-tanks", tmp_path).tests["test"]
    names = [f"cascaded-tanks-5-context-{runs[0]['recipe']}-seed-{seed}" for seed in (0, 1)]
    models = [SystemModel.load(out / "runs" / name / "model.safetensors") for name in names]
    predicted = ensemble(models, record)[:, 0].numpy()
    assert row["ensemble"]["test"] == pytest.approx(np.sqrt(np.mean((predicted - columns["yVal"][5:]) ** 2)), rel=1e-4)
    spread = np.std(columns["yVal"][5:])
    assert runs[0]["metrics"]["nrmse"] == pytest.approx(runs[0]["metrics"]["rmse"] / spread, rel=1e-4)
    folds = sorted(path.name for path in (out / "folds").iterdir() if path.is_dir())
    assert len(folds) == 2 * 2 * 4  # kinds, recipes, blocks; one seed


def test_a_record_of_the_user_is_modelled_alone(tmp_path):
    columns = write_tanks(tmp_path)
    for name, kind in (("train", "Est"), ("test", "Val")):
        rows = zip(columns[f"u{kind}"], columns[f"y{kind}"], strict=True)
        (tmp_path / f"{name}.csv").write_text("force,angle\n" + "".join(f"{u},{y}\n" for u, y in rows))
    tables = {"train": tmp_path / "train.csv", "test": tmp_path / "test.csv"}
    options = {"smoke": True, "seeds": 1, "windows": [5], "initial_states": ["warm-up"], "jobs": 1}
    said = reproduce(out=tmp_path / "run", **tables, input_column="force", target_column="angle", **options)
    assert "given, test: RMSE in the unit of angle after the window, median of 1 seed." in " ".join(said.split())
    with pytest.raises(InputError, match=r"train\.csv has no column 'u'"):
        reproduce(out=tmp_path / "other", **tables, **options)
    with pytest.raises(InputError, match="`train` and `test`"):
        reproduce(out=tmp_path / "other", test=tables["test"], **options)
    with pytest.raises(InputError, match="`records` and `train`"):
        reproduce(out=tmp_path / "other", **tables, records=["silverbox"], **options)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("worst", "best"), [(1.3, (1, 0.1)), (1.5, (0, 0.5))])
def test_the_recipe_and_weight_of_the_lowest_mean_squared_error_are_chosen(worst, best):
    rows = [{"recipe": recipe, "errors": [(0.1, 1.1), (0.5, 1.0)]} for recipe in (0, 0)]
    rows += [{"recipe": 1, "errors": [(0.1, error)]} for error in (0.1, worst)]
    assert choose(rows) == dict(zip(("recipe", "estimate_weight"), best, strict=True))


def test_a_fold_holds_a_block_out(tmp_path):
    write_tanks(tmp_path)
    measured = read("cascaded-tanks", tmp_path)
    parts, held = split(measured.training, 1, 5)
    assert [len(part) for part in (*parts, held)] == [60, 120, 60]
    assert torch.equal(torch.cat([parts[0].targets, held.targets, parts[1].targets]), measured.training.targets)
    with pytest.raises(InputError, match="`windows`"):
        split(measured.training, 0, 59)


def test_an_estimated_start_fits_the_window(tmp_path):
    write_tanks(tmp_path)
    measured = read("cascaded-tanks", tmp_path)
    torch.manual_seed(0)
    model = SystemModel("estimated", 5, states=3, units=4, estimate_weight=0.0)
    model.standardise([measured.training])
    record = measured.tests["test"].part(0, 9)
    free = model.train().predict(record)
    assert rmse(model.eval().predict(record), record, 5) < 0.5 * rmse(free, record, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"yVal"', '"other"'), r"cascaded_tanks\.csv has no column 'yVal'"),
        (lambda text: text.replace("\n", "\nx", 2), r"cascaded_tanks\.csv, line 2, column 'uEst': expected a number"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path, change, message):
    write_tanks(tmp_path)
    path = tmp_path / "cascaded_tanks.csv"
    path.write_text(change(path.read_text()).removeprefix("x"))
    with pytest.raises(InputError, match=message):
        read("cascaded-tanks", tmp_path)


def test_a_missing_or_short_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(InputError, match="from nonlinearbenchmark"):
        read("silverbox", None)
    with pytest.raises(InputError, match="holds none of silverbox"):
        read("silverbox", tmp_path)
    (tmp_path / "silverbox.csv").write_text("V1,V2\n1,2\n3,4\n")
    with pytest.raises(InputError, match="has 2 rows; training takes those up to 105712"):
        read("silverbox", tmp_path)


def test_the_published_records_have_the_rows_of_the_protocol():
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is not set: the records were not read")
    tanks, silverbox = read("cascaded-tanks", None), read("silverbox", None)
    assert (len(tanks.training), len(tanks.tests["test"])) == (1024, 1024)
    assert len(silverbox.training) == 65062
    assert {name: len(record) for name, record in silverbox.tests.items()} == {
        "multisine": 21688,
        "arrow without extrapolation": 32000,
        "arrow": 40475,
    }
    amplitude = {name: float(record.inputs.abs().max()) for name, record in silverbox.tests.items()}
    assert amplitude["arrow without extrapolation"] < 1.05 * float(silverbox.training.inputs.abs().max())
    assert amplitude["arrow"] > 1.1 * amplitude["arrow without extrapolation"]
    assert set(BENCHMARKS) == {"cascaded-tanks", "silverbox", "wiener-hammerstein"}
