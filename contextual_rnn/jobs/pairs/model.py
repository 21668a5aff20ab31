"""Sequence to sequence on pairs of texts, such as pronunciation from spelling: the model, its loss, its decoding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ..._core.state import State
from ...context import Context, Label
from ...data.pairs import END, SPECIAL, START, UNKNOWN, Encoded, Pair, PairBatch, Units, Vocabulary, collate
from ...errors import InputError
from ...initial_state import ConstantState, ContextState, InitialState
from ...recurrent import ContextualRNN
from ...seq2seq import (
    Decoder,
    Encoder,
    EncoderDecoder,
    Ensemble,
    Found,
    ScheduledSampling,
    beam,
    better,
    greedy,
    make_attention,
    make_bridge,
)
from ...seq2seq.attention import AttentionName as Looks
from ...seq2seq.bridge import BridgeName as Bridge
from ...seq2seq.feeding import FeedingName as Feeding
from ...seq2seq.search import StepFunction

__all__ = ["Bridge", "Feeding", "Looks"]  # the types of options, for the command line

Told = Literal["none", "token", "h0"]
TOLD: tuple[Told, ...] = get_args(Told)
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"lstm": nn.LSTM, "gru": nn.GRU}


@dataclasses.dataclass(frozen=True)
class PairConfig:
    """A model of pairs.

    Attributes:
        cell: of encoder and decoder, lstm or gru.
        hidden: units of the decoder; each direction of the encoder has half.
        layers: of each.
        embedding: the width of a symbol's vector.
        bridge: one of `seq2seq.BRIDGES`.
        attention: one of `seq2seq.ATTENTIONS`.
        dropout: of embedded symbols and of what the output layer reads.
        input_feeding: whether the decoder, where it has an attention, also reads what that made of the step before
            (Luong et al. 2015).
        label: where the model is told the label of a source, one of `TOLD`: nowhere, in a first symbol, or in the
            encoder's own h0.
    """

    cell: str = "lstm"
    hidden: int = 256
    layers: int = 1
    embedding: int = 128
    bridge: str = "project"
    attention: str = "additive"
    dropout: float = 0.3
    input_feeding: bool = False
    label: str = "h0"


@register
class PairModel(nn.Module):
    """An encoder of both directions and a decoder, with the vocabularies of either side.

    Args:
        config: the model.
        source: symbols of the sources.
        target: symbols of the targets.
        units: what either side is made of.
        labels: of the sources; none where there is one kind of pairs alone.

    Attributes:
        updates: how many training steps it has taken, (); it is saved, and scheduled sampling goes by it.

    Raises:
        InputError: an odd number of hidden units.
    """

    updates: Tensor

    def __init__(
        self,
        config: PairConfig | dict[str, Any],
        source: Sequence[str],
        target: Sequence[str],
        units: Units | dict[str, Any],
        labels: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.settings = config if isinstance(config, PairConfig) else PairConfig(**config)
        self.units = units if isinstance(units, Units) else Units(**units)
        self.source, self.target, self.labels = Vocabulary(source), Vocabulary(target), list(labels)
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        given, cell = self.settings, CELLS[self.settings.cell]
        if given.hidden % 2:
            raise InputError(f"hidden must be even, for each direction of the encoder has half; found {given.hidden}")
        reads = cell(given.embedding, given.hidden // 2, given.layers, batch_first=True, bidirectional=True)
        attention = make_attention(given.attention, given.hidden, given.hidden)
        feeds_back = given.input_feeding and attention is not None
        writes = cell(given.embedding + given.hidden * feeds_back, given.hidden, given.layers, batch_first=True)
        symbols = nn.Embedding(len(self.source) + len(self.labels), given.embedding)
        encoder = Encoder(ContextualRNN(reads, self._encoder_start(reads)), symbols, given.dropout)
        decoder = Decoder(
            ContextualRNN(writes, make_bridge(given.bridge, reads, writes)),
            len(self.target),
            nn.Embedding(len(self.target), given.embedding),
            attention,
            input_feeding=feeds_back,
            dropout=given.dropout,
        )
        self.pairs = EncoderDecoder(encoder, decoder, START, END)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {
            "config": dataclasses.asdict(self.settings),
            "source": self.source.symbols,
            "target": self.target.symbols,
            "units": dataclasses.asdict(self.units),
            "labels": self.labels,
        }

    def _encoder_start(self, reads: nn.RNNBase) -> InitialState:
        if self.settings.label == "h0" and self.labels:
            return ContextState(reads, Context(label=Label(len(self.labels))))
        return ConstantState(reads)

    def context(self, label: Tensor) -> dict[str, Tensor] | None:
        """Return the context of the encoder's h0, of the numbers (B,) of labels."""
        return {"label": label} if self.settings.label == "h0" and self.labels else None

    def is_symbol(self, source: Tensor) -> Tensor:
        """Return where sources (B, S) have symbols of the text, which neither labels nor padding are."""
        return (source >= SPECIAL) & (source < len(self.source))

    def encode(self, pairs: Sequence[Pair]) -> list[Encoded]:
        """Return pairs as numbers; a source has an end, where attention may rest when all is written.

        Raises:
            InputError: the model is told labels, and a pair has none, or another.
        """
        return [self._encode(pair) for pair in pairs]

    def _encode(self, pair: Pair) -> Encoded:
        source = torch.cat([self.source.encode(pair.source), torch.tensor([END])])
        target = self.target.encode(pair.target)
        if not self.labels or (pair.label is None and self.settings.label == "none"):
            return Encoded(source, target)
        if pair.label not in self.labels:
            raise InputError(f"the label {pair.label!r} is none of the model's: {', '.join(self.labels)}")
        label = self.labels.index(pair.label)
        if self.settings.label == "token":
            source = torch.cat([torch.tensor([len(self.source) + label]), source])
        return Encoded(source, target, label)


