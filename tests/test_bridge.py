"""Bridges: from any encoder's final state to any decoder's start."""

import itertools

import pytest
import torch
from torch import nn

from contextual_rnn import ConstantState, ContextualRNN, FastWeightsRNN, GaussianState
from contextual_rnn._core.state import leaves, map_state
from contextual_rnn.seq2seq import ConcatBridge, CopyBridge, ProjectBridge

CORES = {
    "gru": lambda: nn.GRU(3, 4, batch_first=True),
    "lstm": lambda: nn.LSTM(3, 4, batch_first=True),
    "wide lstm of two layers": lambda: nn.LSTM(3, 6, 2, batch_first=True),
    "gru of both directions": lambda: nn.GRU(3, 2, bidirectional=True, batch_first=True),
    "lstm of three layers": lambda: nn.LSTM(3, 4, 3, batch_first=True),
    "fast weights": lambda: FastWeightsRNN(3, 4),
    "cell": lambda: nn.LSTMCell(3, 5),
}
BRIDGES = {
    "project": ProjectBridge,
    "concat": ConcatBridge,
    "concat, learned": lambda a, b: ConcatBridge(a, b, "learned"),
    "copy": CopyBridge,
}


def final(core, batch=2):
    rnn = ContextualRNN(core, ConstantState(core))
    return rnn(torch.randn(batch, 5, 3))[1]


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize(("encoder", "decoder"), list(itertools.product(CORES, CORES)))
def test_a_bridge_starts_any_decoder_from_any_encoder(bridge, encoder, decoder):
    torch.manual_seed(0)
    reads, writes = CORES[encoder](), CORES[decoder]()
    rnn = ContextualRNN(writes, BRIDGES[bridge](reads, writes))
    state = map_state(lambda leaf: leaf.detach().requires_grad_(), final(reads))
    output, _ = rnn(torch.randn(2, 4, 3), state)
    output.square().sum().backward()
    reached = [leaf.grad is not None and bool(leaf.grad.any()) for leaf in leaves(state)]
    assert reached[0]  # h; what a copy leaves out is not reached
    assert all(reached) or bridge == "copy"


def test_a_copy_is_one_where_sizes_agree():
    core = nn.LSTM(3, 4, 2, batch_first=True)
    state, bridge = final(core), CopyBridge(core, nn.LSTM(7, 4, 2))
    assert not list(bridge.parameters())
    assert all(torch.equal(a, b) for a, b in zip(leaves(bridge(2, state)), leaves(state), strict=True))


def test_a_copy_takes_layers_from_the_top_and_directions_side_by_side():
    both = nn.GRU(3, 2, 2, bidirectional=True, batch_first=True)
    state, narrow = final(both), CopyBridge(both, nn.GRU(5, 4, 1))
    top = torch.cat([state[:, 2], state[:, 3]], dim=1)  # forwards, backwards
    assert torch.equal(narrow(2, state)[:, 0], top)
    deep = CopyBridge(both, nn.GRU(5, 4, 3))(2, state)
    lowest = torch.cat([state[:, 0], state[:, 1]], dim=1)
    assert torch.equal(deep, torch.stack([lowest, lowest, top], dim=1))
    lstm = nn.LSTM(3, 4, batch_first=True)
    dropped = CopyBridge(lstm, nn.GRU(3, 4))
    h, c = final(lstm)
    assert torch.equal(dropped(2, (h, c)), h)


def test_a_copy_makes_fast_weights_of_fast_weights_alone():
    lstm, fast = nn.LSTM(3, 4, batch_first=True), FastWeightsRNN(3, 4)
    state = final(fast)
    same = CopyBridge(fast, FastWeightsRNN(7, 4))
    assert not list(same.parameters())
    assert all(torch.equal(a, b) for a, b in zip(same(2, state), state, strict=True))
    h, c = final(lstm)
    to_fast = CopyBridge(lstm, fast)
    (linear_map,) = to_fast.maps[1]
    copied, weights = to_fast(2, (h, c))
    assert torch.equal(copied, h[:, 0])
    torch.testing.assert_close(weights.flatten(1), linear_map(h[:, 0]))
    to_lstm = CopyBridge(fast, lstm)
    (linear_map,) = to_lstm.maps[1]
    torch.testing.assert_close(to_lstm(2, state)[1][:, 0], linear_map(state[0]))


def test_projections_are_those_of_their_equations():
    encoder, decoder = nn.GRU(3, 4, batch_first=True), nn.LSTM(3, 5, 2, batch_first=True)
    state = final(encoder)
    bridge, flat = ProjectBridge(encoder, decoder), state.flatten(1)
    for found, linear_map in zip(bridge(2, state), bridge.maps, strict=True):
        torch.testing.assert_close(found.flatten(1), torch.tanh(linear_map(flat)))
    bridge = ConcatBridge(encoder, decoder)
    joined = torch.cat([bridge.projection(flat).tanh(), flat], dim=1)
    torch.testing.assert_close(bridge(2, state)[1].flatten(1), bridge.maps[1](joined))


def test_noise_on_a_bridge():
    core = nn.GRU(3, 4, batch_first=True)
    state, bridge = final(core), GaussianState(ProjectBridge(core, core), scale=0.5)
    many = torch.stack([bridge(2, state, sample=True) for _ in range(2000)])
    torch.testing.assert_close(many.mean(0), bridge(2, state, sample=False), atol=0.06, rtol=0)
    torch.testing.assert_close(many.std(0), torch.full((2, 1, 4), 0.5), atol=0.05, rtol=0)


def test_a_bridge_says_what_it_was_given():
    bridge = ProjectBridge(nn.LSTM(3, 4), nn.GRU(3, 4))
    with pytest.raises(ValueError, match=r"the encoder's final state; expected .* found \[\]"):
        bridge(2)
    with pytest.raises(ValueError, match=r"found \[\(3, 1, 4\)\]"):
        bridge(2, torch.zeros(3, 1, 4))
    with pytest.raises(ValueError, match="joined must be one of state, learned"):
        ConcatBridge(nn.GRU(3, 4), nn.GRU(3, 4), "both")
