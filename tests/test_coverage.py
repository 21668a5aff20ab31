"""Coverage of a source: the sums of attention weights in a search, and the penalty for what they leave out."""

import math

import pytest
import torch
from torch import nn

from contextual_rnn import ConstantState, ContextualRNN, InputError
from contextual_rnn.seq2seq import (
    Decoder,
    Encoder,
    EncoderDecoder,
    ProjectBridge,
    Step,
    coverage_penalty,
    make_attention,
)


def model(attention="additive"):
    torch.manual_seed(0)
    reads, writes = nn.GRU(6, 5, bidirectional=True, batch_first=True), nn.GRU(6, 10, batch_first=True)
    encoder = Encoder(ContextualRNN(reads, ConstantState(reads)), nn.Embedding(20, 6))
    rnn = ContextualRNN(writes, ProjectBridge(reads, writes))
    return EncoderDecoder(encoder, Decoder(rnn, 30, nn.Embedding(30, 6), make_attention(attention, 10, 10))).eval()


def test_the_penalty_is_that_of_the_paper():
    weights = torch.tensor([[0.5, 1.5, 0.25], [1.0, 2.0, 0.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    wanted = [math.log(0.5) + math.log(1) + math.log(0.25), 0.0]
    assert coverage_penalty(weights, mask).tolist() == pytest.approx(wanted)


def test_a_search_sums_the_attention_weights_of_its_steps():
    made, source, lengths = model(), torch.randint(20, (3, 7)), torch.tensor([7, 4, 2])
    with torch.no_grad():
        step, state = made.begin(source, lengths)
        state = step.covering(state)
        tokens = torch.randint(2, 30, (3, 5))
        for place in range(5):
            _, state = step(tokens[:, place], state)
        whole = made(source, tokens, lengths).weights.sum(1)
        mask = torch.arange(7) < lengths.unsqueeze(1)
    assert torch.allclose(state[2], whole, atol=1e-6)
    assert torch.allclose(step.covered(state), coverage_penalty(whole, mask), atol=1e-5)


def test_a_model_without_attention_has_no_coverage():
    step, state = model("none").begin(torch.randint(20, (3, 7)))
    with pytest.raises(InputError, match="coverage needs a model with attention"):
        step.covering(state)


@pytest.mark.parametrize("attention", ["additive", "multiplicative"])
@pytest.mark.parametrize("index", [[0, 0, 1, 1, 2, 2], [0, 0, 2, 2], [1, 1, 1], [0, 1, 2], [2, 0, 0, 1]])
def test_rows_that_share_a_source_read_its_memory_together(attention, index):
    made, rows = model(attention), torch.tensor(index)
    with torch.no_grad():
        step, (state, _) = made.begin(torch.randint(20, (3, 7)), torch.tensor([7, 4, 2]))
        assert isinstance(step, Step)
        core, vector = state
        state, tokens = (core[rows] + torch.randn(len(rows), 1, 10), vector[rows]), torch.randint(2, 30, (len(rows),))
        copied = type(step.memory)(*(part[rows] for part in step.memory))
        wanted = made.decoder.step(tokens, state, copied)
        log_probs, (after, _) = step(tokens, (state, rows))
    assert torch.allclose(log_probs, wanted.outputs[:, 0].log_softmax(1), atol=1e-6)
    assert torch.allclose(after[0], wanted.state[0], atol=1e-6)
