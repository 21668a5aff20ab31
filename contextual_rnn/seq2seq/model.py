"""`EncoderDecoder`: a sequence-to-sequence model, in which the encoder's final state starts the decoder."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from .._core.evaluation import evaluation_mode
from .._core.recording import recorder
from .._core.state import State
from .._core.tracing import shapes_are_traced
from ..errors import InputError
from ..export.files import Exported, Format, Graphs, export
from . import search
from .decoder import Decoded, Decoder, Memory
from .encoder import Encoder
from .feeding import ScheduledSampling
from .output_loss import LossInPieces, hooked, takes_pieces
from .recorded_run import recorded_run
from .search import Found
from .step import Step
from .vector_loss import ends_of, squared_error


class EncoderDecoder(nn.Module):
    """Sequence-to-sequence model: an encoder, a bridge to the decoder's initial state, and a decoder.

        p(y | x) = prod_t p(y_t | y_<t, bridge(encoder(x)), attention over encoder(x))

    If the decoder's elements are vectors (its embedding is not an `nn.Embedding`), `start` and `end` are not used, and
    the first input is an argument of each call.

    Args:
        encoder: the encoder of the sources.
        decoder: the decoder of the targets; its initial state must be a bridge made for this encoder, or ignore the
            context (`ConstantState`).
        start: the category that is fed first.
        end: the category that ends a target.

    Raises:
        InputError: `start` is not a row of the decoder's embedding, `end` is not one of the categories that the decoder
            predicts, or the bridge or the attention was made for another encoder.

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
        >>> source, target = torch.randint(30, (4, 7)), torch.randint(2, 40, (4, 5))
        >>> loss = model.loss(source, target)
        >>> model.generate(source, beam=3, n_best=2, max_steps=10).tokens.shape
        torch.Size([4, 2, 10])
    """

    def __init__(self, encoder: Encoder, decoder: Decoder, start: int = 0, end: int = 1) -> None:
        super().__init__()
        self.encoder, self.decoder, self.start_symbol, self.end_symbol = encoder, decoder, start, end
        self._check_categories()
        self._check_encoder()

    def _check_categories(self) -> None:
        embedding = self.decoder.embedding
        if not isinstance(embedding, nn.Embedding):
            return
        if not 0 <= self.start_symbol < embedding.num_embeddings:
            rows = embedding.num_embeddings
            raise InputError(f"start must be from 0 to {rows - 1}, a row of the embedding; found {self.start_symbol}")
        if not 0 <= self.end_symbol < self.decoder.size:
            last = self.decoder.size - 1
            raise InputError(f"end must be from 0 to {last}, a category of the decoder; found {self.end_symbol}")

    def _check_encoder(self) -> None:
        """Raise InputError if the bridge or the attention was made for another encoder, as far as can be checked."""
        bridge: Any = self.decoder.rnn.initial_state
        while hasattr(bridge, "base"):  # an initial state that adds noise to a bridge
            bridge = bridge.base
        shapes = getattr(bridge, "source_shapes", None)
        if shapes is not None and shapes != self.encoder.rnn.state_shapes:
            raise InputError(
                f"the bridge was made for an encoder of state shapes {shapes}; this encoder has "
                f"{self.encoder.rnn.state_shapes}"
            )
        attention, core = self.decoder.attention, self.encoder.rnn.core
        if attention is None or not isinstance(core, nn.RNNBase):
            return
        width = (core.proj_size or core.hidden_size) * (2 if core.bidirectional else 1)
        if attention.memory_size != width:
            raise InputError(
                f"the attention has memory_size {attention.memory_size}, but the encoder's outputs have width {width}"
            )

    def encode(
        self, source: Tensor, lengths: Tensor | None = None, context: Any = None, **noise: Any
    ) -> tuple[State, Memory | None]:
        """Return the decoder's initial state and the memory that its attention reads.

        Args:
            source: categories (B, S) or vectors (B, S, F), padded.
            lengths: the number of elements of each source, (B,); None means S.
            context: the context for the encoder's initial state, with batch size B.
            noise: the arguments `sample` and `generator` of the bridge.
        """
        encoded = self.encoder(source, lengths, context)
        state = self.decoder.start(source.shape[0], encoded.state, **noise)
        return state, self.decoder.remember(encoded.outputs, encoded.mask)

    def forward(
        self,
        source: Tensor,
        inputs: Tensor | None = None,
        source_lengths: Tensor | None = None,
        context: Any = None,
        feeding: ScheduledSampling | None = None,
        training_step: int | None = None,
        *,
        target: Tensor | None = None,
        target_lengths: Tensor | None = None,
        first: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Any:
        """Predict the elements after `inputs`, or return the loss of `target`.

        The second form is for wrappers that call `forward`, such as `DistributedDataParallel`:
        `wrapper(source, target=target)` returns `model.loss(source, target)`.

        Args:
            source: categories (B, S) or vectors (B, S, F), padded.
            inputs: the element before each element of the targets, beginning with the start: (B, T) or (B, T, D).
            source_lengths: the number of elements of each source, (B,); None means S.
            context: the context for the encoder's initial state, with batch size B.
            feeding: scheduled sampling; None feeds the true elements (teacher forcing).
            training_step: the number of this update (0, 1, ...), which `feeding` depends on.
            target: as in `loss`, instead of `inputs`.
            target_lengths: as in `loss`, with `target`.
            first: as in `loss`, with `target`.
            known: as in `loss`, with `target`.

        Returns:
            A `Decoded` with `inputs`; the loss, (), with `target`.

        Raises:
            InputError: both `inputs` and `target` are given, or neither is; the number of targets is not that of the
                sources; or for the reasons given in `loss` and `Decoder.forward`.
        """
        if (inputs is None) == (target is None):
            found = "neither" if target is None else "both"
            raise InputError(f"give either inputs, for predictions, or target=, for the loss; found {found}")
        options = (source_lengths, context, feeding, training_step)
        if target is not None:
            predict = functools.partial(self._predict, options=options)
            if self.decoder.is_category:
                return self._cross_entropy(predict, source, target, target_lengths, options, 0.0)
            return squared_error(predict, self.decoder.size, source, target, target_lengths, first, known)
        if not (target_lengths is None and first is None and known is None):
            raise InputError("target_lengths, first and known can only be used with target=")
        assert inputs is not None
        return self._predict(source, inputs, options)

    def _predict(self, source: Tensor, inputs: Tensor, options: tuple, with_output: bool = True) -> Decoded:
        if not shapes_are_traced() and inputs.shape[0] != source.shape[0]:
            found = f"found {source.shape[0]} sources and {inputs.shape[0]} targets"
            raise InputError(f"sources and targets must be equal in number; {found}")
        lengths, context, feeding, training_step = options
        state, memory = self.encode(source, lengths, context)
        return self.decoder(inputs, state, memory, feeding, training_step, with_output)

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
        label_smoothing: float = 0.0,
    ) -> Tensor:
        """Return the mean loss, ().

        For categories, it is the mean cross-entropy per element in nats, end symbol included. For vectors, it is the
        mean squared error. Where all logits of the minibatch would take much memory, they are computed in pieces; see
        `output_loss`.

        Args:
            source: categories (B, S) or vectors (B, S, F), padded.
            target: categories (B, T) without start and end, or vectors (B, T, D), padded.
            source_lengths: the number of elements of each source, (B,); None means S.
            target_lengths: the number of elements of each target, (B,); None means T.
            context: the context for the encoder's initial state, with batch size B.
            feeding: scheduled sampling; None feeds the true elements (teacher forcing).
            training_step: the number of this update (0, 1, ...), which `feeding` depends on.
            first: for vectors, the element before the target (B, D), such as the last one of the source.
            known: for vectors, features (B, T, K) that are known in advance for every step, concatenated to the
                decoder's inputs.
            label_smoothing: for categories, the share of the probability of each label that is spread over all
                categories.

        Raises:
            InputError: for vectors, `first` is missing, the targets do not have the decoder's width, or all lengths are
                0; the number of targets is not that of the sources; the lengths are not B integers from 0 to T; or for
                the reasons given in `Decoder.forward`.
        """
        options = (source_lengths, context, feeding, training_step)

        def predict(source: Tensor, inputs: Tensor) -> Decoded:
            return self(source, inputs, *options)

        if self.decoder.is_category:
            return self._cross_entropy(predict, source, target, target_lengths, options, label_smoothing)
        return squared_error(predict, self.decoder.size, source, target, target_lengths, first, known)

    def _cross_entropy(
        self,
        predict: Callable[[Tensor, Tensor], Decoded],
        source: Tensor,
        target: Tensor,
        target_lengths: Tensor | None,
        options: tuple,
        smoothing: float,
    ) -> Tensor:
        inputs, labels = self.framed(target, target_lengths)
        has_hooks = any(map(hooked, (self, self.decoder, self.decoder.output)))
        if takes_pieces(self.decoder.output, labels) and not has_hooks and not self.decoder.needs_outputs(*options[2:]):
            joined = self._predict(source, inputs, options, with_output=False).outputs.flatten(0, 1)
            layer = self.decoder.output
            return LossInPieces.apply(joined, layer.weight, layer.bias, labels.flatten(), smoothing)
        outputs = predict(source, inputs).outputs.transpose(1, 2)
        return cross_entropy(outputs, labels, ignore_index=-1, label_smoothing=smoothing)

    def framed(self, target: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the decoder's inputs (start symbol, then target) and its labels (target, then end symbol).

        Args:
            target: categories (B, T) without start and end, padded.
            lengths: the number of elements of each target, (B,); None means T.

        Returns:
            Inputs and labels, (B, T + 1) each; the labels are -1 past the end.

        Raises:
            InputError: the lengths are not B integers from 0 to T.
        """
        size, steps = target.shape
        target = target if target.is_floating_point() else target.long()  # -1 does not fit into uint8
        ends = ends_of(lengths, size, steps, target.device)
        place = torch.arange(steps + 1, device=target.device)
        padded = torch.cat([target, target.new_zeros(size, 1)], dim=1)
        labels = padded.where(place < ends.unsqueeze(1), -1)
        labels = labels.masked_fill(place == ends.unsqueeze(1), self.end_symbol)
        inputs = torch.cat([target.new_full((size, 1), self.start_symbol), target], dim=1)
        return inputs.where(place <= ends.unsqueeze(1), self.start_symbol), labels.long()

    def graphs(self, context: Any = None) -> Graphs:
        """Return what `export` writes; see `export.seq2seq_graphs`."""
        from ..export.seq2seq_graphs import seq2seq_graphs

        specs, labels = seq2seq_graphs(self, context)
        return Graphs(specs, {"labels": labels})

    def export(
        self, out: str | os.PathLike[str], *, format: Format = "onnx", int8: bool = False, context: Any = None
    ) -> Exported:
        """Write the model to files that run without this library; see `export.files.export`.

        Args:
            out: the path that the files' names begin with, such as `model.onnx` for `model-encoder.onnx` and
                `model-step.onnx`.
            format: of the files: onnx (`.onnx`), or torch (`.pt2`), a program of `torch.export`.
            int8: whether ONNX files have weights of 8 bits.
            context: an example of the encoder's context, if its network does not state what it reads.
        """
        return export(self, out, format=format, int8=int8, context=context)

    def begin(self, source: Tensor, lengths: Tensor | None = None, context: Any = None) -> tuple[Step, State]:
        """Return a step function and the initial state, for use with `greedy`, `beam` or `sample`.

        The state is a tuple of the decoder's state and the index of each row's source, with one row per source. The
        memory is part of the step function, so that selecting rows does not copy it.

        Args:
            source: categories (B, S) or vectors (B, S, F), padded.
            lengths: the number of elements of each source, (B,); None means S.
            context: the context for the encoder's initial state, with batch size B.
        """
        state, memory = self.encode(source, lengths, context, sample=False)
        return Step(self.decoder, memory), (state, torch.arange(source.shape[0], device=source.device))

    @torch.no_grad()
    def generate(
        self,
        source: Tensor,
        lengths: Tensor | None = None,
        context: Any = None,
        *,
        beam: int = 1,
        n_best: int = 1,
        max_steps: int = 100,
        alpha: float = 0.0,
    ) -> Found:
        """Search for the targets of sources in evaluation mode, with `search.greedy` or `search.beam`.

        Args:
            source: categories (B, S) or vectors (B, S, F), padded.
            lengths: the number of elements of each source, (B,); None means S.
            context: the context for the encoder's initial state, with batch size B.
            beam: the width of the beam; 1 is greedy search.
            n_best: K, the number of targets per source, at most `beam`.
            max_steps: the maximum number of tokens of a target, including the end.
            alpha: the exponent of the length penalty of the score; see `search`.

        Returns:
            The targets, the best first. `found.texts()` lists the tokens of the best target of each source.

        Raises:
            InputError: the decoder predicts vectors; `n_best` is not between 1 and `beam`; or `max_steps` is less than
                1.
        """
        if not self.decoder.is_category:
            raise InputError("generate is for categories: for vectors, call free_run")
        if not 1 <= n_best <= beam:
            raise InputError(f"n_best must be between 1 and the width of the beam, {beam}; found {n_best}")
        options: dict[str, Any] = {
            "start": self.start_symbol,
            "end": self.end_symbol,
            "max_steps": max_steps,
            "alpha": alpha,
        }
        with evaluation_mode(self):
            step, state = self.begin(source, lengths, context)
            if beam == 1:
                return search.greedy(step, state, source.shape[0], **options)
            return search.beam(step, state, source.shape[0], width=beam, n_best=n_best, **options)

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
        """Predict vectors (B, steps, D), and feed each prediction to the next step.

        Dropout follows the mode of the model: call `eval()` first to disable it.

        Args:
            source: vectors (B, S, F), padded.
            first: the element before the first prediction, (B, D).
            steps: the number of steps.
            source_lengths: the number of elements of each source, (B,); None means S.
            context: the context for the encoder's initial state, with batch size B.
            known: features (B, steps, K) that are known in advance for every step.

        Raises:
            InputError: `steps` is less than 1.
        """
        if steps < 1:
            raise InputError(f"steps must be at least 1; found {steps}")
        state, memory = self.encode(source, source_lengths, context, sample=False)
        active = recorder()
        if active is not None:
            return recorded_run(active, self.decoder, first, steps, state, memory, known)
        found, last = [], first
        for step in range(steps):
            fed = last if known is None else torch.cat([last, known[:, step]], dim=1)
            one = self.decoder.step(fed, state, memory)
            state, last = one.state, one.outputs[:, 0]
            found.append(last)
        return torch.stack(found, dim=1)
