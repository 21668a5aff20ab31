"""Trials of `endurance` on the files that users give: tables, pairs and models."""

from __future__ import annotations

import csv
import io
import json
import pathlib
import random
import resource
import time
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from contextual_rnn import load, save
from contextual_rnn._core.module_config import registered
from contextual_rnn.data.pairs import read_pairs
from contextual_rnn.data.series import read_series
from contextual_rnn.data.table import Table
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings
from contextual_rnn.serialization import read_header

from ._endurance_runs import damaged

SETTINGS = SeriesSettings(inputs=("u",), targets=("y",), series="id", hidden=4)
CHARACTERS = [
    ",",
    ";",
    "\t",
    '"',
    "'",
    "\n",
    "\r",
    " ",
    "-",
    ".",
    "e",
    "9",
    "\0",
    "\ufeff",
    "é",
    "inf",
    "nan",
    "id",
    "#",
]
SECONDS, TIMES, SPARE = 5, 10, 200e6  # the bounds of docs/reliability.md


def prepare(folder: pathlib.Path) -> None:
    """Write an undamaged table, file of pairs, and model."""
    generator = prepare_table(folder)
    words = ["".join(generator.choices("abcdefg", k=generator.randrange(2, 6))) for _ in range(40)]
    (folder / "pairs.tsv").write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))
    torch.manual_seed(0)
    save(SeriesModel(SETTINGS), folder / "model")
    registered("no such class")  # imports every module with models once, before the processes of the trials
    load(folder / "model")


def prepare_table(folder: pathlib.Path) -> random.Random:
    """Write an undamaged table, and return the generator of its numbers."""
    generator = random.Random(0)
    rows = [f"s{row // 20},{generator.random():.3f},{generator.random():.4f}" for row in range(60)]
    (folder / "table.csv").write_text("\n".join(["id,u,y", *rows]) + "\n")
    return generator


def mutated(generator: random.Random, text: str) -> str:
    """Return a text with some characters or lines inserted, removed, doubled or replaced."""
    for _ in range(generator.choice([1, 1, 1, 2, 5])):
        text = _mutated_once(generator, text)
    return text


def _mutated_once(generator: random.Random, text: str) -> str:
    first, last = sorted(generator.randrange(len(text) + 1) for _ in range(2))
    lines, character = text.split("\n"), generator.choice(CHARACTERS)
    line = generator.randrange(len(lines))
    changes = [
        lambda: text[:first] + character + text[first:],
        lambda: text[:first] + text[first + generator.randrange(1, 4) :],
        lambda: text[:first],
        lambda: "\n".join([*lines[:line], *lines[line + 1 :]]),
        lambda: "\n".join([*lines[: line + 1], *lines[line:]]),
        lambda: text[:first] + text[first:last][:50] + text[first:],
        lambda: text.replace(generator.choice([",", "\n", ".", "\t"]), character, generator.choice([1, -1])),
    ]
    return generator.choice(changes)()


def table(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Read a mutated table, and compare its numbers with those that the csv module reads."""
    text, path = mutated(generator, (folder / "table.csv").read_text()), folder / "mutated.csv"
    path.write_bytes(text.encode() if number % 5 else damaged(generator, text.encode()))
    read = Table(path, "`table`", SETTINGS)
    series = read_series(read, SETTINGS, known_targets=None, min_length=1)
    content = path.read_bytes().decode("utf-8-sig")
    lines = [
        row for row in csv.reader(io.StringIO(content, newline=None), delimiter=read.frame.layout.separator) if any(row)
    ]
    places = [[name.strip() for name in lines[0]].index(name) for name in ("id", "u", "y")]
    wanted = [[row[place].strip() for place in places] for row in lines[1:]]
    names = list(dict.fromkeys(row[0] for row in wanted))
    wanted = [row for name in names for row in wanted if row[0] == name]
    found = [
        [one.name, u[0].item(), y[0].item()] for one in series for u, y in zip(one.inputs, one.targets, strict=True)
    ]
    return found == [[name, np.float32(u).item(), np.float32(y).item()] for name, u, y in wanted]


def pairs(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Read a mutated file of pairs, and compare it with its lines."""
    text, path = mutated(generator, (folder / "pairs.tsv").read_text()), folder / "mutated.tsv"
    path.write_bytes(text.encode() if number % 5 else damaged(generator, text.encode()))
    found = read_pairs(path, source_unit="characters", target_unit="characters").pairs
    lines = [line for line in path.read_bytes().decode("utf-8-sig").splitlines() if line.strip()]
    letters = sorted(letter for line in lines for letter in line if letter.isalnum())
    read = sorted(
        letter for pair in found for side in (pair.source, pair.target) for letter in "".join(side) if letter.isalnum()
    )
    return read == letters and len(found) <= len(lines)


def model(generator: random.Random, number: int, folder: pathlib.Path) -> bool:
    """Load a damaged model file, or one whose header has other numbers, and compare it with the undamaged one."""
    path, whole = folder / "mutated", folder / "model"
    if number % 2:
        path.write_bytes(damaged(generator, whole.read_bytes()))
    else:
        header = changed(generator, read_header(whole))
        save_file(load_file(whole), path, {"contextual_rnn": json.dumps(header)})
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        found = load(path).state_dict()
    finally:
        taken = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        if time.process_time() - start > SECONDS or taken > TIMES * path.stat().st_size + SPARE:
            raise MemoryError(f"{time.process_time() - start:.1f} s, {taken / 1e6:.0f} MB")
    expected = load_file(whole)
    return all(torch.equal(found[name], expected[name]) for name in expected)


def changed(generator: random.Random, value: Any) -> Any:
    """Return JSON with some of its numbers, texts and lists replaced."""
    if isinstance(value, dict):
        return {key: changed(generator, one) for key, one in value.items() if generator.random() < 0.999}
    if isinstance(value, list):
        return [changed(generator, one) for one in value] * generator.choice([1] * 30 + [0, 2, 1000])
    if generator.random() < 0.97:
        return value
    return generator.choice(
        [-1, 0, 1, 10**4, 10**7, 10**12, 0.5, 1e300, "", "LSTM", None, True, [], {}, {"shared": 0}, value]
    )
