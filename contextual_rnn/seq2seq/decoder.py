"""The decoder: predicts each element of a target from the previous elements, its initial state, and a memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._core.categorical import draw_category
from .._core.state import State, leaves, shape_leaves
from .._core.tracing import is_eager, refuse_tracing, shapes_are_traced
from ..errors import InputError
from ..recurrent import ContextualRNN
from .attention import Attention
from .dropout import VariationalDropout, make_dropout
from .embedding import embed, embedded_width, input_width
from .encoder import check_rnn
from .feeding import ScheduledSampling, check_feeding

Masks = tuple[Tensor, Tensor]  # of the embedded elements (B, 1, D), and of the output layer's inputs (B, 1, A)


class Memory(NamedTuple):
    """The keys and values that a decoder's attention reads; `Decoder.remember` computes them once per batch of sources.

    Attributes:
        keys: (B, S, K).
        values: (B, S, M).
        mask: (B, S), true where a source has an element.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor

    def rows(self, index: Tensor) -> Memory:
        """Return the rows at `index` (N,), without a copy if these are all rows in order.

        If `index` repeats each row equally often, one after the other, as beam search does, each is returned once.
        """
        once, counts = torch.unique_consecutive(index, return_counts=True)
        if len(once) < len(index) and bool((counts == counts[0]).all()):
            index = once
        return self if _is_range(index, len(self.mask)) else Memory(*(part[index] for part in self))


class Decoded(NamedTuple):
    """A decoder's predictions.

    Attributes:
        outputs: logits of categories, or vectors, (B, T, V); the inputs of the output layer, (B, T, A), where the
            decoder was called with `with_output` false.
        state: the state after the last step: the state of the core, and the attentional vector (B, A).
        weights: the attention weights, (B, T, S); None without attention.
        sampled: (B, T), true where the decoder was fed its own prediction; None without scheduled sampling.
        fed: the categories that the decoder was fed, (B, T), for scheduled sampling of the form `"embedding"`; else
            None.
    """

    outputs: Tensor
    state: State
    weights: Tensor | None
    sampled: Tensor | None = None
    fed: Tensor | None = None


