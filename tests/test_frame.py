"""Data frames: what is read of their columns, and results that come in the same kind of frame."""

import datetime
import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from contextual_rnn import InputError
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.fields import learn_fields
from contextual_rnn.data.frame import FrameColumns
from contextual_rnn.data.series import read_series
from contextual_rnn.data.table import Table


def Columns(inputs, targets, context=(), series=None):
    return ColumnSettings(inputs=inputs, targets=targets, context=context, series=series)


UY = Columns(("u",), ("y",))
ZONED = pd.date_range("2020-01-01", periods=3, tz="Europe/Berlin", name="when")


def numbers(frame, column="u"):
    (series,) = read_series(Table(frame, "`train`"), Columns((column,), ("y",)))
    return series.inputs[:, 0].tolist()


def refusal(frame, columns=UY):
    with pytest.raises(InputError) as refused:
        read_series(Table(frame, "`train`"), columns)
    message = str(refused.value)
    assert "\n" not in message
    return message


def panda(u, **more):
    return pd.DataFrame({"u": u, "y": [1.0, 2.0, 3.0], **more})


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        np.array([1, 2, 3], np.uint8),
        np.array([1, 2, 3], np.float16),
        pd.array([1, 2, 3], dtype="Int64"),
        pd.array([1, 2, 3], dtype="Float32"),
        pd.Series([1, 2.0, np.float32(3)], dtype=object),
        ["1", " 2 ", "3e0"],
        pd.array(["1", "2", "3"], dtype="string"),
        [decimal.Decimal(1), decimal.Decimal("2.0"), decimal.Decimal(3)],
        pd.arrays.SparseArray([1.0, 2.0, 3.0]),
    ],
    ids=lambda values: str(getattr(values, "dtype", type(values[0]).__name__)),
)
def test_pandas_numbers_are_read_whatever_their_type(values):
    assert numbers(panda(values)) == [1, 2, 3]


def test_categories_are_numbers_where_an_argument_says_so():
    columns = ColumnSettings(inputs=("u",), targets=("y",), quantities=("u",))
    assert read_series(panda(pd.Categorical([1, 2, 3])), columns)[0].inputs.ravel().tolist() == [1, 2, 3]


@pytest.mark.parametrize("values", [[True, False, True], pd.array([True, False, True], dtype="boolean")])
def test_truth_values_are_0_and_1(values):
    assert numbers(panda(values)) == [1, 0, 1]


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt64, pl.Int128, pl.Float32, pl.Decimal(9, 2), pl.String])
def test_polars_numbers_are_read_whatever_their_type(kind):
    frame = pl.DataFrame({"u": [1, 2, 3], "y": [1, 2, 3]})
    assert numbers(frame.with_columns(pl.col("u").cast(kind))) == [1, 2, 3]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pd.array([1, None, 3], dtype="Int64"), "`train`, row 1, column 'u': the number is missing"),
        (pd.array([1.5, None, 3], dtype="Float64"), "`train`, row 1, column 'u': the number is missing"),
        (pd.array([True, None, False], dtype="boolean"), "`train`, row 1, column 'u': the label is missing"),
        ([1.0, np.nan, 3.0], "`train`, row 1, column 'u': the number is missing"),
        ([None, 1.0, 3.0], "`train`, row 0, column 'u': the number is missing"),
        ([1.0, 2.0, -np.inf], "`train`, row 2, column 'u': expected a finite number, found -inf"),
        ([1, "two", None], "`train`, row 1, column 'u': expected a finite number, found 'two'"),
        ([datetime.date(2020, 1, 1)] * 3, "`train`, row 0, column 'u': expected a number, found Date"),
        (pd.date_range("2020", periods=3), "`train`, row 0, column 'u': expected a number, found Datetime"),
        (ZONED, "`train`, row 0, column 'u': expected a number, found Datetime"),
        (pd.to_timedelta([1, 2, 3], unit="s"), "`train`, row 0, column 'u': expected a number, found Duration"),
        (
            pd.period_range("2020", periods=3, freq="M"),
            "`train`, row 0, column 'u': an input column must hold numbers or labels, but this one holds times, such "
            "as '2020-01'; if they are the times of the rows, give `time` u and name another column than u in `inputs`; "
            "if they are labels, give `labels` u",
        ),
        (np.array([1j, 2j, 3j]), "`train`, row 0, column 'u': expected a number, found complex"),
        ([[1], [2], [3]], "`train`, row 0, column 'u': expected a number, found List"),
        ([{"a": 1}] * 3, "`train`, row 0, column 'u': expected a number, found Struct"),
    ],
)
def test_what_is_no_number_is_named_by_row_and_column(values, words):
    assert refusal(panda(values)).startswith(words)


