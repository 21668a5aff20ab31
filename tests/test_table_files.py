"""Files of tables: what is written is read back, and any bytes at all give series or an error that names the file."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contextual_rnn import InputError
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.output import write_table
from contextual_rnn.data.series import read_series
from contextual_rnn.table_files.open import open_table
from contextual_rnn.table_files.settings import PLAIN


def Columns(inputs, targets, context=(), series=None):
    return ColumnSettings(inputs=inputs, targets=targets, context=context, series=series)


UY = Columns(("u",), ("y",))
FLOATS = st.floats(-(2**60), 2**60, width=32)  # larger ones are refused, since their squares are not single numbers
ON_DISK = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def outcome(path):
    """Return the one series of a file and no message, or None and the message of the error."""
    try:
        (series,) = read_series(path, UY)
    except InputError as error:
        return None, str(error)
    return series, ""


@ON_DISK
@given(rows=st.lists(st.tuples(FLOATS, FLOATS), min_size=1), ending=st.sampled_from(["csv", "tsv", "parquet"]))
def test_what_is_written_is_read_back(tmp_path, rows, ending):
    path = tmp_path / f"a.{ending}"
    values = np.array(rows, np.float32)
    write_table(path, {"u": values[:, 0], "y": values[:, 1]})
    (series,) = read_series(path, UY)
    assert np.array_equal(series.inputs[:, 0], values[:, 0])
    assert np.array_equal(series.targets[:, 0], values[:, 1])
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


@ON_DISK
@given(cells=st.lists(st.text(st.characters(codec="utf-8")) | st.from_regex(r"\A\s?[+-]?[0-9.eE_infaN]{1,6}\Z"), min_size=1))  # fmt: skip
def test_hostile_cells_give_their_number_or_an_input_error(tmp_path, cells):
    path = tmp_path / "a.csv"
    quoted = "".join(f'1,"{cell.replace(chr(34), chr(34) * 2)}"\n' for cell in cells)
    path.write_text(f"u,y\n{quoted}", encoding="utf-8", newline="")
    series, message = outcome(path)
    if series is None:
        assert "column 'y'" in message
        assert not all(is_finite(cell) for cell in cells)
    else:
        assert np.array_equal(series.targets.ravel(), np.array([float(cell) for cell in cells], np.float32))


def is_finite(cell):
    """Return whether a cell is a number as in Python, without underscores and digits of other scripts."""
    try:
        with np.errstate(over="ignore"):
            return cell.isascii() and "_" not in cell and bool(np.isfinite(np.float32(float(cell))))
    except ValueError:
        return False


@ON_DISK
@given(data=st.binary(max_size=60) | st.text('u,y\n\r"1 2\t').map(str.encode))
def test_any_bytes_at_all_give_series_or_an_input_error(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_bytes(b"u,y\n" + data)
    series, message = outcome(path)
    if series is None:
        assert str(path) in message
    else:
        assert np.isfinite(series.inputs).all()


def test_a_table_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(InputError, match="cannot be written: No such file"):
        write_table(tmp_path / "none" / "a.csv", {"u": [1]})
    with pytest.raises(InputError, match="the name of a table to write"):
        write_table(tmp_path / "a.xlsx", {"u": [1]})
    path = tmp_path / "a.csv"
    write_table(path, {"u": [1]})
    with pytest.raises(pl.exceptions.ComputeError):  # CSV has no lists of lists
        write_table(path, {"u": [[1]]})
    assert path.read_text() == "u\n1\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, ending):
    path = tmp_path / f"a.{ending}"

    def write(value):
        frame = pl.DataFrame({"u": [value, 2.0], "y": [3.0, 4.0]})
        frame.write_csv(path) if ending == "csv" else frame.write_parquet(path)

    write(1.0)
    table = open_table(path, PLAIN)
    table.load(["u"], ["u"])
    path.unlink()
    write(5.0)
    with pytest.raises(InputError, match="has changed while it was read; start again when it is complete"):
        table.load(["y"], ["y"])


LINES = st.lists(st.lists(st.sampled_from(["1", "2.5", "x", ""]), min_size=2, max_size=5), min_size=1, max_size=30)


@ON_DISK
@given(rows=LINES, asked=st.sampled_from([["a"], ["b"], ["c"], ["a", "c"], ["a", "b", "c"]]), numbers=st.booleans())
@example(rows=[["1"] * 3] * 25 + [["1"] * 4, ["1"] * 2], asked=["a"], numbers=True)
@example(rows=[["1"] * 3] * 25 + [["1"] * 2, ["1"] * 4], asked=["c"], numbers=True)
@example(rows=[["1"] * 3] * 25 + [["1"] * 4, ["1"] * 2], asked=["a", "b", "c"], numbers=False)
@example(rows=[["1"] * 4, ["1"] * 2] + [["1"] * 3] * 25, asked=["b"], numbers=True)
@example(rows=[["1", "2.5", ""]] * 30, asked=["a", "c"], numbers=True)
def test_a_line_that_is_too_long_or_short_is_named_whatever_columns_are_read(tmp_path, rows, asked, numbers):
    path = tmp_path / "a.csv"
    path.write_text("".join(",".join(row) + "\n" for row in [["a", "b", "c"], *rows]))
    wrong = next((line for line, row in enumerate(rows, 2) if len(row) != 3), None)
    if wrong is not None:
        with pytest.raises(InputError, match=f"a.csv, line {wrong}: the row has {len(rows[wrong - 2])} cells, but"):
            open_table(path, PLAIN).load(asked, asked if numbers else ())
        return
    table = open_table(path, PLAIN)
    table.load(asked, asked if numbers else ())
    for name in asked:
        assert table.text(name).to_list() == [row["abc".index(name)] for row in rows]
