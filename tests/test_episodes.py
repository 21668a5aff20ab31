"""Initial states of episodes, inside the rows of a batch."""

import torch
from torch import nn

from contextual_rnn import ConstantState, ContextState, ContextualRNN, ErrorNoise, FreeState, Summary
from contextual_rnn._core.examples import example_count


def squared_error(resets, x, context):
    """The running mean of an ErrorNoise after one pass of a loss that is a mean over the rows of the batch."""
    torch.manual_seed(0)
    core = nn.GRU(2, 3, batch_first=True)
    noise = ErrorNoise(ContextState(core, nn.Linear(2, 4)), decay=0.0)
    output, _ = ContextualRNN(core, noise)(x, context, resets=resets)
    output.square().sum((1, 2)).mean().backward()
    return next(noise.squared_error.buffers())


def test_error_noise_scales_gradients_by_the_rows_and_not_by_their_episodes():
    """Two rows of two equal episodes: each of the four has the error of an example that is one episode alone."""
    x, context = torch.randn(1, 3, 2).expand(2, 6 // 2, 2), torch.randn(1, 2).expand(2, 2)
    alone = squared_error(None, x, context)
    twice, resets = torch.cat([x, x], 1), torch.zeros(2, 6)
    resets[:, 3] = 1
    torch.testing.assert_close(squared_error(resets, twice, context), alone)
    assert alone.any()


def test_the_number_of_examples_is_that_of_the_batch_where_no_resets_are_given():
    seen = []

    class Counting(ConstantState):
        def forward(self, batch_size, context=None, *, sample=None, generator=None):
            seen.append(example_count(batch_size))
            return super().forward(batch_size, context)

    inner = nn.GRU(2, 4, batch_first=True)
    summary = Summary(ContextualRNN(inner, Counting(inner)), 4, "last")
    network = nn.Sequential(Reading(summary), nn.Linear(4, 4))
    core = nn.GRU(2, 3, batch_first=True)
    rnn = ContextualRNN(core, ContextState(core, network))
    x, resets = torch.randn(2, 5, 2), torch.tensor([[0, 1, 0, 1, 0], [0, 0, 0, 0, 0]])
    rnn(x, torch.randn(2, 3, 2), resets=resets)
    rnn(x, torch.randn(2, 3, 2))
    assert seen == [4, 2]  # the inner network has four rows, one for each episode, each an example of its own
    ContextualRNN(core, Counting(core))(x, resets=resets)
    assert seen[2:] == [2]


class Reading(nn.Module):
    """A network that is a field alone."""

    out_features = 4

    def __init__(self, field):
        super().__init__()
        self.field = field

    def forward(self, value):
        return self.field(value, len(value))


def test_a_free_state_gets_the_gradients_of_all_episodes():
    core = nn.GRU(2, 3, batch_first=True)
    rnn = ContextualRNN(core, FreeState(core))
    x, resets = torch.randn(1, 4, 2), torch.tensor([[0, 0, 1, 0]])
    rnn(x, resets=resets)[0].sum().backward()
    whole = rnn.initial_state.variable[0].grad.clone()
    rnn.zero_grad()
    (rnn(x[:, :2])[0].sum() + rnn(x[:, 2:])[0].sum()).backward()
    torch.testing.assert_close(rnn.initial_state.variable[0].grad, whole)