def test_missing_targets_stay_missing():
    frame = pd.DataFrame({"u": [1, 2, 3], "y": pd.array([1, None, None], dtype="Int64")})
    (series,) = read_series(frame, UY, known_targets=1)
    assert np.array_equal(series.targets[:, 0], [1, np.nan, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "found NoneType"),
        (np.zeros((3, 2)), "found ndarray; give polars.DataFrame of it, with names of its columns"),
        ({"u": [1], "y": [2]}, "found dict; give polars.DataFrame of it, with names of its columns"),
        ([1, 2], "found list; give polars.DataFrame of it, with names of its columns"),
        (pd.Series([1, 2], name="u"), "found Series; give a data frame with this column"),
        (pl.LazyFrame({"u": [1], "y": [2]}), "found LazyFrame; collect it"),
    ],
)
def test_what_is_no_table_is_refused(source, words):
    assert refusal(source) == f"`train` must be a path, a pandas or polars data frame, or an Arrow table; {words}"


def test_frames_without_rows_or_columns_are_refused():
    assert refusal(panda([1, 2, 3]).iloc[:0]) == "`train` has no rows"
    assert refusal(pl.DataFrame({"u": [], "y": []})) == "`train` has no rows"
    assert refusal(pd.DataFrame(index=range(3))) == "`train` has no column 'u'; it has no named columns"
    assert refusal(panda([1, 2, 3]), Columns(("U",), ("y",))).endswith("it has 'u', 'y'; did you mean 'u'?")


def test_column_names_need_not_be_text_but_must_differ():
    frame = pd.DataFrame(np.arange(6.0).reshape(3, 2))
    (series,) = read_series(frame, Columns(("0",), ("1",)))
    assert (series.inputs[:, 0].tolist(), series.targets[:, 0].tolist()) == ([0, 2, 4], [1, 3, 5])
    frame.columns = pd.MultiIndex.from_tuples([("a", "u"), ("a", "y")])
    assert "it has \"('a', 'u')\"" in refusal(frame)
    assert refusal(panda([1, 2, 3], z=1).rename(columns={"z": "y"})) == "`train` has two columns named 'y'; rename one"
    twice = pd.DataFrame({1: [1], "1": [2], "u": [3], "y": [4]})
    assert "two columns named '1'" in refusal(twice, ColumnSettings(inputs=("1",), targets=("y",)))
    assert numbers(twice) == [3]
    assert numbers(panda([1, 2, 3], z=1, w=2).rename(columns={"w": "z"})) == [1, 2, 3]


def test_an_arrow_table_may_have_twins_among_the_columns_that_are_not_asked_for():
    pyarrow = pytest.importorskip("pyarrow")
    arrow = pyarrow.table([[1, 2], [3, 4], [5, 6], [7, 8]], names=["z", "z", "u", "y"])
    assert numbers(arrow) == [5, 6]
    assert "two columns named 'z'" in refusal(arrow, ColumnSettings(inputs=("z",), targets=("y",)))


def test_columns_that_are_not_asked_for_do_not_matter():
    frame = panda([1, 2, 3], when=ZONED, note=["a", None, "b"], thing=[object()] * 3, pair=[(1, 2)] * 3)
    assert numbers(frame) == [1, 2, 3]
    assert numbers(pl.DataFrame({"u": [1, 2, 3], "y": [1, 2, 3], "when": list(ZONED.to_pydatetime())})) == [1, 2, 3]


@pytest.mark.parametrize(
    ("identifiers", "names"),
    [
        (["b", "a", "b"], ["b", "a"]),
        (pd.array(["b", "a", "b"], dtype="string"), ["b", "a"]),
        (pd.Categorical(["b", "a", "b"]), ["b", "a"]),
        ([7, 3, 7], ["7", "3"]),
        (pd.array([7, 3, 7], dtype="Int64"), ["7", "3"]),
        (pd.Series([7, "a", 7], dtype=object), ["7", "a"]),
        (
            [datetime.date(2020, 1, 2), datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)],
            ["2020-01-02", "2020-01-01"],
        ),
    ],
)
def test_series_may_be_named_by_text_numbers_and_dates(identifiers, names):
    found = read_series(panda([1, 2, 3], id=identifiers), Columns(("u",), ("y",), (), "id"))
    assert [one.name for one in found] == names
    assert [one.rows.tolist() for one in found] == [[0, 2], [1]]


