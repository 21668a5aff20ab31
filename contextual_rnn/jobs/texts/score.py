"""The log-likelihood of given texts, under what is known about them or under each value of a grid."""

from __future__ import annotations

import itertools
import math
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import polars as pl
import torch

from ...context import Label
from ...data.frame import make_frame
from ...data.output import check_files, write_table
from ...data.table import Source, Table, is_path
from ...errors import InputError
from .batches import Encoded
from .data import Texts, check_values, read_texts
from .model import TextModel, label_of

Grid = Mapping[str, Sequence[Any]] | tuple[str, Sequence[Any]]


def score(model: TextModel, inputs: Source, grid: Grid | None = None) -> Any:
    """Return the log-likelihood of the texts of a table under a model.

    Args:
        model: the model.
        inputs: a table with the column of texts. Context columns may be absent, or have empty cells, where a value is
            not known.
        grid: the values that context columns take in turn instead of their own, such as `{"language": ["Greek",
            "Irish"]}`; an empty list takes all labels of the column. All combinations are taken. A tuple of one column
            and its values is a grid, too.

    Returns:
        A data frame with one row per text: the text, the context columns that the table has, `log_likelihood` in nats,
        and `bits_per_symbol`, whose symbols include the end. With a grid, it has one row per text and combination of
        values, and a column `probability`: that of the combination given the text, if all are equally likely at first.

    Raises:
        InputError: a text or a value is invalid, or a text has a symbol that no training text has.
    """
    settings = model.settings
    if settings.series_from_file and is_path(inputs) and pathlib.Path(inputs).is_file():
        settings = settings.replace(series_from_file=None)  # the name of a single file says nothing about its texts
    table = Table(inputs, "`inputs`", settings)
    there = tuple(name for name in settings.context if name in table.frame.columns)
    roles = {
        role: tuple(name for name in getattr(settings, role) if name in there) for role in ("labels", "quantities")
    }
    texts = read_texts(table, settings.replace(context=there, context_in="none", **roles))
    values = {name: texts.context.get(name) or [None] * len(texts) for name in settings.context}
    for name, field in model.fields.items():
        if isinstance(field, Label):
            values[name] = [None if one is None else label_of(field, one) for one in values[name]]
    texts = Texts(texts.symbols, values, texts.rows)
    check_values(texts, model.fields)
    known = set(model.symbols)
    for symbols, row in zip(texts.symbols, texts.rows, strict=True):
        for symbol in symbols:
            if symbol not in known:
                raise InputError(f"{row}, column {settings.text!r}: no training text has the symbol {symbol!r}")
    columns = {settings.text: table.frame[settings.text].to_list(), **{name: values[name] for name in there}}
    if grid is None:
        return make_frame(columns | _scores(model, texts), table.backend)
    given = dict([grid]) if isinstance(grid, tuple) else dict(grid)
    asked = list(itertools.product(*(_values(model, name, several) for name, several in given.items())))
    columns = {column: [cell for cell in cells for _ in asked] for column, cells in columns.items()}
    repeated = texts.take(place for place in range(len(texts)) for _ in asked)
    for name, cells in zip(given, zip(*asked * len(texts), strict=True), strict=True):
        columns[name] = repeated.context[name] = list(cells)
    found = _scores(model, repeated)
    chances = torch.tensor(found["log_likelihood"], dtype=torch.float64).view(-1, len(asked)).softmax(1)
    return make_frame(columns | found | {"probability": chances.flatten().tolist()}, table.backend)


def _values(model: TextModel, name: str, several: Sequence[Any]) -> list[Any]:
    """Return the values of a grid: those given, or all labels of the column."""
    field = model.fields.get(name)
    if not several and isinstance(field, Label):
        return list(field.names or [])
    if not several:
        model.values({name: None})  # raises InputError for an unknown column
        raise InputError(f"`grid` {name} needs values, such as {name}=1,2,3, because it is a column of numbers")
    return [model.values({name: value})[name] for value in several]


def _scores(model: TextModel, texts: Texts) -> dict[str, list[float]]:
    encoded = Encoded.of(texts, model.symbols)
    found = model.log_likelihood(encoded)
    bits = -found / encoded.lengths / math.log(2)
    return {"log_likelihood": found.tolist(), "bits_per_symbol": bits.tolist()}


def score_file(
    run: pathlib.Path, inputs: str | os.PathLike[str], out: str | os.PathLike[str], *, grid: Sequence[str] = ()
) -> str:
    """Compute the log-likelihood of texts under a trained model, and store them in a file.

    Args:
        run: Run folder that `fit texts` made, or a model file.
        inputs: Table with the column of texts; context columns may be absent, or have empty cells.
        out: Table to write, CSV, TSV or Parquet.
        grid: Context columns whose values are tried in turn for every text: NAME for all of its labels, or
            NAME=VALUE,VALUE. The column `probability` then says which of their combinations fits the text.

    Raises:
        InputError: if a file or an argument is invalid.

    Example:
        contextual-rnn score runs/names --inputs surnames.csv --grid language --out languages.csv
    """
    check_files(read={"run": run, "inputs": inputs}, written={"out": out})
    model = TextModel.load(run)
    parts = [text.partition("=") for text in ([grid] if isinstance(grid, str) else grid)]
    asked = {name: [value for value in values.split(",") if value] for name, _, values in parts}
    if len(asked) < len(parts):
        raise InputError("`grid` has a column twice; give all of its values at once, such as NAME=1,2,3")
    table = pl.DataFrame(model.score(inputs, asked or None))
    write_table(out, table)
    mean = float(table["bits_per_symbol"].mean())  # type: ignore[arg-type]
    lines = [
        f"{len(table)} rows, {mean:.4g} bits per symbol on average.",
        *_unknown(model, table, asked),
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
