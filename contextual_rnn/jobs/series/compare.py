"""`compare`: whether the initial state matters on these series, and by how much."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..._core.settings import takes_settings
from ...data.parquet import check_cluster
from ...data.table import Source
from ...kinds import COMPARED, comparisons, kinds_to_compare
from ...scaling import error_unit, unit_of_errors
from ...study.comparison import Comparison, Trained, train_kinds
from ...study.differences import findings, kinds_worse_than_baselines
from ...study.differences import found as is_found
from ...study.metric import Row
from .forgetting import forgetting
from .metrics import BY_SERIES, METRICS
from .settings import SeriesSettings
from .train import Training, baseline_scores, length_in_words, read_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRIMARY = (("context", "warm-up"), ("context", "zero"))  # the answer's comparison: the first that was made


class SeriesComparison(Comparison):
    """The results of a comparison of initial states on series; see `Comparison`."""

    def plot_start(self, series: int = 0, steps: int = 150) -> Figure:
        """Draw the first steps of a test series, as measured and as predicted from every kind of initial state.

        Args:
            series: the number of the test series, from 0.
            steps: the number of predicted steps to show.
        """
        from .figures import plot_prediction

        return plot_prediction(self.first_models(), self.test[series], steps)

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        return {**super().figures(), "start": self.plot_start}


@takes_settings(SeriesSettings, without=("initial_state",))
def compare(
    train: Source,
    test: Source,
    *,
    initial_states: Sequence[str] | None = None,
    seeds: int = 5,
    validation: Source | None = None,
    folds: int = 4,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    devices: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> SeriesComparison:
    """Train the same model from every kind of initial state, and report whether the initial state matters.

    Settings with several values are chosen for each kind in the same way, on validation data. The table shows errors on
    the test table: free-run RMSE (over whole series), first-20-steps RMSE (over the first 20 predicted steps) and
    windowed RMSE (over consecutive windows of `length` steps, each predicted from a new start).

    Args:
        train: Training table with one row per time step, in order: a text (.csv, .tsv, .txt), Parquet, Arrow or
            MATLAB (.mat) file; in Python, also a data
            frame.
        test: Table to report errors on; nothing is chosen on it.
        initial_states: Kinds of initial state to compare: zero, free (learned), context (a function of what is known
            about the series), gaussian (context with noise), error-noise (free with noise in proportion to the
            back-propagated error), and the controls warm-up and every-step (zero, with what is known read during the
            window, or at every step). By default, all of these that the window and the context allow. On request, also
            handoff (a linear map of the final state of another core that reads the window), estimated (free in
            training; at test time, fitted to the targets of the window by least squares) and
            context+estimated (the same, from a function of what is known), which take longer to predict.
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Table to choose settings on, instead of folds of the training table.
        folds: Number of folds of the training table, at least 2; used if a setting has several values.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; by default, one per processor, or per GPU if there are several.
        devices: Number of GPUs that the runs share out among them; by default, all.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        The answer, the tables and the figures.

    Raises:
        InputError: if a table or a setting is invalid.

    Example:
        contextual-rnn compare series --train train.csv --test test.csv --inputs u --targets y --window 5
    """
    kinds = kinds_to_compare(initial_states, COMPARED, options.get("window") or 0, options.get("context") or ())
    candidates = {kind: SeriesSettings.candidates({**options, "initial_state": kind}) for kind in kinds}
    base = candidates[kinds[0]][0]
    data = read_tables(train, validation, test, base)
    if data.stored is not None:
        check_cluster(cluster)
    training = Training.of(data, candidates.values(), folds)
    with train_kinds(
        training, candidates, seeds=seeds, out=out, resume=resume, jobs=jobs, devices=devices, cluster=cluster
    ) as trained:
        model = next(iter(trained.models.values()))
        reference = baseline_scores(data, model, folds, training.scored_length)
        fields = findings(trained.runs, comparisons(kinds), METRICS, BY_SERIES, reference, primary=PRIMARY)
        start, sentences = about_the_start(trained, fields["differences"])
        return SeriesComparison(
            **{**fields, "answer": " ".join([fields["answer"], *sentences])},
            **trained.fields(),
            unit=unit_of_errors(base.targets),
            report={"baselines": reference, "chosen": trained.chosen(), **start},
            note=" ".join(
                [
                    *data.remarks,
                    *length_in_words(data.training, itertools.chain.from_iterable(candidates.values())),
                    f"Errors are in {error_unit(base.targets)}; lower is better.",
                    *kinds_worse_than_baselines(trained.runs, reference, METRICS[:2]),
                ]
            ),
        ).keep(trained)


def about_the_start(trained: Trained, differences: Sequence[Row]) -> tuple[dict[str, Any], list[str]]:
    """Return how long the start matters, for the results, and sentences that tell how far the answer goes.

    The start is examined where the answer claims a difference; see `forgetting`.
    """
    start, sentences = dict[str, Any](), []
    main = next((row for row in differences if row["family"] == "primary"), None)
    if (
        main is not None and is_found(main) and "every-step" not in (main["a"], main["b"])
    ):  # which reads it at every step
        named = list(zip(trained.runs, trained.models, strict=True))
        first, second = (
            [trained.models[name] for run, name in named if run["initial_state"] == main[side]] for side in ("a", "b")
        )
        found = forgetting(first, second, trained.test)
        start, sentences = {"start": dataclasses.asdict(found)}, [found.in_words()]
    if main is not None and len(trained.test) == 1:
        sentences.append("This answer rests on one test series.")
    return start, list(filter(None, sentences))
