"""Numbers that single precision does not tell apart: an offset is subtracted from them, and added to results."""

import importlib.util

import numpy as np
import pandas as pd
import polars as pl
import pytest
from tanks import QUICK

from contextual_rnn.cli import main
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.series import Datasets
from contextual_rnn.data.stored import store
from contextual_rnn.data.table import Table
from contextual_rnn.errors import InputError
from contextual_rnn.jobs import forecast, generation, series
from contextual_rnn.jobs.forecast import ForecastModel
from contextual_rnn.jobs.forecast.report import figures
from contextual_rnn.jobs.generation import SeriesGenerator
from contextual_rnn.jobs.series import SeriesModel

LARGE = 2.0**31  # numbers beside it are 256 apart in single precision
WAVE = np.round(5 * np.sin(np.arange(60) / 3))
NOISY = np.round(np.arange(50) / 10, 1) % 3 + 1e-9 * np.arange(50)  # the last digits are noise
SMALL = {"epochs": 2, "updates": 3, "hidden": 4, "batch_size": 4, "targets": ["y"], "jobs": 1}


def table(offset=LARGE, steps=60, dtype=pl.Int64):
    """A wave of whole numbers, and the same as an input."""
    wave = pl.Series(offset + WAVE[:steps]).cast(dtype)
    return pl.DataFrame({"u": wave, "y": wave, "v": np.arange(steps) / 7})


def differences(values):
    """The wave of numbers that carry an offset, however it was stored."""
    values = np.asarray(values)
    assert values.dtype == np.float64
    return values - LARGE


def files(tmp_path):
    table().write_csv(tmp_path / "a.csv")
    table(dtype=pl.Float64).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.csv").write_text(table().write_csv(separator=";").replace(".", ","))
    yield from ((tmp_path / "a.csv", {}), (tmp_path / "a.parquet", {}), (table(), {}))
    yield (tmp_path / "b.csv", {"separator": ";", "decimal": ","})
    yield pd.DataFrame(table().to_dict(as_series=False)), {}
    if importlib.util.find_spec("pyarrow"):
        yield table().to_arrow(), {}


def test_differences_are_kept_from_every_source(tmp_path):
    for source, options in files(tmp_path):
        data = Datasets.read(source, None, None, ColumnSettings(inputs=["u", "v"], targets=["y"], **options))
        (record,) = data.training
        assert set(data.coding.offsets) == {"u", "y"}
        found = record.inputs[:, 0].double().numpy() + data.coding.offsets["u"]
        np.testing.assert_array_equal(found - LARGE, WAVE)
        np.testing.assert_array_equal(record.targets[:, 0].double().numpy() + data.coding.offsets["y"] - LARGE, WAVE)
        assert (
            f"The numbers of 'u' are large and differ little, so {data.coding.offsets['u']:.0f} is" in data.remarks[0]
        )


def test_a_few_integers_beyond_24_bits_keep_their_differences():
    frame = pl.DataFrame({"u": 2**24 + np.arange(9), "y": np.arange(9.0)})
    data = Datasets.read(frame, None, None, ColumnSettings(inputs=["u"], targets=["y"]))
    assert data.training[0].inputs[:, 0].tolist() == [-4, -3, -2, -1, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "values",
    [
        np.arange(50) / 7,
        np.arange(50) * 1e6,
        2.0**24 + 1e6 * np.arange(50),
        np.full(50, 0.1),
        np.geomspace(1e-9, 1e9),
        NOISY,
    ],
)
def test_other_columns_have_no_offset(values):
    frame = pl.DataFrame({"u": values, "y": np.arange(50)})
    data = Datasets.read(frame, None, None, ColumnSettings(inputs=["u"], targets=["y"]))
    assert data.coding.offsets == {}
    np.testing.assert_array_equal(data.training[0].inputs[:, 0], values.astype(np.float32))


HUGE = [2**60 + int(step) for step in WAVE]
REFUSED = r"'u': found 115292150460684\d+; double precision does not tell such numbers apart"


@pytest.mark.parametrize(
    "kind", ["csv", "comma", "parquet", "decimal", "polars", "pandas", "nullable", "arrow", "hole"]
)
def test_integers_that_double_precision_merges_are_refused(tmp_path, kind):
    frame = pl.DataFrame({"u": HUGE, "y": np.arange(60) / 4})
    options, source = {}, frame
    if kind in ("csv", "comma"):
        source = tmp_path / "a.csv"
        frame.write_csv(source, separator=";", decimal_comma=kind == "comma")
        options = {"separator": ";", "decimal": "," if kind == "comma" else "."}
    elif kind in ("parquet", "decimal"):
        source = tmp_path / "a.parquet"
        frame.with_columns(frame["u"].cast(pl.Decimal(38, 0) if kind == "decimal" else pl.UInt64)).write_parquet(source)
    elif kind in ("pandas", "nullable"):
        source = pd.DataFrame(frame.to_dict(as_series=False)).astype({"u": "int64" if kind == "pandas" else "Int64"})
    elif kind == "arrow":
        pytest.importorskip("pyarrow")
        source = frame.to_arrow()
    elif kind == "hole":
        source = frame.with_columns(pl.Series("u", [None, *HUGE[1:]]))
        options = {"missing": "hold"}
    with pytest.raises(InputError, match=REFUSED):
        Datasets.read(source, None, None, ColumnSettings(inputs=["u"], targets=["y"], **options))


def test_large_integers_that_double_precision_tells_apart_are_read():
    """Random identifiers, and times in nanoseconds a second apart."""
    numbers = np.random.default_rng(0).integers(2**62, size=50)
    frame = pl.DataFrame({"u": numbers, "y": 10**18 + 10**9 * np.arange(50)})
    (record,) = Datasets.read(frame, None, None, ColumnSettings(inputs=["u"], targets=["y"])).training
    assert np.allclose(np.diff(record.targets[:, 0]), 1e9)


