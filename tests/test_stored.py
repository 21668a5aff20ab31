"""Training tables that stay on the disk: the same windows as in memory, and errors."""

import gc

import numpy as np
import polars as pl
import pytest
import torch
from tanks import QUICK, columns

from contextual_rnn import InputError
from contextual_rnn._core.records import random_windows
from contextual_rnn.data import row_groups, stored_tables
from contextual_rnn.data import stored as module
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.row_groups import check_row_groups, sizes_of_row_groups
from contextual_rnn.data.series import Datasets
from contextual_rnn.data.stored import store
from contextual_rnn.jobs import forecast, series

TANK = {"inputs": ["u"], "targets": ["y"], "series": "id"}


@pytest.fixture
def table(monkeypatch):
    """Seven series, read in pieces of 100 rows."""
    monkeypatch.setattr(module, "PIECE", 100)
    return pl.DataFrame(columns(7, 50))


def partitioned(table, folder):
    """Write each series to a folder of its own, in row groups of 20 rows."""
    for (name,), part in table.group_by("id", maintain_order=True):
        (folder / f"id={name}").mkdir(parents=True)
        part.drop("id").write_parquet(folder / f"id={name}" / "part.parquet", row_group_size=20)
    return folder


def test_windows_are_those_of_a_table_in_memory_wherever_the_rows_lie(table, tmp_path):
    whole = tmp_path / "whole.parquet"
    table.write_parquet(whole, row_group_size=30)
    given = ColumnSettings(inputs=("u",), targets=("y",), series="id")
    records = Datasets.read(table, None, None, given).training
    torch.manual_seed(0)
    wanted = list(random_windows(records, 52, 5, 20)())
    for source in (whole, partitioned(table, tmp_path / "parts")):
        found = store(source, ("u",), ("y",), "id")
        assert found.names == tuple(record.name for record in records)
        torch.manual_seed(0)
        for batch, other in zip(found.random_windows(52, 5, 20)(), wanted, strict=True):
            assert all(torch.equal(part, same) for part, same in zip(batch, other, strict=True))
        columns = table.select("u", "y").to_numpy()
        assert np.allclose(found.mean, columns.mean(0), rtol=1e-12)
        assert np.allclose(found.deviation, columns.std(0), rtol=1e-12)


