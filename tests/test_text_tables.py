"""Table files as they come: separators, decimal marks, headers, comments, and formats other than text."""

import gzip
import os
import pathlib
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contextual_rnn import InputError
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.series import read_series
from contextual_rnn.errors import DataWarning
from contextual_rnn.jobs.series.settings import SeriesSettings

NAMED = {"no_header": True, "columns": ("u", "y")}


def read(path, **options):
    """Return the inputs and targets of a table of one series."""
    (series,) = read_series(path, ColumnSettings(**{"inputs": ("u",), "targets": ("y",)} | options))
    return series.inputs.ravel().tolist(), series.targets.ravel().tolist()


def sentence(path, **options):
    with pytest.raises(InputError) as caught:
        read(path, **options)
    return str(caught.value).replace(f"{path.parent}/", "")


def write(folder, content, name="a.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "name", "options"),
    [
        ("u;y;;\n1,5;2;;\n3;4;;\n", "a.csv", {"separator": ";", "decimal": ","}),
        ('u;y\n"1,5";2\n3;4\n', "a.csv", {"separator": ";", "decimal": ","}),
        ("u\ty\n1.5\t2\n3\t4\n", "a.txt", {"separator": "tab"}),
        ("  44.82\nlong\n\nu  y\n 1.5 \t2\n3   4\n", "a.txt", {"separator": " ", "skip_rows": 3}),
        ("1.5,2\n3,4\n", "a.csv", NAMED),
        ("u,y\nm,s\n1.5,2\n3,4\n", "a.csv", {**NAMED, "skip_rows": 2}),
        ("# made by hand\nu,y\n1.5,2\n# and\n3,4\n", "a.csv", {"comment": "#"}),
        ("u|y\n1.5|2\n3|4\n", "a.dat", {"separator": "|"}),
        ("u,y,z,z\n1.5,2,a,b\n3,4,c,d\n", "a.csv", {}),
        (gzip.compress(b"u,y\n1.5,2\n3,4\n", mtime=0), "a.csv.gz", {}),
        (gzip.compress(b'u\ty\n"1.5"\t2\n3\t4\n', mtime=0), "a.tsv.gz", {}),
    ],
)
def test_a_text_table_is_read_as_its_settings_say(tmp_path, content, name, options):
    assert read(write(tmp_path, content, name), **options) == ([1.5, 3], [2, 4])


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("u;y\n1;2\n", {}, 'a.csv: its first line has no comma, but a semicolon; give `separator` ";"'),
        ("u\ty\n1\t2\n", {}, "no comma, but a tab; give `separator` tab"),
        ("u  y\n1  2\n", {}, 'give `separator` " "'),
        ("u;y\n1,5;2\n", {"separator": ";"}, "line 2, column 'u': expected a finite number, found '1,5'; give `decimal` \",\""),
        ("u;y\n1.500;2\n", {"separator": ";", "decimal": ","}, "line 2, column 'u': expected a finite number, found '1.500'"),
        ("1,2\n3,4\n", {}, "no column 'u'; it has '1', '2'; if the file has no header, give `no_header`"),
        ("u,y\na,1,2\nb,3,4\n", {}, "line 2: the row has 3 cells, but the header has 2 names; if each row starts with its name, give `skip_rows` 1"),
        ("u,y\nm,2\n3,4\n", {}, "line 2, column 'u': expected a finite number, found 'm'; if this line holds units"),
        ("1,2,3\n", NAMED, "line 1: the row has 3 cells, but `columns` has 2 names"),
        (",,,\n1,2,3,4\n", {}, "a.csv, line 1: the header names no column"),
        ("u,y,u\n1,2,3\n", {}, "a.csv, line 1: there are two columns named 'u'"),
        ("u,y\r\n1,2\r\n3,x\r\n", {}, "a.csv, line 3, column 'y': expected a finite number, found 'x'"),
        ("# a\nu,y\n1,x\n", {"skip_rows": 1}, "a.csv, line 3, column 'y': expected a finite number, found 'x'"),
    ],
)  # fmt: skip
def test_a_text_table_that_is_read_wrongly_names_the_setting(tmp_path, content, options, words):
    assert words in sentence(write(tmp_path, content), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"separator": "ab"}, "`separator` must be one character, or tab"),
        ({"separator": ",", "decimal": ","}, "`decimal` , needs another `separator`"),
        ({"no_header": True}, "`no_header` and `columns`"),
        ({"columns": ("u", "y")}, "`no_header` and `columns`"),
        ({"no_header": True, "columns": ("u", "u")}, "the names in `columns` must differ"),
        ({"comment": ""}, "`comment` must not be empty"),
    ],
)
def test_settings_of_files_that_contradict_each_other_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        ColumnSettings(targets=("y",), **options)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    values=st.lists(st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 2), min_size=1, max_size=5),
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal=st.sampled_from([".", ","]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoted=st.booleans(),
    bom=st.booleans(),
    label=st.sampled_from(["a", "ä", "日本"]),
)
def test_any_way_to_write_a_table_gives_its_numbers(tmp_path, values, separator, decimal, end, quoted, bom, label):
    if separator == decimal:
        separator = ";"
    if separator == " ":
        quoted, end = False, "\n"
    cells = [["u", "y", "kind"], *([*(repr(one).replace(".", decimal) for one in row), label] for row in values)]
    mark = '"' if quoted else ""
    text = "".join(separator.join(f"{mark}{cell}{mark}" for cell in row) + end for row in cells)
    path = write(tmp_path, "\ufeff" * bom + text)
    inputs, targets = read(path, separator=separator, decimal=decimal)
    assert np.array_equal(np.float32(inputs), np.float32([row[0] for row in values]))
    assert np.array_equal(np.float32(targets), np.float32([row[1] for row in values]))


