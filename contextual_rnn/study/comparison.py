"""`Comparison`: the runs of several kinds, what they say of each other, and the table and figure that show it."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import io
import json
import os
import pathlib
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .._core.counted import counted
from .._core.files import write_bytes
from .._core.gpus import gpus_for
from .._core.settings import check_count
from ..errors import InputError
from ..serialization import load, save
from .fit import check_accelerator, unsettled
from .metric import Metric, Row
from .parallel import Training, one_thread, processes_for, run_all, run_directory, say
from .run_folder import RunFolder, figure_files, make_folder, read_json, write_json
from .tuning import Choice, choose

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 80  # columns of a terminal
_COPIED = ("config.json", "provenance.json", "metrics.jsonl", "answers.tsv", "results.json")  # of every run


def with_unit(metric: Metric) -> str:
    """Return the name of a metric with its unit."""
    return f"{metric.name}, {metric.unit}" if metric.unit else metric.name


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]], width: int, **options: Any) -> str:
    """Return a table as text of a width, or wider where its words, none of which is cut, are too long for it.

    `options` are those of `rich` for the columns after the first.
    """
    from rich.console import Console
    from rich.table import Table

    table, rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0)), [list(row) for row in rows]
    for number, cells in enumerate(zip(columns, *rows, strict=True)):
        longest = max((len(word) for cell in cells for word in cell.split()), default=0)
        table.add_column(cells[0], **({"min_width": longest} | options if number else {"no_wrap": True}))
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None, markup=False, emoji=False)
    needed = console.measure(table, options=console.options.update(max_width=1000)).minimum
    console.print(table, width=max(width, needed), crop=False)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def html_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as HTML, for a notebook."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    body_rows = "".join(f"<tr>{cells}</tr>" for cells in body)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body_rows}</tbody></table>"


class Rows(list[Row]):
    """A list of rows with the same fields, which a notebook shows as a table; `pandas.DataFrame(rows)` works."""

    def _repr_html_(self) -> str:
        names = list(dict.fromkeys(name for row in self for name in row))
        return html_table(list(map(str, names)), ([_shown(row.get(name)) for name in names] for row in self))


class Models(Mapping[str, Any]):
    """The trained model of every run, by the run's name; each is loaded when it is first used.

    Args:
        folder: that holds the runs' folders.
        names: of the runs.
        backend: the kind of data frame that models return; None for their own.
    """

    def __init__(self, folder: pathlib.Path, names: Sequence[str], backend: Any = None) -> None:
        self.folder, self.names, self.backend = folder, list(names), backend
        self.loaded, self.kept = dict[str, Any](), dict[str, dict[str, bytes]]()

    def __getitem__(self, name: str) -> Any:
        """Return a model, in evaluation mode."""
        if name not in self.names:
            raise KeyError(f"there is no run {name!r}; the runs are {', '.join(self.names)}")
        if name not in self.loaded:
            self.loaded[name] = model = load(self.folder / name / "model.safetensors")
            if self.backend is not None and hasattr(model, "backend"):
                model.backend = self.backend
        return self.loaded[name]

    def load_all(self) -> None:
        """Load every model, so that the folder is no longer needed."""
        self.kept = {name: self.files(name) for name, _model in self.items()}

    def files(self, name: str) -> dict[str, bytes]:
        """Return the files of a run, beside its model, that let a comparison resume."""
        paths = [self.folder / name / file for file in _COPIED]
        return self.kept.get(name) or {path.name: path.read_bytes() for path in paths if path.exists()}

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the runs."""
        return iter(self.names)

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.names)


