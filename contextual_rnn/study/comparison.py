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
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .._core.settings import nearest
from ..errors import InputError
from ..kinds import possible_kinds
from ..serialization import load, save
from .differences import (
    ItemMetric,
    Metric,
    Row,
    answer,
    baseline_rows,
    difference,
    difference_over_items,
    in_words,
    summarise,
)
from .parallel import Run, Work, caller_unchanged, one_thread, run_all
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
        self.folder, self.names = folder, list(names)
        self.loaded, self.kept = dict[str, Any](), dict[str, dict[str, bytes]]()

    def __getitem__(self, name: str) -> Any:
        """Return a model, in evaluation mode."""
        if name not in self.names:
            raise KeyError(f"there is no run {name!r}; the runs are {', '.join(self.names)}")
        if name not in self.loaded:
            self.loaded[name] = load(self.folder / name / "model.safetensors")
        return self.loaded[name]

    def load_all(self) -> None:
        """Load every model, so that the folder is no longer needed."""
        self.kept = {name: self.files(name) for name, _model in self.items()}

    def files(self, name: str) -> dict[str, bytes]:
        """Return the files of a run, beside its model, that let a comparison resume."""
        paths = [self.folder / name / file for file in ("config.json", "provenance.json", "results.json")]
        return self.kept.get(name) or {path.name: path.read_bytes() for path in paths if path.exists()}

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
        """Write a run folder with the settings, the results, the figures, and every run with its model.

        Raises:
            InputError: the folder already holds a run or other files.
        """
        folder = RunFolder.open(path, self.config, resume=False)
        for name, model in self.models.items():
            run = folder.path / "runs" / name
            make_folder(run)
            save(model, run / "model.safetensors")
            for file, content in self.models.files(name).items():
                (run / file).write_bytes(content)
        self.write(folder)

    def write(self, folder: RunFolder) -> None:
        """Write the results and then the figures to an open run folder."""
        from .figures import write_figure

        write_json(folder.results_path, self.results())  # first, because drawing could fail
        for name, draw in self.figures().items():
            write_figure(draw(), folder.figures, name)

    def keep(self, folder: RunFolder, out: str | os.PathLike[str] | None) -> Self:
        """Write the results to the run folder, or load every model if `out` is None and the folder is temporary."""
        if out is None:
            self.models.load_all()
            return self
        self.out = folder.path
        with one_thread():
            self.write(folder)
        return self

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


def train_kinds(
    kinds: Mapping[str, Any],
    make_run: Callable[[str, Any, int], Run],
    work: Work,
    path: pathlib.Path,
    *,
    seeds: int,
    resume: bool,
    jobs: int | None,
) -> tuple[list[Row], Models]:
    """Train every kind with every seed.

    Args:
        kinds: the settings of every kind, by its name.
        make_run: `make_run(name, settings, seed)` returns a run.
        work: does a run.
        path: the run folder of the comparison.
        seeds: the number of seeds, counted from 0.
        resume: skip the runs that are finished.
        jobs: the number of processes.

    Returns:
        For every run its kind, its seed and its results; and the models.
    """
    planned = {
        (kind, seed): make_run(f"{kind.replace(', ', '-')}-seed-{seed}", settings, seed)
        for kind, settings in kinds.items()
        for seed in range(seeds)
    }
    results = run_all(list(planned.values()), work, path / "runs", resume=resume, title="training", jobs=jobs)
    runs = [
        {"initial_state": kind, "seed": seed, **result} for (kind, seed), result in zip(planned, results, strict=True)
    ]
    return runs, Models(path / "runs", [run.name for run in planned.values()])


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


MANY_ITEMS = 10  # from this number on, differences are bootstrapped over the test items as well
FACTOR = "initial_state"


def kinds_to_compare(
    names: Sequence[str] | None, allowed: Sequence[str], window: int, context: Sequence[str]
) -> list[str]:
    """Return the names of the kinds to compare, each once.

    Args:
        names: those that were asked for; None or an empty list takes all that the window and the context allow.
        allowed: the names that the job knows.
        window: the number of steps that are known at the start.
        context: the context columns.

    Raises:
        InputError: a name is not allowed.
    """
    if names is None or not len(names):
        return possible_kinds(window, context)
    for name in names:
        if name not in allowed:
            raise InputError(
                f"`initial_states` must be among {', '.join(allowed)}; found {name!r}{nearest(name, allowed)}"
            )
    return list(dict.fromkeys(names))


def findings(
    runs: list[Row],
    pairs: Sequence[tuple[str, str, str]],
    metrics: Sequence[Metric],
    by_item: ItemMetric,
    baselines: dict[str, dict[str, float]],
    subject: str = "the initial state",
) -> dict[str, Any]:
    """Return the fields `answer`, `runs`, `summary`, `differences`, `sentences`, `metrics` of a `Comparison`.

    Args:
        runs: `{"initial_state": name of the kind, "seed": ..., "metrics": {key: value}}`, and the values of `by_item`.
        pairs: `(a, b, statement)` for every comparison of kind `a` with kind `b`; see `kinds.comparisons`.
        metrics: what to compare; the first gives the answer.
        by_item: what to resample over test items, if there are many.
        baselines: the metrics of every baseline, by its name.
        subject: what the answer is about.
    """
    differences, sentences = [], []
    for a, b, statement in pairs:
        sentences.append(f"{statement} ({a} against {b}):")
        of = {FACTOR: a}, {FACTOR: b}
        rows: list[tuple[Row, Metric, str | None]] = [(difference(runs, *of, one), one, None) for one in metrics]
        if len(runs[0][by_item.values]) >= MANY_ITEMS:
            rows.append((difference_over_items(runs, *of, by_item), by_item, by_item.items))
        for row, metric, items in rows:
            differences.append({**row, "meaning": statement})
            sentences.append("  " + in_words(row, metric, items))
    return {
        "answer": answer(subject, _primary(differences, metrics[0]), metrics[0]),
        "runs": Rows(runs),
        "summary": Rows(summarise(runs, [FACTOR]) + baseline_rows(FACTOR, baselines)),
        "differences": Rows(differences),
        "sentences": sentences + _caution(differences, by_item.items),
        "metrics": metrics,
    }


def _primary(differences: list[Row], metric: Metric) -> Row | None:
    """Return the comparison that answers the question: of h0 = g(context) with zero, else the first."""
    rows = [row for row in differences if row["metric"] == metric.key]
    return next((row for row in rows if (row["a"], row["b"]) == ("context", "zero")), rows[0] if rows else None)


def _caution(differences: list[Row], items: str) -> list[str]:
    """Return a sentence about what the intervals do not say; nothing where there are no intervals."""
    claims = sum(row["low"] is not None for row in differences)
    if not claims:
        return []
    return [
        f"Intervals over seeds hold for other seeds on these test {items}, not for other {items}. The {claims} "
        "intervals are not corrected for their number: of twenty comparisons without a true difference, about one "
        "shows one."
    ]