def test_arrow_and_matlab_files_are_read(tmp_path):
    from scipy.io import savemat

    frame = pl.DataFrame({"u": [1.5, 3], "y": [2, 4], "odd": [[1], [2]]})
    frame.write_ipc(tmp_path / "a.feather")
    savemat(tmp_path / "a.mat", {"u": [1.5, 3], "y": [2, 4], "Ts": 0.1, "s": {"a": 1}})
    for name in ("a.feather", "a.mat"):
        assert read(tmp_path / name) == ([1.5, 3], [2, 4])
    assert "variable 'Ts' has 1 values where the longest vector has 2" in sentence(tmp_path / "a.mat", inputs=("Ts",))
    assert "variable 's' is a struct with the fields a; save it" in sentence(tmp_path / "a.mat", inputs=("s",))
    savemat(tmp_path / "c.mat", {"data": {"u": [1.5, 3], "y": [2, 4]}, "m": np.ones((3, 2))})
    assert sentence(tmp_path / "c.mat").endswith(
        "c.mat has no vector of numbers: variable 'data' is a struct with the fields u, y; variable 'm' is 3 x 2 and no "
        "vector; save each signal as a vector of its own, such as save('c.mat', 'u', 'y', '-v7') in MATLAB"
    )
    (tmp_path / "b.mat").write_bytes(b"no file of MATLAB")
    assert "b.mat cannot be read" in sentence(tmp_path / "b.mat")


def test_a_matlab_file_without_scipy_names_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    (tmp_path / "a.mat").write_bytes(b"any")
    end = "a.mat: a MATLAB file needs scipy, not installed here: run pip install 'contextual-rnn[matlab]'"
    assert sentence(tmp_path / "a.mat").endswith(end)


@pytest.mark.parametrize(
    "cells",
    [
        pl.Series([1, 2]).cast(pl.Duration("us")),
        pl.Series([1, 2]).cast(pl.Date),
        pl.Series([1, 2]).cast(pl.Time),
        pl.Series([{"a": 1}, {"a": 2}]),
        pl.Series([b"a", b"b"]),
    ],
    ids=lambda cells: str(cells.dtype),
)
def test_every_type_of_a_parquet_column_is_refused_where_it_is_no_number_and_ignored_where_it_is_not_asked_for(
    tmp_path, cells
):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"u": [1.5, 3], "y": [2, 4], "odd": cells}).write_parquet(path)
    assert read(path, time=("none",)) == ([1.5, 3], [2, 4])
    assert "a.parquet, row 1, column 'odd': expected" in sentence(path, inputs=("odd",), time=("none",))
    try:
        read(path, context=("odd",), time=("none",))
    except InputError as error:
        assert "column 'odd'" in str(error)  # noqa: PT017 (labels may be read, or refused in a sentence)


