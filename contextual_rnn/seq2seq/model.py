"""`EncoderDecoder`: an encoder whose final state starts a decoder."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from .._core.categorical import at_least_single
from .._core.state import State
from ..recurrent import check_lengths
from .decoder import Decoded, Decoder, Memory
from .encoder import Encoder
from .feeding import ScheduledSampling


class EncoderDecoder(nn.Module):
    """p(y | x) = prod_t p(y_t | y_<t, bridge(encoder(x)), attention over encoder(x)).

    Args:
        encoder: of the sources.
        decoder: of the targets; its initial state is a bridge from the encoder's core, or one that takes no context.
        start: the category that is fed first.
        end: the category that a target ends with.

    Of vectors (a decoder whose embedding is no `nn.Embedding`), `start` and `end` are not used: the first input is
    given.

    Raises:
        ValueError: `end` is none of the categories that the decoder predicts.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import ConstantState, ContextualRNN
        >>> from contextual_rnn.seq2seq import AdditiveAttention, Decoder, Encoder, EncoderDecoder, ProjectBridge
        >>> reads = nn.LSTM(8, 16, bidirectional=True, batch_first=True)
        >>> writes = nn.GRU(8, 24, batch_first=True)
        >>> encoder = Encoder(ContextualRNN(reads, ConstantState(reads)), nn.Embedding(30, 8))
        >>> bridge, attention = ProjectBridge(reads, writes), AdditiveAttention(24, 32, 24)
        >>> decoder = Decoder(ContextualRNN(writes, bridge), 40, nn.Embedding(40, 8), attention)
        >>> model = EncoderDecoder(encoder, decoder, start=0, end=1)
        >>> loss = model.loss(torch.randint(30, (4, 7)), torch.randint(2, 40, (4, 5)))
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, start: int = 0, end: int = 1) -> None:
        super().__init__()
        self.encoder, self.decoder, self.start_symbol, self.end_symbol = encoder, decoder, start, end
        if decoder.is_category and not 0 <= end < decoder.size:
            raise ValueError(f"end is {end} where one of the decoder's {decoder.size} categories, from 0, is right")

    def encode(
        self, source: Tensor, lengths: Tensor | None = None, context: Any = None, **noise: Any
    ) -> tuple[State, Memory | None]:
        """Return the decoder's first state, and what its attention reads.

        Args:
            source: (B, S) of categories, or (B, S, D), padded.
            lengths: (B,); None is all S.
            context: of the encoder's own h0, B rows.
            noise: `sample` and `generator` of the bridge.
        """
        encoded = self.encoder(source, lengths, context)
        state = self.decoder.start(len(source), encoded.state, **noise)
        return state, self.decoder.remember(encoded.outputs, encoded.mask)

    def forward(
        self,
        source: Tensor,
        inputs: Tensor,
        source_lengths: Tensor | None = None,
        context: Any = None,
        feeding: ScheduledSampling | None = None,
        training_step: int | None = None,
    ) -> Decoded:
        """Predict targets: `inputs` are the elements before each, the start first, (B, T) or (B, T, D).

        Raises:
            ValueError: there are not as many targets as sources; or as the decoder.
        """
        if len(inputs) != len(source):
            raise ValueError(f"there are {len(source)} sources and {len(inputs)} targets, where as many are right")
        state, memory = self.encode(source, source_lengths, context)
        return self.decoder(inputs, state, memory, feeding, training_step)

    def loss(
        self,
        source: Tensor,
        target: Tensor,
        source_lengths: Tensor | None = None,
        target_lengths: Tensor | None = None,
        *,
        context: Any = None,
        feeding: ScheduledSampling | None = None,
        training_step: int | None = None,
        first: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Return the mean loss of an element: nats of a category, the end counted, or the squared error of a number.

        Args:
            source: (B, S) of categories, or (B, S, D), padded.
            target: (B, T) of categories, without start and end, or (B, T, D), padded.
            source_lengths: (B,); None is all S.
            target_lengths: (B,); None is all T.
            context: of the encoder's own h0, B rows.
            feeding: None feeds the truth.
            training_step: the number of this update, by which schedule, coins and draws of `feeding` go.
            first: of vectors, (B, D) the element before the target, such as the last of the past.
            known: of vectors, (B, T, K) what is known of every step beforehand, joined to the decoder's inputs.

        Raises:
            ValueError: `first` is missing where targets are vectors, or there are not as many targets as sources, or
                `target_lengths` are not those of the targets, or all 0 where targets are vectors, or vectors are not
                as wide as the decoder's; or as the decoder.
        """
        if not self.decoder.is_category:
            return self._squared_error(
                source, target, source_lengths, target_lengths, context, feeding, training_step, first, known
            )
        inputs, ended = self.framed(target, target_lengths)
        outputs = self(source, inputs, source_lengths, context, feeding, training_step).outputs
        return cross_entropy(outputs.transpose(1, 2), ended, ignore_index=-1)

    def framed(self, target: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return inputs that begin with the start and targets that end with the end, (B, T + 1); -1 past the ends.

        Args:
            target: (B, T) of categories, padded.
            lengths: (B,); None is all T.

        Raises:
            ValueError: lengths are not B integers in 0 to T.
        """
        size, steps = target.shape
        ends = _ends(lengths, size, steps, target.device)
        place = torch.arange(steps + 1, device=target.device)
        padded = torch.cat([target, target.new_zeros(size, 1)], dim=1)
        wanted = padded.where(place < ends.unsqueeze(1), -1)
        wanted = wanted.masked_fill(place == ends.unsqueeze(1), self.end_symbol)
        inputs = torch.cat([target.new_full((size, 1), self.start_symbol), target], dim=1)
        return inputs.where(place <= ends.unsqueeze(1), self.start_symbol), wanted.long()  # as cross-entropy asks

    def _squared_error(
        self,
        source: Tensor,
        target: Tensor,
        source_lengths: Tensor | None,
        target_lengths: Tensor | None,
        context: Any,
        feeding: ScheduledSampling | None,
        training_step: int | None,
        first: Tensor | None,
        known: Tensor | None,
    ) -> Tensor:
        if first is None:
            raise ValueError("targets are vectors: give the element before them, first=")
        size, steps, width = target.shape
        if width != self.decoder.size:
            raise ValueError(f"targets are {width} wide where the decoder's size, {self.decoder.size}, is right")
        inputs = torch.cat([first.unsqueeze(1), target[:, :-1]], dim=1)
        inputs = inputs if known is None else torch.cat([inputs, known], dim=2)
        if target_lengths is None:
            return mse_loss(self(source, inputs, source_lengths, context, feeding, training_step).outputs, target)
        ends = _ends(target_lengths, size, steps, target.device).unsqueeze(1)
        inside = torch.arange(steps, device=target.device) < ends
        if not inside.any():
            raise ValueError("target_lengths are all 0, so that there is nothing to learn from")
        inputs = inputs.masked_fill(~inside.unsqueeze(2), 0)  # padding that is no number would spoil the gradients
        outputs = self(source, inputs, source_lengths, context, feeding, training_step).outputs
        return mse_loss(outputs[inside], target[inside])

    def begin(self, source: Tensor, lengths: Tensor | None = None, context: Any = None) -> tuple[Step, State]:
        """Return what searches take: a step, and the first state, one row a source.

        The state is (the decoder's, the number of each row's source); the memory is in the step, and is not copied
        when rows are selected.
        """
        state, memory = self.encode(source, lengths, context, sample=False)
        return Step(self.decoder, memory), (state, torch.arange(len(source), device=source.device))

    @torch.no_grad()
    def free_run(
        self,
        source: Tensor,
        first: Tensor,
        steps: int,
        source_lengths: Tensor | None = None,
        context: Any = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """Return vectors (B, steps, D), each fed on to the next step.

        Args:
            source: (B, S, F), padded.
            first: (B, D) the element before the first of them.
            steps: how many.
            source_lengths: (B,); None is all S.
            context: of the encoder's own h0, B rows.
            known: (B, steps, K) what is known of every step beforehand.

        Raises:
            ValueError: `steps` is less than 1.
        """
        if steps < 1:
            raise ValueError(f"steps must be at least 1; found {steps}")
        state, memory = self.encode(source, source_lengths, context, sample=False)
        found, last = [], first
        for step in range(steps):
            fed = last if known is None else torch.cat([last, known[:, step]], dim=1)
            one = self.decoder.step(fed, state, memory)
            state, last = one.state, one.outputs[:, 0]
            found.append(last)
        return torch.stack(found, dim=1)


def _ends(lengths: Tensor | None, size: int, steps: int, device: torch.device) -> Tensor:
    if lengths is None:
        return torch.full((size,), steps, device=device)
    return check_lengths(lengths, size, steps, device, "target_lengths")


class Step:
    """A decoder's step as searches know it: `step(tokens (N,), state) -> (log_probs (N, V), state)`.

    Rows of the state may be selected and repeated (`state.select_rows`); each knows its source.
    """

    def __init__(self, decoder: Decoder, memory: Memory | None) -> None:
        self.decoder, self.memory = decoder, memory

    @torch.no_grad()
    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Take a step."""
        own, rows = state
        memory = None if self.memory is None else self.memory.rows(rows)
        one = self.decoder.step(tokens, own, memory)
        return at_least_single(one.outputs[:, 0]).log_softmax(dim=1), (one.state, rows)


class Ensemble:
    """Several steps as one: log of the mean of their probabilities; its state is the tuple of theirs."""

    def __init__(self, steps: list[Any]) -> None:
        self.steps = steps

    def __call__(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Take a step with each."""
        found = [step(tokens, one) for step, one in zip(self.steps, state, strict=True)]
        mean = torch.stack([log_probs for log_probs, _ in found]).logsumexp(0)
        return mean - math.log(len(found)), tuple(one for _, one in found)
