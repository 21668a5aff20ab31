"""What papers share; above all `Experiment`, which trains every kind of model with every seed in one run folder.

A kind is a dict of the factors that an experiment varies, such as `{"initial_state": "zero", "period": "nowhere"}`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._core.counted import counted
from .._core.settings import check_count, setting
from ..serialization import load, save
from ..study.comparison import with_unit
from ..study.differences import difference, in_words, label, summarise
from ..study.fit import Metrics, TrainingSettings, fit
from ..study.intervals import FEWEST, adjusted
from ..study.metric import Kind, Metric, Row
from ..study.parallel import Run, caller_unchanged, one_thread, run_all, say
from ..study.run_folder import RunFolder, read_lines, write_json

PAPER_KINDS = ("zero", "free", "context", "gaussian")  # equations 2a, 2b, 2c and 4 of arXiv 1902.03455
WIDTH = 80  # columns of a terminal
Train = Callable[[Any, dict[str, Any], pathlib.Path], dict[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaperSettings(TrainingSettings):
    """How a published experiment is trained.

    A field without a description has its published value and is no option of a command.
    """

    seeds: int = setting(5, "Number of seeds, counted from 0.", group="comparison", least=1)
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip: float | None = None
    accelerator: Literal["cpu"] = "cpu"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment in its run folder; make it with `Experiment.open`.

    Attributes:
        folder: the run folder.
        name: the name of a run without its seed: a format string of the factors, such as "{cell}-{hidden}".
        seeds: the number of seeds of every kind, counted from 0.
        resume: whether finished runs are skipped.
        jobs: the number of processes; None is one per processor.
        cluster: the address of a Dask scheduler whose workers do the runs; None does them here.
    """

    folder: RunFolder
    name: str
    seeds: int
    resume: bool
    jobs: int | None
    cluster: str | None = None

    @classmethod
    def open(
        cls,
        out: pathlib.Path,
        name: str,
        settings: PaperSettings,
        *,
        resume: bool,
        jobs: int | None,
        cluster: str | None = None,
        **identity: Any,
    ) -> Experiment:
        """Create the run folder, or continue in it.

        Args:
            out: path of the folder.
            name: see the attribute.
            settings: of the experiment; a folder is not continued with others.
            resume: see the attribute.
            jobs: see the attribute.
            cluster: see the attribute.
            identity: what else identifies the experiment, such as hashes of its files; JSON can hold it.

        Raises:
            InputError: the folder cannot be used, or a number is below 1.
        """
        if jobs is not None:
            check_count(jobs=jobs)
        folder = RunFolder.open(out, {**settings.to_json(), **identity}, resume=resume)
        return cls(folder, name, settings.seeds, resume, jobs, cluster)

    def train(
        self, kinds: Iterable[Kind], settings: PaperSettings, train: Train, title: str, subfolder: str = "runs"
    ) -> list[Row]:
        """Train every kind with every seed, and return the results of the runs with their kinds and seeds.

        Args:
            kinds: the models to train.
            settings: of training.
            train: `train(settings, config, folder)` trains a model in its folder and returns its results; `config` has
                the factors of the kind, and `seed`. It is called in another process.
            title: of the progress bar.
            subfolder: the folder of the runs, in the run folder.
        """
        identities = [{**kind, "seed": seed} for kind in kinds for seed in range(self.seeds)]
        runs = [
            Run(self._name(identity), {**identity, "settings": settings.to_json()}, settings.epochs)
            for identity in identities
        ]
        path = self.folder.path / subfolder
        kinds_x_seeds = f"{counted(len(runs) // self.seeds, 'variant')} x {counted(self.seeds, 'seed')}"
        say(f"{title}: {counted(len(runs), 'run')} ({kinds_x_seeds}) of up to {counted(settings.epochs, 'epoch')}")
        work = functools.partial(train, settings)
        with caller_unchanged():
            results = run_all(runs, work, path, resume=self.resume, title=title, jobs=self.jobs, cluster=self.cluster)
        return [{**identity, **result} for identity, result in zip(identities, results, strict=True)]

    def model(self, run: Row) -> Any:
        """Return the trained model of a run, which a kind and a seed identify, in evaluation mode."""
        return load(self._path(run) / "model.safetensors")

    def history(self, run: Row) -> list[Metrics]:
        """Return the metrics of every epoch of a run, which a kind and a seed identify."""
        return read_lines(self._path(run) / "metrics.jsonl")

    def finish(
        self,
        runs: list[Row],
        factors: Sequence[str],
        differences: list[Row],
        verdict: Sequence[str],
        figures: dict[str, Callable[[], Any]],
        metrics: Sequence[Metric] = (),
        **more: Any,
    ) -> str:
        """Write the results and then the figures; return the verdict, and where the files are.

        Args:
            runs: the runs to report.
            factors: the fields of a run that distinguish kinds.
            differences: between kinds.
            verdict: what was found, in lines.
            figures: what draws each figure, by the name of its file.
            metrics: those whose bounds the intervals of the summary respect.
            more: further fields of `results.json`.
        """
        from ..study.figures import plot_learning, write_figure

        text = "\n".join(verdict)
        results = {"runs": runs, "summary": summarise(runs, factors, metrics), "differences": differences, **more}
        write_json(self.folder.results_path, {**results, "verdict": text})  # first, because drawing could fail
        if histories := self._histories(runs, factors):
            figures = {**figures, "learning": lambda: plot_learning(histories)}
        with one_thread(), caller_unchanged():
            for name, draw in figures.items():
                write_figure(draw(), self.folder.figures, name)
        drawn = ", ".join(f"{name}.png" for name in figures)
        text = "\n".join(map(_wrapped, text.split("\n")))
        return f"{text}\n\nResults: {self.folder.results_path}\nFigures: {self.folder.figures} ({drawn})"

    def _histories(self, runs: Sequence[Row], factors: Sequence[str]) -> dict[str, list[list[Metrics]]]:
        """Return the metrics of every epoch of every run, by its kind."""
        found: dict[str, list[list[Metrics]]] = {}
        for run in runs:
            if (self._path(run) / "metrics.jsonl").exists():  # an ensemble has no run of its own
                found.setdefault(label(_kind(run, factors)), []).append(self.history(run))
        return found

    def _path(self, run: Row) -> pathlib.Path:
        return self.folder.path / "runs" / self._name(run)

    def _name(self, run: Row) -> str:
        return f"{self.name.format(**run)}-seed-{run['seed']}".replace(" ", "-")


