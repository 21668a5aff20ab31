"""`compare`: whether it matters where a model of texts reads the context, and by how much."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..._core.settings import check_count, takes_settings
from ...context import Quantity
from ...data.output import write_table
from ...data.parquet import check_cluster
from ...data.table import Source
from ...errors import InputError
from ...study.comparison import Comparison, Trained, text_table, train_kinds
from ...study.differences import findings, kinds_worse_than_baselines
from ...study.metric import Metric, Row
from ...study.run_folder import make_folder
from .answer import further
from .baselines import baselines
from .batches import Encoded
from .check import Check, Checker, in_words
from .data import TextData, Texts
from .metrics import BITS, BY_TEXT, METRICS
from .obtained import (
    DISTINCT,
    FEWEST_TEXTS,
    NEW,
    NEW_IN_WORDS,
    TOO_FEW,
    VALID,
    Written,
    correlation_of,
    count_of,
    error_of,
    mean_deciles,
    tolerance_in_words,
    tolerances,
    with_progress,
    within_of,
)
from .over_texts import IN_WORDS, with_intervals_over_texts
from .settings import PLACES, TextSettings
from .stored import StoredTexts
from .train import Training, encode, read_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUESTIONS = {
    ("h0", "every-step"): "Reading the context in h0, rather than at every step",
    ("h0", "none"): "Reading the context in h0, rather than nowhere",
    ("both", "h0"): "Reading the context at every step besides h0",
    ("every-step", "none"): "Reading the context at every step, rather than nowhere",
}
PRIMARY = tuple(QUESTIONS)  # the answer's comparison: the first that was made


class TextComparison(Comparison):
    """The results of a comparison of places where the context is read; see `Comparison`."""

    heading: ClassVar[str] = "context in"

    @property
    def checked(self) -> list[str]:
        """The context columns whose values asked for are compared with those obtained."""
        return list(self.report.get("checks", {}).get("columns", ()))

    def table(self, width: int = 80) -> str:
        """Return the metrics of every kind as a table, the best kind first; and a table of what was asked for."""
        tables = [Comparison.table(self._of_texts(), width)]
        if self.checked:
            names = ("valid texts", "mean absolute error", "correlation", "within the tolerance, %")
            tables.append(text_table(["asked for (tolerance)", self.heading, *names], self._asked(), width))
        return "\n\n".join(tables)

    def plot_errors(self) -> Figure:
        """Draw the metrics of every run that are not of a single column."""
        return Comparison.plot_errors(self._of_texts())

    def _of_texts(self) -> TextComparison:
        errors = {error_of(column).key for column in self.checked}
        return dataclasses.replace(self, metrics=[metric for metric in self.metrics if metric.key not in errors])

    def _asked(self) -> list[list[str]]:
        kinds = list(dict.fromkeys(run[self.factor] for run in self.runs))
        allowed = self.report["checks"]["tolerances"]
        rows = []
        for column in self.checked:
            for kind in kinds:
                error, related, within = (self._cell(kind, of(column)) for of in (error_of, correlation_of, within_of))
                name = f"{column} (±{allowed[column]:.3g})" if column in allowed else column
                rows.append([name, kind, self._count(kind, column), error, related, within])
        return rows

    def _count(self, kind: str, column: str) -> str:
        """Return the number of valid texts, of all seeds, for which a value was asked."""
        counts = [run["metrics"].get(count_of(column)) or 0 for run in self.runs if run[self.factor] == kind]
        return str(sum(counts))

    def plot_asked(self) -> Figure:
        """Draw the mean of the values obtained against those asked for, by tenths of these, for every kind."""
        from .figures import asked_and_obtained

        checks = self.report["checks"]
        return asked_and_obtained(checks["deciles"], checks["tolerances"])

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        return super().figures() | ({"asked": self.plot_asked} if self.checked else {})


@takes_settings(TextSettings)
def compare(
    train: Source,
    test: Source,
    *,
    context_in: Sequence[str] = PLACES,
    seeds: int = 5,
    validation: Source | None = None,
    check: Sequence[str] = (),
    check_timeout: float = 10.0,
    check_texts: int | None = None,
    tolerance: float = 0.25,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    devices: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> TextComparison:
    """Train the same model of texts with the context in h0, at every step, in both and nowhere, and compare them.

    Settings with several values are chosen for each place in the same way, on validation texts. The table shows the
    bits per symbol of the test texts. With `check`, each model also writes a text for the context of every test text.
    Functions of yours compute a property of each of these texts, which is compared with the one asked for.

    Args:
        train: Training table with one row per text: a CSV, TSV or Parquet file; in Python, also a data frame.
        test: Table to report metrics on; nothing is chosen on it.
        context_in: Where the compared models read the context: in the initial state (h0), at every input
            (every-step), in both, or nowhere (none).
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Table to choose the epoch and the settings on; by default, a tenth of the training texts is held
            out.
        check: Functions that compute a property of a text, as package.module:function or
            COLUMN=package.module:function. Each returns a number, or None for a text that is not valid. The number is
            compared with the value of COLUMN that was asked for; without COLUMN, with that of the context column that
            has the function's name. The functions are called in another process.
        check_timeout: Seconds that a call of a check may take.
        check_texts: Number of texts that each model writes for the checks, for the contexts of the first test texts;
            by default, one for each test text.
        tolerance: Largest difference between the value asked for and the value obtained at which the request counts as
            met, in standard deviations of the column in the training table.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; by default, one per processor, or per GPU if there are several.
        devices: Number of GPUs that the runs share out among them; by default, all.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        The answer, the tables and the figures.

    Raises:
        InputError: if a table or a setting is invalid, there is no context column, or a check cannot be imported.

    Example:
        contextual-rnn compare texts --train a.csv --test b.csv --text name --context language --out runs/places
    """
    variants = [
        values["context_in"] for values, _ in TextSettings.variants({**_one_each(options), "context_in": context_in})
    ]
    if not options.get("context"):
        raise InputError("`context` is required: the comparison is of places where the model reads it")
    candidates = {place: TextSettings.candidates({**options, "context_in": place}) for place in variants}
    data = read_tables(train, validation, test, candidates[variants[0]][0])
    if isinstance(data.training, StoredTexts):
        check_cluster(cluster)
    checks = Checks.of(check, check_timeout, check_texts, tolerance, data)
    with train_kinds(
        Training(data), candidates, seeds=seeds, out=out, resume=resume, jobs=jobs, devices=devices, cluster=cluster
    ) as trained:
        return _found(trained, variants, data, checks).keep(trained)


def _one_each(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with one value each, of which the first is taken, to check the places to compare."""
    return TextSettings.candidates(options)[0].to_json()


