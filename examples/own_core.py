"""A custom recurrent core and a custom initial state: h0 is looked up in a table by a label."""

import tempfile

import torch
from torch import nn

from contextual_rnn import ContextualRNN, InitialState, register


@register
class LeakyMemory(nn.Module):
    """h' = tanh(W [x, h, memory]), memory' = memory / 2 + h' v^T; the state is (h, (memory,))."""

    def __init__(self, input_size: int, size: int) -> None:
        super().__init__()
        self.causal = True  # a step depends only on earlier steps, so a long sequence can be run in parts
        self.state_shapes = ((size,), ((size, 2),))  # the shapes of one example's state, without the batch
        self.mix, self.write = nn.Linear(input_size + 3 * size, size), nn.Parameter(torch.randn(2))

    def forward(self, x, state):
        """Return the outputs (B, T, H) for inputs x (B, T, D), and the final state."""
        (h, (memory,)), outputs = state, []
        for x_t in x.unbind(dim=1):
            h = torch.tanh(self.mix(torch.cat([x_t, h, memory.flatten(1)], dim=-1)))
            memory = memory / 2 + h.unsqueeze(-1) * self.write
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h, (memory,))


@register
class LabelState(InitialState):
    """h0 is the row of a table that belongs to the label; the memory starts at zero."""

    def __init__(self, core, labels: int) -> None:
        super().__init__(core)
        self.table = nn.Embedding(labels, self.shapes[0][0])

    def forward(self, batch_size, context=None, *, sample=None, generator=None):
        """Return the initial state for label numbers (B,)."""
        return self.table(context), (self.table.weight.new_zeros(batch_size, *self.shapes[1][0]),)


torch.manual_seed(0)
core = LeakyMemory(1, 8)
rnn = ContextualRNN(core, LabelState(core, labels=3))
optimiser = torch.optim.Adam(rnn.parameters(), lr=0.02)
label, x = torch.tensor([0, 1, 2]), torch.zeros(3, 6, 1)  # the inputs hold no information; the label holds all
wave = torch.sin((label + 1).view(-1, 1) * torch.arange(6.0))  # one wave for each label, (3, 6)
for step in range(101):
    loss = (rnn(x, label)[0][..., 0] - wave).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if step in (0, 100):
        print(f"loss after {step} steps: {loss:.4f}")
rnn.save(path := f"{tempfile.mkdtemp()}/waves.safetensors")
assert torch.equal(ContextualRNN.load(path)(x, label)[0], rnn(x, label)[0])
