"""Figures: matplotlib figures that a caller may style, and that are written as PNG and SVG.

Nothing here changes matplotlib's backend or its rcParams: `styled` functions draw with settings that end with the call.
"""

from __future__ import annotations

import functools
import io
import itertools
import math
import pathlib
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeVar

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MatplotlibFigure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from .._core.files import replacing
from ..kinds import KINDS
from .intervals import mean_interval
from .metric import Bounds, Metric

Function = TypeVar("Function", bound=Callable[..., Any])

# For scripts that the default font lacks; those that are installed are used.
FALLBACK_FONTS = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Arial Unicode MS", "Hiragino Sans", "PingFang SC"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Noto Sans Devanagari", "Noto Sans Thai"),
)
LINE = 0.15  # inches between the names of two rows or columns, so that they do not overlap
LETTER = 0.09  # inches that a letter of such a name takes
MOST_NAMES = 60  # on an axis of a matrix of weights; of more rows or columns, only some are named
ABBREVIATIONS = ("rmse", "mse", "mase", "rmsse", "crps", "bleu")
INTERVAL = "interval"  # the identifier of lines that show intervals
BASELINE = "#777777"
# The palette of Okabe and Ito, which colour-blind readers can distinguish.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# Of the places where a model reads the context; "every-step" is a kind of `KINDS`.
PLACES = {
    **dict.fromkeys(("h0", "initial-state"), KINDS["context"].colour),
    **{"both": KINDS["gaussian"].colour, "none": KINDS["zero"].colour},
}
BASELINES = (
    *("persistence", "random walk", "mean", "independent steps", "linear", "seasonal", "symbol frequencies"),
    "pairs of symbols",
)


@functools.cache
def _style() -> Any:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    fonts = ["DejaVu Sans", *(name for name in FALLBACK_FONTS if name in installed)]
    # A dollar sign in a user's symbol is a dollar sign.
    return {"font.family": fonts, "text.parse_math": False, "axes.prop_cycle": cycler(color=PALETTE)}


def style() -> Any:
    """Return a context in which figures use fonts for all scripts and take dollar signs literally."""
    return matplotlib.rc_context(_style())


def styled(function: Function) -> Function:
    """Decorate a function that draws, so that it draws in `style`, and a figure gets a legend under its panels."""

    @functools.wraps(function)
    def draw(*args: Any, **kwargs: Any) -> Any:
        with style():
            found = function(*args, **kwargs)
            if isinstance(found, MatplotlibFigure) and not found.legends:
                legend_below(found)
            return found

    return draw  # type: ignore[return-value]


class Figure(MatplotlibFigure):
    """A matplotlib figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()


def colour(kind: str) -> str | None:
    """Return the colour of a kind, a place of the context or a baseline; None, matplotlib's next, for others."""
    if kind in KINDS:
        return KINDS[kind].colour
    return PLACES.get(kind) or (BASELINE if kind.startswith(BASELINES) else None)


def colours(kinds: Iterable[str]) -> dict[str, str]:
    """Return a colour for each kind: its own, or the next of the palette that no other kind has."""
    kinds = list(kinds)
    own = {kind: colour(kind) for kind in kinds}
    free = itertools.cycle([one for one in PALETTE if one not in own.values()] or PALETTE)
    return {kind: own[kind] or next(free) for kind in kinds}


