"""Tables of series: what is read, and the error where it cannot be read."""

import math
import os
import pathlib

import numpy as np
import polars as pl
import pytest

from contextual_rnn import InputError
from contextual_rnn.coding import Coding
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.series import read_series
from contextual_rnn.data.table import Table
from contextual_rnn.table_files import precision


def Columns(inputs, targets, context=(), series=None):
    return ColumnSettings(inputs=inputs, targets=targets, context=context, series=series)


UY = Columns(("u",), ("y",))
UYC = Columns(("u",), ("y",), ("c",))


@pytest.fixture
def table(tmp_path):
    """Return a function that writes text, bytes or columns to a file in the test's folder and returns its path."""

    def write(content, name="train.csv"):
        path = tmp_path / name
        if isinstance(content, dict):
            pl.DataFrame(content, strict=False).write_parquet(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def sentence(path, columns=UY, **more):
    """Return the message of the error without the folder; it must have one line and name the file."""
    with pytest.raises(InputError) as caught:
        read_series(path, columns, **more)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message or "is named" in message
    return message.replace(f"{path.parent}/", "")


def test_a_series_has_its_name_inputs_targets_and_length(table):
    (series,) = read_series(table("u,y,v\n1,2,3\n4,5,6\n"), Columns(("v", "u"), ("y",)))
    assert series.name == "train"
    assert len(series) == 2
    assert series.inputs.tolist() == [[3, 1], [6, 4]]
    assert series.targets.tolist() == [[2], [5]]
    assert series.inputs.dtype == series.targets.dtype == np.float32
    assert series.context == {}


def test_interleaved_series_come_apart_in_order_of_first_appearance(table):
    text = "id,u,y,area,place\nb,1,10,2,x\na,2,20,3,y\nb,3,30,2.0,x\na,4,40,3,y\nb,5,50,2e0,x\n"
    b, a = read_series(table(text), Columns(("u",), ("y",), ("area", "place"), "id"))
    assert (b.name, a.name) == ("b", "a")
    assert b.inputs.ravel().tolist() == [1, 3, 5]
    assert b.targets.ravel().tolist() == [10, 30, 50]
    assert a.inputs.ravel().tolist() == [2, 4]
    assert (b.context, a.context) == ({"area": "2", "place": "x"}, {"area": "3", "place": "y"})


def test_numbers_that_single_precision_cannot_tell_apart_beside_those_of_the_training_table_are_refused(table):
    text = "u,y\n" + "".join(f"{1.7e9 + second},1\n" for second in range(100))
    with pytest.raises(InputError, match="so far from those of the training table that single precision"):
        read_series(table(text), UY, coding=Coding())


def test_series_may_be_named_by_numbers(table):
    series = read_series(table({"id": [7, 3, 7], "u": [1, 2, 3], "y": [1, 2, 3]}, "a.parquet"), Columns(("u",), ("y",), (), "id"))  # fmt: skip
    assert [(one.name, len(one)) for one in series] == [("7", 2), ("3", 1)]


def test_one_label_among_numbers_makes_a_context_column_labels(table):
    path = table("id,u,y,c\na,1,1,5\nb,1,1,five\n")
    assert [one.context for one in read_series(path, Columns(("u",), ("y",), ("c",), "id"))] == [{"c": "5"}, {"c": "five"}]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        "u,y\r\n1,2\r\n3,4\r\n",
        "u,y\r1,2\r3,4",
        "\ufeffu,y\n1,2\n3,4",
        '\ufeff"u","y"\n"1","2"\n3,4\n\n\n',
        " u , y ,\n1,2,\n3,4,\n",
        "\nu,y\n\n1,2\n\n3,4\n",
        "u,y,,\n1,2,note,\n3,4,,\n",
    ],
)
def test_what_instruments_and_spreadsheets_add_is_harmless(table, content):
    (series,) = read_series(table(content), UY)
    assert series.inputs.ravel().tolist() == [1, 3]
    assert series.targets.ravel().tolist() == [2, 4]


