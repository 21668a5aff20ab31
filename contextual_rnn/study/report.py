"""`fit_one`, which trains one model for a job, and `FitReport`, which shows its metrics as a table and a figure."""

from __future__ import annotations

import csv
import dataclasses
import html
import io
import os
import pathlib
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .._core.folds import folds_in_words
from .._core.gpus import gpus_for
from .._core.group import Group
from .._core.settings import check_count, check_seed
from .._core.temporary import temporary_folder
from ..errors import InputError
from ..serialization import MODEL, load
from .comparison import html_table, text_table, with_unit
from .fit import check_accelerator, unsettled
from .launch import Together, follow, train
from .metric import Metric, Row
from .parallel import Training, caller_unchanged, one_thread, run_directory
from .run_folder import RunFolder, figure_files, read_json, read_lines, write_bytes, write_json
from .tuning import choose

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANSWERS = "Answers"  # the predictions for the test data, where a job writes them


@dataclasses.dataclass
class FitReport:
    """The report of `fit`. Printing it shows what was trained and a table of metrics.

    Attributes:
        sentences: what was trained, and what was inferred or chosen.
        metrics: the columns of the table.
        rows: row name -> {metric key: value}, of the model and of baselines on each table.
        history: the metrics of every epoch.
        validation: the validation metrics of every candidate, where several settings were tried.
        out: the run folder; None where nothing was kept on disk.
        files: further files of the run folder to name, by what they hold.
        tables: further tables, as rows, by their names in words; each is written to a CSV file.
    """

    sentences: list[str]
    metrics: Sequence[Metric]
    rows: dict[str, dict[str, float]]
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    validation: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    out: pathlib.Path | None = None
    files: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)

    def table(self, width: int = 80) -> str:
        """Return the metrics as a table."""
        return text_table(["", *(with_unit(metric) for metric in self.metrics)], self._cells(), width, justify="right")

    def plot_history(self) -> Figure:
        """Draw the training loss, and every validation metric, by epoch."""
        from .figures import plot_history

        return plot_history(self.history)

    def write(self, folder: RunFolder, results: dict[str, Any], figures: dict[str, Callable[[], Figure]]) -> None:
        """Write the results and then the figures to an open run folder.

        Args:
            folder: the run folder.
            results: further fields of `results.json`.
            figures: what draws each further figure, by the name of its file.
        """
        from .figures import write_figure

        self.out = folder.path
        for name, rows in self.tables.items():
            self.files[name] = folder.path / f"{name.lower().replace(' ', '_')}.csv"
            write_bytes(self.files[name], _csv(rows))
        self._name_answers()
        shown = [{"key": metric.key, "name": metric.name, "unit": metric.unit} for metric in self.metrics]
        own: dict[str, Any] = {
            "sentences": self.sentences,
            "metrics": shown,
            "files": {n: p.name for n, p in self.files.items()},
        }
        own["files"].pop(ANSWERS, None)
        kept = {"errors": self.rows, "validation": self.validation, "report": own}
        write_json(folder.results_path, {**results, **kept})
        for name, draw in {**figures, "history": self.plot_history}.items():
            write_figure(draw(), folder.figures, name)

    def _name_answers(self) -> None:
        """Name the predictions for the test data, if the run has kept them."""
        path = None if self.out is None else self.out / "final" / "answers.tsv"
        if path is not None and path.is_file():
            self.files[ANSWERS] = path

    @classmethod
    def read(cls, folder: pathlib.Path) -> FitReport | None:
        """Return the report that `write` wrote to a run folder, without its further tables.

        None if the folder is not that of `fit`, or is of a version that did not keep the report.

        Raises:
            InputError: the results cannot be read.
        """
        path = folder / "results.json"
        results = read_json(path)
        if not isinstance(results, dict) or not isinstance(results.get("report"), dict):
            return None
        own, history = results["report"], folder / "final" / "metrics.jsonl"
        try:
            found = cls(
                list(map(str, own["sentences"])),
                [Metric(str(one["key"]), str(one["name"]), str(one["unit"])) for one in own["metrics"]],
                dict(results["errors"]),
                read_lines(history) if history.is_file() else [],
                list(results["validation"]),
                folder,
                {str(name): folder / str(file) for name, file in own["files"].items()},
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path} does not hold the report of a run; load {folder / MODEL} without it") from None
        found._name_answers()
        return found

    def __str__(self) -> str:
        """Return the sentences, the table, and where the files are."""
        parts = [textwrap.fill(" ".join(self.sentences), 80, break_on_hyphens=False)]
        if self.rows:
            parts.append(self.table())
        if self.out is not None:
            others = "".join(f"\n{name}: {path}" for name, path in self.files.items())
            parts.append(f"Model:   {self.out / 'model.safetensors'}{others}{figure_files(self.out)}")
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        names = ["", *(metric.name for metric in self.metrics)]
        return f"<p>{html.escape(' '.join(self.sentences))}</p>{html_table(names, self._cells())}"

    def _cells(self) -> list[list[str]]:
        """Return the cells of the table, row by row; a dash stands for a metric that a row lacks."""
        keys = [metric.key for metric in self.metrics]
        return [
            [name, *(f"{values[key]:.4g}" if values.get(key) is not None else "-" for key in keys)]
            for name, values in self.rows.items()
        ]