def subplots(
    rows: int = 1,
    columns: int = 1,
    width: float = 6.0,
    height: float = 4.0,
    sharey: Literal["none", "all", "row", "col"] = "none",
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its (rows, columns) array of axes, each `width` x `height` inches."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharey=sharey)


@styled
def plot_runs(
    values: dict[str, dict[str, list[float]]], metrics: Sequence[Metric], unit: str = "", heading: str = ""
) -> Figure:
    """Draw one panel per metric: a dot for every run, and the mean of every kind with its 95% interval.

    Panels of errors in the unit of the targets share their axis.

    Args:
        values: for every metric and kind, the values of the runs.
        metrics: what the panels show.
        unit: of the targets, in words.
        heading: what the parts of the names of kinds are, separated by commas.
    """
    kinds = [kind for by_kind in values.values() for kind in by_kind]
    width = 4 + 0.08 * max(map(len, without_shared(kinds))) / len(metrics)
    figure, axes = subplots(1, len(metrics), width=width, height=1.3 + 0.4 * max(map(len, values.values())))
    first = next((place for place, metric in zip(axes[0], metrics, strict=True) if metric.of_targets), None)
    for place, metric in zip(axes[0], metrics, strict=True):
        by_kind = values[metric.key]
        if metric.of_targets and place is not first:
            place.sharex(first)
        dots(place, dict(zip(without_shared(list(by_kind)), by_kind.values(), strict=True)), metric.bounds)
        finish(place, ", ".join(filter(None, (metric.name, metric.unit, unit if metric.of_targets else ""))), "")
        place.tick_params(labelleft=bool(place is axes[0, 0]))
        if metric.unit == "%":
            end_at_hundred(place)
    for place in axes[0]:
        logarithmic_where_wide(place, "x")
    if ", " in heading:  # a single part explains itself
        axes[0, 0].set_ylabel(_parts(heading, _differing(list(values[metrics[0].key]))))
    return figure


def without_shared(names: Sequence[str]) -> list[str]:
    """Return names without the parts, separated by commas, that all names of several parts share."""
    kept = _differing(names)
    short = [_parts(name, kept) for name in names]
    return short if len(set(short)) == len(set(names)) else list(names)


def _differing(names: Sequence[str]) -> list[int]:
    """Return the places of the parts in which names of several parts differ; none if the names do not match."""
    several = [name.split(", ") for name in names if ", " in name]
    if len(several) < 2 or len(set(map(len, several))) > 1:
        return []
    return [place for place in range(len(several[0])) if len({one[place] for one in several}) > 1]


def _parts(name: str, places: Sequence[int]) -> str:
    """Return some parts of a name, by their places; the whole name if it has one part, or there are no places."""
    parts = name.split(", ")
    return ", ".join(parts[place] for place in places) if places and len(parts) > max(places) else name


def end_at_hundred(axes: Axes) -> None:
    """Let an axis of percentages begin at 0 or above, and end at 100 at the latest."""
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, 0), min(high, 100))


@styled
def plot_history(history: list[dict[str, Any]]) -> Figure:
    """Draw the training loss and every validation metric by epoch, one panel each."""
    return _learning_curves({"": {"": [history]}})


@styled
def plot_learning(histories: dict[str, list[list[dict[str, Any]]]]) -> Figure:
    """Draw the training loss and every validation metric of several kinds by epoch, with a line for every seed.

    More kinds than there are colours have a row of panels for all that differ only in the last part of their names.

    Args:
        histories: of every kind, and seed, the metrics of every epoch.
    """
    short = dict(zip(without_shared(list(histories)), histories.values(), strict=True))
    rows: dict[str, dict[str, list[list[dict[str, Any]]]]] = {}
    for name, runs in short.items():
        row, _, last = name.rpartition(", ") if len(short) > len(PALETTE) else ("", "", name)
        rows.setdefault(row, {})[last] = runs
    return _learning_curves(rows)


def _learning_curves(rows: dict[str, dict[str, list[list[dict[str, Any]]]]]) -> Figure:
    shown = [runs for histories in rows.values() for runs in histories.values() if runs]
    names = [name for name in shown[0][0][0] if name != "epoch"]
    figure, axes = subplots(len(rows), len(names), width=4.6, height=3.2)
    kinds = list({kind: None for histories in rows.values() for kind in histories})
    drawn = {"": "black"} if kinds == [""] else colours(kinds)
    for (row, histories), places in zip(rows.items(), axes, strict=True):
        for place, name in zip(places, names, strict=True):
            for kind, runs in histories.items():
                for seed, history in enumerate(runs):
                    label = f"{kind}, {len(runs)} seed{'s' * (len(runs) > 1)}" if kind and not seed else None
                    points = [(one["epoch"], one[name]) for one in history if one.get(name) is not None]
                    place.plot(*zip(*points, strict=True), ".-", color=drawn[kind], linewidth=1, alpha=0.8, label=label)
            finish(place, "epoch", "training loss" if name == "loss" else _name_in_words(name), row)
            logarithmic_where_wide(place, "y")
    return figure