def test_a_missing_identifier_is_named():
    columns = Columns(("u",), ("y",), (), "id")
    assert refusal(panda([1, 2, 3], id=["a", None, "b"]), columns).startswith(
        "`train`, row 1, column 'id': a value is missing"
    )
    assert refusal(panda([1, 2, 3], id=[1, np.nan, 2]), columns).startswith(
        "`train`, row 1, column 'id': a value is missing"
    )


def test_context_columns_are_quantities_or_labels_as_in_a_file(tmp_path):
    frame = panda([1, 2, 3], id=["a", "b", "c"], area=[1, 2, 4], place=pd.Categorical(["x", "y", "x"]))
    columns = Columns(("u",), ("y",), ("area", "place"), "id")
    frame.to_csv(tmp_path / "a.csv", index=False)
    read = [
        learn_fields(read_series(source, columns), columns)
        for source in (frame, pl.from_dict(frame.to_dict("list")), tmp_path / "a.csv")
    ]
    for fields in read:
        assert fields["place"].names == ["x", "y"]
        area = torch.tensor([0.0, 1.0], dtype=torch.float64)
        assert torch.equal(fields["area"](area, 2), read[0]["area"](area, 2))


def test_results_come_in_the_same_kind_of_frame():
    made = {"id": ["a", "b"], "y_predicted": np.array([1, 2], np.float32), "step": np.array([4, 5])}
    frame = panda([1, 2, 3]).set_index(ZONED)
    result = FrameColumns(frame, "`table`").like(made, [0, 2])
    assert isinstance(result, pd.DataFrame)
    assert list(result.columns) == list(made)
    assert result.index.equals(ZONED[[0, 2]])
    assert result.index.name == "when"
    assert result["y_predicted"].dtype == np.float32
    result = FrameColumns(pl.DataFrame({"u": [1, 2, 3]}), "`table`").like(made, [0, 2])
    assert isinstance(result, pl.DataFrame)
    assert result["id"].to_list() == ["a", "b"]


def test_an_arrow_table_is_read_and_answered_with_one():
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"u": [1, 2, 3], "y": [1.0, 2.0, 3.0], "id": ["a", "a", "b"]})
    assert [one.name for one in read_series(table, Columns(("u",), ("y",), (), "id"))] == ["a", "b"]
    assert isinstance(FrameColumns(table, "`table`").like({"step": [1]}, [0]), pyarrow.Table)


def test_reading_copies_and_changes_nothing():
    frame = panda([1, 2, 3], id=["a", "b", "c"])
    before = frame.copy(deep=True)
    (series, *_) = read_series(frame, Columns(("u",), ("y",), (), "id"))
    series.inputs[:] = 99
    pd.testing.assert_frame_equal(frame, before)


def test_a_fingerprint_follows_the_data_in_the_columns_that_are_used():
    def of(**more):
        return Table(panda([1.0, 2.0, 3.0], id=["a", "b", "c"], **more)).fingerprint(["u", "id"])

    assert of() == of(other=5)
    assert of() != Table(panda([1.0, 2.0, 4.0], id=["a", "b", "c"])).fingerprint(["u", "id"])
    assert of() != Table(panda([1.0, 2.0, 3.0], id=["a", "b", "d"])).fingerprint(["u", "id"])


def test_a_column_that_is_in_the_index_of_pandas_is_found_there():
    frame = pd.DataFrame({"u": [1.0, 2.0], "y": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="id"))
    with pytest.raises(InputError, match=r"no column 'id'; .*'id' is in its index, so give its reset_index\(\)"):
        read_series(frame, Columns(("u",), ("y",), (), "id"))
    times = frame.set_index(pd.date_range("2020", periods=2))
    with pytest.raises(InputError, match=r"give its rename_axis\('when'\).reset_index\(\)"):
        read_series(times, ColumnSettings(inputs=("u",), targets=("y",), time=("when",)))


def test_a_list_of_rows_is_told_from_a_list_of_data_frames():
    with pytest.raises(InputError, match="found list; give polars"):
        Table([{"u": 1}])
    with pytest.raises(InputError, match="found list; join data frames to one"):
        Table([pl.DataFrame({"u": [1]})])
