"""`Comparison`: the runs of several kinds, what they say of each other, and the table and figure that show it."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import io
import os
import pathlib
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..serialization import load, save
from .differences import Metric, Row
from .parallel import caller_unchanged
from .run_folder import RunFolder, make_folder, write_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 80  # columns of a terminal


class Rows(list[Row]):
    """A list of rows with the same fields, which a notebook shows as a table; `pandas.DataFrame(rows)` works."""

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for row in self for name in row))
        head = "".join(f"<th>{html.escape(str(name))}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_shown(row.get(name)))}</td>" for name in names) + "</tr>"
            for row in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Models(Mapping[str, Any]):
    """The trained model of every run, by the run's name; each is loaded when it is first used.

    Args:
        folder: that holds the runs' folders.
        names: of the runs.
    """

    def __init__(self, folder: pathlib.Path, names: Sequence[str]) -> None:
        self.folder, self.names, self.loaded = folder, list(names), dict[str, Any]()

    def __getitem__(self, name: str) -> Any:
        """Return a model, in evaluation mode."""
        if name not in self.names:
            raise KeyError(f"there is no run {name!r}; the runs are {', '.join(self.names)}")
        if name not in self.loaded:
            self.loaded[name] = load(self.folder / name / "model.safetensors")
        return self.loaded[name]

    def load_all(self) -> None:
        """Load every model, so that the folder is no longer needed."""
        for name in self.names:
            self[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the runs."""
        return iter(self.names)

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.names)


