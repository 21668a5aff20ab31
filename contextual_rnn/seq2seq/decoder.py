"""The decoder: the next element of a target from those before it, from its initial state, and from a memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._core.categorical import draw_category
from .._core.state import State, shape_leaves
from ..recurrent import ContextualRNN
from .attention import Attention
from .embedding import embed
from .feeding import ScheduledSampling


class Memory(NamedTuple):
    """What a decoder's attention reads: made once for a batch of sources, and handed in.

    Attributes:
        keys: (B, S, K).
        values: (B, S, M).
        mask: (B, S) true where there is an element.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor

    def rows(self, index: Tensor) -> Memory:
        """Return the rows of some sources, one for each of `index`."""
        return self if _counts(index, len(self.mask)) else Memory(*(part[index] for part in self))


class Decoded(NamedTuple):
    """What a decoder predicts.

    Attributes:
        outputs: (B, T, V), logits of categories, or vectors.
        state: after the last step: the core's state, and the attentional vector (B, A).
        weights: (B, T, S) of the attention; None without one.
        sampled: (B, T) where the decoder was fed its own prediction; None where it never is.
        fed: (B, T) the categories it was fed, under sampling in the form of an embedding; else None.
    """

    outputs: Tensor
    state: State
    weights: Tensor | None
    sampled: Tensor | None = None
    fed: Tensor | None = None


