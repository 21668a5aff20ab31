"""Tables that do not fit into the memory are refused in one sentence before they are read."""

import gzip
import resource

import numpy as np
import polars as pl
import pytest

from contextual_rnn import InputError
from contextual_rnn.data.pairs import read_pairs
from contextual_rnn.table_files import memory
from contextual_rnn.table_files.open import open_table
from contextual_rnn.table_files.settings import FileSettings


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1_000_000)


def parquet(path, **columns):
    pl.DataFrame(columns).write_parquet(path)


def mat(path, y):
    scipy_io = pytest.importorskip("scipy.io", reason="pip install 'contextual-rnn[matlab]'")
    scipy_io.savemat(path, {"y": y}, do_compression=True)


TABLES = {  # of a few kilobytes, and what is said of them
    "numbers.parquet": (lambda path: parquet(path, y=[0.5] * 40_000), "has 40000 rows, and reading 1 columns of them"),
    "texts.parquet": (lambda path: parquet(path, y=["a"] * 11_000), "has 11000 rows, and reading 1 columns of them"),
    "long.parquet": (lambda path: parquet(path, y=["a" * 10_000] * 50), "has 50 rows, and reading 1 columns of them"),
    "matlab.mat": (
        lambda path: mat(path, np.zeros(200_000)),
        "reading .*matlab.mat takes about 0 GB, but this process",
    ),
    "rows.csv.gz": (lambda path: path.write_bytes(gzip.compress(b"y\n" + b"1\n" * 200_000)), "once unzipped, but this"),
    "line.csv.gz": (lambda path: path.write_bytes(gzip.compress(b"y\n" + b"1" * 400_000)), "once unzipped, but this"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_does_not_fit_is_refused(name, tmp_path, little_memory):
    make, said = TABLES[name]
    make(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 20_000
    with pytest.raises(InputError, match=said):
        open_table(tmp_path / name, FileSettings()).load(["y"])


def test_pairs_that_do_not_fit_are_refused(tmp_path, little_memory):
    (tmp_path / "pairs.tsv.gz").write_bytes(gzip.compress(b"ab\tba\n" * 60_000))
    with pytest.raises(InputError, match="once unzipped, but this"):
        read_pairs(tmp_path / "pairs.tsv.gz", source_unit="characters", target_unit="characters")


def test_a_table_that_fits_is_read(tmp_path, little_memory):
    parquet(tmp_path / "table.parquet", y=[0.5] * 1000, text=["a"] * 1000)
    open_table(tmp_path / "table.parquet", FileSettings()).load(["y", "text"])
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(b"y\n" + b"1\n" * 100_000))
    open_table(tmp_path / "table.csv.gz", FileSettings()).load(["y"])


def test_limits_of_the_process_and_of_its_container_count(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CGROUPS", (str(limit), str(tmp_path / "absent")))
    limit.write_text("max\n")
    without = memory.available_memory()
    limit.write_text("1000000\n")
    assert memory.available_memory() == 1_000_000 < without
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (500_000, -1))
    assert memory.available_memory() == 500_000
