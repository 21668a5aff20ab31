"""`WindowReader`: the final state of a core over a window, as the network of a `ContextState`."""

import pytest
import torch
from torch import nn

from contextual_rnn import ContextState, ContextualRNN, WindowReader, load


@pytest.mark.parametrize("batch_first", [True, False])
def test_it_returns_every_tensor_of_the_final_state(batch_first):
    torch.manual_seed(0)
    reader = WindowReader(nn.LSTM(2, 3, num_layers=2, batch_first=batch_first))
    window = torch.randn(4, 5, 2)
    _, (h, c) = reader.rnn.core(window if batch_first else window.transpose(0, 1))
    wanted = torch.cat([leaf.transpose(0, 1).flatten(1) for leaf in (h, c)], dim=1)
    torch.testing.assert_close(reader(window if batch_first else window.transpose(0, 1)), wanted)
    assert reader.out_features == wanted.shape[1] == 2 * 2 * 3


def test_an_initial_state_that_reads_a_window_learns_and_is_saved(tmp_path):
    torch.manual_seed(0)
    core = nn.GRU(1, 4, batch_first=True)
    rnn = ContextualRNN(core, ContextState(core, WindowReader(nn.LSTM(2, 3, batch_first=True))))
    inputs, window = torch.randn(6, 7, 1), torch.randn(6, 5, 2)
    output, _ = rnn(inputs, window)
    output.sum().backward()
    reader = rnn.initial_state.network
    assert all(parameter.grad.abs().sum() > 0 for parameter in reader.parameters())
    maps = rnn.initial_state.maps(reader(window))
    torch.testing.assert_close(rnn.initial_state(6, window), maps)
    rnn.save(tmp_path / "model.safetensors")
    torch.testing.assert_close(load(tmp_path / "model.safetensors")(inputs, window)[0], output)


def test_a_module_that_is_no_core_is_refused():
    with pytest.raises(TypeError, match="Linear is not a recurrent core"):
        WindowReader(nn.Linear(2, 3))
