"""The network of a model of pairs: an encoder-decoder with the vocabularies of both sides, and its training loss.

    h0 of the decoder = bridge(final state of the encoder)

An attention, if there is one, reads the encoder's outputs at every step of the decoder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..._core.group import draw_rows
from ...context import Context, Label, Vector
from ...cores import GATED_CORES
from ...data.encoded_pairs import END, SPECIAL, START, UNKNOWN, Encoded, PairBatch, Vocabulary, collate
from ...data.pairs import Pair
from ...data.pairs.labels import tags_of
from ...data.pairs.pair import split
from ...data.subwords import Subwords
from ...data.units import Units, pattern_of
from ...errors import InputError
from ...export.files import Graphs, program
from ...export.seq2seq_graphs import seq2seq_graphs
from ...initial_state import ConstantState, ContextState, InitialState
from ...recurrent import ContextualRNN
from ...seq2seq import Decoder, Encoder, EncoderDecoder, ScheduledSampling, make_attention, make_bridge
from ...serialization import SavedModel
from .questions import Question, Symbols
from .settings import PairSettings
from .subwords import split_text


class PairNetwork(SavedModel):
    """A bidirectional encoder and a decoder, with the vocabularies of both sides.

    Args:
        settings: the sizes, the bridge, the attention, and where the label is read.
        source: the symbols of the sources.
        target: the symbols of the targets.
        units: what a symbol of each side is.
        labels: of the sources, or their tags; empty if pairs have no labels.
        label_separator: what separates the tags of a label; None if a label is one.
        subwords: for "source" and "target" if their symbols are subwords, what splits texts, or its text for JSON.

    Attributes:
        updates: the number of training steps taken, (). It is saved, because scheduled sampling depends on it.
    """

    purpose = "turns texts into texts; use `transcribe`"

    updates: Tensor

    def __init__(
        self,
        settings: PairSettings | dict[str, Any],
        source: Sequence[str],
        target: Sequence[str],
        units: Units | dict[str, Any],
        labels: Sequence[str] = (),
        label_separator: str | None = None,
        subwords: Mapping[str, Subwords | str] | None = None,
    ) -> None:
        super().__init__()
        given = settings if isinstance(settings, PairSettings) else PairSettings.from_json(settings)
        self.settings, self.labels, self.label_separator = given, list(labels), label_separator
        self.units = units if isinstance(units, Units) else Units(**units)
        self.source, self.target = Vocabulary(source), Vocabulary(target)
        self.subwords = {
            side: Subwords.from_text(one) if isinstance(one, str) else one for side, one in (subwords or {}).items()
        }
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        cell, half = GATED_CORES[given.cell], given.hidden // 2
        encoder_core = cell(given.embedding, half, given.layers, batch_first=True, bidirectional=True)
        attention = make_attention(given.attention, given.hidden, given.hidden)
        attentional = given.embedding if given.tied else given.hidden
        decoder_inputs = given.embedding + attentional * given.input_feeding
        decoder_core = cell(decoder_inputs, given.hidden, given.layers, batch_first=True)
        dropout = given.dropout, given.variational_dropout
        symbols = nn.Embedding(len(self.source) + len(self.labels), given.embedding)
        encoder = Encoder(ContextualRNN(encoder_core, self._encoder_start(encoder_core)), symbols, *dropout)
        decoder = Decoder(
            ContextualRNN(decoder_core, make_bridge(given.bridge, encoder_core, decoder_core)),
            len(self.target),
            nn.Embedding(len(self.target), given.embedding),
            attention,
            attentional,
            given.input_feeding,
            *dropout,
            given.tied,
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
            "label_separator": self.label_separator,
            "subwords": {side: one.to_text() for side, one in self.subwords.items()},
        }

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.updates.device

    @property
    def needs_label(self) -> bool:
        """Whether the model reads the label of a source."""
        return bool(self.labels) and self.settings.label != "none"

    @property
    def reads_token(self) -> bool:
        """Whether the label is the first symbol of the source."""
        return bool(self.labels) and self.settings.label == "token"

    def _encoder_start(self, core: nn.RNNBase) -> InitialState:
        if self.settings.label == "h0" and self.labels:
            count = len(self.labels)
            return ContextState(core, Context(label=Label(count) if self.label_separator is None else Vector(count)))
        return ConstantState(core)

    def context(self, label: Tensor) -> dict[str, Tensor] | None:
        """Return the context of the encoder's h0 for the numbers (B,) of labels, or for their tags (B, n)."""
        return {"label": label} if self.settings.label == "h0" and self.labels else None

    def graphs(self) -> Graphs:
        """Return what `export` writes: the encoder, a step of the decoder, and a program of the searches."""
        specs, _ = seq2seq_graphs(self.pairs)
        described: dict[str, Any] = {
            "job": "pairs",
            "source_symbols": self.source.symbols,
            "target_symbols": self.target.symbols,
        }
        label = self.settings.label if self.labels else "none"
        described |= {"units": dataclasses.asdict(self.units), "labels": self.labels, "label": label}
        units = dataclasses.asdict(self.units)
        described |= {"label_separator": self.label_separator}
        described |= {"patterns": {side: pattern_of(unit) for side, unit in units.items()}}
        described |= {"subwords": {side: one.to_text() for side, one in self.subwords.items()}}
        return Graphs(specs, described, {"-search.py": program("search")})

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
        reads = self.labels and not (pair.label is None and not self.needs_label)
        label = self._numbers(pair.label) if reads else None
        return self.assemble(self.source.encode(pair.source), self.target.encode(pair.target), label)

    def assemble(self, source: Tensor, target: Tensor, label: Tensor | None) -> Encoded:
        """Return a pair as numbers, from those of its symbols (S,) and (T,) and those of its tags (n,), if any."""
        source = torch.cat([source, torch.tensor([END])])
        if label is None:
            return Encoded(source, target)
        if self.reads_token:
            source = torch.cat([len(self.source) + label, source])
        if self.label_separator is None:
            return Encoded(source, target, int(label))
        return Encoded(source, target, torch.zeros(len(self.labels)).index_fill(0, label, 1.0))

    def split_source(self, place: str, text: str) -> Symbols:
        """Return the symbols of a source text; raise InputError, about `place`, if there are too many."""
        if "source" in self.subwords:
            return split_text(f"{place}: the source", text, self.subwords["source"])
        return split(place, text, self.units.source)

    def tags(self, label: str | None) -> tuple[str, ...]:
        """Return the tags of a label; the label itself if the model's labels are whole; none without a label."""
        return tags_of(label, self.label_separator)

    def unknown_tags(self, label: str | None) -> list[str]:
        """Return the tags of a label, or the label, that did not occur in training."""
        return [tag for tag in self.tags(label) if tag not in self.labels]

    def _numbers(self, label: str | None) -> Tensor:
        """Return the numbers (n,) of the tags of a label, or of a whole label."""
        tags, unknown = self.tags(label), self.unknown_tags(label)
        if unknown or not tags:
            kind = "label" if self.label_separator is None else "tag"
            found = unknown[0] if unknown else label
            raise InputError(f"the model has no {kind} {found!r}; its {kind}s are {', '.join(self.labels)}")
        return torch.tensor([self.labels.index(tag) for tag in tags])


