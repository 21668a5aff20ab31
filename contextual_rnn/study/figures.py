"""Figures: lines with bands, written as PNG and SVG."""

from __future__ import annotations

import math
import pathlib
import re
import sys
import warnings
from collections.abc import Iterable
from typing import Any

import matplotlib

matplotlib.use("Agg")  # figures go to files, on machines without a screen too

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, NullFormatter

# For scripts that the default font lacks; of these, whatever is installed.
FALLBACK_FONTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Arial Unicode MS", "Hiragino Sans", "PingFang SC"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Noto Sans Devanagari", "Noto Sans Thai"),
)
_INSTALLED = {font.name for font in font_manager.fontManager.ttflist}
plt.rcParams["font.family"] = ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in _INSTALLED)]
plt.rcParams["text.parse_math"] = False  # a dollar in somebody's symbols and names is a dollar

LETTER = 0.14  # inches that a name of a row or column needs

# Okabe and Ito's colours, told apart by the colour-blind; one for every kind (or pair), the same in all figures.
COLOURS = {
    "zero": "#000000",
    "free": "#E69F00",
    "context": "#0072B2",
    "gaussian": "#009E73",
    "error-noise": "#CC79A7",
    "warm-up": "#D55E00",
    "every-step": "#56B4E9",
    "hold-last": "#999999",
    "none": "#000000",
    "initial-state": "#0072B2",
    "pair 1": "#0072B2",
    "pair 2": "#009E73",
    "pair 3": "#E69F00",
    "pair 4": "#CC79A7",
}


def colour(kind: str) -> str | None:
    """Return the colour of a kind of initial state; None, for matplotlib's next, where it is no known kind."""
    return COLOURS.get(kind)


def subplots(rows: int = 1, columns: int = 1, width: float = 6.0, height: float = 4.0) -> tuple[Figure, np.ndarray]:
    """Return a figure of rows x columns axes, each `width` x `height` inches, as an array of two dimensions."""
    size = (width * columns, height * rows)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")


def line_with_band(axes: Axes, x: Any, values: np.ndarray, name: str, kind: str, style: str = "-") -> None:
    """Draw the mean of several curves (N, T), and a band from the least of them to the greatest."""
    (drawn,) = axes.plot(x, values.mean(axis=0), style, color=colour(kind), label=name)
    axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=drawn.get_color(), alpha=0.2, linewidth=0)


def bands(axes: Axes, samples: Any, kind: str, shown: int = 3) -> None:
    """Draw the median of sampled curves (N, T), their central 50 % and 90 % bands, and the first few of them."""
    samples = np.asarray(samples)
    low, lower, middle, upper, high = np.quantile(samples, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
    steps = np.arange(samples.shape[1])
    axes.fill_between(steps, low, high, color=colour(kind), alpha=0.15, linewidth=0, label=f"90 % of {len(samples)}")
    axes.fill_between(steps, lower, upper, color=colour(kind), alpha=0.3, linewidth=0, label="50 %")
    axes.plot(steps, middle, color=colour(kind), linewidth=2, label="their median")
    names = [f"{shown} of them", *[None] * (shown - 1)]
    axes.plot(steps, samples[:shown].T, color=colour(kind), linewidth=0.7, alpha=0.8, label=names)


def dots(axes: Axes, values: dict[str, list[float]]) -> None:
    """Draw one dot for every run, a row for every kind, and a line at the median."""
    for row, (kind, runs) in enumerate(values.items()):
        (drawn,) = axes.plot(runs, [row] * len(runs), "o", color=colour(kind), alpha=0.6)
        axes.plot([np.median(runs)] * 2, [row - 0.3, row + 0.3], color=drawn.get_color(), linewidth=2)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()


def logarithmic_where_wide(axes: Axes, which: str) -> None:
    """Give the x or the y axis a logarithmic scale, where what it shows is positive and spans a factor of ten."""
    column = "xy".index(which)
    shown = np.concatenate([np.asarray(line.get_xydata())[:, column] for line in axes.get_lines()])
    if not 0 < 10 * shown.min() <= shown.max():
        return
    logarithmic(axes, which)


def logarithmic(axes: Axes, which: str) -> None:
    """Give the x or the y axis a logarithmic scale."""
    axes.set(**{f"{which}scale": "log"})
    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def heatmap(figure: Figure, axes: Axes, values: np.ndarray, name: str) -> None:
    """Draw a matrix as an image whose colours are centred on zero, with a bar that names them."""
    most = float(np.abs(values).max()) or 1.0
    image = axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most)
    figure.colorbar(image, ax=axes, label=name)