def test_context_and_tables_on_the_disk_refuse_them_too(tmp_path):
    frame = pl.DataFrame(
        {"id": np.arange(60) // 2, "c": [HUGE[i // 2] for i in range(60)], "u": HUGE, "y": np.arange(60.0)}
    )
    columns = ColumnSettings(inputs=["y"], targets=["y2"], context=["c"], series="id")
    with pytest.raises(InputError, match=r"column 'c': found 115292150460684.*give `labels`"):
        Datasets.read(frame.with_columns(y2="y"), None, None, columns)
    with pytest.raises(InputError, match=f"has {2**60} before and {2**60 + 1} here"):
        Table(frame).constants({"c": np.array([str(2**60), f"{2**60}.0", str(2**60 + 1)])}, "s", np.arange(3))
    frame.select("y", u=pl.lit(2**60) + pl.col("y").cast(pl.Int64) % 3).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"column 'u'.*does not tell its numbers apart"):
        store(tmp_path / "a.parquet", ("u",), ("y",), None)


def test_missing_values_are_marked_and_sentinels_do_not_move_the_offset():
    frame = table(dtype=pl.Float64).with_columns(pl.Series("u", [None, -200.0, *(LARGE + WAVE[2:])]))
    columns = ColumnSettings(inputs=["u"], targets=["y"], missing="hold", missing_values=[-200])
    data = Datasets.read(frame, None, None, columns)
    inputs = data.training[0].inputs
    assert inputs[:3, 1].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(inputs[2:, 0].double().numpy() + data.coding.offsets["u"] - LARGE, WAVE[2:])


def test_predictions_are_those_of_the_same_series_without_the_offset(tmp_path):
    options = {**SMALL, "inputs": ["u", "v"], "window": 2, "length": 10}
    plain = series.fit(table(0), test=table(0), **options)
    shift = plain.coding.offsets.get("y", 0) - np.sort(WAVE)[30]  # the offset is the median
    model = series.fit(table(), test=table(), out=tmp_path / "run", **options)
    loaded = SeriesModel.load(tmp_path / "run")
    assert loaded.coding == model.coding
    expected, found = (one.predict(table(offset)) for one, offset in ((plain, 0), (loaded, LARGE)))
    np.testing.assert_allclose(differences(found.frame["y_predicted"]), expected.frame["y_predicted"], atol=1e-3)
    np.testing.assert_array_equal(differences(found.frame["y"]), WAVE[2:])
    assert found.rmse["y"] == pytest.approx(expected.rmse["y"], rel=1e-3)
    assert float(model.target_mean) == pytest.approx(float(plain.target_mean) + shift, abs=1e-4)
    first = loaded.predict(table()[:20])
    second = loaded.predict(table()[20:], first.state)
    np.testing.assert_allclose(differences(second.frame["y_predicted"]), differences(found.frame["y_predicted"])[18:])


def test_forecasts_and_their_quantiles_have_the_offset(tmp_path):
    options = {**SMALL, "inputs": ["u"], "past": 8, "horizon": 3, "base": "last", "quantiles": [0.1, 0.9]}
    model = forecast.fit(table()[:50], out=tmp_path / "run", **options)
    found = ForecastModel.load(tmp_path / "run").forecast(table()[:50], table()[50:53])
    for name in ("y_predicted", "y_quantile_0.1", "y_quantile_0.9"):
        assert np.abs(differences(found[name])).max() < 20
    np.testing.assert_array_equal(differences(found["y"]), WAVE[50:53])
    assert model.errors(table()[:50], table()[50:53]).by_target["persistence"]["y"] < 10
    figure = figures(forecast.train.read_tables(table(), None, None, model.settings), model)["forecasts"]()
    assert abs(figure.axes[0].lines[0].get_ydata()[0] - LARGE) < 20


def test_generated_series_have_the_offset(tmp_path):
    frame = pl.concat([table(steps=20).with_columns(pl.lit(name).alias("id")) for name in "abc"])
    model = generation.fit(frame, targets=["y"], series="id", hidden=4, epochs=1, jobs=1, out=tmp_path / "run")
    found = SeriesGenerator.load(tmp_path / "run").sample(n=5, steps=4)
    assert np.abs(differences(found["y"])).max() < 100
    figure = model.plot_samples(n=5, steps=4)
    assert abs(figure.axes[0].lines[0].get_ydata()[0] - LARGE) < 100


def test_the_command_line_says_the_offset_and_writes_the_numbers(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    table().write_csv("a.csv")
    small = [word for name, value in QUICK.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    main(
        ["fit", "series", "--train", "a.csv", "--inputs", "u", "--targets", "y", *small, "--jobs", "1", "--out", "run"]
    )
    assert "is subtracted from them." in " ".join(capsys.readouterr().out.split())
    main(["predict", "run", "--inputs", "a.csv", "--out", "found.csv"])
    found = pl.read_csv("found.csv")
    np.testing.assert_array_equal(differences(found["y"]), WAVE)
    assert np.abs(differences(found["y_predicted"])).max() < 20


def test_an_arrow_table_of_integers_is_read_with_the_offset_of_a_file(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    table().write_csv(tmp_path / "a.csv")
    model = series.fit(tmp_path / "a.csv", **SMALL, inputs=["u"], length=10)
    one = model.predict(pyarrow.table({"u": (LARGE + WAVE).astype(np.int64)})).frame["y_predicted"]
    other = model.predict(tmp_path / "a.csv").frame["y_predicted"]
    assert np.asarray(one).tolist() == other.to_list()
