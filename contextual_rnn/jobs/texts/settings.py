"""The settings of a model of texts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Literal

from ..._core.settings import setting
from ...data.fields import check_roles
from ...data.parquet import MemorySettings
from ...data.units import NAMES, check_unit
from ...errors import InputError
from ...study.fit import TrainingSettings
from ...table_files.settings import FileSettings

PLACES = ("h0", "every-step", "both", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSettings(MemorySettings, FileSettings, TrainingSettings):
    """A model that writes texts from their context, and its training."""

    text: str = setting(dataclasses.MISSING, "Column of the texts.", group="data", metavar="COLUMN")
    context: tuple[str, ...] = setting(
        (),
        "Columns that are known about a text; numeric columns are standardised (quantities), other columns are one-hot "
        "encoded (labels). An empty cell means that the value is not known.",
        group="data",
        metavar="COLUMN",
    )
    labels: tuple[str, ...] = setting(
        (), "Context columns whose numbers are labels, such as the number of a class.", group="data", metavar="COLUMN"
    )
    quantities: tuple[str, ...] = setting(
        (), "Context columns whose values must be numbers.", group="data", metavar="COLUMN"
    )
    unit: str = setting("characters", f"Symbols of the texts: {NAMES}.", group="data", metavar="UNIT")
    longest: int = setting(500, "Largest number of symbols of a text; longer ones are refused.", group="data", least=1)
    context_in: str = setting(
        "h0",
        "Where the model reads the context: in the initial state (h0), joined to every input (every-step), in both "
        "(both), or nowhere (none).",
        group="model",
        choices=PLACES,
        compared=True,
    )
    drop: float = setting(
        0.3,
        "Mean share of the context values of a text that are treated as unknown in training, so that the model also "
        "works where only some values are given. The share differs from text to text.",
        group="training",
        least=0,
        below=1,
    )
    cell: Literal["lstm", "gru", "rnn", "fast-weights"] = setting("lstm", "Recurrent core.", group="model")
    hidden: int = setting(256, "Hidden units of each layer.", group="model", least=1, tunable=True)
    layers: int = setting(1, "Layers of the core.", group="model", least=1, tunable=True)
    embedding: int = setting(64, "Size of the embedding of a symbol.", group="model", least=1, tunable=True)
    context_hidden: int = setting(64, "Units of the hidden layer of the context network.", group="model", least=1)
    dropout: float = setting(
        0.0, "Dropout of embeddings and of the output layer's input.", group="model", least=0, below=1, tunable=True
    )
    variational: bool = setting(
        False,
        "Dropout leaves out the same units at every step of a text (Gal and Ghahramani 2016).",
        group="model",
    )
    epochs: int = setting(20, "Maximum number of training epochs.", group="training", least=1, tunable=True)
    patience: int = setting(
        5,
        "Number of epochs without improvement of the validation loss after which training stops.",
        group="training",
        least=1,
    )
    batch_size: int = setting(64, "Texts in a minibatch; they have similar lengths.", group="training", least=1)
    updates: int | None = setting(
        None,
        "Minibatches of an epoch, of texts that are drawn anew for each; by default, an epoch has every text once.",
        group="training",
        least=1,
    )
    learning_rate: float = setting(
        3e-3,
        "Learning rate of AdamW in the first epoch; decayed to 0 with a cosine schedule.",
        group="training",
        above=0,
        tunable=True,
    )
    weight_decay: float = setting(0.01, "Weight decay of AdamW.", group="training", least=0, tunable=True)

    def __post_init__(self) -> None:
        """Check the settings that belong together."""
        super().__post_init__()
        check_unit(self.unit, "unit")
        if self.cell == "fast-weights" and self.layers > 1:
            raise InputError(f"`layers` must be 1 for `cell` fast-weights; found {self.layers}")
        twice = [name for name, count in Counter((self.text, *self.context)).items() if count > 1]
        if twice:
            raise InputError(f"column {twice[0]!r} is given twice; `text` and the columns of `context` must differ")
        check_roles(self.context, self.labels, self.quantities)
        if self.context_in != "none" and not self.context:
            object.__setattr__(self, "context_in", "none")
