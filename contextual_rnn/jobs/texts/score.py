"""The log-likelihood of given texts, under what is known about them or under each value of a grid."""

from __future__ import annotations

import itertools
import math
import os
import pathlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import polars as pl
import torch

from ..._core.choices import check_choice
from ...context import Label
from ...data.frame import frame_like
from ...data.output import check_files, write_table
from ...data.table import Source, Table, is_path
from ...errors import DataWarning, InputError
from .batches import Encoded
from .data import Texts, check_values, read_texts
from .grid import Grid, read_grid
from .model import TextModel, label_of

Unseen = Literal["refuse", "impossible", "skip"]
UNSEEN = ("refuse", "impossible", "skip")


def score(model: TextModel, inputs: Source, grid: Grid | None = None, *, unseen: Unseen = "refuse") -> Any:
    """Return the log-likelihood of the texts of a table under a model; see `TextModel.score`."""
    check_choice(unseen, UNSEEN, "`unseen`")
    table, there = _table(model, inputs)
    texts, impossible = _read(model, table, there)
    names = (model.settings.text, *there)
    cells = {names[0]: table.frame[names[0]].to_list(), **{name: texts.context[name] for name in there}}
    rows = list(range(len(texts)))
    if impossible:
        _say(impossible, len(texts), unseen)
        if unseen == "skip":
            rows = [row for row in rows if row not in impossible]
    asked = None if grid is None else read_grid(model, grid)
    combinations = [()] if asked is None else list(itertools.product(*asked.values()))
    rows = [row for row in rows for _ in combinations]
    scored = texts.take(rows)
    columns = {name: [several[row] for row in rows] for name, several in cells.items()}
    for place, name in enumerate(asked or ()):
        scored.context[name][:] = [one[place] for _ in range(len(rows) // len(combinations)) for one in combinations]
        columns[name] = scored.context[name]
    columns |= _scores(model, scored, [row in impossible for row in rows])
    if asked is not None:
        columns["probability"] = _probabilities(columns["log_likelihood"], len(combinations))
    return frame_like(table.frame, columns, rows)


def _table(model: TextModel, inputs: Source) -> tuple[Table, tuple[str, ...]]:
    """Return the table, and the context columns that it has."""
    settings = model.settings
    if settings.series_from_file and is_path(inputs) and pathlib.Path(inputs).is_file():
        settings = settings.replace(series_from_file=None)  # the name of a single file says nothing about its texts
    table = Table(inputs, "`inputs`", settings)
    return table, tuple(name for name in settings.context if name in table.frame.columns)


def _read(model: TextModel, table: Table, there: tuple[str, ...]) -> tuple[Texts, dict[int, str]]:
    """Return the texts of a table, and a sentence for each row whose text the model cannot write."""
    settings = model.settings
    roles = {
        role: tuple(name for name in getattr(settings, role) if name in there) for role in ("labels", "quantities")
    }
    impossible: dict[int, str] = {}
    texts = read_texts(table, settings.replace(context=there, context_in="none", **roles), impossible)
    values = {name: texts.context.get(name) or [None] * len(texts) for name in settings.context}
    for name, field in model.fields.items():
        if isinstance(field, Label):
            values[name] = [None if one is None else label_of(field, one) for one in values[name]]
    texts = Texts(texts.symbols, values, texts.rows)
    check_values(texts, model.fields)
    known = set(model.symbols)
    for row, symbols in enumerate(texts.symbols):
        new = next((symbol for symbol in symbols if symbol not in known), None)
        if new is not None:
            place = f"{texts.rows[row]}, column {settings.text!r}"
            impossible[row] = f"{place}: no training text has the symbol {new!r}"
    return texts, dict(sorted(impossible.items()))


def _say(impossible: Mapping[int, str], number: int, unseen: str) -> None:
    """Refuse or warn of texts that the model cannot write."""
    count, first = len(impossible), next(iter(impossible.values()))
    said = f"{first} ({count} of {number} texts have such symbols)"
    if unseen == "refuse":
        raise InputError(
            f"{said}; `unseen` impossible gives these texts the log-likelihood minus infinity, and `unseen` skip "
            "leaves them out"
        )
    if unseen == "skip" and count == number:
        raise InputError(f"every text has a symbol that no training text has; the first is {first}")
    done = "are left out" if unseen == "skip" else "get the log-likelihood minus infinity"
    warnings.warn(f"{said}: they {done}", DataWarning, stacklevel=4)


def _scores(model: TextModel, texts: Texts, impossible: Sequence[bool]) -> dict[str, list[Any]]:
    """Return the columns of the log-likelihood; that of impossible texts is minus infinity."""
    found = [-math.inf] * len(texts)
    bits = [math.inf] * len(texts)
    rows = [row for row, never in enumerate(impossible) if not never]
    if rows:
        encoded = Encoded.of(texts.take(rows), model.symbols)
        likelihoods = model.log_likelihood(encoded)
        per_symbol = -likelihoods / encoded.lengths / math.log(2)
        for row, likelihood, one in zip(rows, likelihoods.tolist(), per_symbol.tolist(), strict=True):
            found[row], bits[row] = likelihood, one
    return {"log_likelihood": found, "bits_per_symbol": bits}


def _probabilities(log_likelihoods: Sequence[float], combinations: int) -> list[float | None]:
    """Return the probability of each combination given its text; None where the text is impossible."""
    chances = torch.tensor(log_likelihoods, dtype=torch.float64).view(-1, combinations).softmax(1).flatten().tolist()
    return [None if math.isnan(chance) else chance for chance in chances]


def score_file(
    run: pathlib.Path,
    inputs: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    grid: Sequence[str] = (),
    unseen: Unseen = "refuse",
) -> str:
    """Compute the log-likelihood of texts under a trained model, and store them in a file.

    Args:
        run: Run folder that `fit texts` made, or a model file.
        inputs: Table with the column of texts; context columns may be absent, or have empty cells.
        out: Table to write, CSV, TSV or Parquet.
        grid: Context columns to vary: NAME takes all labels of the column, and NAME=VALUE,VALUE these values. Every
            text is scored under every combination; the other context columns keep the values of the text's row. The
            column `probability` is that of the combination given the text, if all are equally likely at first.
        unseen: What to do with texts that have a symbol that no training text has: refuse the table; score them as
            impossible (log-likelihood -inf); or skip them. The last two print the number of such texts.

    Raises:
        InputError: if a file or an argument is invalid.

    Example:
        contextual-rnn score texts runs/names --inputs surnames.csv --grid language --out languages.csv
    """
    check_files(read={"run": run, "inputs": inputs}, written={"out": out})
    model = TextModel.load(run)
    asked = [grid] if isinstance(grid, str) else list(grid)
    table = pl.DataFrame(model.score(inputs, asked or None, unseen=unseen))
    write_table(out, table)
    possible = table.filter(pl.col("bits_per_symbol").is_finite())
    never = len(table) - len(possible)
    average = f"{float(possible['bits_per_symbol'].mean()):.4g}" if len(possible) else "no finite"  # type: ignore[arg-type]
    left = f"; {never} rows of impossible texts are not in this mean" if never else ""
    lines = [
        f"{len(table)} rows, {average} bits per symbol on average{left}.",
        *_unknown(model, table, read_grid(model, asked) if asked else ()),
        f"Scores: {out}",
    ]
    return "\n".join(lines)


def _unknown(model: TextModel, table: pl.DataFrame, grid: Collection[str]) -> list[str]:
    """Return a sentence for each context column with values that are not known, where the model reads the context."""
    if model.settings.context_in == "none":
        return []
    counts = {
        name: table[name].null_count() if name in table.columns else len(table)
        for name in model.settings.context
        if name not in grid
    }
    return [
        f"In {count} of {len(table)} rows, the context column {name!r} is not known."
        for name, count in counts.items()
        if count
    ]
