"""The records of nonlinearbenchmark.org: what to train on, what to test on, and published errors of the test.

The rows are those of the site's own loader (https://github.com/GerbenBeintema/nonlinear_benchmarks). It lets a model
use the first steps of a test record to find its state, and scores it on the steps after them.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import polars as pl
import torch

from ..._core.records import Record
from ...data.published import VARIABLE
from ...errors import InputError
from ...table_files.open import open_table
from ...table_files.settings import PLAIN


@dataclasses.dataclass(frozen=True)
class Part:
    """Rows of two columns of a file: `rows` is (first, stop); None is all rows."""

    inputs: str
    targets: str
    rows: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A record of the site.

    Attributes:
        files: the names of its file; the first that is found is read.
        training: what to train on.
        tests: what to test on, by name; the first is the main one.
        unit: of the errors.
        factor: from the unit of the file to that unit.
        published: errors of the main test in that unit, by what they are of. They count the whole test record.
    """

    files: tuple[str, ...]
    training: Part
    tests: dict[str, Part]
    unit: str
    factor: float = 1.0
    published: dict[str, float] = dataclasses.field(default_factory=dict)


BENCHMARKS = {
    "cascaded-tanks": Benchmark(
        files=("cascaded_tanks.csv", "dataBenchmark.csv", "dataBenchmark.mat"),
        training=Part("uEst", "yEst"),
        tests={"test": Part("uVal", "yVal")},
        unit="V",
        published={
            "RNN from zero": 0.543,
            "LSTM from zero": 0.490,
            "GRU from zero": 0.396,
            "pNARX": 0.413,
            "linear": 0.588,
            "best encoder (SUBNET)": 0.306,
            "best grey-box": 0.191,
        },
    ),
    "silverbox": Benchmark(
        files=("silverbox.csv", "SNLS80mV.csv", "SNLS80mV.mat"),
        training=Part("V1", "V2", (40650, 105712)),
        tests={
            "multisine": Part("V1", "V2", (105712, 127400)),
            "arrow without extrapolation": Part("V1", "V2", (100, 32100)),
            "arrow": Part("V1", "V2", (100, 40575)),
        },
        unit="mV",
        factor=1000.0,
        published={"RNN from zero": 1.64, "LSTM from zero": 1.50, "GRU from zero": 1.49, "best": 0.36},
    ),
    "wiener-hammerstein": Benchmark(
        files=("WienerHammerBenchMark.mat", "WienerHammerBenchMark.csv"),
        training=Part("uBenchMark", "yBenchMark", (5200, 105200)),
        tests={"test": Part("uBenchMark", "yBenchMark", (105200, 184000))},
        unit="mV",
        factor=1000.0,
    ),
}


@dataclasses.dataclass(frozen=True)
class Measured:
    """The records of a benchmark as tensors, and the SHA-256 of its files."""

    benchmark: Benchmark
    training: Record
    tests: dict[str, Record]
    sha256: tuple[str, ...]


def read(name: str, folder: str | os.PathLike[str] | None) -> Measured:
    """Read a benchmark from a folder; None is the one that the environment variable CONTEXTUAL_RNN_DATA names.

    Raises:
        InputError: no folder is given, the folder holds no file of the benchmark, or the file lacks rows or columns.
    """
    benchmark = BENCHMARKS[name]
    path = _find(benchmark.files, folder)
    parts = {"training": benchmark.training, **benchmark.tests}
    columns, sha256 = _columns(path, [column for part in parts.values() for column in (part.inputs, part.targets)])
    records = {part: _record(path, part, rows, columns) for part, rows in parts.items()}
    return Measured(benchmark, records.pop("training"), records, (sha256,))


def read_given(train: pathlib.Path, test: pathlib.Path, part: Part) -> Measured:
    """Read a record of the user: a table to train on, a table to test on, and their two columns.

    Raises:
        InputError: a file is no table, or lacks one of the columns or a number.
    """
    names = [part.inputs, part.targets]
    (first, one), (second, other) = (_columns(path, names) for path in (train, test))
    records = _record(train, train.name, part, first), _record(test, test.name, part, second)
    benchmark = Benchmark((train.name,), part, {"test": part}, unit=f"the unit of {part.targets}")
    return Measured(benchmark, records[0], {"test": records[1]}, (one, other))


def _find(files: tuple[str, ...], folder: str | os.PathLike[str] | None) -> pathlib.Path:
    given = folder or os.environ.get(VARIABLE)
    if not given:
        raise InputError(
            f"the records are not downloaded: get {files[-1]} from nonlinearbenchmark.org, and give its folder as "
            f"`data` or in the environment variable {VARIABLE}"
        )
    places = [pathlib.Path(given) / file for file in files]
    places += [pathlib.Path(given) / "system_identification" / file for file in files]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{given} holds none of {', '.join(files)}; get the file from nonlinearbenchmark.org")


def _columns(path: pathlib.Path, names: list[str]) -> tuple[dict[str, torch.Tensor], str]:
    """Return columns of a file as numbers, (T,), and the SHA-256 of what was read."""
    frame, names = open_table(path, PLAIN), list(dict.fromkeys(names))
    for name in names:
        if name not in frame.columns:
            raise InputError(f"{path} has no column {name!r}; its columns are {', '.join(frame.columns)}")
    frame.load(names, names)
    found = {}
    for name in names:
        numbers = frame[name].cast(pl.Float64, strict=False)
        wrong = (numbers.is_null() | ~numbers.is_finite()).fill_null(True).arg_max()
        if wrong is not None and not (numbers[wrong] is not None and numbers.is_finite()[wrong]):
            raise InputError(
                f"{path}, {frame.place(wrong)}, column {name!r}: expected a number; found {frame[name][wrong]!r}"
            )
        found[name] = torch.from_numpy(numbers.to_numpy().copy())
    return found, frame.sha256


def _record(path: pathlib.Path, name: str, part: Part, columns: dict[str, torch.Tensor]) -> Record:
    inputs, targets = columns[part.inputs], columns[part.targets]
    first, stop = part.rows or (0, len(inputs))
    if len(inputs) < stop:
        raise InputError(f"{path} has {len(inputs)} rows; {name} takes those up to {stop}")
    inputs, targets = (column[first:stop].float().unsqueeze(1) for column in (inputs, targets))
    return Record(name, inputs, targets, torch.zeros(0))
