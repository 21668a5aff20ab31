"""`compare`: whether bridge, attention and feeding matter to forecasts of these series, and by how much."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..._core.settings import takes_settings
from ...data.parquet import check_cluster
from ...data.scaled_errors import SCALED
from ...data.series_scales import scale_in_words
from ...data.table import Source
from ...scaling import error_unit, unit_of_errors
from ...study.comparison import Comparison, train_kinds
from ...study.differences import control_of, findings, kinds_worse_than_baselines, label
from .base import base_in_words, chosen_in_words
from .baselines import baselines, known_in_words, names_of, nearer_base, scaled, why_not_seasonal
from .metrics import BY_SERIES, METRICS, errors_of, rmse_by_step, scores
from .origins import origins_in_words
from .report import forecasts_in_words
from .scale import with_scale
from .settings import ForecastSettings
from .train import Training, read_tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ForecastComparison(Comparison):
    """The results of a comparison of forecasts; see `Comparison`. Its first variant is the baseline model."""

    heading: ClassVar[str] = "bridge, attention, feeding"

    baselines_by_step: dict[str, list[float | None]]
    starts = ""  # where in a season all forecasts start, if not at every place

    def plot_forecasts(self, shown: int = 4) -> Figure:
        """Draw the forecasts of a few windows of the test table by the baseline model of seed 0.

        Args:
            shown: the maximum number of windows.
        """
        from .figures import plot_forecasts

        return plot_forecasts(self._base(), self.test, shown)

    def plot_horizon(self) -> Figure:
        """Draw the error of every variant by step of the horizon."""
        from .figures import plot_horizon

        return plot_horizon(self.runs, self.baselines_by_step, self.unit, self.starts)

    def figures(self) -> dict[str, Callable[[], Figure]]:
        """Return what draws each figure, by the name of its file."""
        return {**super().figures(), "horizon": self.plot_horizon, "forecasts": self.plot_forecasts}

    def _base(self) -> Any:
        """Return the baseline model of seed 0."""
        return next(iter(self.models.values()))


@takes_settings(ForecastSettings)
def compare(
    train: Source,
    test: Source,
    *,
    bridge: Sequence[str] = ("project", "zero"),
    attention: Sequence[str] = ("none",),
    feeding: Sequence[str] = ("output",),
    seeds: int = 5,
    validation: Source | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    devices: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> ForecastComparison:
    """Compare variants of an encoder and decoder, and report whether bridge, attention and feeding matter to forecasts.

    The first values form the baseline model; each further value changes one setting of it.

    Args:
        train: Training table with one row per time step, in order: a CSV, TSV or Parquet file; in Python, also a data
            frame.
        test: Table to report errors on; nothing is chosen on it.
        bridge: Maps from the encoder's final state to the decoder's initial state: zero (ignore the encoder), project
            (linear map and tanh), concat (linear map of that projection and the state itself) or copy.
        attention: Attention of the decoder over the past: none, additive (Bahdanau) or multiplicative (Luong).
        feeding: What the decoder reads during training: the true targets (truth), or increasingly its own outputs
            (output).
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Table to choose the epoch on; by default, the end of each training series that is long enough.
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
        contextual-rnn compare forecast --train train.csv --test test.csv --targets y --past 50 --horizon 20
    """
    factors = {"bridge": bridge, "attention": attention, "feeding": feeding}
    variants = {label(values): (values, one) for values, one in ForecastSettings.variants({**options, **factors})}
    base_name, (base_values, base) = next(iter(variants.items()))
    data = read_tables(train, validation, test, base)
    if data.stored is not None:
        check_cluster(cluster)
    first = nearer_base(with_scale(base, data.training, data.levels_differ), data)
    chosen = {"scale": first.scale, "base": first.base}
    variants = {name: (values, one.replace(**chosen)) for name, (values, one) in variants.items()}
    candidates = {name: [settings] for name, (_, settings) in variants.items()}
    changed = {name: _changed(values, base_values) for name, (values, _) in variants.items()}

    def control(variant: str, base: str) -> str | None:
        factor = changed[variant]
        return control_of({name: variants[name][0][factor] for name in (variant, base)})

    pairs = [(name, base_name, _statement(values, base_values)) for name, (values, _) in variants.items()][1:]
    with train_kinds(
        Training(data), candidates, seeds=seeds, out=out, resume=resume, jobs=jobs, devices=devices, cluster=cluster
    ) as trained:
        model = next(iter(trained.models.values()))
        forecasts = baselines(model, data, of_test=True)
        errors = {name: errors_of(forecast, data.test, model) for name, forecast in forecasts.items()}
        by_scale = scaled(errors, data.test, model, data)
        reference = {name: scores(one) | by_scale.means(name) for name, one in errors.items()}
        runs = [{**run, **variants[run["initial_state"]][0]} for run in trained.runs]
        fields = findings(
            runs, pairs, METRICS, BY_SERIES, reference, _subject(pairs), shown=SCALED[:1], control=control
        )
        fields["answer"] += f" {chosen_in_words(base, first, data.frequency)}"
        starts = origins_in_words(data.test, first, data.frequency, of_test=True)
        found = ForecastComparison(
            **fields,
            **trained.fields(),
            report={"baselines": reference},
            unit=unit_of_errors(base.targets),
            note=" ".join(
                [
                    *data.remarks,
                    *why_not_seasonal(model),
                    *["Each model was fitted again to all rows of the training table (refit)."] * base.refit,
                    f"Errors are in {error_unit(base.targets)}, of "
                    f"{forecasts_in_words(names_of(data.test), first, of_test=True)}; lower is better.",
                    *starts,
                    scale_in_words(model.settings.scale, base.scale, "past"),
                    base_in_words(model.settings, data.frequency),
                    *by_scale.in_words(known_in_words(names_of(data.test), data)),
                    *kinds_worse_than_baselines(trained.runs, reference, METRICS[:1]),
                ]
            ),
        )
        found.starts = starts[0].partition(" (")[0] if starts else ""
        found.baselines_by_step = {name: rmse_by_step(one) for name, one in errors.items()}
        return found.keep(trained)


def _changed(values: dict[str, str], base: dict[str, str]) -> str:
    """Return the factor in which a variant differs from the base; empty if there is none."""
    return next((name for name in values if values[name] != base[name]), "")


def _statement(values: dict[str, str], base: dict[str, str]) -> str:
    """Say in which factor a variant differs from the base."""
    factor = _changed(values, base)
    return factor and f"{factor.capitalize()} {values[factor]} instead of {base[factor]}"


def _subject(pairs: Sequence[tuple[str, str, str]]) -> str:
    """Return the subject of the answer: the factor of the first comparison."""
    return f"the {pairs[0][2].partition(' ')[0].lower()}" if pairs else "the choice of bridge, attention or feeding"
