"""Input columns of labels: which these are, and that a model reads each label as a category of its own."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from forecasts import TINY as SHORT
from tanks import QUICK

from contextual_rnn import InputError
from contextual_rnn.cli import main
from contextual_rnn.coding import Coding, one_hot_columns, places_of
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.series import Datasets
from contextual_rnn.jobs import forecast, series
from contextual_rnn.jobs.forecast import ForecastModel
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings

DAYS = ["Mon", "Tue", "Wed", "Thu"]
EFFECT = {"Mon": 5.0, "Tue": -3.0, "Wed": 8.0, "Thu": 0.0}  # follows neither the alphabet nor the week


def days(steps=80, seed=0):
    """The target depends on the label of its step alone."""
    drawn = np.random.default_rng(seed).choice(DAYS, steps).tolist()
    return pl.DataFrame({"day": drawn, "u": np.arange(steps) % 3.0, "y": [EFFECT[day] for day in drawn]})


def read(train, test=None, **options):
    return Datasets.read(train, None, test, ColumnSettings(inputs=["day"], targets=["y"], **options))


def labels(data):
    return data.coding.labels.get("day")


def test_one_hot_vectors_take_the_place_of_labels():
    values = torch.tensor([[[0.5, 2.0, 7.0], [1.5, torch.nan, 8.0]]])
    found = one_hot_columns(values, values, {1: 3})
    assert found.tolist() == [[[0.5, 0, 0, 1, 7], [1.5, 0, 0, 0, 8]]]
    assert places_of([0, 2], 3, {1: 3}) == [0, 4]
    assert places_of([1], 3, {1: 3}) == [1, 2, 3]


def test_a_model_learns_one_effect_for_each_label_and_keeps_the_labels_in_its_file(tmp_path):
    days().write_csv(tmp_path / "train.csv")
    options = {"inputs": ["day", "u"], "targets": ["y"], "hidden": 4, "length": 20, "epochs": 3, "updates": 20}
    options |= {"jobs": 1, "learning_rate": 0.05}
    model = series.fit(tmp_path / "train.csv", test=days(seed=1), out=tmp_path / "run", **options)
    assert "Input 'day' is a label with 4 values: Mon, Thu, Tue, Wed." in str(model.report)
    rows = model.report.rows
    assert rows["linear, test table"]["free_run_rmse"] < 0.01  # the baseline has a coefficient for each label
    assert rows["test table"]["free_run_rmse"] < 0.7 * rows["mean, test table"]["free_run_rmse"]
    loaded = SeriesModel.load(tmp_path / "run")
    assert loaded.coding == model.coding
    predicted = loaded.predict(days(seed=1)).frame["y_predicted"]
    assert predicted.to_list() == model.predict(days(seed=1)).frame["y_predicted"].to_list()


@pytest.mark.parametrize("base", ["last", "linear"])
def test_forecasts_read_labels_of_the_past_and_of_the_future(base, tmp_path):
    table = days(120).with_columns(pl.col("day").alias("past"))
    options = {**SHORT, "past": 6, "horizon": 4, "targets": ["y"], "inputs": ["u", "day"], "past_inputs": ["past"]}
    model = forecast.fit(table[:100], base=base, out=tmp_path / "run", jobs=1, **options)
    assert model.coding.labels == {"day": sorted(DAYS), "past": sorted(DAYS)}
    assert (model.known_ahead, model.read_ahead) == ([0, 1], [0, 1, 2, 3, 4])
    errors = model.errors(table[:100], table[100:104].drop("past")).by_target
    assert errors["linear"]["y"] < 0.3 < errors["persistence"]["y"]
    if base == "linear":
        assert errors["the model"]["y"] < 0.3
    loaded = ForecastModel.load(tmp_path / "run")
    future = table[100:104].drop("past", "y")
    assert loaded.forecast(table[:100], future).equals(model.forecast(table[:100], future))
    other = future.with_columns(pl.lit("Wed").alias("day"))
    assert not loaded.forecast(table[:100], other).equals(model.forecast(table[:100], future))
    with pytest.raises(InputError, match="row 1, column 'day': the training table has no label 'Fri'; it has Mon, Thu"):
        loaded.forecast(table[:100], future.with_columns(pl.Series("day", ["Mon", "Fri", "Fri", "Mon"])))


def formats(tmp_path):
    frame = pl.DataFrame({"day": ["b", "a", "b", "c"], "y": [1.0, 2, 3, 4]})
    frame.write_csv(tmp_path / "days.csv")
    frame.with_columns(pl.col("day").cast(pl.Categorical)).write_parquet(tmp_path / "days.parquet")
    yield from (tmp_path / "days.csv", tmp_path / "days.parquet", frame, frame.to_dict(as_series=False))
    yield frame.with_columns(pl.col("day").cast(pl.Enum(["c", "b", "a", "unused"])))


def test_a_dictionary_of_arrow_is_a_label():
    pyarrow = pytest.importorskip("pyarrow")
    days = pyarrow.array(["b", "a", "b", "c"]).dictionary_encode()
    assert labels(read(pyarrow.table({"day": days, "y": [1.0, 2, 3, 4]}))) == ["a", "b", "c"]


def test_a_label_is_one_in_every_format(tmp_path):
    for source in formats(tmp_path):
        train = pd.DataFrame(source).astype({"day": "category"}) if isinstance(source, dict) else source
        data = read(train)
        assert labels(data) == ["a", "b", "c"]
        assert data.training[0].inputs[:, 0].tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("texts", [["true", "false"], ["TRUE", "False"], [True, False], [False, True]])
def test_booleans_are_labels_however_they_are_written(texts, tmp_path):
    pl.DataFrame({"day": [True, False], "y": [1, 2]}).write_csv(tmp_path / "test.csv")
    data = read(pl.DataFrame({"day": texts * 2, "y": [1, 2, 3, 4]}), tmp_path / "test.csv")
    assert labels(data) == ["false", "true"]
    assert data.test[0].inputs[:, 0].tolist() == [1, 0]


def test_numbers_are_labels_where_an_argument_says_so(tmp_path):
    pl.DataFrame({"day": [10, 2, 10], "y": [1, 2, 3]}).write_csv(tmp_path / "whole.csv")
    floats = pl.DataFrame({"day": [2.0, 10.0], "y": [1, 2]})
    assert labels(read(tmp_path / "whole.csv")) is None
    data = read(tmp_path / "whole.csv", floats, labels=["day"])
    assert labels(data) == ["2", "10"]
    assert (data.training[0].inputs[:, 0].tolist(), data.test[0].inputs[:, 0].tolist()) == ([1, 0, 1], [0, 1])
    flags = pl.DataFrame({"day": [True, False, True], "y": [1, 2, 3]})
    assert read(flags, quantities=["day"]).training[0].inputs[:, 0].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("hold", [np.nan, 0, 0, 1, 1, 1]),
        ("interpolate", [np.nan, 0, 0, 1, 1, 1]),
        ("zero", [np.nan, 0, np.nan, 1, 1, np.nan]),
    ],
)
def test_missing_labels_are_held_or_none_of_the_known_ones_and_marked(how, expected, tmp_path):
    (tmp_path / "a.csv").write_text("day,y\n,1\nNA,2\n?,3\nb,4\nb,5\n,6\n")
    data = read(tmp_path / "a.csv", missing=how, missing_values=["?"])
    assert labels(data) == ["NA", "b"]
    np.testing.assert_array_equal(data.training[0].inputs[:, 0], expected)
    assert data.training[0].inputs[:, 1].tolist() == [1, 0, 1, 0, 0, 1]
    assert any("If NA stands for a missing value, give `missing_values` NA." in remark for remark in data.remarks)
    with pytest.raises(
        InputError, match=r"a.csv, line 2, column 'day': the label is missing; correct the cell, or give `missing` hold"
    ):
        read(tmp_path / "a.csv")


def test_a_missing_label_reads_no_vector():
    settings = SeriesSettings(inputs=["day"], targets=["y"], hidden=4, missing="zero")
    model = SeriesModel(settings, coding=Coding({"day": ["a", "b"]}))
    read = torch.tensor([[1.0, 0.0], [torch.nan, 1.0]])
    assert model.standardised_inputs(read).tolist() == [[0, 1, 0], [0, 0, 1]]


MISTAKES = [
    ({"day": [f"id{n}" for n in range(30)]}, {}, "column 'day': all 30 texts differ, as those of an identifier"),
    (
        {"day": ["2020-01-01", "2020-01-02"] * 15},
        {},
        "row 0, column 'day': an input column must hold numbers or labels",
    ),
    ({"day": ["12%", "7%"] * 15}, {}, "row 0, column 'day': expected a finite number, found '12%'"),
    (
        {"day": ["1", "x", "y"] * 10},
        {},
        "row 1, column 'day': the column has numbers and texts, such as 'x'; .* give `labels` day",
    ),
    ({"day": ["a", "b"] * 15}, {"quantities": ["day"]}, "expected a finite number, found 'a'"),
    ({"day": ["a", "b"] * 15}, {"labels": ["dy"]}, "`labels` names 'dy', but may only name columns of `context`"),
    ({"day": [f"{n}" for n in range(1500)]}, {"labels": ["day"]}, "at most 1000 labels; found 1500"),
    ({"day": [None] * 30}, {"labels": ["day"]}, "column 'day': every label is missing"),
]


@pytest.mark.parametrize(("columns", "options", "said"), MISTAKES)
def test_columns_that_are_no_labels_are_refused(columns, options, said):
    frame = pl.DataFrame({**columns, "y": np.arange(float(len(columns["day"])))})
    with pytest.raises(InputError, match=said):
        read(frame, **options)


def test_the_command_line_names_the_cell_of_an_unknown_label(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    days().write_csv("train.csv")
    days(10).with_columns(day=pl.lit("Fri")).write_csv("test.csv")
    options = "--inputs day u --targets y --labels u --window 2 --out run --jobs 1"
    small = [word for name, value in QUICK.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    main(["fit", "series", "--train", "train.csv", *options.split(), *small])
    assert "Input 'u' is a label with 3 values: 0, 1, 2." in " ".join(capsys.readouterr().out.split())
    main(["fit", "series", "--train", "train.csv", *options.split(), *small, "--resume"])
    with pytest.raises(SystemExit):
        main(["predict", "run", "--inputs", "test.csv", "--out", "found.csv"])
    said = "test.csv, line 2, column 'day': the training table has no label 'Fri'; it has Mon, Thu, Tue, Wed"
    assert said in capsys.readouterr().err


def test_onnx_runtime_reads_the_positions_of_labels():
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'contextual-rnn[export]'")
    from contextual_rnn.export.onnx_format import onnx_bytes

    coding = {"labels": {"day": DAYS}}
    read = {"inputs": ["u", "day"], "targets": ["y"], "hidden": 4}
    graphs = SeriesModel(SeriesSettings(window=2, **read), coding=coding).graphs()
    assert graphs.metadata["input_labels"] == {"day": DAYS}
    spec = graphs.specs[0]
    inputs = spec.examples(spec.sizes(3, 5), 1)
    inputs[0][..., 1] = torch.arange(inputs[0].shape[1]) % 4
    given = {one.name: value.numpy() for one, value in zip(spec.inputs, inputs, strict=True)}
    found = onnxruntime.InferenceSession(onnx_bytes(spec, {})).run(["predicted"], given)[0]
    expected = spec.module(*inputs)[0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    inputs[0][..., 1] = 0
    assert not np.allclose(spec.module(*inputs)[0].detach().numpy(), expected)  # the labels count


def test_integers_of_few_values_get_a_sentence_that_an_argument_settles():
    frame = pl.DataFrame({"day": [1, 2, 3, 1, 2, 3], "y": range(6)})
    (sentence,) = read(frame).remarks
    assert sentence == (
        "The input 'day' has 3 distinct integers and is read as a quantity; if its numbers are names, give `labels` "
        "day."
    )
    assert read(frame, quantities=["day"]).remarks == []
    assert read(frame.with_columns(pl.col("day") % 2)).remarks == []
    assert read(frame.with_columns(pl.col("day") / 2)).remarks == []