def epoch_in_words(epoch: int, epochs: int, best: str) -> str:
    """Return the sentence that says which epoch the weights of a model are of.

    Args:
        epoch: the epoch, counted from 1.
        epochs: how many were trained.
        best: what distinguishes the epoch, such as "the lowest validation loss".
    """
    return f"The weights are those of epoch {epoch} of {epochs}, which has {best}."


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def fit_one(
    training: Training,
    candidates: Sequence[Any],
    report: Callable[[Any, Row, list[Row]], FitReport],
    figures: Callable[[Any], dict[str, Callable[[], Figure]]],
    *,
    seed: int,
    out: str | os.PathLike[str] | None,
    resume: bool,
    jobs: int | None,
    devices: int = 1,
    nodes: int = 1,
) -> Any:
    """Choose settings, train one model with them, and report on it.

    With several processes, only process 0 chooses, writes and reports; the model of the others has an empty report.

    Args:
        training: executes the runs.
        candidates: the settings to choose from; a single one is taken as it is.
        report: `report(model, result, history)` returns the report, from the results of the run and the metrics of
            every epoch. The chosen settings are added to it.
        figures: `figures(model)` returns what draws each figure, by the name of its file.
        seed: of the run.
        out: the run folder; None keeps nothing on disk.
        resume: continue in a folder that already holds this run.
        jobs: the number of processes that try settings side by side; None is one per processor.
        devices: the number of processes per machine that train the model together.
        nodes: the number of machines.

    Returns:
        The trained model, with its `report`.

    Raises:
        InputError: if an argument is invalid, or the folder cannot be used.
    """
    check_seed(seed)
    check_count(**({} if jobs is None else {"jobs": jobs}))
    together = Together.of(devices, nodes, candidates[0])
    check_accelerator(candidates[0].accelerator)
    group = together.join()
    if group is not None and group.rank:
        return _follow(training, group)
    flat = [settings.to_json() for settings in candidates]
    config = {"candidates": flat, **training.data.identity, "folds": training.folds, "seed": seed}
    with run_directory(out) as path, RunFolder.open(path, config, resume=resume) as folder:
        several: dict[str, Any] = {"jobs": jobs, "gpus": gpus_for(candidates[0].accelerator, None)}
        choice = choose(training, {"model": list(candidates)}, path / "tuning", resume=resume, **several)["model"]
        run = training.run("final", choice.settings, seed)
        result = train(run, training, path, resume=resume, title="training", together=together, group=group)
        model, history = load(path / "final"), read_lines(path / "final" / "metrics.jsonl")
        folder.copy(path / "final" / "model.safetensors")
        with one_thread():
            found = report(model, result, history)
            found.history, found.validation = history, choice.validation
            falling = unsettled([history])
            found.sentences += [f"{falling} More epochs may lower the error."] if falling else []
            if choice.in_words():
                data = training.data
                chosen_on = "the validation data" if data.validation else folds_in_words(data.training, training.folds)
                found.sentences.append(f"Chosen on {chosen_on}: {choice.in_words()}.")
            if out is not None:
                found.write(folder, {"chosen": choice.settings.to_json(), **result}, figures(model))
    model.report = found
    return model


def _follow(training: Training, group: Group) -> Any:
    """Train as a process of a group that is not process 0; return the model that process 0 has written."""
    with temporary_folder() as folder, caller_unchanged():
        path = folder / MODEL
        path.write_bytes(follow(training, group, folder))
        model = load(path)
    model.report = FitReport([], [], {})
    return model
