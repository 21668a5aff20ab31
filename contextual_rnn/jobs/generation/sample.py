"""Generated series as a data frame or a file."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from torch import Tensor

from ..._core.settings import check_count, check_seed, nearest
from ...data.files import check_files
from ...data.frame import FrameColumns, make_frame
from ...data.series import Series, context_vectors
from ...data.table import Table, free_name, write_table
from ...errors import InputError
from ...sequence_model import Samples
from ...serialization import load
from .model import SeriesGenerator


def sample(
    model: SeriesGenerator,
    context: dict[str, Any],
    *,
    n: int,
    steps: int,
    temperature: float,
    seed: int,
    like: Any = None,
) -> Any:
    """Generate series of one context; see `SeriesGenerator.sample`."""
    backend = model.backend if like is None else FrameColumns(like, "`like`").frame.implementation
    found = generate(model, context, n, steps, temperature, seed)
    return make_frame(_columns(model, found, context), backend)


def sample_file(
    run: pathlib.Path,
    out: str,
    *,
    context: Sequence[str] = (),
    n: int = 100,
    steps: int = 1000,
    temperature: float = 1.0,
    seed: int = 0,
    figure: str | None = None,
) -> str:
    """Generate series of one context with a trained model, and write them to a file.

    Args:
        run: Run folder that `fit generation` made, or a model file.
        out: Table to write, CSV, TSV or Parquet.
        context: Value of every context column, as NAME=VALUE.
        n: Number of series.
        steps: Largest number of steps of a series.
        temperature: 1 samples from the model's distribution, 0 takes its mode.
        seed: Seed of the series; series i of a seed is the same for every `n`.
        figure: PNG file to draw the median and bands of 200 such series in.

    Raises:
        InputError: an argument is wrong, or the file holds no such model.

    Example:
        contextual-rnn sample runs/digits --out sevens.csv --context digit=7 --n 20
    """
    check_files(read={}, written={"out": out, "figure": figure})
    if figure and pathlib.Path(figure).suffix != ".png":
        raise InputError(f"`figure` must end in .png; found {figure}")
    values = dict(_name_and_value(text) for text in context)
    model = load(run, SeriesGenerator)
    found = generate(model, values, n, steps, temperature, seed)
    write_table(out, _columns(model, found, values))
    report = f"{int(found.lengths.sum())} steps of {n} series.\n"
    unfinished = int((found.lengths == steps).sum())
    if unfinished:
        report += f"{unfinished} of the series reached the limit of {steps} steps (`steps`).\n"
    report += f"Series: {out}"
    if figure:
        path = pathlib.Path(figure)
        from ...study.figures import write_figure

        drawn = model.plot_samples(values, steps=steps, seed=seed)
        report += f"\nFigure: {write_figure(drawn, path.parent, path.stem)}"
    return report


def generate(
    model: SeriesGenerator, context: dict[str, Any], n: int, steps: int, temperature: float, seed: int
) -> Samples:
    """Check the arguments, and generate series as tensors."""
    check_count(n=n, steps=steps)
    check_seed(seed)
    if not 0 <= temperature < float("inf"):
        raise InputError(f"`temperature` must be at least 0 and finite; found {temperature}")
    vector = context_vector(model, context)
    found = model.trajectories(vector, n, steps, temperature=temperature, seed=seed)
    return Samples(found.elements.cpu(), found.lengths.cpu())


def context_vector(model: SeriesGenerator, context: dict[str, Any]) -> Tensor:
    """Return the context vector (1, C) of a value for every context column.

    Raises:
        InputError: a column is missing or unknown, or its value is not one that the training table allows.
    """
    names = model.settings.context
    for name in context:
        if name not in names:
            listed = ", ".join(names) or "none"
            raise InputError(
                f"`context`: the model has no context column {name!r}{nearest(name, names)}; it has {listed}"
            )
    missing = [name for name in names if name not in context]
    if missing:
        raise InputError(f"`context` needs a value of {', '.join(map(repr, missing))}")
    values: dict[str, str] = {}
    if names:
        table = Table(pl.DataFrame({name: [context[name]] for name in names}, strict=False), "`context`")
        values = {name: table.context(name)[0] for name in names}
    empty = np.empty((0, 0), np.float32)
    series = Series("sample", empty, empty, values, np.empty(0, int))
    return context_vectors(model.fields, names, [series]).to(model.device)


def _columns(model: SeriesGenerator, found: Samples, context: dict[str, Any]) -> dict[str, Any]:
    settings = model.settings
    taken = (*settings.targets, *settings.context)
    inside = np.arange(found.elements.shape[1]) < found.lengths.numpy()[:, None]
    values = found.elements.numpy()[inside]
    number, step = np.nonzero(inside)
    series = free_name(settings.series or "series", taken)
    columns: dict[str, Any] = {series: [f"sample-{one}" for one in number], free_name("step", (*taken, series)): step}
    columns |= {target: values[:, place] for place, target in enumerate(settings.targets)}
    return columns | {name: [context[name]] * len(values) for name in settings.context}


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"`context` must be NAME=VALUE, such as period=2.0; found {text!r}")
    return name, value
