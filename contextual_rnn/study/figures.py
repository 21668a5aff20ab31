"""Figures: matplotlib figures that a caller may style, and that are written as PNG and SVG.

Nothing here changes matplotlib's backend or its rcParams: `styled` functions draw with settings that end with the call.
"""

from __future__ import annotations

import functools
import io
import math
import pathlib
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, NullFormatter

from .._core.files import replacing
from ..kinds import KINDS

Function = TypeVar("Function", bound=Callable[..., Any])

# For scripts that the default font lacks; those that are installed are used.
FALLBACK_FONTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Arial Unicode MS", "Hiragino Sans", "PingFang SC"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Noto Sans Devanagari", "Noto Sans Thai"),
)
LETTER = 0.14  # inches that the name of a row or column needs
OTHER_COLOURS = {"persistence": "#999999", "random walk": "#999999", "mean": "#BBBBBB", "independent steps": "#BBBBBB"}


@functools.cache
def _style() -> Any:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)]
    return {"font.family": fonts, "text.parse_math": False}  # a dollar sign in a user's symbol is a dollar sign


def style() -> Any:
    """Return a context in which figures use fonts for all scripts and take dollar signs literally."""
    return matplotlib.rc_context(_style())


def styled(function: Function) -> Function:
    """Decorate a function that draws, so that it draws in `style`."""

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Any:
        with style():
            return function(*args, **kwargs)

    return draw  # type: ignore[return-value]


class Figure(MatplotlibFigure):
    """A matplotlib figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def colour(kind: str) -> str | None:
    """Return the colour of a kind of initial state or baseline; None, for matplotlib's next colour, for others."""
    return KINDS[kind].colour if kind in KINDS else OTHER_COLOURS.get(kind)