def test_tabs_and_capital_endings_are_read(table):
    (series,) = read_series(table("u\ty\n1\t2\n", "a.TSV"), UY)
    assert series.targets.tolist() == [[2]]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1e-3", 1e-3), (" 2.5 ", 2.5), ("+3", 3), (".5", 0.5), ("-0", 0), ("5.", 5), ("1E5", 1e5), ("9" * 18, 1e18)],
)
def test_numbers_may_be_written_in_any_usual_way(table, cell, value):
    (series,) = read_series(table(f"u,y\n{cell},1\n"), UY)
    assert series.inputs.item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("u,y\n1,2\nabc,4\n", "train.csv, line 3, column 'u': expected a finite number, found 'abc'"),
        ("u,y\n1,2\n\n\n3,x\n", "train.csv, line 5, column 'y': expected a finite number, found 'x'"),
        ('u,y,note\n1,2,"a\nb"\n3,x,\n', "train.csv, line 4, column 'y': expected a finite number, found 'x'"),
        ("u,y,note\n1,2,a\u2028b\n3,x,\n", "train.csv, line 3, column 'y': expected a finite number, found 'x'"),
        ("u,y\n1,2\n,4\n", "train.csv, line 3, column 'u': the number is missing"),
        ("u,y\n1,2\nNaN,4\n", "train.csv, line 3, column 'u': the number is missing"),
        ("u,y\n1,2\n3,null\n", "train.csv, line 3, column 'y': the number is missing"),
        ("u,y\n1,-inf\n", "train.csv, line 2, column 'y': expected a finite number, found '-inf'"),
        ("u,y\n1,1e400\n", "train.csv, line 2, column 'y': expected a finite number, found '1e400'"),
        ("u,y\n1_000,1\n", "train.csv, line 2, column 'u': expected a finite number, found '1_000'"),
        (f"u,y\n{'a' * 999},1\n", "found 'aaaaaaaaaa"),
        ("u,y\n1,2\n3\n", "train.csv, line 3: the row has 1 cell, but the header has 2 names"),
        ("u,y\n1,2\n\n3,4,5\n", "train.csv, line 4: the row has 3 cells, but the header has 2 names"),
        ('u,y\n1,2\n3,"4\n5,6\n', 'train.csv, line 3: a quotation mark (") opens a cell and none closes it'),
        ("u,y,u\n1,2,3\n", "train.csv, line 1: there are two columns named 'u'; rename one"),
        ("", "train.csv is empty"),
        ("\n\n", "train.csv is empty"),
        ("u,y\n", "train.csv has no rows under its header"),
        (b"u,y\n1,2\n\xff,3\n", "train.csv, line 3: the text is not UTF-8"),
        ("a,y\n1,2\n", "train.csv has no column 'u'; it has 'a', 'y'"),
        ("U,y\n1,2\n", "train.csv has no column 'u'; it has 'U', 'y'; did you mean 'U'?"),
    ],
)
def test_bad_text_is_named_by_file_line_and_column(table, content, words):
    message = sentence(table(content))
    assert words in message
    assert len(message) < 200


def test_a_quotation_mark_that_is_not_closed_swallows_no_rows(table):
    assert "train.csv, line 2: " in sentence(table('u,y,c\n1,2,"a\n3,4,b\n'), UYC)


