"""`sample`: generate series from what is told of them."""

from __future__ import annotations

import pathlib

import numpy as np
import torch

from ...data.table import free_name, write_table
from ...errors import InputError
from ...sequence_model import Samples
from ...serialization import load
from ...study.figures import bands, finish, save, subplots
from ..series.data import read_columns
from .model import SeriesGenerator


def sample(
    run: pathlib.Path,
    out: str,
    context: dict[str, str],
    *,
    n: int,
    steps: int,
    temperature: float,
    seed: int,
    figure: str | None = None,
) -> str:
    """Generate `n` series of one context, write them to a table, and return what was done in words.

    Args:
        run: the run folder of `fit series` without inputs, or of one run of `compare series`.
        out: the table to write: series, step, and a column for every target and every context column.
        context: the text of every context column.
        n: how many.
        steps: how many each has, at most.
        temperature: 1 is the model itself, 0 the likeliest.
        seed: series i of a seed is always the same.
        figure: where to draw them, a `.png` file; None draws nothing.

    Raises:
        InputError: the folder holds no such model, or a context column is missing or unknown.
    """
    model = load(run / "model.safetensors", SeriesGenerator)
    columns, told = read_columns(run)
    _check_names(context, tuple(told.fields))
    for option, path in (("--out", out), ("--figure", figure)):
        if path and not pathlib.Path(path).parent.is_dir():
            raise InputError(f"{option} {path}: there is no folder {pathlib.Path(path).parent}")
    if figure and pathlib.Path(figure).suffix != ".png":
        raise InputError(f"--figure must end in .png; found {figure}")
    vector = torch.from_numpy(told.vector("--context", context)).unsqueeze(0)
    found = model.sample(vector, n, steps, temperature=temperature, seed=seed)
    write_table(out, _table(found, columns.targets, context, columns.series or "series"))
    words = f"{int(found.lengths.sum())} steps of {n} series were written to {out}."
    unended = int((found.lengths == steps).sum())
    if unended:
        words += f" {unended} of them had not ended, or ended just then, at --steps {steps}."
    if figure:
        picture = _draw(pathlib.Path(figure), model, vector, columns.targets, context, steps, seed)
        words += f" The picture is {picture}."
    return words


def _check_names(context: dict[str, str], names: tuple[str, ...]) -> None:
    listed = ", ".join(names) or "none"
    for name in context:
        if name not in names:
            raise InputError(f"--context {name}: the model has no such context column; it has {listed}")
    missing = [name for name in names if name not in context]
    if missing:
        raise InputError(f"--context needs {', '.join(f'{name}=...' for name in missing)}: the model was told {listed}")


def _table(found: Samples, targets: tuple[str, ...], context: dict[str, str], series: str) -> dict[str, object]:
    lengths = found.lengths.numpy()
    inside = np.arange(found.elements.shape[1]) < lengths[:, None]
    values = found.elements.numpy()[inside]
    number, step = np.nonzero(inside)
    names = {"series": free_name(series, (*targets, *context)), "step": free_name("step", (*targets, *context, series))}
    table: dict[str, object] = {names["series"]: [f"sample-{one}" for one in number], names["step"]: step}
    table |= {target: values[:, column] for column, target in enumerate(targets)}
    return table | {name: [value] * len(values) for name, value in context.items()}


def _draw(
    path: pathlib.Path,
    model: SeriesGenerator,
    context: torch.Tensor,
    targets: tuple[str, ...],
    told: dict[str, str],
    steps: int,
    seed: int,
) -> pathlib.Path:
    """Draw the bands of 200 series, each for all of the steps, a panel a target."""
    drawn = model.sample(context, 200, steps, seed=seed, stop=False).elements
    figure, axes = subplots(len(targets), width=9, height=2.8)
    known = ", ".join(f"{name} = {value}" for name, value in told.items())
    for column, target in enumerate(targets):
        bands(axes[column, 0], drawn[:, :, column], "context")
        finish(axes[column, 0], "step", f"{target}, its own unit", f"sampled series of {known}" if known else "")
    return save(figure, path.parent, path.stem)