def subplots(rows: int = 1, columns: int = 1, width: float = 6.0, height: float = 4.0) -> tuple[Figure, np.ndarray]:
    """Return a figure and its (rows, columns) array of axes, each `width` x `height` inches."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


@styled
def plot_runs(values: dict[str, dict[str, list[float]]], labels: dict[str, str]) -> Figure:
    """Draw one panel per metric with a dot for every run and a bar at the median of every kind.

    Args:
        values: for every metric and kind, the values of the runs.
        labels: the axis label of every metric.
    """
    kinds = max(map(len, values.values()))
    figure, axes = subplots(1, len(values), width=4.6, height=1.4 + 0.35 * kinds)
    for place, (metric, by_kind) in zip(axes[0], values.items(), strict=True):
        dots(place, by_kind)
        logarithmic_where_wide(place, "x")
        finish(place, labels[metric], "", "dot: one seed; bar: median", legend=False)
    return figure


@styled
def plot_history(history: list[dict[str, Any]]) -> Figure:
    """Draw the training loss and every validation metric by epoch, one panel each."""
    names = [name for name in history[0] if name != "epoch"]
    figure, axes = subplots(1, len(names), width=4.6, height=3.2)
    epochs = [metrics["epoch"] for metrics in history]
    for place, name in zip(axes[0], names, strict=True):
        place.plot(epochs, [metrics[name] for metrics in history], marker=".", color="black")
        finish(place, "epoch", "training loss" if name == "loss" else name.replace("_", " "), legend=False)
        logarithmic_where_wide(place, "y")
    return figure


def line_with_band(axes: Axes, x: Any, values: np.ndarray, name: str, kind: str, style: str = "-") -> None:
    """Draw the mean of several curves (N, T), and a band from their minimum to their maximum."""
    (drawn,) = axes.plot(x, values.mean(axis=0), style, color=colour(kind), label=name)
    axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=drawn.get_color(), alpha=0.2, linewidth=0)


def bands(axes: Axes, samples: Any, kind: str, shown: int = 3) -> None:
    """Draw the median of sampled curves (N, T), their central 50% and 90% bands, and a few of the curves.

    NaN is a step that a curve does not reach.
    """
    samples = np.asarray(samples)
    low, lower, middle, upper, high = np.nanquantile(samples, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    steps = np.arange(samples.shape[1])
    axes.fill_between(
        steps, low, high, color=colour(kind), alpha=0.15, linewidth=0, label=f"90% of {len(samples)} samples"
    )
    axes.fill_between(steps, lower, upper, color=colour(kind), alpha=0.3, linewidth=0, label="50% of samples")
    axes.plot(steps, middle, color=colour(kind), linewidth=2, label="median")
    names = [f"{shown} samples", *[None] * (shown - 1)]
    axes.plot(steps, samples[:shown].T, color=colour(kind), linewidth=0.7, alpha=0.8, label=names)


def dots(axes: Axes, values: dict[str, list[float]]) -> None:
    """Draw one row per kind, with a dot for every run and a bar at the median."""
    for row, (kind, runs) in enumerate(values.items()):
        if not runs:  # no run of this kind has the metric
            continue
        (drawn,) = axes.plot(runs, [row] * len(runs), "o", color=colour(kind), alpha=0.6)
        axes.plot([np.median(runs)] * 2, [row - 0.3, row + 0.3], color=drawn.get_color(), linewidth=2)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()


def logarithmic_where_wide(axes: Axes, which: str) -> None:
    """Give an axis, "x" or "y", a logarithmic scale if its values are positive and span a factor of ten."""
    column = "xy".index(which)
    shown = [float(value) for line in axes.get_lines() for value in np.asarray(line.get_xydata())[:, column]]
    if shown and 0 < 10 * min(shown) <= max(shown):
        logarithmic(axes, which)


def logarithmic(axes: Axes, which: str) -> None:
    """Give an axis, "x" or "y", a logarithmic scale."""
    axes.set(**{f"{which}scale": "log"})
    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def heatmap(figure: Figure, axes: Axes, values: np.ndarray, name: str) -> None:
    """Draw a matrix with colours centred on zero, and a labelled colour bar."""
    most = float(np.abs(values).max()) or 1.0
    image = axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most)
    figure.colorbar(image, ax=axes, label=name)


def weight_matrix(axes: Axes, values: np.ndarray, columns: list[str], rows: list[str], most: float) -> AxesImage:
    """Draw a matrix of weights, from white for 0 to black for `most`, and as many row and column names as fit."""
    image = axes.imshow(values, cmap="gray_r", vmin=0, vmax=most, aspect="auto")
    box = axes.get_window_extent()
    across, down = (
        _positions(len(columns), box.width / axes.figure.dpi),
        _positions(len(rows), box.height / axes.figure.dpi),
    )
    axes.set_xticks(across, [columns[place] for place in across], rotation=90 if max(map(len, columns)) > 3 else 0)
    axes.set_yticks(down, [rows[place] for place in down])
    return image


def _positions(count: int, inches: float) -> range:
    """Return evenly spaced positions of the names that fit."""
    return range(0, count, max(1, math.ceil(count * LETTER / inches)))


def strokes(axes: Axes, lines: np.ndarray, columns: int) -> None:
    """Draw lines (N, T, 2) in a grid, row by row, each in a 2 x 2 cell around its origin; mark their first points."""
    for number, line in enumerate(lines):
        x, y = 2.6 * (number % columns) + line[:, 0], -2.6 * (number // columns) + line[:, 1]
        axes.plot(x, y, color="black", linewidth=1)
        axes.plot(x[:1], y[:1], "o", color=KINDS["warm-up"].colour, markersize=3)
    rows = -(-len(lines) // columns)
    axes.set(xlim=(-1.5, 2.6 * columns - 1.1), ylim=(1.1 - 2.6 * rows, 1.5), aspect="equal")
    axes.axis("off")


def plane(axes: Axes, points: np.ndarray, names: Iterable[str]) -> None:
    """Draw points (N, D) by their first two principal components, each with its name."""
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    for (x, y), name in zip(centred @ directions[:2].T, names, strict=True):
        axes.plot(x, y, "o")
        axes.annotate(name, (x, y), xytext=(5, 3), textcoords="offset points")


def image(axes: Axes, pixels: np.ndarray) -> None:
    """Draw an image in grey, from white for 0 to black for 1."""
    axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])


def finish(axes: Axes, x: str, y: str, title: str = "", legend: bool = True) -> None:
    """Label the axes, with units, and draw the legend."""
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    if legend:
        axes.legend(frameon=False)


@styled
def write_figure(figure: MatplotlibFigure, folder: pathlib.Path, name: str) -> pathlib.Path:
    """Write `name.png` and `name.svg` to the folder, each atomically, and return the path of the first."""
    path = folder / f"{name}.png"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _save(figure, path, dpi=150)
        _save(figure, path.with_suffix(".svg"), metadata={"Date": None})
    _report_missing_symbols(path, [str(warning.message) for warning in caught])
    return path


def _save(figure: MatplotlibFigure, path: pathlib.Path, **options: Any) -> None:
    """Write a figure atomically, in the format of the path's ending."""
    with replacing(path) as file:
        figure.savefig(file, format=path.suffix[1:], **options)


def _report_missing_symbols(path: pathlib.Path, messages: list[str]) -> None:
    """Name the symbols that no font has, and repeat every other warning of matplotlib."""
    missing = {}
    for message in messages:
        glyph = re.match(r"Glyph (\d+) .*missing from font", message)
        if glyph:
            missing[chr(int(glyph[1]))] = True
        else:
            warnings.warn(message, stacklevel=3)
    if missing:
        symbols = " ".join(sorted(missing))
        print(f"{path}: no installed font has {symbols}; install one that does, such as Noto Sans", file=sys.stderr)