@dataclasses.dataclass(frozen=True)
class PairLoss:
    """The training loss of a minibatch. The model counts the steps, so that training resumes exactly.

    Attributes:
        feeding: when the decoder is fed its own predictions; None for never.
        unknown: the share of source symbols that are replaced by the unknown symbol, so that its embedding is learned.
            They are drawn from torch's global generator.
        label_smoothing: the share of the probability of each true symbol that is spread over all symbols.
    """

    feeding: ScheduledSampling | None = None
    unknown: float = 0.0
    label_smoothing: float = 0.0

    def __call__(self, model: PairNetwork, batch: PairBatch) -> Tensor:
        """Return the mean negative log-likelihood of a target symbol, in nats."""
        rows, length = batch.source.shape
        drawn = draw_rows(lambda size: torch.rand(size, length), rows)
        hidden = (drawn < self.unknown).to(batch.source.device)
        loss = model.pairs.loss(
            batch.source.masked_fill(hidden & model.is_symbol(batch.source), UNKNOWN),
            batch.target,
            batch.source_lengths,
            batch.target_lengths,
            context=model.context(batch.label),
            feeding=self.feeding,
            training_step=int(model.updates),
            label_smoothing=self.label_smoothing,
        )
        model.updates.add_(1)
        return loss


@torch.no_grad()
def mean_loss(model: PairNetwork, questions: Sequence[Question], batch_size: int = 100) -> float:
    """Return the mean negative log-likelihood of a symbol of the references of sources, in nats, ends included."""
    pairs = [Pair(one.source, right, one.label) for one in questions for right in one.references]
    encoded = sorted(model.encode(pairs), key=lambda pair: len(pair.target))
    total = count = 0.0
    for at in range(0, len(encoded), batch_size):
        batch = PairBatch(*(part.to(model.device) for part in collate(encoded[at : at + batch_size])))
        context, symbols = model.context(batch.label), int(batch.target_lengths.sum()) + len(batch.target)
        loss = model.pairs.loss(batch.source, batch.target, batch.source_lengths, batch.target_lengths, context=context)
        total, count = total + symbols * float(loss), count + symbols
    return total / count
