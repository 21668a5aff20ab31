"""The graphs of an `EncoderDecoder`: the encoder, and one step of the decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .._core.state import fill, leaves
from .context_inputs import ContextInputs, networks_of
from .graph_spec import GraphSpec, Input
from .rnn_graphs import STATE_NAMES, core_width, next_names, state_inputs

if TYPE_CHECKING:
    from ..seq2seq import EncoderDecoder

RESERVED = (
    *("source", "source_lengths", "keys", "values", "fed", "attentional", "attentional_n", "output", "log_probs"),
    *STATE_NAMES,
)


class Encoding(nn.Module):
    """Encode sources, and start the decoder."""

    def __init__(self, model: EncoderDecoder, context: ContextInputs) -> None:
        super().__init__()
        self.model, self.context = model, context

    def forward(self, source: Tensor, lengths: Tensor, *known: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors of the decoder's state, and the keys and values that its attention reads."""
        state, memory = self.model.encode(source, lengths, self.context.context(known), sample=False)
        return *started(self.model, state), *(() if memory is None else memory[:2])


class DecoderStep(nn.Module):
    """Take one step of the decoder."""

    def __init__(self, model: EncoderDecoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, fed: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Return the log probabilities (B, V), or the vectors, and the tensors of the next state."""
        decoder, given = self.model.decoder, list(rest)
        memory: Any = None
        if decoder.attention is not None:
            *given, keys, values, lengths = given
            mask = torch.arange(keys.shape[1], device=keys.device) < lengths.unsqueeze(1)
            memory = _memory(keys, values, mask)
        attentional = given.pop() if decoder.input_feeding else fed.new_zeros((fed.shape[0], 0), dtype=given[0].dtype)
        one = decoder.step(fed, (fill(decoder.rnn.state_shapes, iter(given)), attentional), memory)
        output = one.outputs[:, 0]
        return output.log_softmax(dim=1) if decoder.is_category else output, *started(self.model, one.state)


def _memory(keys: Tensor, values: Tensor, mask: Tensor) -> Any:
    return keys, values, mask


def started(model: EncoderDecoder, state: Any) -> list[Tensor]:
    """Return the tensors of a decoder's state; its attentional vector only with input feeding."""
    core, attentional = state
    return [*leaves(core), *([attentional] if model.decoder.input_feeding else [])]


def decoder_inputs(model: EncoderDecoder, source: str = "source") -> tuple[list[Input], list[Input]]:
    """Return the inputs of a step for the state, and for the memory of the attention."""
    decoder = model.decoder
    state = state_inputs(decoder.rnn.core, decoder.rnn.state_shapes)
    if decoder.input_feeding:
        state.append(Input("attentional", ("batch", decoder.attentional_size)))
    if decoder.attention is None:
        return state, []
    width = decoder.attention.memory_size
    keys = decoder.attention.keys(torch.zeros(1, 1, width)).shape[2]
    memory = [Input("keys", ("batch", source, keys)), Input("values", ("batch", source, width))]
    return state, [*memory, Input("source_lengths", ("batch",), "length", most=source)]


def seq2seq_graphs(model: EncoderDecoder, context: Any = None) -> tuple[list[GraphSpec], dict[str, list[str]]]:
    """Return the graphs of an `EncoderDecoder`, and the names of the labels of its context.

    Args:
        model: the model.
        context: an example of the encoder's context, if its network does not state what it reads.
    """
    encoder, decoder = model.encoder, model.decoder
    embedding: Any = decoder.embedding
    known = ContextInputs(list(networks_of(encoder.rnn.initial_state)), context, RESERVED)
    source = Input("source", ("batch", "source", core_width(encoder.rnn.core)))
    if isinstance(encoder.embedding, nn.Embedding):
        source = Input("source", ("batch", "source"), "category", categories=int(encoder.embedding.num_embeddings))
    lengths = Input("source_lengths", ("batch",), "length", "the number of elements of each source", most="source")
    state, memory = decoder_inputs(model)
    names = [one.name for one in state]
    started_names = [*names, *(one.name for one in memory[:2])]
    if decoder.is_category:
        fed, output = Input("fed", ("batch",), "category", categories=embedding.num_embeddings), "log_probs"
    else:
        width = core_width(decoder.rnn.core) - decoder.attentional_size * decoder.input_feeding
        fed, output = Input("fed", ("batch", width)), "output"
    outputs = [output, *next_names(names)]
    encoding = GraphSpec(
        "encoder", Encoding(model, known), [source, lengths, *known.inputs], started_names, about="sources encoded"
    )
    step = GraphSpec("step", DecoderStep(model), [fed, *state, *memory], outputs, about="one step of the decoder")
    return [encoding, step], known.labels
