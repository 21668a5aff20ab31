"""Variational dropout: the same units are dropped at every step, in whole passes and step by step."""

import pytest
import torch
from torch import nn

from contextual_rnn import ConstantState, ContextualRNN
from contextual_rnn.seq2seq import Decoder, Encoder, ScheduledSampling
from contextual_rnn.seq2seq.dropout import VariationalDropout


def test_a_mask_is_that_of_all_steps_and_of_one_sequence():
    torch.manual_seed(0)
    dropout, x = VariationalDropout(0.25), torch.ones(300, 7, 20)
    y = dropout(x)
    assert torch.equal(y, y[:, :1].expand(-1, 7, -1))
    assert y.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert float((y[:, 0] == 0).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert not torch.equal(y[0, 0], y[1, 0])
    assert torch.equal(dropout.eval()(x), x)


def decoder(**options):
    torch.manual_seed(0)
    core = nn.GRU(6, 10, batch_first=True)
    return Decoder(ContextualRNN(core, ConstantState(core)), 30, nn.Embedding(30, 6), **options)


def test_a_decoder_drops_the_same_units_step_by_step():
    made = decoder(dropout=0.5, variational=True)
    inputs, state = torch.randint(30, (4, 9)), made.start(4)
    torch.manual_seed(3)
    embedded, output = made._masks(made.embedding(inputs))
    torch.manual_seed(3)
    whole = made(inputs, state).outputs
    hidden = made.rnn(made.embedding(inputs) * embedded, state=state[0])[0]
    assert torch.allclose(whole, made.output(hidden * output), atol=1e-6)
    torch.manual_seed(3)
    never_sampled = made._run_by_step(inputs, state, None, None, 0).outputs
    assert torch.allclose(whole, never_sampled, atol=1e-6)
    torch.manual_seed(3)
    sampled = made(inputs, state, None, ScheduledSampling(0.5), 1)
    assert torch.allclose(sampled.outputs[:, 0], whole[:, 0], atol=1e-6)


def test_dropout_of_each_step_is_unlike_it():
    made = decoder(dropout=0.5)
    assert made._masks(torch.ones(4, 9, 6)) is None
    y = made.dropout(torch.ones(4, 9, 6))
    assert not torch.equal(y, y[:, :1].expand(-1, 9, -1))


def test_an_encoder_drops_units_of_its_outputs_and_not_of_its_state():
    core = nn.GRU(6, 10, batch_first=True)
    encoder = Encoder(ContextualRNN(core, ConstantState(core)), None, 0.5, variational=True)
    found = encoder(torch.ones(4, 9, 6))
    assert bool(((found.outputs == 0).all(1) | (found.outputs != 0).all(1)).all())
    assert bool((found.outputs == 0).any())
    assert bool((found.state != 0).all())