def test_row_groups_are_drawn_from_equally_often(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 700)
    path, steps = tmp_path / "a.parquet", 4
    pl.DataFrame({"u": np.arange(2000.0), "y": np.zeros(2000)}).write_parquet(path, row_group_size=100)
    torch.manual_seed(0)
    batches = store(path, ("u",), ("y",), None).random_windows(steps, 500, 80)()
    drawn = torch.cat([inputs.flatten() for inputs, *_ in batches]).long()
    counts = torch.bincount(drawn // 100, minlength=20)
    expected = drawn.numel() / 20
    assert len(drawn) == 4 * 40000
    chi_square = float(((counts - expected) ** 2 / (steps * expected)).sum())  # steps of a window are drawn together
    assert chi_square < 43.8  # 0.999 quantile of 19 degrees of freedom
    assert bool((torch.bincount(drawn, minlength=2000) > 0).all())


def test_training_from_the_disk_gives_the_model_of_training_in_memory(table, tmp_path):
    path = partitioned(table, tmp_path / "parts")
    found = series.fit(path, memory=1e-6, window=2, jobs=1, **TANK, **QUICK)
    wanted = series.fit(table, window=2, jobs=1, **TANK, **QUICK)
    for name, tensor in wanted.state_dict().items():
        assert torch.allclose(tensor, found.state_dict()[name], rtol=1e-4, atol=1e-5), name
    assert any("371 rows of the training table (7 series) stay on the disk" in one for one in found.report.sentences)


def test_forecasts_from_the_disk_are_those_of_training_in_memory(table, tmp_path):
    short = pl.DataFrame({"id": ["t"] * 9, "u": np.arange(9.0), "y": np.arange(9.0) + 50})
    apart = table.with_columns(y=pl.col("y") + 40 * pl.col("id").str.slice(1).cast(pl.Float64))
    path = partitioned(pl.concat([apart, short]), tmp_path / "parts")
    columns = {"inputs": ["u"], "targets": ["y"], "series": "id", "past": 7, "horizon": 5, "base": "last"}
    given = {"epochs": 2, "updates": 4, "batch_size": 16, "hidden": 4, "jobs": 1, "refit": True, **columns}
    found = forecast.fit(path, memory=1e-6, **given)
    wanted = forecast.fit(pl.concat([apart, short]), **given)
    assert found.settings.scale == wanted.settings.scale == "window"
    for name, tensor in wanted.state_dict().items():
        assert torch.allclose(tensor, found.state_dict()[name], rtol=1e-4, atol=1e-5), name
    for name, errors in wanted.report.rows.items():
        assert found.report.rows[name] == pytest.approx(errors, rel=1e-3), name
    said = "380 rows of the training table (8 series) stay on the disk, as 0.00304 MB of a temporary file"
    assert any(said in one for one in found.report.sentences)


def test_parts_of_a_large_table_lie_at_equal_distances(tmp_path):
    pl.DataFrame({"u": np.arange(5000.0), "y": np.zeros(5000)}).write_parquet(tmp_path / "a.parquet")
    records = store(tmp_path / "a.parquet", ("u",), ("y",), None).sample(1000, 40)
    firsts = [int(record.inputs[0]) for record in records]
    assert [len(record) for record in records] == [40] * 25
    assert np.ptp(np.diff(firsts)) == 0
    assert firsts[0] == 0
    assert firsts[-1] == 4800


def test_a_small_file_is_read_and_the_stored_rows_are_removed(table, tmp_path):
    path = tmp_path / "a.parquet"
    table.write_parquet(path)
    small = series.fit(path, memory=1.0, jobs=1, **TANK, **QUICK)
    assert not any("disk" in sentence for sentence in small.report.sentences)
    found = store(path, ("u",), ("y",), "id")
    rows = found.path
    assert rows.exists()
    del found
    gc.collect()
    assert not rows.parent.exists()


def fails(table, path, match, **options):
    table.write_parquet(path, row_group_size=40)
    with pytest.raises(InputError, match=match):
        series.fit(path, memory=1e-6, jobs=1, **{**TANK, **QUICK, **options})


def test_what_is_wrong_is_named(table, tmp_path):
    path, place = tmp_path / "a.parquet", 250
    missing = table.with_columns(y=pl.when(pl.int_range(pl.len()) == place).then(None).otherwise("y"))
    fails(missing, path, r"a.parquet, row 251, column 'y': expected a finite number, found None")
    fails(table.with_columns(y=pl.lit("a")), path, "row 1, column 'y': expected a number, found String")
    fails(pl.concat([table, table[:60]]), path, "the rows of series 's0' do not lie together")
    fails(table.drop("y"), path, "a.parquet has no column 'y'")
    large = table.with_columns(u=16777216 + pl.int_range(pl.len()) % 7)
    fails(large, path, "column 'u': single precision, in which a table that stays on the disk is kept")
    fails(
        table,
        path,
        "`time`: a training table that stays on the disk",
        time="u",
        inputs=["y"],
        targets=["id"],
        series=None,
    )
    with pytest.raises(InputError, match="`memory` needs a training table that is a Parquet file"):
        series.fit(table, memory=1.0, jobs=1, **TANK, **QUICK)
    table.write_parquet(path)
    with pytest.raises(InputError, match="`memory` leaves the training table on the disk of this machine"):
        series.compare(path, table, memory=1e-6, cluster="dask://localhost:1", **TANK, **QUICK)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty is a folder without Parquet files"):
        series.fit(tmp_path / "empty", memory=1.0, jobs=1, **TANK, **QUICK)


def test_a_set_whose_files_differ_or_grow_is_refused(table, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    folder.mkdir()
    given = {"memory": 1e-6, "jobs": 1, "inputs": ["u"], "targets": ["y"], **QUICK}

    def fails(other, match):
        other.write_parquet(folder / "b.parquet")
        with pytest.raises(InputError, match=match):
            series.fit(folder, **given)

    table[:200].write_parquet(folder / "a.parquet")
    fails(table[200:].drop("y"), r"b.parquet: column 'y' is absent, but in .*a.parquet it is Float64; all files of")
    fails(table[200:].with_columns(u=pl.lit(1)), r"b.parquet: column 'u' is Int32, but in .*a.parquet it is Float64")
    table[:0].write_parquet(folder / "b.parquet")  # without rows
    assert store(folder, ("u",), ("y",), None).sizes == (200,)
    found = stored_tables.hash_of

    def grows(path):
        table.write_parquet(folder / "c.parquet")
        return found(path)

    monkeypatch.setattr(stored_tables, "hash_of", grows)
    fails(table[200:], "set has changed while it was read; start again when it is complete")


def test_a_row_group_that_takes_more_than_the_memory_is_refused(table, tmp_path, monkeypatch):
    monkeypatch.setattr(row_groups, "LEAST", 0.0)
    table.write_parquet(tmp_path / "a.parquet", row_group_size=100)
    sizes = sizes_of_row_groups(tmp_path / "a.parquet", ["u", "y"])
    assert len(sizes) == 4
    assert sizes[0] == pytest.approx(2 * 800, rel=0.2)
    check_row_groups(tmp_path / "a.parquet", ["u", "y"], 1e-5)
    with pytest.raises(InputError, match=r"`memory` 1e-06: a row group of .*a.parquet takes about 3.*e-06 GB"):
        series.fit(tmp_path, memory=1e-6, jobs=1, **TANK, **QUICK)
