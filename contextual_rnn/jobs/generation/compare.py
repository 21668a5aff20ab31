"""`compare`: whether the initial state matters to generated series, and by how much."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..._core.settings import check_count, takes_settings
from ...data.series import Datasets, Record
from ...data.table import Source
from ...errors import InputError
from ...kinds import WITHOUT_WINDOW, comparisons
from ...study.comparison import Comparison, findings, kinds_to_compare, run_directory, train_kinds
from ...study.fit import check_accelerator
from ...study.parallel import one_thread
from ...study.run_folder import RunFolder
from .baselines import baselines
from .metrics import BY_SERIES, METRICS, scores
from .settings import GenerationSettings
from .train import Training, choose_settings, make_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class GenerationComparison(Comparison):
    """What a comparison of initial states found on generated series; see `Comparison`."""

    test: list[Record]

    def plot_bands(self, series: int = 0, steps: int = 150) -> Figure:
        """Draw the first steps of a test series, and the bands of series generated for its context by every kind.

        Args:
            series: the number of the test series, from 0.
            steps: the number of steps to show.
        """
        from .figures import plot_bands

        kinds = dict.fromkeys(run["initial_state"] for run in self.runs)
        return plot_bands({kind: self.models[f"{kind}-seed-0"] for kind in kinds}, self.test[series], steps)

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
    **options: Any,
) -> GenerationComparison:
    """Train the same generator from every kind of initial state, and say whether the initial state matters here.

    Settings with several values are chosen for every kind alike, on validation data. Metrics are those on the test
    table.

    Args:
        train: Training table: a file or a data frame with one row per time step, in order.
        test: Table to report metrics on; nothing is chosen on it.
        initial_states: Kinds of initial state, and the control every-step; by default, all that the context allows.
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Table to choose settings on, instead of folds of the training table.
        folds: Number of folds of the training series, at least 2; used if a setting has several values.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; by default, one per processor.

    Returns:
        The answer, the tables and the figures.

    Raises:
        InputError: a table or a setting is wrong; says what and where.

    Example:
        contextual-rnn compare generation --train train.csv --test test.csv --targets y --context digit --series id
    """
    check_count(seeds=seeds, **({} if jobs is None else {"jobs": jobs}))
    check_count(least=2, folds=folds)
    if test is None:
        raise InputError("`test` is required: the metrics of the comparison are those on this table")
    kinds = kinds_to_compare(initial_states, WITHOUT_WINDOW, 0, options.get("context") or ())
    candidates = {kind: GenerationSettings.candidates({**options, "initial_state": kind}) for kind in kinds}
    check_accelerator(candidates[kinds[0]][0].accelerator)
    data = Datasets.read(train, validation, test, candidates[kinds[0]][0])
    config = {
        "candidates": {kind: [settings.to_json() for settings in several] for kind, several in candidates.items()},
        **data.identity,
        "folds": folds,
        "seeds": seeds,
    }
    with run_directory(out) as path:
        folder = RunFolder.open(path, config, resume=resume)
        choices = choose_settings(candidates, data, folds, path / "tuning", resume=resume, jobs=jobs)
        runs, models = train_kinds(
            {kind: choice.settings for kind, choice in choices.items()},
            make_run,
            Training(data),
            path,
            seeds=seeds,
            resume=resume,
            jobs=jobs,
        )
        with one_thread():
            reference = {name: scores(one, data.test) for name, one in baselines(data.training).items()}
        found = GenerationComparison(
            **findings(runs, comparisons(kinds), METRICS, BY_SERIES, reference),
            models=models,
            config=config,
            report={
                "baselines": reference,
                "chosen": {kind: choice.to_json() for kind, choice in choices.items()},
            },
            note="Lower is better.",
        )
        found.test = data.test
        return found.keep(folder, out)