def test_a_blank_line_in_a_table_of_one_column_is_a_missing_value(table):
    columns = Columns((), ("y",))
    assert sentence(table("y\n1\n\n3\n"), columns) == (
        "train.csv, line 3, column 'y': the number is missing; correct the cell, or give `missing` hold to fill "
        "missing values with the last known one"
    )
    (series,) = read_series(table("y\n1\n3\n\n"), columns)
    assert series.inputs.shape == (2, 0)
    assert series.inputs.dtype == np.float32


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"u": [1.0, None], "y": [1, 2]}, "train.parquet, row 2, column 'u': the number is missing"),
        ({"u": [1.0, 2.0], "y": [1, float("nan")]}, "train.parquet, row 2, column 'y': the number is missing"),
        ({"u": [float("inf")], "y": [1]}, "train.parquet, row 1, column 'u': expected a finite number, found inf"),
        ({"u": ["1", "x"], "y": [1, 2]}, "train.parquet, row 2, column 'u': expected a finite number, found 'x'"),
        ({"u": [[1]], "y": [1]}, "train.parquet, row 1, column 'u': expected a number, found List(Int64)"),
        ({"u": [None, None], "y": [1, 2]}, "train.parquet, row 1, column 'u': the number is missing"),
        ({"u": [], "y": []}, "train.parquet has no rows"),
        (b"no parquet", "train.parquet cannot be read: "),
    ],
)
def test_bad_parquet_is_named_by_file_row_and_column(table, content, words):
    assert words in sentence(table(content, "train.parquet"))


@pytest.mark.parametrize("name", ["a[1].parquet", "a*.parquet"])
def test_a_file_name_is_no_pattern(table, name):
    assert len(read_series(table({"u": [1], "y": [2]}, name), UY)) == 1


def test_files_that_cannot_be_tables_are_named(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "a.xlsx").touch()
    assert sentence(tmp_path / "none.csv") == "none.csv: there is no such file"
    assert sentence(tmp_path / "folder.csv").startswith(
        "folder.csv is a folder without tables; the name of a table ends"
    )
    (tmp_path / "folder.csv" / "b.csv").touch()
    assert sentence(tmp_path / "folder.csv").startswith("folder.csv is a folder; give the name of a file")
    assert sentence(tmp_path / "z*.csv") == "z*.csv: no file matches this pattern"
    assert sentence(tmp_path / "a.xlsx").startswith(
        "a.xlsx is a spreadsheet, which cannot be read; save it as a .csv file"
    )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (Columns(("u",), ("u",)), "column 'u' is named in `inputs` and `targets`; name it in one of them"),
        (Columns(("u", "u"), ("y",)), "column 'u' is named twice in `inputs`; name it once"),
        (Columns(("u",), ("y",), ("y",)), "column 'y' is named in `targets` and `context`"),
        (Columns(("u",), ("y",), (), "u"), "column 'u' is named in `inputs` and `series`"),
    ],
)
def test_a_column_has_one_role(table, columns, words):
    assert words in sentence(table("u,y\n1,2\n"), columns)


def test_a_short_series_is_named_with_its_length(table):
    path = table("id,u,y\na,1,1\nb,1,1\nb,1,1\n")
    message = sentence(path, Columns(("u",), ("y",), (), "id"), min_length=2)
    assert (
        message
        == "train.csv: series 'a' has 1 step, but at least 2 are needed; give longer series, or leave this one out"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "id,u,y,c\na,1,1,5\nb,1,1,6\n\na,1,1,5.5\n",
            "line 5, column 'c': a column of `context` must have one value in each series, but series 'a' has 5 before and 5.5 here",
        ),
        ("id,u,y,c\na,1,1,x\na,1,1,z\n", "series 'a' has x before and z here"),
        ("id,u,y,c\na,1,1,5\na,1,1, \n", "line 3, column 'c': a value is missing"),
        ("id,u,y,c\na,1,1,5\n,1,1,5\n", "line 3, column 'id': a value is missing"),
        ("id,u,y,c\na,1,1,5\nb,1,1,nan\n", "line 3, column 'c': a value is missing, found 'nan'"),
        ("id,u,y,c\na,1,1,inf\n", "line 2, column 'c': expected a finite number, found 'inf'"),
    ],
)
def test_a_context_or_series_that_is_missing_or_changes_is_named(table, content, words):
    assert words in sentence(table(content), Columns(("u",), ("y",), ("c",), "id"))


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (float("nan"), "row 1, column 'c': a value is missing"),
        (None, "row 1, column 'c': a value is missing"),
        ([1], "row 1, column 'c': expected a number or text, found List(Int64)"),
        (b"\xff", "row 1, column 'c': expected a number or text, found Binary"),
    ],
)
def test_a_parquet_cell_that_can_be_no_context_is_named(table, cell, words):
    assert words in sentence(table({"u": [1], "y": [1], "c": [cell]}, "train.parquet"), UYC)


