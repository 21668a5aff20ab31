"""The report of `fit`: the errors of a model and of the baselines, and what was chosen and found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ..._core.counted import counted
from ..._core.records import Record
from ...data.scaled_errors import MAE, SCALED, errors_by_series, mean_absolute, series_in_words
from ...data.series import Datasets
from ...data.series_scales import scale_in_words
from ...scaling import error_unit, in_own_units
from ...study.differences import worse_than_baselines
from ...study.report import FitReport, epoch_in_words
from ..choices import feeding_in_words
from .base import base_in_words
from .baselines import baselines, known_in_words, names_of, scaled, why_not_seasonal
from .metrics import METRICS, errors_of, rmse_by_target, scores
from .model import ForecastModel
from .origins import origins_in_words
from .quantiles import coverage_in_words, number_in_words
from .settings import ForecastSettings
from .windows import cut_windows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEFORE = "validation, before the refit"


def report(
    data: Datasets, given: ForecastSettings, model: ForecastModel, result: dict[str, Any], history: list[dict[str, Any]]
) -> FitReport:
    """Return the report of a model.

    Args:
        data: the tables.
        given: the settings that the user gave.
        model: trained.
        result: of its run.
        history: the metrics of every epoch.
    """
    settings, epoch = model.settings, result["metrics"]["epoch"]
    trained = len(data.training if data.stored is None else data.stored.names)
    found = _found(data, model, result)
    feeding = feeding_in_words(settings.feeding, settings.sampling, settings.epochs)
    sentences = [
        f"Trained an encoder and decoder ({settings.cell}, {counted(settings.hidden, 'unit')}, bridge "
        f"{settings.bridge}, attention {settings.attention}, {feeding}) to forecast "
        f"{counted(settings.horizon, 'step')} from {settings.past}, on {trained} series for "
        f"{counted(len(history), 'epoch')}.",
        epoch_in_words(epoch, len(history), "the lowest validation error in the scale of the training loss")
        if epoch
        else "No epoch has a lower validation error than the linear model, so the forecasts are those of the linear "
        "model.",
        *(_refit_in_words(epoch, bool(data.test)) if settings.refit else []),
        scale_in_words(settings.scale, given.scale, "past"),
        base_in_words(settings, data.frequency),
        *data.remarks,
        f"Errors are in {error_unit(settings.targets)}.",
        *why_not_seasonal(model),
        *found["sentences"],
    ]
    by_name = {"Errors by series": found["by_series"]} if len(found["by_series"]) > 1 else {}
    return FitReport(sentences, (*METRICS, MAE, *SCALED), found["rows"], tables=by_name)


def _found(data: Datasets, model: ForecastModel, result: dict[str, Any]) -> dict[str, Any]:
    """Return the errors of a model; after a refit, those on validation windows are of the model before it."""
    if not model.settings.refit:
        tables = {"training": cut_windows(data.training, model.settings), "validation": data.validation}
        return errors_on({**tables, "test": data.test}, model, data)
    before = result["before_refit"]
    if not data.test:
        return before
    found = errors_on({"training": cut_windows(data.whole, model.settings), "test": data.test}, model, data)
    training, *others = found["rows"].items()
    return {**found, "rows": dict([training, (BEFORE, before["rows"]["validation"]), *others])}


def errors_on(tables: Mapping[str, Sequence[Record]], model: ForecastModel, data: Datasets) -> dict[str, Any]:
    """Return the errors of a model on every table, and those of the baselines on the last of them.

    Args:
        tables: windows, by the name of the table; empty ones are left out.
        model: trained.
        data: the training series, and the validation windows.

    Returns:
        What can be stored as JSON: `rows`, the metrics by name; `sentences`; and `by_series`, the errors of each series
        of the last table.
    """
    own = {name: errors_of(model.forecasts, windows, model) for name, windows in tables.items() if windows}
    last, settings = list(own)[-1], model.settings
    windows, unit = tables[last], model.error_scale().double()
    others = {
        name: errors_of(one, windows, model) for name, one in baselines(model, data, of_test=last == "test").items()
    }
    shown = {"the model": own[last], **others}
    by_scale, names = scaled(shown, windows, model, data), names_of(windows)
    found = {name: _scores(errors) | by_scale.means(name) for name, errors in others.items()}
    rows = {name: _scores(errors) for name, errors in own.items()}
    rows[last] |= by_scale.means("the model")
    is_given = last == "test" or last in data.identity.get("sha256", {})
    table = f"{last} table" if is_given else "held-out rows"
    sentences = [
        *in_own_units(settings.targets, table, rmse_by_target(own[last] * unit)),
        f"The errors of the {table} are those of {forecasts_in_words(names, settings, last == 'test')}.",
        *origins_in_words(windows, settings, data.frequency, last == "test"),
        *by_scale.in_words(known_in_words(names, data)),
        *worse_than_baselines(f"On the {table}, the model", rows[last]["rmse"], found, METRICS[0]),
        *(number_in_words(data.held_out, settings) if settings.quantiles else []),
        *([coverage_in_words(model, windows, table, last == "validation")] if settings.quantiles else []),
        *series_in_words(own[last], others["persistence"], names, "persistence"),
    ]
    rows |= {f"{name}, {last}": values for name, values in found.items()}
    return {
        "rows": rows,
        "sentences": sentences,
        "by_series": errors_by_series(shown, names, by_scale, "forecasts", settings.series),
    }


def _scores(errors: Tensor) -> dict[str, float]:
    """Return the metrics of the report."""
    return {**scores(errors), MAE.key: mean_absolute(errors)}


def forecasts_in_words(names: Sequence[str], settings: ForecastSettings, of_test: bool) -> str:
    """Return how many forecasts there are of series, and whether their horizons overlap.

    Args:
        names: of the series of the forecasts.
        settings: of the model.
        of_test: whether the setting `stride` applies to them.
    """
    overlap = of_test and settings.stride is not None and settings.stride < settings.horizon
    series, several = len(set(names)), len(names) > 1
    of = f" of {series} series" if series > 1 else ""
    return (
        f"{len(names)} forecast{'s' * several}{of}"
        + f", whose horizons {'' if overlap else 'do not '}overlap" * several
    )


def _refit_in_words(epoch: int, tested: bool) -> list[str]:
    """Return sentences that say what was trained again, and what is known of its error."""
    again = f"for {epoch} epoch{'s' * (epoch != 1)}" if epoch else "as the linear model"
    errors = "its test error is in the table" if tested else "all errors are those of the model before"
    return [
        f"The model was then fitted again to all rows of the training table, {again} (refit). It has no validation "
        f"error: {errors}, and its quantiles, too, come from the held-out windows before."
    ]


def figures(data: Datasets, model: ForecastModel) -> dict[str, Callable[[], Figure]]:
    """Return what draws each figure; there is none of windows that the model was fitted to."""
    from .figures import plot_forecasts

    windows = data.test or ([] if model.settings.refit else data.validation)
    return {"forecasts": lambda: plot_forecasts(model, windows)} if windows else {}
