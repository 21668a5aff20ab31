"""The settings of a model of pairs of texts."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..._core.settings import setting
from ...errors import InputError
from ...seq2seq import ATTENTIONS, BRIDGES, FEEDINGS
from ...study.fit import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairSettings(TrainingSettings):
    """An encoder-decoder that writes the target of a source, and its training."""

    cell: Literal["lstm", "gru"] = setting("lstm", "Recurrent core of the encoder and of the decoder.", group="model")
    hidden: int = setting(
        256,
        "Hidden units of the decoder; each direction of the encoder has half as many.",
        group="model",
        least=2,
        tunable=True,
    )
    layers: int = setting(1, "Layers of the encoder and of the decoder.", group="model", least=1, tunable=True)
    embedding: int = setting(128, "Size of the embedding of a symbol.", group="model", least=1, tunable=True)
    bridge: str = setting(
        "project",
        "How the encoder's final state becomes the decoder's h0; zero ignores it.",
        group="model",
        choices=BRIDGES,
        compared=True,
    )
    attention: str = setting("additive", "Attention of the decoder.", group="model", choices=ATTENTIONS, compared=True)
    dropout: float = setting(
        0.5, "Dropout of embeddings and of the output layer's input.", group="model", least=0, below=1, tunable=True
    )
    input_feeding: bool = setting(
        False, "Feed the attention's result of each step to the decoder at the next step; slower.", group="model"
    )
    feeding: str = setting(
        "truth",
        "What the decoder is fed in training: the true symbols, or at random its own predictions, as the embedding of "
        "a drawn symbol (embedding) or as the mean embedding (output).",
        group="training",
        choices=FEEDINGS,
        compared=True,
    )
    label: Literal["none", "token", "h0"] = setting(
        "h0",
        "Where the model reads the label of a source, if pairs have labels: in the encoder's h0, in a first symbol "
        "(token), or nowhere.",
        group="model",
        compared=True,
    )
    sampling: float = setting(
        0.3,
        "Probability in the last epoch that the decoder is fed its own prediction; it grows from 0.",
        group="training",
        least=0,
        most=1,
    )
    unknown: float = setting(
        0.005,
        "Share of source symbols that training hides, so that the model learns to handle unknown ones.",
        group="training",
        least=0,
        below=1,
    )
    epochs: int = setting(40, "Number of training epochs, at most.", group="training", least=1)
    patience: int = setting(
        20, "Number of epochs without a lower validation error after which training stops.", group="training", least=1
    )
    learning_rate: float = setting(
        2e-3,
        "Learning rate of AdamW in the first epoch; it falls to 0 by a cosine.",
        group="training",
        above=0,
        tunable=True,
    )
    weight_decay: float = setting(0.3, "Weight decay of AdamW.", group="training", least=0, tunable=True)
    beam: int = setting(5, "Width of the beam search that answers the test pairs.", group="training", least=1)

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if self.hidden % 2:
            raise InputError(
                f"`hidden` must be even, because each direction of the encoder has half the units; found {self.hidden}"
            )
        if self.input_feeding and self.attention == "none":
            raise InputError("`input_feeding` feeds the attention's result: give an `attention` other than none")