@dataclasses.dataclass
class Comparison:
    """The results of a comparison. Printing it shows the answer and a table; `verdict` has every sentence.

    Attributes:
        answer: a short answer: it matters, and by how much; no difference was found; or there are too few runs.
        matters: whether the answer is that a difference was found, and not in favour of the control.
        runs: the metrics of every run.
        summary: mean, median and 95% interval over seeds of every metric of every kind.
        differences: every comparison, with its interval.
        sentences: what else was found, in words.
        metrics: in the order of the table; kinds are ranked by their mean of the first.
        models: every run's model, by the name of the run.
        config: the settings, as JSON.
        report: further fields of `results.json`.
        note: a sentence under the table, such as the unit of the metrics.
        unit: of the metrics that name none, as the label of an axis has it.
        test: the test data, which figures show.
        out: the run folder; None where nothing was kept on disk.
    """

    factor: ClassVar[str] = "initial_state"
    heading: ClassVar[str] = "initial state"

    answer: str
    matters: bool
    runs: list[Row]
    summary: list[Row]
    differences: list[Row]
    sentences: list[str]
    metrics: Sequence[Metric]
    models: Models
    config: dict[str, Any]
    report: dict[str, Any] = dataclasses.field(default_factory=dict)
    note: str = ""
    unit: str = ""
    test: list[Any] = dataclasses.field(default_factory=list)
    out: pathlib.Path | None = None

    def __post_init__(self) -> None:
        self.runs, self.summary, self.differences = Rows(self.runs), Rows(self.summary), Rows(self.differences)

    @property
    def verdict(self) -> str:
        """Everything that was found, in words; the answer comes first."""
        return "\n".join([self.answer, *self.sentences])

    def results(self) -> dict[str, Any]:
        """Return what `results.json` holds."""
        own = {"runs": self.runs, "summary": self.summary, "differences": self.differences}
        return {**own, **self.report, "verdict": self.verdict}

    def table_rows(self) -> list[Row]:
        """Return the rows that the table shows: one for each kind and metric, with the mean and its interval."""
        return self.summary

    def table(self, width: int = WIDTH) -> str:
        """Return the metrics of every kind as a table, the best kind first: mean and 95% interval over seeds."""
        names = [f"{with_unit(metric)}\n{self._shown_of(metric)}" for metric in self.metrics]
        return text_table([self.heading, *names], self._cells(), width)

    def _shown_of(self, metric: Metric) -> str:
        """Return what the cells of a metric show, for the head of a table."""
        has_interval = any(row["low"] is not None for row in self.table_rows() if row["metric"] == metric.key)
        return "mean [95% interval]" if has_interval else "mean"

    def shortened(self) -> Self:
        """Return the comparison with the metrics that printing it shows; `details` shows all."""
        return self

    def ranked(self) -> list[str]:
        """Return the kinds and baselines by their mean of the first metric, the best first; those without it last."""
        rows = [row for row in self.table_rows() if row["metric"] == self.metrics[0].key]
        in_order = sorted(rows, key=lambda row: row["mean"], reverse=self.metrics[0].higher_is_better)
        ranked = [row[self.factor] for row in in_order]
        return list(dict.fromkeys([*ranked, *(row[self.factor] for row in self.table_rows())]))

    def plot_errors(self) -> Figure:
        """Draw the metrics of every run: a dot per seed, and the mean with its 95% interval."""
        from .figures import plot_runs

        kinds = dict.fromkeys(row[self.factor] for row in self.table_rows())
        values = {metric.key: {kind: self._values(kind, metric) for kind in kinds} for metric in self.metrics}
        return plot_runs(values, self.metrics, self.unit, self.heading)

    def plot_learning(self) -> Figure:
        """Draw the training loss, and every validation metric, of each run by epoch."""
        from .figures import plot_learning

        return plot_learning(self._histories())

    def _histories(self) -> dict[str, list[list[Row]]]:
        """Return the metrics of every epoch of every run, by its kind; runs that did not keep them are left out."""
        found: dict[str, list[list[Row]]] = {}
        for run, name in zip(self.runs, self.models, strict=True):
            lines = self.models.files(name).get("metrics.jsonl", b"").splitlines()
            if lines:
                found.setdefault(run[self.factor], []).append([json.loads(line) for line in lines])
        return found

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        return {"errors": self.plot_errors, **({"learning": self.plot_learning} if self._histories() else {})}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a run folder with the settings, the results, the figures, and every run with its model.

        Raises:
            InputError: the folder already holds a run or other files.
        """
        with RunFolder.open(path, self.config, resume=False) as folder:
            for name, model in self.models.items():
                run = RunFolder(folder.path / "runs" / name)
                make_folder(run.path)
                save(model, run.model_path)
                for file, content in self.models.files(name).items():
                    write_bytes(run.path / file, content)
                if run.results_path.exists():
                    run.finish(read_json(run.results_path))
            self.write(folder)

    def write(self, folder: RunFolder) -> None:
        """Write the results and then the figures to an open run folder."""
        from .figures import write_figure

        write_json(folder.results_path, self.results())  # first, because drawing could fail
        for name, draw in self.figures().items():
            write_figure(draw(), folder.figures, name)

    def keep(self, trained: Trained) -> Self:
        """Write the results to the run folder; or load every model if the folder is temporary."""
        higher = [f"validation_{metric.key}" for metric in self.metrics if metric.higher_is_better]
        falling = unsettled([history for several in self._histories().values() for history in several], higher)
        if falling and self.matters:
            self.note = f"{self.note} {falling} More epochs may change these errors.".strip()
        elif falling:  # the answer is least certain where no benefit was found
            self.answer += f" {falling} More epochs may change this answer."
        if trained.out is None:
            self.models.load_all()
        else:
            self.out = trained.folder.path
            self.write(trained.folder)
        return self

    def first_models(self) -> dict[str, Any]:
        """Return the model of the first seed of every kind."""
        named = zip(self.runs, self.models, strict=True)
        return {run[self.factor]: self.models[name] for run, name in named if run["seed"] == 0}

    def __str__(self) -> str:
        """Return the answer, the table, and where the files are."""
        return "\n\n".join([_wrapped(self.answer), self.shortened().table(), *self._notes()])

    def details(self) -> str:
        """Return every sentence, the table of all metrics, and where the files are."""
        sentences = ["\n".join(_wrapped(sentence) for sentence in self.sentences)] if self.sentences else []
        return "\n\n".join([_wrapped(self.answer), self.table(), *sentences, *self._notes()])

    def _notes(self) -> list[str]:
        files = [] if self.out is None else [f"Results: {self.out / 'results.json'}{figure_files(self.out)}"]
        return [*filter(None, ["\n".join(map(_wrapped, self.note.splitlines()))]), *files]

    def _repr_html_(self) -> str:
        shown = self.shortened()
        names = [f"{metric.name}, {self._shown_of(metric)}" for metric in shown.metrics]
        return f"<p>{html.escape(self.answer)}</p>{html_table([self.heading, *names], shown._cells())}"

    def _cells(self) -> list[list[str]]:
        return [[kind, *(self._cell(kind, metric) for metric in self.metrics)] for kind in self.ranked()]

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


@dataclasses.dataclass(frozen=True)
class Trained:
    """The models that `train_kinds` trained.

    Attributes:
        folder: the run folder.
        out: the path of the folder; None for a temporary one.
        config: the settings, as JSON.
        choices: the settings that were chosen for every kind.
        runs: for every run its kind, as `initial_state`, its seed and its results.
        models: of the runs.
        test: the test data.
    """

    folder: RunFolder
    out: str | os.PathLike[str] | None
    config: dict[str, Any]
    choices: dict[str, Choice[Any]]
    runs: list[Row]
    models: Models
    test: list[Any]

    def fields(self) -> dict[str, Any]:
        """Return the fields of a `Comparison` that do not depend on what the runs found."""
        return {"models": self.models, "config": self.config, "test": self.test}

    def chosen(self) -> dict[str, Any]:
        """Return the chosen settings of every kind, and the validation metrics of those that were tried."""
        chosen = self.choices.items()
        return {kind: {**choice.settings.to_json(), "validation": choice.validation} for kind, choice in chosen}


@contextlib.contextmanager
def train_kinds(
    training: Training,
    candidates: Mapping[str, list[Any]],
    *,
    seeds: int,
    out: str | os.PathLike[str] | None,
    resume: bool,
    jobs: int | None,
    devices: int | None = None,
    cluster: str | None = None,
) -> Iterator[Trained]:
    """Choose the settings of every kind, train it with every seed, and yield what was trained, in a single thread.

    Args:
        training: executes the runs.
        candidates: the settings to choose from, for every kind.
        seeds: the number of seeds, counted from 0.
        out: the run folder; None works in a temporary one, which is deleted at the end.
        resume: continue in a folder that already holds this comparison, and skip the runs that are finished.
        jobs: the number of processes; None is one per processor, or per GPU if there are several.
        devices: the number of GPUs that the runs share; None is all.
        cluster: the address of a Dask scheduler; see `run_all`.

    Raises:
        InputError: if an argument is invalid, there are no test data, or the folder cannot be used.
    """
    check_count(
        seeds=seeds, **{name: value for name, value in {"jobs": jobs, "devices": devices}.items() if value is not None}
    )
    if not training.data.test:
        raise InputError("`test` is required: the metrics of a comparison are those on the test data")
    accelerator = next(iter(candidates.values()))[0].accelerator
    if cluster is None:
        check_accelerator(accelerator)
    gpus = 0 if cluster else gpus_for(accelerator, devices)
    how: dict[str, Any] = {"jobs": jobs, "gpus": gpus, "cluster": cluster}
    flat = {kind: [settings.to_json() for settings in several] for kind, several in candidates.items()}
    config = {"candidates": flat, **training.data.identity, "folds": training.folds, "seeds": seeds}
    with run_directory(out) as path, RunFolder.open(path, config, resume=resume) as folder:
        _announce(training, candidates, seeds, None if cluster else (jobs, gpus))
        choices = {kind: Choice(several[0], []) for kind, several in candidates.items()}
        if any(len(several) > 1 for several in candidates.values()):
            choices = choose(training, dict(candidates), path / "tuning", resume=resume, **how)
        planned = {
            (kind, seed): training.run(f"{kind.replace(', ', '-')}-seed-{seed}", choice.settings, seed)
            for kind, choice in choices.items()
            for seed in range(seeds)
        }
        listed = list(planned.values())
        results = run_all(listed, training, path / "runs", resume=resume, title="training", **how)
        runs = [
            {"initial_state": kind, "seed": seed, **result}
            for (kind, seed), result in zip(planned, results, strict=True)
        ]
        models = Models(path / "runs", [run.name for run in listed], getattr(training.data, "backend", None))
        with one_thread():
            yield Trained(folder, out, config, choices, runs, models, training.data.test)


def _announce(
    training: Training, candidates: Mapping[str, list[Any]], seeds: int, where: tuple[int | None, int] | None
) -> None:
    """Say how many trainings a comparison takes.

    Args:
        training: executes the runs.
        candidates: the settings to choose from, for every kind.
        seeds: the number of seeds.
        where: the `jobs` and `gpus` of `run_all`; None for a cluster.
    """
    runs = len(candidates) * seeds
    trials = training.trials * sum(len(several) for several in candidates.values() if len(several) > 1)
    epochs = max(settings.epochs for several in candidates.values() for settings in several)
    choose_first = f", after {counted(trials, 'run')} that choose settings" if trials else ""
    at_a_time = f", {processes_for(runs, *where)} at a time" if where else ""
    say(
        f"training: {counted(runs, 'run')} ({counted(len(candidates), 'variant')} x {counted(seeds, 'seed')}) of up "
        f"to {counted(epochs, 'epoch')}{at_a_time}{choose_first}"
    )


def _wrapped(sentence: str) -> str:
    """Return a sentence in lines of a terminal's width; the lines after the first are indented one step more."""
    indent = sentence[: len(sentence) - len(sentence.lstrip())]
    further = indent and indent + "  "
    return textwrap.fill(
        sentence.strip(), WIDTH, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False
    )


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
