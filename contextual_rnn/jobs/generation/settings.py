"""The settings of a model that generates series."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..._core.settings import setting
from ...data.columns import TargetSettings
from ...errors import InputError
from ...kinds import WITHOUT_WINDOW, CoreSettings, in_words
from ...study.fit import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationSettings(CoreSettings, TargetSettings, TrainingSettings):
    """A model that generates series from their context, and its training."""

    initial_state: str | None = setting(
        None,
        f"Kind of initial state: {in_words(WITHOUT_WINDOW)}. By default, context if there are context columns, else "
        "zero.",
        group="model",
        choices=WITHOUT_WINDOW,
    )
    scale: Literal["global", "step"] | None = setting(
        None,
        "What targets are scaled by: the mean and standard deviation of the training table (global), or of each step "
        "over the series (step), which suits series that start alike. By default, step if left-out training series are "
        "more likely under normal distributions of the steps than under one of all steps, else global.",
        group="model",
    )
    components: int = setting(5, "Gaussians in the mixture that predicts the next step.", group="model", least=1)
    least_updates: int = setting(
        25,
        "Least number of minibatches in an epoch: with few series, an epoch takes each of them several times.",
        group="training",
        least=1,
    )

    def __post_init__(self) -> None:
        """Check the settings, and choose the kind of initial state if none is given."""
        super().__post_init__()
        if self.missing == "interpolate":
            raise InputError(
                "`missing` interpolate reads later targets, which a generator predicts; give hold or zero instead"
            )
        self.choose_kind(None, self.context)