@dataclasses.dataclass(frozen=True)
class PairLoss:
    """The loss of a batch, for training; the model counts the steps, so that training resumes exactly.

    Attributes:
        feeding: None feeds the truth.
        unknown: the share of source symbols that are replaced by the one for those not seen, so that it is learned what
            to make of it; drawn from torch's global generator.
    """

    feeding: ScheduledSampling | None = None
    unknown: float = 0.0

    def __call__(self, model: PairModel, batch: PairBatch) -> Tensor:
        """Return the mean negative log likelihood of a symbol, nats."""
        hidden = (torch.rand(batch.source.shape) < self.unknown).to(batch.source.device)
        found = model.pairs.loss(
            batch.source.masked_fill(hidden & model.is_symbol(batch.source), UNKNOWN),
            batch.target,
            batch.source_lengths,
            batch.target_lengths,
            context=model.context(batch.label),
            feeding=self.feeding,
            training_step=int(model.updates),
        )
        model.updates.add_(1)
        return found


class Target(NamedTuple):
    """A target that was found.

    Attributes:
        symbols: without its end.
        score: by which targets are ranked.
        ended: false where it was cut at the greatest length.
    """

    symbols: tuple[str, ...]
    score: float
    ended: bool


def decode(
    models: Sequence[PairModel],
    sources: Sequence[Sequence[str]],
    labels: Sequence[str | None] | None = None,
    *,
    width: int = 1,
    alpha: float = 0.0,
    n_best: int = 1,
    batch_size: int = 100,
    max_steps: int = 100,
) -> list[list[Target]]:
    """Return, for every source, its targets, the best first.

    Args:
        models: of one vocabulary; several are an ensemble.
        sources: as symbols.
        labels: of the sources, for models that know labels.
        width: of the beam; 1 is greedy. Where one target each is asked for, it is the better of beam and greedy.
        alpha: of the length penalty; see `seq2seq.search`.
        n_best: how many targets each, at most `width`; no two of a source are the same.
        batch_size: how many sources are decoded at once.
        max_steps: how many symbols a target has at most, its end counted.

    Raises:
        ValueError: `n_best` is not in 1 to `width`.
    """
    if not 1 <= n_best <= width:
        raise ValueError(f"n_best must be in 1 to the width of the beam, {width}; found {n_best}")
    told = labels or [None] * len(sources)
    pairs = [Pair(tuple(source), (), label) for source, label in zip(sources, told, strict=True)]
    found: list[list[Target]] = []
    for at in range(0, len(pairs), batch_size):
        found += _decode_batch(models, pairs[at : at + batch_size], width, alpha, n_best, max_steps)
    return found


def _decode_batch(
    models: Sequence[PairModel],
    pairs: Sequence[Pair],
    width: int,
    alpha: float,
    n_best: int,
    max_steps: int,
) -> list[list[Target]]:
    batch = PairBatch(*(part.to(models[0].updates.device) for part in collate(models[0].encode(pairs))))
    with torch.no_grad():
        begun = [model.pairs.begin(batch.source, batch.source_lengths, model.context(batch.label)) for model in models]
    step = _without_start_and_unknown(Ensemble([step for step, _ in begun]))
    state = tuple(state for _, state in begun)
    options: dict[str, Any] = {"start": START, "end": END, "max_steps": max_steps, "alpha": alpha}
    if width == 1:
        return _texts(greedy(step, state, len(pairs), **options), models[0])
    found = beam(step, state, len(pairs), width=width, n_best=n_best, **options)
    if n_best == 1:
        found = better(found, greedy(step, state, len(pairs), **options))
    return _texts(found, models[0])


def _without_start_and_unknown(step: StepFunction) -> StepFunction:
    """Return the step that never predicts what no target has."""

    def only(tokens: Tensor, state: State) -> tuple[Tensor, State]:
        log_probs, state = step(tokens, state)
        log_probs[:, [START, UNKNOWN]] = float("-inf")
        return log_probs, state

    return only


def _texts(found: Found, model: PairModel) -> list[list[Target]]:
    texts = [found.texts(place) for place in range(found.tokens.shape[1])]
    scores, ended = found.scores.tolist(), found.ended.tolist()
    return [
        [
            Target(model.target.decode(texts[place][row]), scores[row][place], ended[row][place])
            for place in range(len(texts))
            if scores[row][place] > float("-inf")
        ]
        for row in range(len(scores))
    ]