def _found(trained: Trained, variants: Sequence[str], data: TextData, checks: Checks) -> TextComparison:
    """Return what the runs found."""
    bits = baselines(encode(data.training, data.symbols), Encoded.of(data.test, data.symbols), 1 + len(data.symbols))
    simple = {name: {BITS.key: float(values.mean())} for name, values in bits.items()}
    pairs = [(a, b, meaning) for (a, b), meaning in QUESTIONS.items() if a in variants and b in variants]
    if len(variants) > 1 and not pairs:
        a, b = variants[:2]
        pairs = [(a, b, f"Reading the context: {a}, rather than {b}")]
    report = {"baselines": simple, "chosen": trained.chosen()}
    metrics, said = [*METRICS], list[str]()
    columns = [one.column for one in checks.functions if one.column]
    if checks.functions:
        report["checks"], more, said = checks.run(trained)
        metrics += more
    also = [of(column) for column in columns for of in (correlation_of, within_of)]
    found = findings(
        trained.runs, pairs, metrics, BY_TEXT, simple, "the place of the context", PRIMARY, listed_only=also
    )
    if with_intervals_over_texts(found["summary"], trained.runs, len(checks.test), columns):
        said.append(IN_WORDS)
    found["answer"] += further(found["differences"], columns, found["answer"])
    return TextComparison(
        **found,
        **trained.fields(),
        report=report,
        note="\n".join(
            [
                " ".join([*data.remarks, "Lower is better for bits and errors."]),
                *kinds_worse_than_baselines(trained.runs, simple, METRICS),
                *said,
            ]
        ),
    )


@dataclasses.dataclass(frozen=True)
class Checks:
    """The functions that are called for what the models write.

    Attributes:
        functions: what to call.
        timeout: seconds that a call may take.
        test: the texts whose contexts are asked for.
        tolerance: in standard deviations of a column.
    """

    functions: list[Check]
    timeout: float
    test: Texts
    tolerance: float

    @classmethod
    def of(cls, given: Sequence[str], timeout: float, count: int | None, tolerance: float, data: TextData) -> Checks:
        """Read the arguments of `compare`, and import the functions once, so that errors come before training."""
        if not timeout > 0:
            raise InputError(f"`check_timeout` must be greater than 0; found {timeout}")
        if not tolerance >= 0:
            raise InputError(f"`tolerance` must be at least 0; found {tolerance}")
        check_count(**({} if count is None else {"check_texts": count}))
        quantities = [name for name, field in data.fields.items() if isinstance(field, Quantity)]
        given = [given] if isinstance(given, str) else given
        functions = Check.parse_all(given, quantities, list(data.fields))
        if functions:
            Checker([one.function for one in functions], timeout).close()
        return cls(functions, timeout, data.test.take(range(len(data.test))[:count]), tolerance)

    def run(self, trained: Trained) -> tuple[dict[str, Any], list[Metric], list[str]]:
        """Have every model write texts, and add the metrics of these to its run.

        Returns:
            What `results.json` holds, the metrics to compare, and sentences on what was inferred and what failed.
        """
        deciles: dict[str, list[list[Row]]] = {}
        allowed: dict[str, float] = {}
        names = list(trained.models)
        with Checker([one.function for one in self.functions], self.timeout) as checker:
            for run, name in zip(trained.runs, with_progress(names), strict=True):
                model = trained.models[name]
                written = Written.by(model, self.test, self.functions, checker, run["seed"])
                allowed = tolerances(model, list(written.got), self.tolerance)
                run["metrics"] |= written.metrics(allowed)
                deciles.setdefault(run["initial_state"], []).append(written.deciles())
                if trained.out is not None:
                    folder = pathlib.Path(trained.folder.path) / "written"
                    make_folder(folder)
                    write_table(folder / f"{name}.csv", written.columns())
            failed = checker.sentences()
        columns = [one.column for one in self.functions if one.column]
        report = {
            "functions": [dataclasses.asdict(one) for one in self.functions],
            **{"columns": columns, "texts": len(self.test), "tolerance": self.tolerance, "failed": failed},
            "tolerances": allowed,
            "deciles": mean_deciles(deciles),
        }
        metrics = [VALID, DISTINCT, NEW, *map(error_of, columns)]
        few = [
            run for run in trained.runs for column in columns if run["metrics"].get(count_of(column), 0) < FEWEST_TEXTS
        ]
        said = [in_words(self.functions), NEW_IN_WORDS, *([tolerance_in_words(self.tolerance)] if columns else [])]
        return report, metrics, [" ".join(said), *([TOO_FEW] if few else []), *failed]