def shuffled(*columns: Tensor | dict[str, Tensor], batch_size: int) -> Callable[[], Iterator[tuple[Any, ...]]]:
    """Return a function that yields the minibatches of one epoch, in random order, as `study.fit` calls it.

    Args:
        columns: what a minibatch holds: tensors of N rows, and dicts of such tensors. The first one is a tensor.
        batch_size: rows in a minibatch; the last minibatch of an epoch may have fewer.
    """

    def batches() -> Iterator[tuple[Any, ...]]:
        for rows in torch.randperm(len(columns[0])).split(batch_size):
            yield tuple(
                {name: value[rows] for name, value in column.items()} if isinstance(column, dict) else column[rows]
                for column in columns
            )

    return batches


def he_truncated_normal(layer: nn.Linear) -> None:
    """Initialise a layer as He et al. (arXiv 1502.01852), from a normal truncated at two deviations; the bias is 0."""
    deviation = math.sqrt(2 / layer.in_features) / 0.87962566  # truncation reduces the deviation by this factor
    nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    nn.init.zeros_(layer.bias)


def fit_and_save(model: nn.Module, *arguments: Any, folder: pathlib.Path, **options: Any) -> list[Metrics]:
    """Train a model as `study.fit.fit` does, write it to its folder, and return the metrics of every epoch."""
    history = fit(model, *arguments, folder=folder, **options)
    save(model, folder / "model.safetensors")
    return history


def values_of(runs: Sequence[Row], factor: str, metric: str) -> dict[str, list[float]]:
    """Return a metric of every run, by the value of a factor."""
    names = dict.fromkeys(run[factor] for run in runs)
    return {name: [run["metrics"][metric] for run in runs if run[factor] == name] for name in names}


def compare(runs: Sequence[Row], pairs: Iterable[tuple[Kind, Kind]], metrics: Sequence[Metric]) -> list[Row]:
    """Return the difference of every pair of kinds in every metric, paired by seed.

    That of the first pair in the first metric is primary; the others are adjusted for their number.
    """
    differences = [difference(runs, a, b, metric) for a, b in pairs for metric in metrics]
    return adjusted(differences, differences[0] if differences else None)


def sentences(differences: Sequence[Row], metrics: Sequence[Metric]) -> list[str]:
    """Return a sentence for every difference, or a single one if the seeds are too few for any."""
    if differences and all(row["seeds"] < FEWEST for row in differences):
        return [f"No difference is claimed: that takes at least {FEWEST} seeds."]
    named = {metric.key: metric for metric in metrics}
    return [in_words(row, named[row["metric"]]) for row in differences]


def table(runs: Sequence[Row], factors: Sequence[str], metrics: Sequence[Metric]) -> list[str]:
    """Return the lines of a table: for every metric, the mean of every kind and its 95% interval over seeds.

    A kind of which no seed has a value has a dash; where only some seeds have one, their number is given.
    """
    rows = {(label(_kind(row, factors)), row["metric"]): row for row in summarise(runs, factors, metrics)}
    kinds = list(dict.fromkeys(label(_kind(run, factors)) for run in runs))
    width = max(map(len, kinds))
    lines = []
    for metric in metrics:
        lines.append(f"{with_unit(metric)}: mean [95% interval over seeds]")
        lines += [f"  {kind:<{width}}  {_cell(rows.get((kind, metric.key)))}" for kind in kinds]
    return lines


def _kind(row: Row, factors: Sequence[str]) -> Kind:
    return {factor: row[factor] for factor in factors}


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    interval = "" if row["low"] is None else f" [{row['low']:.4g}, {row['high']:.4g}]"
    count = "" if row["seeds"] == row["of"] else f" ({row['seeds']} of {row['of']} seeds)"
    return f"{row['mean']:.4g}{interval}{count}"


def _wrapped(line: str) -> str:
    """Return a sentence in lines of the width of a terminal; a row of a table, which has wide gaps, stays one line."""
    return line if len(line) <= WIDTH or "  " in line else textwrap.fill(line, WIDTH)
