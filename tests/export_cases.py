"""Cores and initial states that tests of export share."""

import torch
from torch import nn

from contextual_rnn import (
    MLP,
    ConstantState,
    Context,
    ContextState,
    ErrorNoise,
    FastWeightsRNN,
    FreeState,
    GaussianState,
    JoinedState,
    Label,
    LatentState,
    MemoryState,
    Quantity,
    Vector,
    gated,
    memory_shapes,
)


def named(core):
    context = Context(digit=Label(["a", "b", "c"], unknown=True), period=Quantity(0.5, 4.5), place=Vector(2))
    return ContextState(core, nn.Sequential(context, MLP(context.out_features, [7])), activation=nn.Tanh())


class Leaky(nn.Module):
    """A core of a user's own."""

    causal, input_size, state_shapes = True, 4, ((5,), (5, 2))

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(9, 5)

    def forward(self, x, state):
        h, memory = state
        outputs = []
        for step in x.unbind(1):
            h = torch.tanh(self.linear(torch.cat([step, h], dim=1)))
            memory = 0.9 * memory + h.unsqueeze(2)
            outputs.append(h + memory.sum(2))
        return torch.stack(outputs, dim=1), (h, memory)


def latent(core):
    return LatentState(GaussianState(ContextState((3,), MLP(2, [4]))), ContextState(core, MLP(3, [4])))


RNNS = {  # every core and every initial state, pairwise with layers and directions
    "GRU, named context": (lambda: nn.GRU(4, 6, batch_first=True), named),
    "LSTM of 2 layers, joined": (
        lambda: nn.LSTM(4, 6, 2, batch_first=True),
        lambda core: JoinedState(ContextState(core, MLP(2, [5])), FreeState(core)),
    ),
    "RNN of relu, both directions": (
        lambda: nn.RNN(4, 6, 2, nonlinearity="relu", bidirectional=True),
        lambda core: ErrorNoise(FreeState(core)),
    ),
    "gated LSTM, both directions": (lambda: gated.LSTM(4, 6, 1, batch_first=True, bidirectional=True), ConstantState),
    "gated GRU without biases": (lambda: gated.GRU(4, 6, 2, bias=False, batch_first=True), latent),
    "LSTM cell": (lambda: nn.LSTMCell(4, 6), lambda core: GaussianState(ContextState(core, nn.Embedding(5, 3)))),
    "GRU cell, number of classes": (lambda: nn.GRUCell(4, 6), lambda core: ContextState(core, 5)),
    "projected LSTM": (lambda: nn.LSTM(4, 6, 2, proj_size=3, batch_first=True), FreeState),
    "fast weights": (
        lambda: FastWeightsRNN(4, 6, backend="reference"),
        lambda core: MemoryState(core, ContextState(memory_shapes(core, 2), MLP(2, [5]))),
    ),
    "own core": (Leaky, FreeState),
}
