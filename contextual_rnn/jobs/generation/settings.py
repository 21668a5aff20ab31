"""The settings of a model that generates series."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..._core.settings import setting
from ...data.columns import TargetSettings
from ...errors import InputError
from ...kinds import KINDS, WITHOUT_WINDOW, Kind, check_kind
from ...study.fit import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationSettings(TargetSettings, TrainingSettings):
    """A model that generates series from their context, and its training."""

    initial_state: str | None = setting(
        None,
        "Kind of initial state; without it, context if there are context columns, else zero.",
        group="model",
        choices=WITHOUT_WINDOW,
    )
    cell: Literal["lstm", "gru", "rnn", "fast-weights"] = setting("gru", "Recurrent core.", group="model")
    hidden: int = setting(32, "Hidden units of each layer.", group="model", least=1, tunable=True)
    layers: int = setting(1, "Layers of the core.", group="model", least=1, tunable=True)
    components: int = setting(5, "Gaussians in the mixture that predicts the next step.", group="model", least=1)
    context_hidden: int = setting(32, "Units of the hidden layer of the context network.", group="model", least=1)
    learning_rate: float = setting(
        0.01,
        "Learning rate of AdamW in the first epoch; it falls to 0 by a cosine.",
        group="training",
        above=0,
        tunable=True,
    )
    weight_decay: float = setting(0.1, "Weight decay of AdamW.", group="training", least=0, tunable=True)
    epochs: int = setting(40, "Number of training epochs.", group="training", least=1, tunable=True)
    batch_size: int = setting(32, "Series in a minibatch.", group="training", least=1)
    clip: float | None = setting(
        1.0, "Largest norm of the gradient; larger gradients are scaled down to it.", group="training", above=0
    )

    def __post_init__(self) -> None:
        """Choose the kind of initial state if none is given, and check the settings."""
        if self.initial_state is None:
            object.__setattr__(self, "initial_state", "context" if self.context else "zero")
        super().__post_init__()
        if self.cell == "fast-weights" and self.layers > 1:
            raise InputError(f"`layers` must be 1 for `cell` fast-weights; found {self.layers}")
        check_kind(self.kind, None, self.context)

    @property
    def kind(self) -> Kind:
        """The kind of initial state."""
        return KINDS[self.initial_state or "zero"]
