"""The choice of the scale in which a forecasting model sees targets."""

from __future__ import annotations

from collections.abc import Sequence

from ..._core.records import Record
from ...data.series_scales import check_scale, levels_differ
from .settings import ForecastSettings


def with_scale(settings: ForecastSettings, training: Sequence[Record], differ: bool | None = None) -> ForecastSettings:
    """Return the settings with `scale`; if none is given, choose it.

    It is window if, for any target, the means of the series vary more than the values within the series: the standard
    deviation of the means is greater than the mean of the standard deviations. Otherwise, it is global.

    Args:
        settings: of the model.
        training: the training series.
        differ: whether their levels differ, where that is known; see `Datasets.levels_differ`.

    Raises:
        InputError: the scale is window, and the past has a single step; or it is series, and the table is one series.
    """
    check_scale(settings.scale, settings.past, "past", settings)
    if settings.scale is not None:
        return settings
    differ = levels_differ(training) if differ is None else differ
    return settings.replace(scale="window" if settings.past > 1 and differ else "global")
