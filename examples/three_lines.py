"""An LSTM that starts from what is known, in three lines: here the first sample of a series and its period."""

import torch
from torch import nn

from contextual_rnn import MLP, ContextState, ContextualRNN, GaussianState

x = torch.randn(8, 25, 1)  # batch, time, features
period = torch.rand(8, 1)

core = nn.LSTM(1, 128, batch_first=True)
rnn = ContextualRNN(core, GaussianState(ContextState(core, MLP(2, [50])), scale=0.25))
output, state = rnn(x, context=torch.cat([x[:, 0], period], dim=-1))

print(f"output {tuple(output.shape)}, state {[tuple(leaf.shape) for leaf in state]}")