class Decoder(nn.Module):
    """Predict targets with a core that starts from a bridge, optional attention, and an output layer.

        s_t = core([e(y_{t-1}); a_{t-1}], s_{t-1}),  r_t = attention(s_t),  a_t = tanh(W [s_t; r_t]),  o_t = V a_t

    (Luong et al. 2015, arXiv 1508.04025, sections 3 and 3.3.) The attentional vector a_{t-1} is fed to the core with
    `input_feeding` only; without attention, a_t is s_t. The core is called once for all steps, unless input feeding or
    scheduled sampling needs the output of one step for the next.

    Args:
        rnn: a recurrent network, batch first, with one direction; its initial state is the bridge.
        size: V, the number of categories, or the width of the vectors to predict.
        embedding: a module from elements to the core's inputs, such as `nn.Embedding`; None passes vectors unchanged.
        attention: an attention module with `query_size` equal to the width of the core's output; None disables
            attention.
        attentional_size: A, the width of the attentional vector; None means the width of the core's output. Ignored
            without attention, unless `tied` is true: a_t is then tanh(W s_t) where A is another width.
        input_feeding: if True, concatenate the previous attentional vector to the core's input; `input_size` of the
            core must then be the width of the embedding + `attentional_size`.
        dropout: the dropout probability of the embedded elements and of the output layer's input, in training.
        variational: whether dropout has one mask for all steps of a sequence; see `VariationalDropout`.
        tied: whether the embedding is also the weight V of the output layer (Press and Wolf 2017, arXiv 1608.05859).
            The embedding must have `size` rows of width A.

    Raises:
        InputError: `rnn` is not a `ContextualRNN`, is not batch first, or is bidirectional; two widths disagree;
            `input_feeding` is true without an attention; or `tied` is true and the embedding is no `nn.Embedding`.
    """

    def __init__(
        self,
        rnn: ContextualRNN,
        size: int,
        embedding: nn.Module | None = None,
        attention: Attention | None = None,
        attentional_size: int | None = None,
        input_feeding: bool = False,
        dropout: float = 0.0,
        variational: bool = False,
        tied: bool = False,
    ) -> None:
        super().__init__()
        check_rnn(rnn, "decoder")
        if getattr(rnn.core, "bidirectional", False):
            raise InputError("the decoder's core must have one direction; found a bidirectional core")
        if attention is not None and not isinstance(attention, Attention):
            raise InputError(f"attention must be an Attention, such as make_attention returns; found {attention!r}")
        if input_feeding and attention is None:
            raise InputError("input_feeding needs an attention: give attention=")
        self.rnn, self.size, self.embedding, self.attention = rnn, size, embedding, attention
        self.input_feeding, self.dropout = input_feeding, make_dropout(dropout, variational)
        hidden = next(shape_leaves(rnn.state_shapes))[-1]  # the first leaf is h, which is also the output
        self.attentional_size = attentional_size or hidden
        self.join: nn.Linear | None = None
        if attention is not None:
            self.join = nn.Linear(hidden + attention.memory_size, self.attentional_size, bias=False)
        elif not tied:
            self.attentional_size = hidden
        elif self.attentional_size != hidden:
            self.join = nn.Linear(hidden, self.attentional_size, bias=False)
        self.output = nn.Linear(self.attentional_size, size)
        self._check_widths(hidden)
        if tied:
            self._tie()

    def _tie(self) -> None:
        """Make the embedding the weight of the output layer, with values that give logits of about unit variance."""
        wanted, embedding = (self.size, self.attentional_size), self.embedding
        if not isinstance(embedding, nn.Embedding) or (embedding.num_embeddings, embedding.embedding_dim) != wanted:
            raise InputError(
                f"tied needs an nn.Embedding of {wanted[0]} rows of width {wanted[1]}, the attentional vector's; found "
                f"{embedding!r}"
            )
        nn.init.normal_(embedding.weight, std=self.attentional_size**-0.5)
        self.output.weight = embedding.weight

    def _check_widths(self, hidden: int) -> None:
        if self.attention is not None and self.attention.query_size != hidden:
            raise InputError(
                f"the attention has query_size {self.attention.query_size}, but the output of the decoder's core has "
                f"width {hidden}"
            )
        inputs, width = input_width(self.rnn.core), embedded_width(self.embedding)
        if inputs is None:
            return
        found = f"the decoder's core has input_size {inputs}"
        added = self.attentional_size * self.input_feeding
        names = " and the attentional vector" * self.input_feeding
        if width is not None and inputs != width + added:
            parts = f"{width} + {added} = {width + added}" if added else str(width)
            raise InputError(f"{found}, but the embeddings{names} have width {parts}")
        if self.embedding is None and inputs < self.size + added:
            parts = f"{self.size} + {added} = {self.size + added}" if added else str(self.size)
            raise InputError(f"{found}, but the predicted vectors{names}, which are its inputs, have width {parts}")

    @property
    def is_category(self) -> bool:
        """Whether elements are categories, which `nn.Embedding` embeds."""
        return isinstance(self.embedding, nn.Embedding)

    def remember(self, values: Tensor, mask: Tensor) -> Memory | None:
        """Return the memory for an encoder's outputs: their keys, values and mask; None without attention.

        Args:
            values: the encoder's outputs, (B, S, M).
            mask: (B, S), true where a source has an element.

        Raises:
            InputError: the attention was made for a memory of another width.
        """
        if self.attention is None:
            return None
        if not shapes_are_traced() and values.shape[-1] != self.attention.memory_size:
            raise InputError(
                f"the attention has memory_size {self.attention.memory_size}, but the encoder's outputs have width "
                f"{values.shape[-1]}"
            )
        return Memory(self.attention.keys(values), values, mask)

    def start(self, batch_size: int, context: Any = None, **noise: Any) -> State:
        """Return the initial state: the state of the core, from the bridge, and an attentional vector of 0.

        Args:
            batch_size: B.
            context: the encoder's final state, which is the bridge's context.
            noise: the arguments `sample` and `generator` of the bridge.
        """
        core_state = self.rnn.start(batch_size, context, **noise)
        like = next(leaves(core_state))  # not the output layer's weight, which is no tensor where it is quantised
        return core_state, like.new_zeros(batch_size, self.attentional_size * self.input_feeding)

    def forward(
        self,
        inputs: Tensor,
        state: State,
        memory: Memory | None = None,
        feeding: ScheduledSampling | None = None,
        training_step: int | None = None,
        with_output: bool = True,
    ) -> Decoded:
        """Predict every element of the targets.

        Args:
            inputs: the true element before each target element, beginning with the start: categories (B, T), or vectors
                (B, T, D) whose columns after the first V are known in advance and never predicted.
            state: the state that `start` or an earlier call returned.
            memory: the memory that `remember` returned.
            feeding: scheduled sampling; None feeds the true elements (teacher forcing).
            training_step: the number of this update (0, 1, ...), which `feeding` depends on.
            with_output: whether to apply the output layer. It can be left out, to compute the loss in pieces, where
                `needs_outputs` is false.

        Raises:
            InputError: `feeding` is given without `training_step`, or has form `"embedding"` but elements are vectors;
                or `state` is that of the core alone.
        """
        _check_pair(state)
        sampling = self._samples(feeding, training_step)
        if not sampling and not self.input_feeding:
            return self._run_whole(inputs, state, memory, with_output)
        return self._run_by_step(inputs, state, memory, feeding if sampling else None, training_step or 0)

    def needs_outputs(self, feeding: ScheduledSampling | None, training_step: int | None) -> bool:
        """Return whether steps are run one by one, each with its output."""
        return self.input_feeding or self._samples(feeding, training_step)

    def _samples(self, feeding: ScheduledSampling | None, training_step: int | None) -> bool:
        check_feeding(feeding)
        if feeding is None:
            return False
        if training_step is None:
            raise InputError("feeding needs the number of the update: give training_step=0, then 1, ...")
        if feeding.form == "embedding" and not self.is_category:
            raise InputError("feeding of the form 'embedding' is for categories: for vectors, give form='output'")
        return feeding.probability(training_step) > 0

    def step(self, inputs: Tensor, state: State, memory: Memory | None = None) -> Decoded:
        """Take one step: inputs are categories (B,) or vectors (B, D); the outputs are (B, 1, V)."""
        _check_pair(state)
        return self._advance(self._embed(inputs.unsqueeze(1)), state, memory)

    def _embed(self, elements: Tensor) -> Tensor:
        return embed(self.embedding, elements, "target")

    def _run_whole(self, inputs: Tensor, state: State, memory: Memory | None, with_output: bool) -> Decoded:
        core_state, attentional = state
        hidden, core_state = self.rnn(self.dropout(self._embed(inputs)), state=core_state)
        joined, weights = self._attend(hidden, memory)
        joined = self.dropout(joined)
        return Decoded(self.output(joined) if with_output else joined, (core_state, attentional), weights)

    def _masks(self, embedded: Tensor) -> Masks | None:
        """Return the dropout masks of all steps of a minibatch; None if every step has its own or nothing is dropped.

        Args:
            embedded: the embedded elements, (B, T, D).
        """
        if not isinstance(self.dropout, VariationalDropout):
            return None
        masks = self.dropout.mask(embedded), self.dropout.mask(embedded, self.attentional_size)
        return None if masks[0] is None or masks[1] is None else (masks[0], masks[1])

    def _advance(self, embedded: Tensor, state: State, memory: Memory | None, masks: Masks | None = None) -> Decoded:
        core_state, attentional = state
        inputs = self.dropout(embedded) if masks is None else embedded * masks[0]
        if self.input_feeding:
            inputs = torch.cat([inputs, attentional.unsqueeze(1)], dim=2)
        hidden, core_state = self.rnn(inputs, state=core_state)
        joined, weights = self._attend(hidden, memory)
        attentional = joined[:, 0] if self.input_feeding else attentional
        dropped = self.dropout(joined) if masks is None else joined * masks[1]
        return Decoded(self.output(dropped), (core_state, attentional), weights)

    def _attend(self, hidden: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor | None]:
        """Return the attentional vectors (B, T, A) for the core's outputs (B, T, H), and the attention weights."""
        if self.join is None:
            return hidden, None
        if self.attention is None:
            return torch.tanh(self.join(hidden)), None
        if memory is None:
            raise InputError("this decoder has attention and needs a memory: give memory=")
        read, weights = self._read_together(hidden, memory) if is_eager() else self._read(hidden, memory)
        return torch.tanh(self.join(torch.cat([hidden, read], dim=2))), weights

    def _read(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        assert self.attention is not None
        return self.attention(hidden, *memory)

    def _read_together(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Read the memory for rows (B, T, H); several rows, one after the other, may share a row of the memory."""
        size, steps = hidden.shape[:2]
        if len(memory[2]) == size:
            return self._read(hidden, memory)
        together = len(memory[2]), size // len(memory[2]) * steps
        read, weights = self._read(hidden.reshape(*together, hidden.shape[2]), memory)
        return read.reshape(size, steps, read.shape[2]), weights.reshape(size, steps, weights.shape[2])

    def _run_by_step(
        self,
        inputs: Tensor,
        state: State,
        memory: Memory | None,
        feeding: ScheduledSampling | None,
        training_step: int,
    ) -> Decoded:
        if feeding is not None:
            refuse_tracing("scheduled sampling")
        size, steps = inputs.shape[:2]
        coins = None if feeding is None else feeding.coins(training_step, size, steps, inputs.device)
        uniform = None if feeding is None else feeding.uniform(training_step, size, steps, inputs.device)
        truth, fed = self._embed(inputs), inputs.clone() if self.is_category else None
        outputs: list[Tensor] = []
        weights: list[Tensor | None] = []
        masks = self._masks(truth)
        for t, embedded in enumerate(truth.unbind(1)):  # unbind, so that a trace takes no other length
            if feeding is not None and coins is not None and uniform is not None and t and bool(coins[:, t].any()):
                predicted, drawn = self._embed_output(outputs[-1], inputs[:, t], feeding, uniform[:, t])
                embedded = torch.where(coins[:, t].unsqueeze(1), predicted, embedded)
                if fed is not None and drawn is not None:
                    fed[:, t] = torch.where(coins[:, t], drawn, fed[:, t])
            one = self._advance(embedded.unsqueeze(1), state, memory, masks)
            state = one.state
            outputs.append(one.outputs[:, 0])
            weights.append(one.weights)
        joined = None if self.attention is None else torch.cat([one for one in weights if one is not None], dim=1)
        draws = feeding is not None and feeding.form == "embedding"
        return Decoded(torch.stack(outputs, dim=1), state, joined, coins, fed if draws else None)

    def _embed_output(
        self, output: Tensor, truth: Tensor, feeding: ScheduledSampling, uniform: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return the embedding (B, D) of a prediction (B, V), and the categories that were drawn (B,), if any."""
        if not self.is_category:
            return self._embed(torch.cat([output, truth[:, self.size :]], dim=1)), None
        if feeding.form == "output":
            assert isinstance(self.embedding, nn.Embedding)
            return output.softmax(dim=1) @ self.embedding.weight, None
        drawn = draw_category(output.detach(), uniform)
        return self._embed(drawn), drawn


def _is_range(index: Tensor, size: int) -> bool:
    return len(index) == size and bool((index == torch.arange(size, device=index.device)).all())


def _check_pair(state: State) -> None:
    """Raise InputError if a state is not that of a decoder: the state of the core, and an attentional vector (B, A)."""
    second = state[1] if isinstance(state, tuple) and len(state) == 2 else None
    if not isinstance(second, Tensor) or second.dim() != 2:
        raise InputError(
            "the state of a decoder is a pair, of the core's state and the last attentional vector: take it from "
            "decoder.start(batch_size, encoded.state), or from an earlier call"
        )
