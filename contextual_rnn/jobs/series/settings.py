"""The settings of a model of series."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..._core.settings import setting
from ...data.columns import ColumnSettings
from ...errors import InputError
from ...kinds import COMPARED, KINDS, Kind, check_kind
from ...study.fit import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeriesSettings(ColumnSettings, TrainingSettings):
    """A model that simulates targets from inputs, and its training."""

    inputs: tuple[str, ...] = setting(
        (),
        "Input columns, known at every step. Series without inputs are the job `generation`.",
        group="data",
        metavar="COLUMN",
    )
    window: int = setting(0, "Number of steps at the start of a series whose targets are known.", group="data", least=0)
    initial_state: str | None = setting(
        None,
        "Kind of initial state; without it, context if a window or context is given, else zero.",
        group="model",
        choices=COMPARED,
    )
    cell: Literal["lstm", "gru", "rnn", "fast-weights"] = setting("gru", "Recurrent core.", group="model")
    hidden: int = setting(32, "Hidden units of each layer.", group="model", least=1, tunable=True)
    layers: int = setting(1, "Layers of the core.", group="model", least=1, tunable=True)
    context_hidden: int = setting(32, "Units of the hidden layer of the context network.", group="model", least=1)
    length: int = setting(
        128, "Steps of a training window, after the known ones.", group="training", least=1, tunable=True
    )
    washout: int = setting(
        0, "Steps after the known ones that the training loss leaves out.", group="training", least=0, tunable=True
    )
    learning_rate: float = setting(
        0.01,
        "Learning rate of AdamW in the first epoch; it falls to 0 by a cosine.",
        group="training",
        above=0,
        tunable=True,
    )
    weight_decay: float = setting(0.1, "Weight decay of AdamW.", group="training", least=0, tunable=True)
    epochs: int = setting(40, "Number of training epochs.", group="training", least=1, tunable=True)
    updates: int = setting(50, "Minibatches per epoch, of windows drawn at random.", group="training", least=1)
    batch_size: int = setting(32, "Windows in a minibatch.", group="training", least=1)
    clip: float | None = setting(
        1.0, "Largest norm of the gradient; larger gradients are scaled down to it.", group="training", above=0
    )

    def __post_init__(self) -> None:
        """Choose the kind of initial state if none is given, and check the settings."""
        if self.initial_state is None:
            kind = "context" if self.window or self.context else "zero"
            object.__setattr__(self, "initial_state", kind)
        super().__post_init__()
        if not self.inputs:
            raise InputError(
                "`inputs` needs at least one column; contextual_rnn.jobs.generation generates series without inputs"
            )
        if self.washout >= self.length:
            raise InputError(f"`washout` {self.washout} leaves nothing of a `length` of {self.length} steps")
        if self.cell == "fast-weights" and self.layers > 1:
            raise InputError(f"`layers` must be 1 for `cell` fast-weights; found {self.layers}")
        check_kind(self.kind, self.window, self.context)

    @property
    def kind(self) -> Kind:
        """The kind of initial state."""
        return KINDS[self.initial_state or "zero"]
