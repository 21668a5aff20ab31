"""`compare`: whether the initial state matters to generated series, and by how much."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..._core.settings import check_count, takes_settings
from ...data.series import Datasets
from ...data.table import Source
from ...kinds import WITHOUT_WINDOW, comparisons, kinds_to_compare
from ...study.comparison import Comparison, train_kinds
from ...study.differences import findings, kinds_worse_than_baselines
from .baselines import baselines
from .metrics import BY_SERIES, METRICS, scores
from .scale import scale_in_words, with_scale
from .settings import GenerationSettings
from .train import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRIMARY = (("context", "every-step"), ("context", "zero"))  # the answer's comparison: the first that was made


class GenerationComparison(Comparison):
    """The results of a comparison of initial states on generated series; see `Comparison`."""

    def plot_bands(self, series: int = 0, steps: int = 150) -> Figure:
        """Draw the first steps of a test series, and the bands of series generated for its context by every kind.

        Args:
            series: the number of the test series, from 0.
            steps: the number of steps to show.
        """
        from .figures import plot_bands

        return plot_bands(self.first_models(), self.test[series], steps)

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        return {**super().figures(), "bands": self.plot_bands}


@takes_settings(GenerationSettings, without=("initial_state",))
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
) -> GenerationComparison:
    """Train the same generator from every kind of initial state, and report whether the initial state matters.

    Settings with several values are chosen for each kind in the same way, on validation data. The table shows
    metrics on the test table.

    Args:
        train: Training table with one row per time step, in order: a CSV, TSV or Parquet file; in Python, also a data
            frame.
        test: Table to report metrics on; nothing is chosen on it.
        initial_states: Kinds of initial state to compare: zero, free (learned), context (a function of what is known
            about the series), gaussian (context with noise), error-noise (free with noise in proportion to the
            back-propagated error), and the control every-step (zero, with the context joined to every input). By
            default, all that the context allows.
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Table to choose settings on, instead of folds of the training table.
        folds: Number of folds of the training series, at least 2; used if a setting has several values.
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
        contextual-rnn compare generation --train a.csv --test b.csv --targets y --context way --labels way --series id
    """
    check_count(least=2, folds=folds)
    kinds = kinds_to_compare(initial_states, WITHOUT_WINDOW, 0, options.get("context") or ())
    candidates = {kind: GenerationSettings.candidates({**options, "initial_state": kind}) for kind in kinds}
    data = Datasets.read(train, validation, test, candidates[kinds[0]][0])
    given = candidates[kinds[0]][0].scale
    candidates = {kind: [with_scale(one, data.training) for one in several] for kind, several in candidates.items()}
    training = Training(data, folds)
    with train_kinds(
        training, candidates, seeds=seeds, out=out, resume=resume, jobs=jobs, devices=devices, cluster=cluster
    ) as trained:
        reference = {name: scores(one, data.test) for name, one in baselines(data.training).items()}
        return GenerationComparison(
            **findings(trained.runs, comparisons(kinds), METRICS, BY_SERIES, reference, primary=PRIMARY),
            **trained.fields(),
            report={"baselines": reference, "chosen": trained.chosen()},
            note=" ".join(
                [
                    *data.remarks,
                    scale_in_words(candidates[kinds[0]][0], given),
                    "Lower is better.",
                    *kinds_worse_than_baselines(trained.runs, reference, METRICS[:1]),
                ]
            ),
        ).keep(trained)