def _name_in_words(key: str) -> str:
    """Return the key of a metric as words, such as "validation RMSE"."""
    return " ".join(word.upper() if word in ABBREVIATIONS else word for word in key.split("_"))


def line_with_band(axes: Axes, x: Any, values: np.ndarray, name: str, kind: str, style: str = "-") -> None:
    """Draw the mean of several curves (N, T), and a band from their minimum to their maximum.

    Args:
        axes: to draw on.
        x: (T,).
        values: of the curves.
        name: for the legend.
        kind: of initial state, which has a colour, or a colour.
        style: of the line.
    """
    drawn_in = kind if kind.startswith("#") else colour(kind)
    (drawn,) = axes.plot(x, values.mean(axis=0), style, color=drawn_in, label=name)
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


def dots(axes: Axes, values: dict[str, list[float]], bounds: Bounds | None = None) -> None:
    """Draw one row per kind: a dot for every run, and under the dots their mean and its 95% interval.

    There is no interval for fewer than five runs; others are within the bounds of the metric. A single value is a bar.
    """
    of_kind = colours(values)
    for row, (kind, runs) in enumerate(values.items()):
        if not runs:  # no run of this kind has the metric
            continue
        drawn = of_kind[kind]
        interval, single = mean_interval(runs, bounds), len(runs) == 1
        if single:
            axes.plot(runs, [row], "|", color=drawn, markersize=16, markeredgewidth=2.5, clip_on=False)
            continue
        axes.plot(runs, [row - 0.1] * len(runs), "o", color=drawn, alpha=0.6, markersize=5, label="one seed")
        low, high = interval.low, interval.high
        label = "mean" if low is None else "mean and its 95% interval"
        middle = float(np.mean(runs))
        ends = [middle if low is None else low, middle, middle if high is None else high]
        (line,) = axes.plot(ends, [row + 0.25] * 3, "-D", color=drawn, markersize=4, markevery=[1], label=label)
        line.set_gid(INTERVAL)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.5, -0.6)


def logarithmic_where_wide(axes: Axes, which: str) -> None:
    """Give an axis, "x" or "y", a logarithmic scale if its values are positive and span a factor of ten."""
    column = "xy".index(which)
    lines = [line for line in axes.get_lines() if line.get_gid() != INTERVAL]  # of which an end may be negative
    shown = [float(value) for line in lines for value in np.asarray(line.get_xydata())[:, column]]
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
    """Draw a matrix of weights, from white for 0 to black for `most`, with the names of its rows and columns.

    Every name is shown if there are at most `MOST_NAMES`; `weight_matrix_size` gives the size that they need.
    """
    image = axes.imshow(values, cmap="gray_r", vmin=0, vmax=most, aspect="auto")
    across, down = _named(len(columns)), _named(len(rows))
    axes.set_xticks(across, [columns[place] for place in across], rotation=90 if max(map(len, columns)) > 1 else 0)
    axes.set_yticks(down, [rows[place] for place in down])
    return image


def weight_matrix_size(columns: list[str], rows: list[str]) -> tuple[float, float]:
    """Return the width and the height, in inches, of a panel of `weight_matrix` on which every shown name fits."""
    below, beside = (max(map(len, names)) * LETTER + 0.6 for names in (columns, rows))  # with the name of the axis
    return beside + LINE * len(_named(len(columns))), below + LINE * len(_named(len(rows)))


def _named(count: int) -> range:
    """Return the places of the rows or columns that are named: all, or evenly spaced ones if there are too many."""
    return range(0, count, max(1, math.ceil(count / MOST_NAMES)))


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


def finish(axes: Axes, x: str, y: str, title: str = "") -> None:
    """Label the axes, with units. `styled` draws the legend."""
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    if x.startswith(("step", "epoch")) and axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def legend_below(figure: MatplotlibFigure) -> None:
    """Draw one legend of all panels under them, where it covers nothing; a long one makes the figure higher."""
    handles: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        widths, width = [0.6 + 0.075 * len(label) for label in handles], figure.get_figwidth()  # inches, about
        columns = len(handles) if sum(widths) <= width else max(1, int(width // max(widths)))
        figure.set_figheight(figure.get_figheight() + 0.22 * (math.ceil(len(handles) / columns) - 1))
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns, frameon=False)


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