def test_targets_must_be_known_only_as_far_as_asked(table):
    path = table("id,u,y\na,1,1\nb,1,2\na,1,\nb,1,x\n")
    columns = Columns(("u",), ("y",), (), "id")
    assert "line 5, column 'y'" in sentence(path, columns, known_targets=1)
    path = table("id,u,y\na,1,1\nb,1,2\na,1,\nb,1,NaN\n")
    assert "line 4, column 'y': the number is missing" in sentence(path, columns)
    a, b = read_series(path, columns, known_targets=1)
    assert np.array_equal(a.targets.ravel(), [1, np.nan], equal_nan=True)
    assert np.array_equal(b.targets.ravel(), [2, np.nan], equal_nan=True)


def test_targets_that_need_not_be_known_need_not_be_there(table):
    columns = Columns(("u",), ("y", "z"))
    (series,) = read_series(table("u\n1\n2\n"), columns, known_targets=0)
    assert series.targets.shape == (2, 2)
    assert np.isnan(series.targets).all()
    assert "has no column 'y'" in sentence(table("u\n1\n"), columns)
    assert "has no column 'z'" in sentence(table("u,y\n1,2\n"), columns, known_targets=0)


def test_the_cascaded_tanks_are_read_as_published():
    folder = os.environ.get("CONTEXTUAL_RNN_DATA")
    if not folder:
        pytest.skip("CONTEXTUAL_RNN_DATA is not set: the cascaded tanks were not read")
    path = pathlib.Path(folder, "system_identification", "cascaded_tanks.csv")
    (series,) = read_series(path, Columns(("uEst", "uVal"), ("yEst", "yVal")))
    assert (series.name, len(series)) == ("cascaded_tanks", 1024)
    assert series.inputs[0].tolist() == pytest.approx([3.2567, 0.97619])
    assert series.targets[0].tolist() == pytest.approx([5.205, 4.9728])
    assert sentence(path, Columns(("uEst",), ("Ts",))).startswith(
        "cascaded_tanks.csv, line 3, column 'Ts': the number is missing"
    )


@pytest.mark.parametrize("rows", [40, 250_000])
def test_a_long_column_is_checked_for_single_precision_too(rows):
    level = np.arange(rows) % 20
    refused = pl.DataFrame({"u": 1e9 + level, "y": level})
    with pytest.raises(InputError, match="its 20 distinct numbers are so far from those of the training table"):
        read_series(refused, UY, coding=Coding())
    assert np.ptp(read_series(refused, UY)[0].inputs) == 19
    (read,) = read_series(pl.DataFrame({"u": level + 0.1, "y": level}), UY)
    assert len(read) == rows


def test_columns_are_converted_piece_by_piece_with_chunks_and_a_bad_cell_after_the_first_piece(monkeypatch):
    monkeypatch.setattr(precision, "PIECE", 2)
    frame = pl.concat([pl.DataFrame({"a": [1.5, 2.0, 3.0], "b": [1, 2, 3]}) for _ in range(2)], rechunk=False)
    found = Table(frame).numbers(("b", "a"), np.ones(6, bool))
    assert found.dtype == np.float32
    assert found.tolist() == [[1, 1.5], [2, 2.0], [3, 3.0]] * 2
    bad = frame.with_columns(a=pl.Series([1.0, 2, 3, 4, math.inf, 6]))
    with pytest.raises(InputError, match=r"row 4, column 'a': expected a finite number, found inf"):
        Table(bad).numbers(("a",), np.ones(6, bool))
