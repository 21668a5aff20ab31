"""The command `sample`: generated series as a file."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import polars as pl

from ..._core.counted import counted
from ...data.fields import named_values
from ...data.output import check_files, write_table
from ...errors import InputError
from .model import SeriesGenerator


def sample_file(
    run: pathlib.Path,
    out: str | os.PathLike[str],
    *,
    context: Sequence[str] = (),
    n: int = 100,
    steps: int = 1000,
    temperature: float = 1.0,
    seed: int = 0,
    figure: str | os.PathLike[str] | None = None,
) -> str:
    """Generate series of one context with a trained model, and write them to a file.

    Args:
        run: Run folder that `fit generation` made, or a model file.
        out: Table to write, CSV, TSV or Parquet.
        context: Value of every context column, as NAME=VALUE.
        n: Number of series.
        steps: Maximum number of steps of a series.
        temperature: 1 samples from the model's distribution; 0 takes its mode.
        seed: Random seed; series i does not depend on `n`.
        figure: PNG file of the median and the 50% and 90% bands of 200 generated series; an SVG is written next
            to it.

    Raises:
        InputError: if an argument is invalid, or the file holds no such model.

    Example:
        contextual-rnn sample runs/digits --out sevens.csv --context digit=7 --n 20
    """
    if figure and pathlib.Path(figure).suffix != ".png":
        raise InputError(f"`figure` must end in .png; found {figure}")
    drawing = figure and pathlib.Path(figure).with_suffix(".svg")
    check_files(read={"run": run}, written={"out": out, "figure": figure, "figure as SVG": drawing})
    values = named_values(context)
    model = SeriesGenerator.load(run)
    table = model.sample(values, n, steps, temperature, seed, like=pl.DataFrame())
    write_table(out, table)
    report = f"{counted(len(table), 'step')} of {n} series (`n`), drawn with `seed` {seed}.\n"
    unfinished = (table.group_by(table.columns[0]).len()["len"] == steps).sum()
    if unfinished:
        report += f"{unfinished} of the series reached the limit of {counted(steps, 'step')} (`steps`).\n"
    report += f"Series: {out}"
    if figure:
        from ...study.figures import write_figure

        path = pathlib.Path(figure)
        drawn = model.plot_samples(values, steps=steps, seed=seed, temperature=temperature)
        report += f"\nFigure: {write_figure(drawn, path.parent, path.stem)}"
    return report
