"""Trials of `endurance` on tables that are no text, and on models of subwords."""

from __future__ import annotations

import gzip
import pathlib
import random
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from contextual_rnn.data.series import read_series
from contextual_rnn.data.stored import store
from contextual_rnn.data.subwords import Subwords
from contextual_rnn.data.table import Table

from ._endurance_files import SECONDS, SETTINGS, SPARE, TIMES, prepare_table
from ._endurance_runs import damaged

FILES = ("a.parquet", "b.parquet", "a.feather", "b.arrow", "a.mat", "b.mat", "a.csv.gz", "stored.parquet")


def prepare(folder: pathlib.Path) -> None:
    """Write the same table in every format, compressed and not, and a model of subwords."""
    import scipy.io

    prepare_table(folder)
    frame = pl.read_csv(folder / "table.csv")
    frame.write_parquet(folder / "a.parquet", compression="zstd")
    frame.write_parquet(folder / "b.parquet", compression="uncompressed")
    frame.write_parquet(folder / "stored.parquet", row_group_size=7)
    frame.write_ipc(folder / "a.feather", compression="uncompressed")
    frame.write_ipc(folder / "b.arrow", compression="zstd")
    (folder / "a.csv.gz").write_bytes(gzip.compress((folder / "table.csv").read_bytes()))
    numbers = {"id": np.repeat(np.arange(3.0), 20), "u": frame["u"].to_numpy(), "y": frame["y"].to_numpy()}
    scipy.io.savemat(folder / "a.mat", numbers)
    scipy.io.savemat(folder / "b.mat", numbers, do_compression=True)
    generator = random.Random(0)
    words = ["".join(generator.choices("abcdefg", k=generator.randrange(2, 6))) for _ in range(300)]
    texts = [" ".join(generator.choices(words, k=8)) for _ in range(100)]
    (folder / "texts").write_text("\n".join(texts))
    (folder / "subwords").write_bytes(Subwords.train(texts, 60).model)


def binary(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Read a damaged table of another format than text.

    Only gzipped text has a checksum, so of the others it is only asked that the result is a table: the same number of
    columns, and finite numbers. What a damaged file of text gives must be what the undamaged one gives.
    """
    name = FILES[number % len(FILES)]
    path = folder / f"mutated-{name}"
    path.write_bytes(damaged(generator, (folder / name).read_bytes()))
    found = _bounded(path, lambda: _read(path))
    if name.endswith(".gz"):
        return found == _read(folder / name)
    return all(np.isfinite(values).all() and values.shape[1] == 2 for _, values in found)


def _read(path: pathlib.Path) -> list[Any]:
    """Return the name and the values of every series; those of a table that stays on the disk, its windows."""
    if "stored" in path.name:
        stored = store(path, ("u",), ("y",), "id")
        batches = stored.random_windows(5, 4, 3)()
        return [("", np.concatenate([inputs, targets], axis=2).reshape(-1, 2)) for inputs, targets, *_ in batches]
    series = read_series(Table(path, "`table`", SETTINGS), SETTINGS, known_targets=None, min_length=1)
    both = [(one.name, np.concatenate([one.inputs, one.targets], axis=1)) for one in series]
    return [(name, values.tolist()) for name, values in both] if path.suffix == ".gz" else both


def subwords(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Split texts by a damaged model of subwords. It has no checksum of its own; a model file has one of all of it."""
    content, path = (folder / "subwords").read_bytes(), folder / "mutated-subwords"
    for _ in range(generator.choice([1, 1, 2, 5])):
        content = damaged(generator, content)
    path.write_bytes(content)
    texts = (folder / "texts").read_text().split("\n")[:20]
    found = _bounded(path, lambda: [Subwords(content).split(text) for text in texts])
    return all(isinstance(one, str) for symbols in found for one in symbols)


def _bounded(path: pathlib.Path, work: Callable[[], Any]) -> Any:
    """Return what some work on a file returns; raise MemoryError if it takes more than the bounds."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        return work()
    finally:
        taken = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        if time.process_time() - start > SECONDS or taken > TIMES * path.stat().st_size + SPARE:
            raise MemoryError(f"{time.process_time() - start:.1f} s, {taken / 1e6:.0f} MB")
