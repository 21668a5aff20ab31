"""An encoder-decoder that writes the target of a source text, such as a pronunciation of a spelling, and its loss.

h0 of the decoder = bridge(final state of the encoder)
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ...context import Context, Label
from ...data.cores import GATED
from ...data.encoded_pairs import END, SPECIAL, START, UNKNOWN, Encoded, PairBatch, Vocabulary
from ...data.pairs import Pair, Units
from ...errors import InputError
from ...initial_state import ConstantState, ContextState, InitialState
from ...recurrent import ContextualRNN
from ...seq2seq import Decoder, Encoder, EncoderDecoder, ScheduledSampling, make_attention, make_bridge
from ...serialization import save
from ...study.report import FitReport
from .settings import PairSettings

if TYPE_CHECKING:
    from .decode import Target


@register
class PairModel(nn.Module):
    """A bidirectional encoder and a decoder, with the vocabularies of both sides.

    Args:
        settings: the sizes, the bridge, the attention, and where the label is read.
        source: the symbols of the sources.
        target: the symbols of the targets.
        units: what a symbol of each side is.
        labels: of the sources; empty if pairs have no labels.

    Attributes:
        updates: the number of training steps taken, (). It is saved, because scheduled sampling depends on it.
        report: what `fit` found; None for a model that was loaded.
    """

    updates: Tensor
    report: FitReport | None = None

    def __init__(
        self,
        settings: PairSettings | dict[str, Any],
        source: Sequence[str],
        target: Sequence[str],
        units: Units | dict[str, Any],
        labels: Sequence[str] = (),
    ) -> None:
        super().__init__()
        given = settings if isinstance(settings, PairSettings) else PairSettings.from_json(settings)
        self.settings, self.labels = given, list(labels)
        self.units = units if isinstance(units, Units) else Units(**units)
        self.source, self.target = Vocabulary(source), Vocabulary(target)
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        cell, half = GATED[given.cell], given.hidden // 2
        encoder_core = cell(given.embedding, half, given.layers, batch_first=True, bidirectional=True)
        attention = make_attention(given.attention, given.hidden, given.hidden)
        decoder_inputs = given.embedding + given.hidden * given.input_feeding
        decoder_core = cell(decoder_inputs, given.hidden, given.layers, batch_first=True)
        symbols = nn.Embedding(len(self.source) + len(self.labels), given.embedding)
        encoder = Encoder(ContextualRNN(encoder_core, self._encoder_start(encoder_core)), symbols, given.dropout)
        decoder = Decoder(
            ContextualRNN(decoder_core, make_bridge(given.bridge, encoder_core, decoder_core)),
            len(self.target),
            nn.Embedding(len(self.target), given.embedding),
            attention,
            input_feeding=given.input_feeding,
            dropout=given.dropout,
        )
        self.pairs = EncoderDecoder(encoder, decoder, START, END)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build the model again."""
        return {
            "settings": self.settings.to_json(),
            "source": self.source.symbols,
            "target": self.target.symbols,
            "units": dataclasses.asdict(self.units),
            "labels": self.labels,
        }

    @classmethod
    def upgrade(cls, arguments: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
        """Return the arguments of a file of today or of version 0.1, whose settings were called `config`."""
        if "config" not in arguments:
            return arguments
        settings = dict(arguments["config"])
        if settings.get("attention") == "none":  # input feeding then had no effect, and is refused today
            settings["input_feeding"] = False
        others = {name: value for name, value in arguments.items() if name != "config"}
        return {"settings": settings, **others}

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.updates.device

    @property
    def needs_label(self) -> bool:
        """Whether the model reads the label of a source."""
        return bool(self.labels) and self.settings.label != "none"

    def _encoder_start(self, core: nn.RNNBase) -> InitialState:
        if self.settings.label == "h0" and self.labels:
            return ContextState(core, Context(label=Label(len(self.labels))))
        return ConstantState(core)

    def context(self, label: Tensor) -> dict[str, Tensor] | None:
        """Return the context of the encoder's h0 for the numbers (B,) of labels."""
        return {"label": label} if self.settings.label == "h0" and self.labels else None

    def is_symbol(self, source: Tensor) -> Tensor:
        """Return where sources (B, S) hold symbols of the text, and not a label, an end or padding."""
        return (source >= SPECIAL) & (source < len(self.source))

    def encode(self, pairs: Sequence[Pair]) -> list[Encoded]:
        """Return pairs as numbers. A source gets an end symbol, which attention can rest on.

        Raises:
            InputError: the model reads labels, and a pair has none or an unknown one.
        """
        return [self._encode(pair) for pair in pairs]

    def _encode(self, pair: Pair) -> Encoded:
        source = torch.cat([self.source.encode(pair.source), torch.tensor([END])])
        target = self.target.encode(pair.target)
        if not self.labels or (pair.label is None and not self.needs_label):
            return Encoded(source, target)
        if pair.label not in self.labels:
            raise InputError(f"the model has no label {pair.label!r}; its labels are {', '.join(self.labels)}")
        label = self.labels.index(pair.label)
        if self.settings.label == "token":
            source = torch.cat([torch.tensor([len(self.source) + label]), source])
        return Encoded(source, target, label)

    def transcribe(
        self,
        sources: Iterable[str] | str,
        *,
        label: str | None = None,
        beam: int = 5,
        n_best: int = 1,
        alpha: float = 0.0,
        longest: int = 100,
        scores: bool = False,
    ) -> list[str] | list[list[Target]]:
        """Write the targets of sources; a warning names symbols that the model does not know, and targets cut short.

        Args:
            sources: texts, or a single one.
            label: of all sources, for a model that reads labels.
            beam: the width of the beam search; 1 is greedy search.
            n_best: the number of targets per source, at most `beam`.
            alpha: the exponent of the length penalty: the score is the log probability over the length to this power.
            longest: the largest number of symbols of a target.
            scores: return targets with their scores, even if `n_best` is 1.

        Returns:
            The target of every source. If `n_best` is greater than 1 or `scores` is true: for every source a list of
            `Target`, the best first, each with `text`, `symbols`, `score` and `ended`. An empty source has an empty
            target.

        Raises:
            InputError: an argument or a source is wrong; says which.
        """
        from .transcribe import transcribe

        return transcribe(
            [self],
            sources,
            label=label,
            beam=beam,
            n_best=n_best,
            alpha=alpha,
            longest=longest,
            scores=scores,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file, which `load` reads."""
        save(self, path)


@dataclasses.dataclass(frozen=True)
class PairLoss:
    """The training loss of a minibatch. The model counts the steps, so that training resumes exactly.

    Attributes:
        feeding: when the decoder is fed its own predictions; None for never.
        unknown: the share of source symbols that are replaced by the unknown symbol, so that its embedding is learned.
            They are drawn from torch's global generator.
    """

    feeding: ScheduledSampling | None = None
    unknown: float = 0.0

    def __call__(self, model: PairModel, batch: PairBatch) -> Tensor:
        """Return the mean negative log-likelihood of a target symbol, in nats."""
        hidden = (torch.rand(batch.source.shape) < self.unknown).to(batch.source.device)
        loss = model.pairs.loss(
            batch.source.masked_fill(hidden & model.is_symbol(batch.source), UNKNOWN),
            batch.target,
            batch.source_lengths,
            batch.target_lengths,
            context=model.context(batch.label),
            feeding=self.feeding,
            training_step=int(model.updates),
        )
        model.updates.add_(1)
        return loss