@dataclasses.dataclass
class Comparison:
    """What a comparison found. Printing it shows the answer and a table; `verdict` has every sentence.

    Attributes:
        answer: one sentence: whether it matters and by how much, that no difference was found, or that the runs are
            too few.
        runs: the metrics of every run.
        summary: mean, median and 95 % interval over seeds of every metric of every kind.
        differences: every comparison, with its interval.
        sentences: what else was found, in words.
        metrics: in the order of the table; kinds are ranked by the first.
        models: every run's model, by the name of the run.
        config: the settings, as JSON.
        report: further fields of `results.json`.
        note: a sentence under the table, such as the unit of the metrics.
        out: the run folder; None where nothing was kept on disk.
    """

    factor: ClassVar[str] = "initial_state"
    heading: ClassVar[str] = "initial state"

    answer: str
    runs: Rows
    summary: Rows
    differences: Rows
    sentences: list[str]
    metrics: Sequence[Metric]
    models: Models
    config: dict[str, Any]
    report: dict[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""
    out: pathlib.Path | None = None

    @property
    def verdict(self) -> str:
        """Everything that was found, in words; the answer comes first."""
        return "\n".join([self.answer, *self.sentences])

    def results(self) -> dict[str, Any]:
        """Return what `results.json` holds."""
        own = {"runs": self.runs, "summary": self.summary, "differences": self.differences}
        return {**own, **self.report, "verdict": self.verdict}

    def table_rows(self) -> list[Row]:
        """Return the rows that the table shows: a metric of a kind each, with its mean, median and interval."""
        return self.summary

    def table(self, width: int = WIDTH) -> str:
        """Return the metrics of every kind as a table, the best kind first: mean and 95 % interval over seeds."""
        from rich.console import Console
        from rich.table import Table

        rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        rows.add_column(self.heading, no_wrap=True)
        for metric in self.metrics:
            unit = f", {metric.unit}" if metric.unit else ""
            rows.add_column(f"{metric.name}{unit}\nmean [95 % interval]")
        for kind in self.ranked():
            rows.add_row(kind, *(self._cell(kind, metric) for metric in self.metrics))
        text = io.StringIO()
        Console(file=text, width=width, color_system=None, markup=False, emoji=False).print(rows)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def ranked(self) -> list[str]:
        """Return the kinds and baselines by the median of the first metric, the lowest first; those without it last."""
        rows = [row for row in self.table_rows() if row["metric"] == self.metrics[0].key]
        ranked = [row[self.factor] for row in sorted(rows, key=lambda row: row["median"])]
        return list(dict.fromkeys([*ranked, *(row[self.factor] for row in self.table_rows())]))

    def plot_errors(self) -> Figure:
        """Draw the metrics of every run: one dot per seed, and a bar at the median."""
        from .figures import plot_runs

        kinds = dict.fromkeys(row[self.factor] for row in self.table_rows())
        values = {metric.key: {kind: self._values(kind, metric) for kind in kinds} for metric in self.metrics}
        labels = {metric.key: f"{metric.name}{f', {metric.unit}' if metric.unit else ''}" for metric in self.metrics}
        return plot_runs(values, labels)

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        return {"errors": self.plot_errors}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a run folder with the settings, the results, the figures, and every model.

        Raises:
            InputError: the folder already holds a run or other files.
        """
        folder = RunFolder.open(path, self.config, resume=False)
        for name, model in self.models.items():
            make_folder(folder.path / "runs" / name)
            save(model, folder.path / "runs" / name / "model.safetensors")
        self.write(folder)

    def write(self, folder: RunFolder) -> None:
        """Write the results and then the figures to an open run folder."""
        from .figures import write_figure

        write_json(folder.results_path, self.results())  # first, because drawing could fail
        for name, draw in self.figures().items():
            write_figure(draw(), folder.figures, name)

    def __str__(self) -> str:
        """Return the answer, the table, and where the files are."""
        return "\n\n".join([_wrapped(self.answer), self.table(), *self._notes()])

    def details(self) -> str:
        """Return every sentence, the table, and where the files are."""
        sentences = ["\n".join(_wrapped(sentence) for sentence in self.sentences)] if self.sentences else []
        return "\n\n".join([_wrapped(self.answer), self.table(), *sentences, *self._notes()])

    def _notes(self) -> list[str]:
        notes = [self.note] if self.note else []
        if self.out is None:
            return notes
        drawn = ", ".join(sorted(path.name for path in (self.out / "figures").glob("*.png")))
        return [*notes, f"Results: {self.out / 'results.json'}\nFigures: {self.out / 'figures'} ({drawn})"]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(metric.name)}, mean [95 % interval]</th>" for metric in self.metrics)
        body = "".join(
            f"<tr><td>{html.escape(kind)}</td>"
            + "".join(f"<td>{html.escape(self._cell(kind, metric))}</td>" for metric in self.metrics)
            + "</tr>"
            for kind in self.ranked()
        )
        title = html.escape(self.heading)
        return (
            f"<p>{html.escape(self.answer)}</p>"
            f"<table><thead><tr><th>{title}</th>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def _row(self, kind: str, metric: Metric) -> Row | None:
        rows = (row for row in self.table_rows() if row[self.factor] == kind and row["metric"] == metric.key)
        return next(rows, None)

    def _values(self, kind: str, metric: Metric) -> list[float]:
        """Return a metric of every run of a kind that has it; of a baseline, its only value."""
        values = [run["metrics"].get(metric.key) for run in self.runs if run[self.factor] == kind]
        row = self._row(kind, metric)
        return [value for value in values if value is not None] or ([] if row is None else [row["mean"]])

    def _cell(self, kind: str, metric: Metric) -> str:
        row = self._row(kind, metric)
        if row is None:
            return "-"
        interval = "" if row["low"] is None else f" [{row['low']:.3g}, {row['high']:.3g}]"
        return f"{row['mean']:.3g}{interval}"


@contextlib.contextmanager
def run_directory(out: str | os.PathLike[str] | None) -> Iterator[pathlib.Path]:
    """Yield the folder to work in: `out`, or a temporary one that is deleted afterwards where `out` is None.

    The work leaves the random state and the environment of the calling process as they were.
    """
    with caller_unchanged():
        if out is not None:
            yield pathlib.Path(out)
            return
        with tempfile.TemporaryDirectory(prefix="contextual-rnn-") as path:
            yield pathlib.Path(path) / "run"


def _wrapped(sentence: str) -> str:
    """Return a sentence in lines of a terminal's width; the lines after the first are indented one step more."""
    indent = sentence[: len(sentence) - len(sentence.lstrip())]
    further = indent and indent + "  "
    return textwrap.fill(
        sentence.strip(), WIDTH, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False
    )


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