class Decoder(nn.Module):
    """A core that starts from a bridge, with or without attention, and an output layer.

        s_t = core([e(y_{t-1}); a_{t-1}], s_{t-1}),  r_t = attention(s_t),  a_t = tanh(W [s_t; r_t]),  o_t = V a_t

    (Luong et al. 2015, arXiv 1508.04025, sections 3 and 3.3.) a_{t-1} is fed in only with `input_feeding`; without
    attention a_t is s_t. Where neither input feeding nor sampling needs one step's output for the next, all steps are
    one call of the core.

    Args:
        rnn: batch first, of one direction; its initial state is the bridge.
        size: V, how many categories there are, or the width of the vectors to predict.
        embedding: from elements to the core's inputs, such as `nn.Embedding`; None takes vectors as they are.
        attention: from the core's output; its query is as wide as that.
        attentional_size: A.
        input_feeding: whether the core's inputs end with the attentional vector of the step before; they must be so
            much wider.
        dropout: of the embedded elements and of what the output layer reads, in training.

    Raises:
        ValueError: the core is not batch first, or goes both ways, or its width is not that of its inputs or of the
            attention's query; or input feeding lacks an attention.
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
    ) -> None:
        super().__init__()
        if not rnn.batch_first or getattr(rnn.core, "bidirectional", False):
            raise ValueError("the decoder's core must be batch first and of one direction")
        if input_feeding and attention is None:
            raise ValueError("input feeding feeds what attention read: give an attention")
        self.rnn, self.size, self.embedding, self.attention = rnn, size, embedding, attention
        self.input_feeding, self.dropout = input_feeding, nn.Dropout(dropout)
        hidden = next(shape_leaves(rnn.state_shapes))[-1]  # the first leaf is h, which is the output too
        self.attentional_size = attentional_size or hidden
        if attention is None:
            self.attentional_size, self.join = hidden, None
        else:
            self.join = nn.Linear(hidden + attention.memory_size, self.attentional_size, bias=False)
        self.output = nn.Linear(self.attentional_size, size)
        self._check_widths(hidden)

    def _check_widths(self, hidden: int) -> None:
        if self.attention is not None and self.attention.query_size != hidden:
            found = self.attention.query_size
            raise ValueError(
                f"the attention's query_size is {found} where the width of the core's output, {hidden}, is right"
            )
        core = getattr(self.rnn.core, "cell", self.rnn.core)  # of a cell that is unrolled, the cell
        reads = getattr(core, "input_size", None)
        if reads is None or not isinstance(self.embedding, nn.Embedding):
            return
        parts = [self.embedding.embedding_dim, *[self.attentional_size] * self.input_feeding]
        if reads != sum(parts):
            named = "the embedding's width" + " and the attentional vector's" * self.input_feeding
            wanted = " + ".join(map(str, parts))
            raise ValueError(f"the core's input_size is {reads} where {named}, {wanted}, is right")

    @property
    def is_category(self) -> bool:
        """Whether elements are categories, which are embedded."""
        return isinstance(self.embedding, nn.Embedding)

    def remember(self, values: Tensor, mask: Tensor) -> Memory | None:
        """Return the memory of encoder outputs (B, S, M); None without attention.

        Raises:
            ValueError: the attention is for a memory of another width.
        """
        if self.attention is None:
            return None
        if values.shape[-1] != self.attention.memory_size:
            found, wanted = self.attention.memory_size, values.shape[-1]
            raise ValueError(f"the attention's memory_size is {found} where the encoder's width, {wanted}, is right")
        return Memory(self.attention.keys(values), values, mask)

    def start(self, batch_size: int, context: Any = None, **noise: Any) -> State:
        """Return the first state: the core's, from the bridge, and an attentional vector of 0."""
        core_state = self.rnn.start(batch_size, context, **noise)
        return core_state, self.output.weight.new_zeros(batch_size, self.attentional_size * self.input_feeding)

    def forward(
        self,
        inputs: Tensor,
        state: State,
        memory: Memory | None = None,
        feeding: ScheduledSampling | None = None,
        training_step: int | None = None,
    ) -> Decoded:
        """Predict every element of the targets.

        Args:
            inputs: the true elements before each, the start first: (B, T) of categories, or (B, T, D) of vectors, whose
                columns past the first V are known beforehand and are never predictions.
            state: as `start` or an earlier call returned it.
            memory: of `remember`.
            feeding: None feeds the truth (teacher forcing).
            training_step: the number of this update, by which schedule, coins and draws of `feeding` go.

        Raises:
            ValueError: `feeding` is given without `training_step`, or draws categories where there are none.
        """
        sampling = self._samples(feeding, training_step)
        if not sampling and not self.input_feeding:
            return self._whole(inputs, state, memory)
        return self._by_step(inputs, state, memory, feeding if sampling else None, training_step or 0)

    def _samples(self, feeding: ScheduledSampling | None, training_step: int | None) -> bool:
        if feeding is None:
            return False
        if training_step is None:
            raise ValueError("feeding tosses its coins by the number of the update: give training_step=0, then 1, ...")
        if feeding.form == "embedding" and not self.is_category:
            raise ValueError("the form 'embedding' draws categories; for vectors give form='output'")
        return feeding.probability(training_step) > 0

    def step(self, inputs: Tensor, state: State, memory: Memory | None = None) -> Decoded:
        """Take one step: inputs (B,) of categories, or (B, D); the outputs are (B, 1, V)."""
        return self._advance(self._embed(inputs.unsqueeze(1)), state, memory)

    def _embed(self, elements: Tensor) -> Tensor:
        return embed(self.embedding, elements, "the target")

    def _whole(self, inputs: Tensor, state: State, memory: Memory | None) -> Decoded:
        core_state, attentional = state
        hidden, core_state = self.rnn(self.dropout(self._embed(inputs)), state=core_state)
        joined, weights = self._attend(hidden, memory)
        return Decoded(self.output(self.dropout(joined)), (core_state, attentional), weights)

    def _advance(self, embedded: Tensor, state: State, memory: Memory | None) -> Decoded:
        core_state, attentional = state
        inputs = self.dropout(embedded)
        if self.input_feeding:
            inputs = torch.cat([inputs, attentional.unsqueeze(1)], dim=2)
        hidden, core_state = self.rnn(inputs, state=core_state)
        joined, weights = self._attend(hidden, memory)
        attentional = joined[:, 0] if self.input_feeding else attentional
        return Decoded(self.output(self.dropout(joined)), (core_state, attentional), weights)

    def _attend(self, hidden: Tensor, memory: Memory | None) -> tuple[Tensor, Tensor | None]:
        """Return the attentional vectors (B, T, A) of the core's outputs (B, T, H), and the weights."""
        if self.attention is None or self.join is None:
            return hidden, None
        if memory is None:
            raise ValueError("this decoder has an attention, and no memory was handed in: memory=")
        read, weights = self.attention(hidden, *memory)
        return torch.tanh(self.join(torch.cat([hidden, read], dim=2))), weights

    def _by_step(
        self,
        inputs: Tensor,
        state: State,
        memory: Memory | None,
        feeding: ScheduledSampling | None,
        training_step: int,
    ) -> Decoded:
        size, steps = inputs.shape[:2]
        coins = None if feeding is None else feeding.coins(training_step, size, steps, inputs.device)
        uniform = None if feeding is None else feeding.uniform(training_step, size, steps, inputs.device)
        truth, fed = self._embed(inputs), inputs.clone() if self.is_category else None
        outputs: list[Tensor] = []
        weights: list[Tensor | None] = []
        for t in range(steps):
            embedded = truth[:, t]
            if feeding is not None and coins is not None and uniform is not None and t and bool(coins[:, t].any()):
                own, drawn = self._own(outputs[-1], inputs[:, t], feeding, uniform[:, t])
                embedded = torch.where(coins[:, t].unsqueeze(1), own, embedded)
                if fed is not None and drawn is not None:
                    fed[:, t] = torch.where(coins[:, t], drawn, fed[:, t])
            one = self._advance(embedded.unsqueeze(1), state, memory)
            state = one.state
            outputs.append(one.outputs[:, 0])
            weights.append(one.weights)
        together = None if self.attention is None else torch.cat([one for one in weights if one is not None], dim=1)
        embedded_form = feeding is not None and feeding.form == "embedding"
        return Decoded(torch.stack(outputs, dim=1), state, together, coins, fed if embedded_form else None)

    def _own(
        self, output: Tensor, truth: Tensor, feeding: ScheduledSampling, uniform: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return what a prediction (B, V) is to the core (B, D), and the categories drawn (B,), if any were."""
        if not self.is_category:
            return self._embed(torch.cat([output, truth[:, self.size :]], dim=1)), None
        if feeding.form == "output":
            assert isinstance(self.embedding, nn.Embedding)
            return output.softmax(dim=1) @ self.embedding.weight, None
        drawn = draw_category(output.detach(), uniform)
        return self._embed(drawn), drawn


def _counts(index: Tensor, size: int) -> bool:
    return len(index) == size and bool((index == torch.arange(size, device=index.device)).all())
