"""The settings of a model that forecasts series."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..._core.settings import setting
from ...data.columns import ColumnSettings
from ...data.parquet import MemorySettings
from ...errors import InputError
from ...seq2seq import ATTENTIONS, BRIDGES
from ...study.fit import TrainingSettings
from .. import choices


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForecastSettings(MemorySettings, ColumnSettings, TrainingSettings):
    """An encoder and decoder that forecasts series, and its training."""

    inputs: tuple[str, ...] = setting(
        (),
        "Input columns: numbers, or labels, which are one-hot encoded. "
        "Their values must be known at every step, including the steps to forecast.",
        group="data",
        metavar="COLUMN",
    )
    past_inputs: tuple[str, ...] = setting(
        (),
        "Input columns that are known of the past only: the encoder reads them, and tables of the future need not have "
        "them.",
        group="data",
        metavar="COLUMN",
    )
    past: int = setting(50, "Number of steps that the encoder reads before a forecast.", group="data", least=1)
    horizon: int = setting(20, "Number of steps to forecast.", group="data", least=1)
    stride: int | None = setting(
        None,
        "Number of steps from the start of a forecast of the test table to that of the next one. By default, the "
        "horizon, so that horizons do not overlap.",
        group="data",
        least=1,
    )
    scale: Literal["global", "series", "window"] | None = setting(
        None,
        "What targets are scaled by: the mean and standard deviation of the training table (global), of each of its "
        "series (series; of the past, for a series that it lacks), or of the past of each window (window). By default, "
        "window if the means of the training series vary more than the values within a series, else global.",
        group="model",
    )
    base: Literal["last", "seasonal", "linear"] | None = setting(
        None,
        "What the decoder's outputs are added to: the last known targets (last), the targets of one season ago "
        "(seasonal), or the forecast of a linear model (linear). The decoder also reads the last two. A season is a "
        "day of hours, a week of days, or a year of months. By default, `fit` trains with each and keeps the one with "
        "the lowest validation error; `compare` takes the nearer one of last and seasonal.",
        group="model",
    )
    quantiles: tuple[float, ...] = setting(
        (),
        "Quantiles to forecast beside the forecast itself, such as 0.1 0.9, from the errors of held-out windows.",
        group="data",
        metavar="Q",
    )
    cell: Literal["lstm", "gru"] = setting("gru", "Recurrent core of the encoder and of the decoder.", group="model")
    hidden: int = setting(32, "Hidden units of each layer of the encoder and of the decoder.", group="model", least=1)
    layers: int = setting(1, "Layers of the encoder and of the decoder.", group="model", least=1)
    bridge: str = setting(
        "project",
        choices.BRIDGES,
        group="model",
        choices=BRIDGES,
        compared=True,
    )
    attention: str = setting(
        "none",
        f"Attention of the decoder over the past: {choices.ATTENTIONS}.",
        group="model",
        choices=ATTENTIONS,
        compared=True,
    )
    context_hidden: int = setting(
        32,
        "Units of the hidden layer of the network from the context to the encoder's initial state.",
        group="model",
        least=1,
    )
    feeding: Literal["truth", "output"] = setting(
        "output",
        "What the decoder reads during training: the true targets (truth), or increasingly its own outputs (output).",
        group="training",
        compared=True,
    )
    sampling: float = setting(
        1.0,
        "Probability, at the end of training, of feeding an output; grows linearly from 0. Ignored with `feeding` "
        "truth.",
        group="training",
        least=0,
        most=1,
    )
    learning_rate: float = setting(
        5e-3,
        "Learning rate of AdamW in the first epoch; decayed to 0 with a cosine schedule.",
        group="training",
        above=0,
    )
    weight_decay: float = setting(0.1, "Weight decay of AdamW.", group="training", least=0)
    epochs: int = setting(
        40, "Number of training epochs; the weights of the best one are kept.", group="training", least=1
    )
    updates: int = setting(50, "Minibatches per epoch, each of windows drawn at random.", group="training", least=1)

    refit: bool = setting(
        False,
        "Train the chosen model again on all rows of the training table, with those that are held out, for the number "
        "of epochs that was best.",
        group="training",
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        for level in self.quantiles:
            if not 0 < level < 1:
                raise InputError(f"`quantiles` must lie between 0 and 1; found {level:g}")
        if sorted(set(self.quantiles)) != list(self.quantiles):
            raise InputError("`quantiles` must ascend, each once, such as 0.1 0.5 0.9")