def weights(axes: Axes, values: np.ndarray, columns: list[str], rows: list[str], most: float) -> AxesImage:
    """Draw a matrix of weights from 0, white, to `most`, black; columns and rows have names, as many as fit."""
    image = axes.imshow(values, cmap="gray_r", vmin=0, vmax=most, aspect="auto")
    box = axes.get_window_extent()
    across, down = (
        _that_fit(len(columns), box.width / axes.figure.dpi),
        _that_fit(len(rows), box.height / axes.figure.dpi),
    )
    axes.set_xticks(across, [columns[place] for place in across], rotation=90 if max(map(len, columns)) > 3 else 0)
    axes.set_yticks(down, [rows[place] for place in down])
    return image


def _that_fit(count: int, inches: float) -> range:
    """Return the places, evenly apart, of the names that there is room for."""
    return range(0, count, max(1, math.ceil(count * LETTER / inches)))


def strokes(axes: Axes, lines: np.ndarray, columns: int) -> None:
    """Draw lines (N, T, 2) in a grid, row by row, each in a cell of 2 x 2 about its origin, its first point marked."""
    for number, line in enumerate(lines):
        x, y = 2.6 * (number % columns) + line[:, 0], -2.6 * (number // columns) + line[:, 1]
        axes.plot(x, y, color="black", linewidth=1)
        axes.plot(x[:1], y[:1], "o", color=COLOURS["warm-up"], markersize=3)
    rows = -(-len(lines) // columns)
    axes.set(xlim=(-1.5, 2.6 * columns - 1.1), ylim=(1.1 - 2.6 * rows, 1.5), aspect="equal")
    axes.axis("off")


def plane(axes: Axes, points: np.ndarray, names: Iterable[str]) -> None:
    """Draw points (N, D) in the plane of their two principal components, each with its name."""
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    for (x, y), name in zip(centred @ directions[:2].T, names, strict=True):
        axes.plot(x, y, "o")
        axes.annotate(name, (x, y), xytext=(5, 3), textcoords="offset points")


def image(axes: Axes, pixels: np.ndarray) -> None:
    """Draw a grey image, 0 white and 1 black."""
    axes.imshow(pixels, cmap="gray_r", vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])


def finish(axes: Axes, x: str, y: str, title: str = "", legend: bool = True) -> None:
    """Name the axes with their units, and draw the legend."""
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    if legend:
        axes.legend(frameon=False)


def save(figure: Figure, folder: pathlib.Path, name: str) -> pathlib.Path:
    """Write `name.png` and `name.svg` to the folder, close the figure, and return the path of the first."""
    path = folder / f"{name}.png"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(path, dpi=150)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    _say_what_no_font_has(path, [str(warning.message) for warning in caught])
    return path


def _say_what_no_font_has(path: pathlib.Path, warned: list[str]) -> None:
    """Say which symbols were drawn as boxes, and pass on every other warning of matplotlib's."""
    missing = {}
    for message in warned:
        glyph = re.match(r"Glyph (\d+) .*missing from font", message)
        if glyph:
            missing[chr(int(glyph[1]))] = True
        else:
            warnings.warn(message, stacklevel=3)
    if missing:
        symbols = " ".join(sorted(missing))
        print(f"{path}: no font here has {symbols}; install one that has, such as Noto Sans", file=sys.stderr)