def test_what_is_no_regular_file_is_refused_with_the_true_reason(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    assert "pipe.csv is a pipe or a device" in sentence(tmp_path / "pipe.csv")
    assert "loop.csv cannot be read: Too many levels of symbolic links" in sentence(tmp_path / "loop.csv")


def test_a_model_keeps_how_its_files_are_written():
    options = {"inputs": ("u",), "targets": ("y",), "separator": "tab", "skip_rows": 2, "comment": "#"}
    kept = SeriesSettings(**options)
    again = SeriesSettings.from_json(kept.to_json())
    assert (again.separator, again.skip_rows, again.comment, again.decimal) == ("\t", 2, "#", ".")
    older = {name: value for name, value in kept.to_json().items() if name not in ("separator", "comment", "columns")}
    assert SeriesSettings.from_json(older).separator is None


def test_many_columns_are_read_in_linear_time(tmp_path):
    names = ",".join(f"c{place}" for place in range(50_000))
    path = write(tmp_path, f"u,y,{names},c7\n1.5,2{',0' * 50_001}\n3,4{',0' * 50_001}\n")
    assert read(path) == ([1.5, 3], [2, 4])


def test_the_air_quality_table_is_read_as_published():
    folder = os.environ.get("CONTEXTUAL_RNN_DATA")
    if not folder:
        pytest.skip("CONTEXTUAL_RNN_DATA is not set: the air quality table was not read")
    path = pathlib.Path(folder, "files", "AirQualityUCI_head.csv")
    assert 'give `separator` ";"' in sentence(path, inputs=("T",), targets=("RH",))
    options = {"separator": ";", "decimal": ",", "time": ("none",)}
    inputs, targets = read(path, inputs=("T",), targets=("RH",), **options)
    assert inputs[:2] == pytest.approx([13.6, 13.3])
    assert targets[0] == pytest.approx(48.875, rel=1e-4)


def test_files_of_a_folder_pattern_or_list_are_series(tmp_path):
    folder = tmp_path / "wells"
    folder.mkdir()
    north, south = write(folder, "u,y\n1,2\n3,4\n", "north.csv"), write(folder, "u,y\n5,6\nx,8\n", "south.csv")
    columns = ColumnSettings(inputs=("u",), targets=("y",), series_from_file="well")
    for source in (folder, str(folder / "*.csv"), [north, south]):
        with pytest.raises(InputError, match=r"south.csv, line 3, column 'u': expected a finite number, found 'x'"):
            read_series(source, columns)
    south.write_text("u,y\n 5,6\n7,8\n")
    for source in (folder, str(folder / "*.csv"), [north, south]):
        one, other = read_series(source, columns)
        assert (one.name, other.name, other.inputs.ravel().tolist()) == ("north", "south", [5, 7])
    (alone,) = read_series(south, columns)
    assert alone.name == "south"
    write(folder, "u,z\n1,2\n", "third.csv")
    for source, words in (
        (folder, "third.csv and .*north.csv have different headers"),
        (folder / "*.tsv", "no file matches this pattern"),
        ([north, north], "two files have the name 'north'"),
    ):
        with pytest.raises(InputError, match=words):
            read_series(source, columns)
    assert "`series_from_file`" in sentence(folder)
    with pytest.raises(InputError, match="give one of them"):
        columns.replace(series="id")


def test_three_basins_are_read_as_published():
    folder = os.environ.get("CONTEXTUAL_RNN_DATA")
    if not folder:
        pytest.skip("CONTEXTUAL_RNN_DATA is not set: the basins were not read")
    options = {"separator": " ", "skip_rows": 3, "series_from_file": "basin"}
    columns = ColumnSettings(inputs=("prcp(mm/day)",), targets=("vp(Pa)",), **options)
    basins = read_series(pathlib.Path(folder, "files", "camels", "*_forcing.txt"), columns)
    assert [one.name for one in basins] == ["01022500_forcing", "01547700_forcing", "02064000_forcing"]
    assert basins[0].targets[0] == pytest.approx(202.51)


def camels(folder):
    """Two basins, as CAMELS has them: forcing under three lines, streamflow without a header, and attributes."""
    days = [f"2000 01 {day:02}" for day in range(1, 13)]
    for basin in ("01022500", "01547700"):
        forcing = [f"{day} 12\t{number}.50\t-{number}.25" for number, day in enumerate(days)]
        lines = ["  44.82", " 133.00", " 587675987", "Year Mnth Day Hr prcp(mm/day) tmax(C)", *forcing]
        write(folder, "\n".join(lines) + "\n", f"{basin}_forcing.txt")
        flow = [f"{basin} {day}   {number + 200}.00 A:e" for number, day in enumerate(days)]
        write(folder, "\n".join(flow) + "\n", f"{basin}_streamflow_qc.txt")
    write(folder, "gauge_id;gauge_lat\n01022500;44.6\n01547700;41.0\n", "camels_topo.txt")
    return folder


def test_a_folder_of_files_of_several_forms_names_the_pattern_of_one_form(tmp_path):
    folders = [camels(tmp_path)]
    published = pathlib.Path(os.environ.get("CONTEXTUAL_RNN_DATA", ""), "files", "camels")
    if published.is_dir():
        folders.append(published)
    named = {"series_from_file": "basin", "separator": " ", "time": ("Year", "Mnth", "Day")}
    forcing = ColumnSettings(inputs=("prcp(mm/day)",), targets=("tmax(C)",), skip_rows=3, **named)
    columns = ("gauge", "Year", "Mnth", "Day", "flow", "quality")
    flow = ColumnSettings(targets=("flow",), no_header=True, columns=columns, **named)
    for folder in folders:
        with pytest.raises(InputError) as raised:
            read_series(folder, forcing)
        pattern = str(folder / "*_forcing.txt")
        assert f'files like the first one only, give "{pattern}"' in str(raised.value)
        series = read_series(pattern, forcing)
        assert series[0].name == "01022500_forcing"
        assert series[0].times.frequency == "1 day"
        assert read_series(str(folder / "*_streamflow_qc.txt"), flow)[0].targets[0].item() >= 200
    with pytest.raises(
        InputError, match=r"line 4: the row has 6 cells, but the header has 1 name; .* header, give `skip_rows` 3"
    ):
        read_series(str(tmp_path / "*_forcing.txt"), forcing.replace(skip_rows=0))


@pytest.mark.parametrize("cells", [("1.234", "2.500"), ("1.234", "2,5")])
def test_a_context_column_of_decimal_commas_with_points_is_refused(tmp_path, cells):
    """1.234 may be a thousand."""
    path = write(tmp_path, f"id;c;u;y\na;{cells[0]};1;2\nb;{cells[1]};1;2\n")
    options = {"separator": ";", "decimal": ",", "series": "id", "context": ("c",)}
    assert "a.csv, line 2, column 'c': expected a number with a decimal comma" in sentence(path, **options)


def test_hidden_files_of_a_folder_are_not_read(tmp_path):
    write(tmp_path, "u,y\n1,2\n")
    write(tmp_path, b"\0\5\x16\7", "._a.csv")
    assert read(tmp_path, series_from_file="id") == ([1], [2])


@pytest.mark.parametrize("other", [pl.Series(["1", "x"]), pl.Series([1, 2], dtype=pl.Duration)])
def test_files_with_columns_of_different_types_are_refused(tmp_path, other):
    pl.DataFrame({"u": [1, 2], "y": [3, 4]}).write_parquet(tmp_path / "a.parquet")
    pl.DataFrame({"u": other, "y": [3, 4]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b.parquet, column 'u': its type is .*, but Int64 in .*a.parquet"):
        read_series(tmp_path, ColumnSettings(inputs=["u"], targets=["y"], series_from_file="id"))


def test_utf_8_read_in_another_encoding_is_warned_of(tmp_path):
    path = write(tmp_path, "c;u;y\nmé;1;2\n")
    with pytest.warns(
        DataWarning, match="a.csv may be UTF-8: with the `encoding` latin-1 it has words such as 'mÃ©;1;2'"
    ):
        read(path, separator=";", encoding="latin-1", context=("c",))


def test_a_comment_above_the_header_is_named(tmp_path):
    assert 'are comments, give `comment` "#"' in sentence(write(tmp_path, "# by hand\nu,y\n1,2\n"))
