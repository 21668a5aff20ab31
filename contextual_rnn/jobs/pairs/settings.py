"""The settings of a model of pairs of texts."""

from __future__ import annotations

import dataclasses
from typing import Literal

from ..._core.settings import setting
from ...data.pairs import PairFileSettings
from ...data.parquet import MemorySettings
from ...errors import InputError
from ...seq2seq import ATTENTIONS, BRIDGES, FEEDINGS
from ...study.fit import TrainingSettings
from .. import choices


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairSettings(MemorySettings, PairFileSettings, TrainingSettings):
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
        choices.BRIDGES,
        group="model",
        choices=BRIDGES,
        compared=True,
    )
    attention: str = setting(
        "additive",
        f"Attention of the decoder over the encoder's outputs: {choices.ATTENTIONS}.",
        group="model",
        choices=ATTENTIONS,
        compared=True,
    )
    dropout: float = setting(
        0.5, "Dropout of embeddings and of the output layer's input.", group="model", least=0, below=1, tunable=True
    )
    variational_dropout: bool = setting(
        False, "Drop the same units at every step of a sequence, instead of others at each step.", group="model"
    )
    tied: bool = setting(
        False,
        "Use the embedding of the target symbols as the weight of the output layer, too; what that layer reads then "
        "has the size of the embedding.",
        group="model",
    )
    input_feeding: bool = setting(
        False, "Also feed the attention output of each step to the decoder at the next step; slower.", group="model"
    )
    feeding: str = setting(
        "truth",
        "What the decoder reads during training: the true symbols (truth), or at random its own predictions, as the "
        "embedding of a sampled symbol (embedding) or as the expected embedding (output).",
        group="training",
        choices=FEEDINGS,
        compared=True,
    )
    label: Literal["none", "token", "h0"] = setting(
        "h0",
        "Where the model reads the label of a source, if pairs have labels: in the encoder's initial state (h0), in an "
        "additional first symbol (token), or nowhere (none).",
        group="model",
        compared=True,
    )
    sampling: float = setting(
        0.3,
        "Probability, at the end of training, of feeding a prediction; grows linearly from 0. Ignored with `feeding` "
        "truth.",
        group="training",
        least=0,
        most=1,
    )
    unknown: float = setting(
        0.005,
        "Share of source symbols replaced by the unknown symbol in training, so that the model learns its embedding.",
        group="training",
        least=0,
        below=1,
    )
    subwords: int | None = setting(
        None,
        "Number of subwords of a side whose unit is subwords; they are found on the training pairs. By default, 24 "
        "times the square root of the number of training pairs, at most 8000.",
        group="data",
        least=1,
    )
    shared_subwords: bool = setting(
        False, "Find the same subwords for both sides, on the training texts of both.", group="data"
    )
    label_smoothing: float = setting(
        0.0,
        "Share of the probability of each true symbol that is spread over all symbols in training.",
        group="training",
        least=0,
        below=1,
        tunable=True,
    )
    batch_symbols: int | None = setting(
        None,
        "Number of symbols in a minibatch, padding and both sides included, instead of a number of pairs.",
        group="training",
        least=1,
    )
    warmup: int = setting(
        0,
        "Number of updates in which the learning rate grows linearly from 0; at most a tenth of the training.",
        group="training",
        least=0,
    )
    choose_by: Literal["error", "loss", "bleu"] | None = setting(
        None,
        "Validation metric that chooses the epoch and the settings: error (the sequence error rate, then the symbol "
        "error rate), loss (of a symbol, without search) or bleu (of greedy search). By default, bleu for subwords, "
        "and error for other symbols.",
        group="training",
    )
    epochs: int = setting(40, "Maximum number of training epochs.", group="training", least=1)
    patience: int = setting(
        20,
        "Number of epochs without improvement of the validation error after which training stops.",
        group="training",
        least=1,
    )
    learning_rate: float = setting(
        2e-3,
        "Learning rate of AdamW in the first epoch; decayed to 0 with a cosine schedule.",
        group="training",
        above=0,
        tunable=True,
    )
    weight_decay: float = setting(0.3, "Weight decay of AdamW.", group="training", least=0, tunable=True)
    beam: int = setting(5, "Beam width of the search on the test pairs.", group="training", least=1)
    alpha: float = setting(
        0.0,
        "Exponent of the length penalty of the search on the test pairs: the score is the log probability over the "
        "length to this power.",
        group="training",
        least=0,
    )
    coverage: float = setting(
        0.0,
        "Weight of the coverage penalty of the search on the test pairs: it lowers the score of a target that leaves "
        "parts of its source without attention.",
        group="training",
        least=0,
    )

    def __post_init__(self) -> None:
        """Check the settings."""
        super().__post_init__()
        if self.hidden % 2:
            raise InputError(
                f"`hidden` must be even, because each direction of the encoder has half the units; found {self.hidden}"
            )
        if self.input_feeding and self.attention == "none":
            raise InputError("`input_feeding` needs an `attention` other than none")
        if self.coverage and (self.attention == "none" or self.beam == 1):
            raise InputError("`coverage` needs an `attention` other than none, and a `beam` of at least 2")
        if self.shared_subwords and not self.source_unit == self.target_unit == "subwords":
            raise InputError("`shared_subwords` needs `source_unit` subwords and `target_unit` subwords")

    @property
    def penalties(self) -> dict[str, float]:
        """The penalties of the search on the test pairs."""
        return {"alpha": self.alpha, "coverage": self.coverage}

    def chosen_by(self, target_unit: str) -> str:
        """Return the metric that chooses the epoch, for targets of a unit."""
        return self.choose_by or ("bleu" if target_unit == "subwords" else "error")
