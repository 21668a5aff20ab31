"""The settings of a model of series."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..._core.settings import setting
from ...data.columns import ColumnSettings
from ...data.parquet import MemorySettings
from ...data.series_scales import check_scale
from ...errors import InputError
from ...kinds import CoreSettings
from ...study.fit import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesSettings(CoreSettings, MemorySettings, ColumnSettings, TrainingSettings):
    """A model that simulates targets from inputs, and its training."""

    inputs: tuple[str, ...] = setting(
        dataclasses.MISSING,
        "Input columns, known at every step: numbers, or labels, which are one-hot encoded. "
        "Use the job generation for series without inputs.",
        group="data",
        metavar="COLUMN",
    )
    window: int = setting(0, "Number of steps at the start of a series whose targets are known.", group="data", least=0)
    scale: Literal["global", "series", "window"] = setting(
        "global",
        "What targets are scaled by: the mean and standard deviation of the training table (global), of each of its "
        "series (series; of the window, for a series that it lacks), or of the window of each series (window).",
        group="model",
    )
    length: int = setting(
        128,
        "Steps of a training window after the known ones, and of the windows on which the windowed RMSE is computed.",
        group="training",
        least=1,
        tunable=True,
    )
    washout: int = setting(
        0, "Steps after the known ones that the training loss ignores.", group="training", least=0, tunable=True
    )
    estimate_weight: float = setting(
        0.1,
        "Weight of the squared distance of an estimated h0 from its start, added to the sum of squared standardised "
        "errors over the window.",
        group="model",
        least=0,
        tunable=True,
    )
    updates: int = setting(50, "Minibatches per epoch, each of windows drawn at random.", group="training", least=1)

    def __post_init__(self) -> None:
        """Check the settings, and choose the kind of initial state if none is given."""
        super().__post_init__()
        if not self.inputs:
            raise InputError(
                "`inputs` needs at least one column; contextual_rnn.jobs.generation generates series without inputs"
            )
        if self.scale != "global":
            check_scale(self.scale, self.window, "window", self)
        if self.washout >= self.length:
            raise InputError(f"`washout` ({self.washout}) must be less than `length` ({self.length})")
        self.choose_kind(self.window, self.context)
