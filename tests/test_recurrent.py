"""ContextualRNN computes what its core computes: whole, padded, packed, cut into episodes, and carried on."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from contextual_rnn import (
    MLP,
    ConstantState,
    Context,
    ContextState,
    ContextualRNN,
    ErrorNoise,
    FastWeightsRNN,
    FreeState,
    GaussianState,
    Quantity,
    TrajectorySeeds,
    Unroll,
    detach,
    torch_layout,
)
from contextual_rnn._core.state import leaves, map_state, select_rows

D, B, T = 3, 4, 7


class Memory(NamedTuple):
    matrix: torch.Tensor
    tail: torch.Tensor


class Nested(nn.Module):
    """A user's own core, whose state is an odd nest: time second or first, tuples plain or named."""

    def __init__(self, batch_first=True, named=False):
        super().__init__()
        self.batch_first = batch_first
        self.pair = Memory if named else lambda *items: items
        self.named = named
        self.state_shapes = ((5,), self.pair((5, 3), (2,)))
        self.into, self.back = nn.Linear(D, 5), nn.Linear(22, 5)
        self.memory, self.tail = nn.Linear(5, 15), nn.Linear(5, 2)

    def forward(self, x, state):
        h, memory = state
        matrix, tail = (memory.matrix, memory.tail) if self.named else memory
        outputs = []
        for x_t in x.unbind(1 if self.batch_first else 0):
            h = torch.tanh(self.into(x_t) + self.back(torch.cat([h, matrix.flatten(1), tail], dim=-1)))
            matrix = 0.9 * matrix + self.memory(h).unflatten(1, (5, 3))
            tail = torch.tanh(self.tail(h) + tail)
            outputs.append(h)
        return torch.stack(outputs, dim=1 if self.batch_first else 0), (h, self.pair(matrix, tail))


CORES = {
    "rnn": lambda: nn.RNN(D, 5, batch_first=True),
    "gru, two layers, time first": lambda: nn.GRU(D, 5, 2),
    "lstm": lambda: nn.LSTM(D, 5, batch_first=True),
    "lstm, two layers, bidirectional, projected": lambda: nn.LSTM(
        D, 5, 2, bidirectional=True, proj_size=2, batch_first=True
    ),
    "lstm cell": lambda: nn.LSTMCell(D, 5),
    "gru cell": lambda: nn.GRUCell(D, 5),
    "own": Nested,
    "own, time first": lambda: Nested(batch_first=False),
    "own, named": lambda: Nested(named=True),
}
FORWARD = [name for name in CORES if "bidirectional" not in name]
over_cores = pytest.mark.parametrize("core", CORES.values(), ids=CORES)


def wrap(core):
    """Return the core in float64, starting from a context of two numbers."""
    torch.manual_seed(0)
    return ContextualRNN(core := core(), ContextState(core, MLP(2, [6], activation="tanh"))).double()


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def inputs(rnn, rows=B, steps=T):
    return random(rows, steps, D) if rnn.batch_first else random(steps, rows, D)


def batch_first(rnn, steps):
    """Inputs or outputs of the core's layout, as (B, T, ...)."""
    return steps if rnn.batch_first else steps.transpose(0, 1)


def layout(rnn, steps):
    """Steps (B, T, ...), in the core's layout."""
    return steps if rnn.batch_first else steps.transpose(0, 1)


def states(*trees):
    return [leaf for tree in trees for leaf in leaves(tree)]


def join(trees):
    return map_state(lambda *parts: torch.cat(parts), trees[0], *trees[1:])


def assert_same(one, other):
    """Lists of tensors, equal to 1e-6."""
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def assert_same_gradients(one, other, wanted):
    """Two lists of tensors have equal gradients with respect to `wanted`, whatever comes down to them."""
    torch.manual_seed(1)
    weights = [torch.randn_like(tensor) for tensor in one]
    gradients = [
        torch.autograd.grad(
            sum((w * tensor).sum() for w, tensor in zip(weights, tensors, strict=True)),
            wanted,
            allow_unused=True,
            materialize_grads=True,
            retain_graph=True,
        )
        for tensors in (one, other)
    ]
    assert any(gradient.any() for gradient in gradients[0])
    assert_same(*gradients)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([nn.RNN, nn.GRU, nn.LSTM]),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    first=st.booleans(),
    projected=st.booleans(),
    rows=st.integers(1, 4),
    steps=st.integers(1, 6),
)
def test_given_the_same_start_it_is_the_bare_core(kind, layers, bidirectional, first, projected, rows, steps):
    extra = {"proj_size": 2} if projected and kind is nn.LSTM else {}
    core = kind(D, 5, layers, bidirectional=bidirectional, batch_first=first, **extra).double()
    rnn = ContextualRNN(core, FreeState(core).double())
    x = inputs(rnn, rows, steps).requires_grad_()
    h0 = map_state(lambda leaf: torch.randn_like(leaf).requires_grad_(), rnn.initial_state(rows))

    output, state = rnn(x, state=h0)
    bare, bare_state = core(x, map_state(lambda leaf: leaf.transpose(0, 1).contiguous(), h0))
    bare_state = map_state(lambda leaf: leaf.transpose(0, 1), bare_state)
    assert_same([output, *states(state)], [bare, *states(bare_state)])
    assert_same_gradients([output, *states(state)], [bare, *states(bare_state)], [x, *states(h0), *core.parameters()])


@over_cores
def test_the_start_is_the_initial_state_of_the_context(core):
    rnn = wrap(core)
    x, context = inputs(rnn), random(B, 2)
    output, state = rnn(x, context)
    from_h0, state_from_h0 = rnn(x, state=rnn.initial_state(B, context))
    assert_same([output, *states(state)], [from_h0, *states(state_from_h0)])
    elsewhere, _ = rnn(x, context + 1)
    assert not torch.allclose(batch_first(rnn, output)[:, 0], batch_first(rnn, elsewhere)[:, 0])


def row_by_row(rnn, x, context, lengths):
    """Every row alone, for its own steps: padded outputs (B, T, H) and last states."""
    outputs, last = [], []
    for row, length in enumerate(lengths):
        h0 = rnn.initial_state(1, context[row : row + 1])
        if not length:
            outputs.append(None)
            last.append(h0)
            continue
        output, state = rnn(layout(rnn, batch_first(rnn, x)[row : row + 1, :length]), state=h0)
        output = batch_first(rnn, output)
        outputs.append(torch.cat([output, output.new_zeros(1, T - length, output.shape[2])], dim=1))
        last.append(state)
    width = next((output.shape[2] for output in outputs if output is not None), 0)
    return torch.cat([random(1, T, width) * 0 if output is None else output for output in outputs]), join(last)


@over_cores
@pytest.mark.parametrize("lengths", [[7, 7, 7, 7], [2, 7, 1, 4], [0, 3, 0, 7], [1, 1, 1, 1]])
def test_a_padded_batch_is_its_rows_run_alone(core, lengths):
    rnn = wrap(core)
    x, context = inputs(rnn).requires_grad_(), random(B, 2)
    output, state = rnn(x, context, lengths=lengths)
    expected, last = row_by_row(rnn, x, context, lengths)
    got = [batch_first(rnn, output), *states(state)]
    assert_same(got, [expected, *states(last)])
    assert_same_gradients(got, [expected, *states(last)], [x, *rnn.parameters()])


@over_cores
def test_rows_of_no_steps_keep_their_start_and_give_nothing(core):
    rnn = wrap(core)
    context = random(B, 2)
    output, state = rnn(inputs(rnn), context, lengths=torch.zeros(B, dtype=torch.int32))
    assert not output.any()
    assert_same(states(state), states(rnn.initial_state(B, context)))


@over_cores
@pytest.mark.parametrize("resets", [False, True])
def test_what_is_in_the_padding_never_matters(core, resets):
    rnn = wrap(core)
    resets = torch.rand(B, T) < 0.3 if resets else None
    context, lengths = random(B, 2), [3, 0, 7, 1]
    clean = random(B, T, D)
    padding = torch.arange(T) >= torch.tensor(lengths).view(-1, 1)
    found = []
    for filler in (0.0, float("nan")):
        x = layout(rnn, clean.masked_fill(padding.unsqueeze(-1), filler))
        output, state = rnn(x, context, lengths=lengths, resets=resets)
        loss = output.sum() + sum(leaf.square().sum() for leaf in leaves(state))
        found.append([output, *states(state), *torch.autograd.grad(loss, list(rnn.parameters()))])
    assert all(tensor.isfinite().all() for tensor in found[1])
    assert_same(*found)


@over_cores
@pytest.mark.parametrize("lengths", [[7, 5, 5, 1], [2, 7, 1, 4]], ids=["sorted", "unsorted"])
def test_a_packed_batch_is_the_padded_one(core, lengths):
    rnn = wrap(core)
    x, context = inputs(rnn).requires_grad_(), random(B, 2)
    in_order = sorted(lengths, reverse=True) == lengths
    packed = pack_padded_sequence(x, torch.tensor(lengths), rnn.batch_first, enforce_sorted=in_order)
    output, state = rnn(packed, context)
    assert isinstance(output, PackedSequence)
    assert torch.equal(output.batch_sizes, packed.batch_sizes)
    output, found_lengths = pad_packed_sequence(output, rnn.batch_first)
    assert found_lengths.tolist() == lengths
    padded, last = rnn(x, context, lengths=lengths)
    assert_same([output, *states(state)], [padded, *states(last)])
    assert_same_gradients([output, *states(state)], [padded, *states(last)], [x, *rnn.parameters()])


@pytest.mark.parametrize(
    "core", [nn.LSTM(D, 5, 2, bidirectional=True), Unroll(nn.LSTMCell(D, 5))], ids=["lstm", "cell"]
)
def test_a_packed_batch_is_what_nn_lstm_makes_of_it(core):
    bare = core if isinstance(core, nn.LSTM) else as_lstm(core.cell)
    rnn = ContextualRNN(core, ConstantState(core))
    packed = pack_sequence([torch.randn(length, D) for length in (2, 6, 1, 6)], enforce_sorted=False)
    output, state = rnn(packed)
    expected, last = bare(packed)
    assert_same([output.data], [expected.data])
    for mine, its in zip(output[1:], expected[1:], strict=True):
        assert torch.equal(mine, its)
    last = [leaf.transpose(0, 1).reshape(mine.shape) for leaf, mine in zip(last, state, strict=True)]
    assert_same(states(state), last)


def as_lstm(cell):
    """An nn.RNNBase with the weights of a cell."""
    kind = {nn.LSTMCell: nn.LSTM, nn.GRUCell: nn.GRU, nn.RNNCell: nn.RNN}[type(cell)]
    core = kind(cell.input_size, cell.hidden_size, batch_first=True).to(cell.weight_ih.dtype)
    core.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    return core


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_a_cell_run_over_time_is_the_core_of_its_weights(kind):
    torch.manual_seed(0)
    cell = kind(D, 5).double()
    core = as_lstm(cell)
    x = random(B, T, D).requires_grad_()
    h0 = map_state(lambda leaf: torch.randn_like(leaf).requires_grad_(), ConstantState(cell).double()(B))
    output, state = ContextualRNN(cell, ConstantState(cell))(x, state=h0)
    expected, last = ContextualRNN(core, ConstantState(core))(x, state=map_state(lambda leaf: leaf.unsqueeze(1), h0))
    last = map_state(lambda leaf: leaf.squeeze(1), last)
    assert_same([output, *states(state)], [expected, *states(last)])
    assert_same_gradients([output, *states(state)], [expected, *states(last)], [x, *states(h0)])
    names = [name for name, _ in cell.named_parameters()]
    gradients = [
        torch.autograd.grad(out.square().sum(), [module.get_parameter(name + suffix) for name in names])
        for out, module, suffix in ((output, cell, ""), (expected, core, "_l0"))
    ]
    assert_same(*gradients)


def episodes_alone(rnn, x, context, resets, lengths, state=None):
    """Every episode run alone: outputs (B, T, H) and last states. The context has a row for every episode."""
    x, number, outputs, last = batch_first(rnn, x), 0, [], []
    for row, length in enumerate(lengths):
        starts = [t for t in range(max(length, 1)) if t == 0 or resets[row, t]]
        pieces, final = [], None
        for start, stop in zip(starts, [*starts[1:], length], strict=True):
            carries_on = state is not None and start == 0 and not (resets[row, 0] and length)
            index = torch.tensor([row])
            h0 = select_rows(state, index) if carries_on else rnn.initial_state(1, context[number : number + 1])
            number, final = number + 1, h0
            if length:
                output, final = rnn(layout(rnn, x[row : row + 1, start:stop]), state=h0)
                pieces.append(batch_first(rnn, output))
        outputs.append((torch.cat(pieces, dim=1) if pieces else None, length))
        last.append(final)
    width = next(output.shape[2] for output, _ in outputs if output is not None)
    blank = [random(1, T - length, width) * 0 for _, length in outputs]
    rows = [end if out is None else torch.cat([out, end], 1) for (out, _), end in zip(outputs, blank, strict=True)]
    return torch.cat(rows), join(last)


def count_episodes(resets, lengths):
    return sum(1 + int(resets[row, 1:length].sum()) for row, length in enumerate(lengths))


@over_cores
@pytest.mark.parametrize("lengths", [None, [7, 0, 3, 5]], ids=["whole", "lengths"])
@pytest.mark.parametrize("given_state", [False, True], ids=["fresh", "state"])
@pytest.mark.parametrize("every_episode", [False, True], ids=["by row", "by episode"])
def test_rows_cut_at_resets_are_their_episodes_run_alone(core, lengths, given_state, every_episode):
    rnn = wrap(core)
    resets = torch.tensor(
        [[0, 0, 1, 0, 0, 1, 1], [1, 0, 0, 1, 0, 0, 0], [1, 1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0]], dtype=torch.bool
    )
    ends = lengths or [T] * B
    x = inputs(rnn).requires_grad_()
    per_row = random(B, 2)
    counts = [count_episodes(resets[row : row + 1], [length]) for row, length in enumerate(ends)]
    per_episode = random(sum(counts), 2) if every_episode else per_row.repeat_interleave(torch.tensor(counts), dim=0)
    state = None
    if given_state:
        state = map_state(lambda leaf: torch.randn_like(leaf).requires_grad_(), rnn.initial_state(B, per_row))
    context = per_episode if every_episode else per_row
    output, last = rnn(x, context, state=state, lengths=lengths, resets=resets)
    expected, expected_last = episodes_alone(rnn, x, per_episode, resets, ends, state)
    got = [batch_first(rnn, output), *states(last)]
    assert_same(got, [expected, *states(expected_last)])
    given_leaves = states(state) if given_state else []
    assert_same_gradients(got, [expected, *states(expected_last)], [x, *given_leaves, *rnn.parameters()])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_resets_and_lengths(data):
    rnn = wrap(lambda: nn.GRU(D, 2, batch_first=True))
    rows = data.draw(st.integers(1, 4))
    row = st.lists(st.booleans(), min_size=T, max_size=T)
    resets = torch.tensor(data.draw(st.lists(row, min_size=rows, max_size=rows)))
    lengths = data.draw(st.lists(st.integers(0, T), min_size=rows, max_size=rows).filter(any))
    x, context = random(rows, T, D), random(count_episodes(resets, lengths), 2)
    output, last = rnn(x, context, lengths=lengths, resets=resets)
    expected, expected_last = episodes_alone(rnn, x, context, resets, lengths)
    assert_same([output, last], [expected, expected_last])


def test_no_reset_and_a_state_carry_on_without_a_context():
    rnn = wrap(CORES["lstm"])
    x, h0 = inputs(rnn), rnn.initial_state(B, random(B, 2))
    output, state = rnn(x, state=h0, resets=torch.zeros(B, T))
    expected, last = rnn(x, state=h0)
    assert_same([output, *states(state)], [expected, *states(last)])


def test_every_part_of_a_context_goes_to_its_episode():
    class Sum(nn.Module):
        out_features = 2

        def forward(self, known):
            a, pair = known["a"], known["pair"]
            return a + pair.one + pair.two

    class Known(NamedTuple):
        one: torch.Tensor
        two: torch.Tensor

    core = nn.GRU(D, 5, batch_first=True)
    rnn = ContextualRNN(core, ContextState(core, Sum()))
    resets = torch.rand(B, T) < 0.5
    a, one, two = torch.randn(B, 2), torch.randn(B, 2), torch.randn(B, 2)
    x = torch.randn(B, T, D)
    output, _ = rnn(x, {"a": a, "pair": Known(one, two)}, resets=resets)
    zero = torch.zeros(B, 2)
    expected, _ = rnn(x, {"a": a + one + two, "pair": Known(zero, zero)}, resets=resets)
    assert_same([output], [expected])


@pytest.mark.parametrize("core", [CORES[name] for name in FORWARD], ids=FORWARD)
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_carrying_on_from_a_state_is_the_whole_pass(core, cut):
    rnn = wrap(core)
    x, context = random(B, T, D).requires_grad_(), random(B, 2)
    whole, last = rnn(layout(rnn, x), context)
    head, between = rnn(layout(rnn, x[:, :cut]), context)
    tail, state = rnn(layout(rnn, x[:, cut:]), state=between)
    joined = torch.cat([batch_first(rnn, head), batch_first(rnn, tail)], dim=1)
    one, other = [joined, *states(state)], [batch_first(rnn, whole), *states(last)]
    assert_same(one, other)
    assert_same_gradients(one, other, [x, *rnn.parameters()])


@over_cores
def test_a_single_step(core):
    rnn = wrap(core)
    x, context = inputs(rnn, steps=1), random(B, 2)
    output, state = rnn(x, context)
    assert batch_first(rnn, output).shape[:2] == (B, 1)
    for options in ({"lengths": [1] * B}, {"resets": torch.ones(B, 1)}):
        again, last = rnn(x, context, **options)
        assert_same([output, *states(state)], [again, *states(last)])


@over_cores
@pytest.mark.parametrize("options", [{}, {"lengths": []}, {"resets": torch.zeros(0, T)}], ids=["", "lengths", "resets"])
def test_an_empty_batch(core, options):
    rnn = wrap(core)
    output, state = rnn(inputs(rnn, rows=0), random(0, 2), **options)
    one, one_state = rnn(inputs(rnn, rows=1), random(1, 2))
    assert batch_first(rnn, output).shape == (0, T, one.shape[2])
    assert [leaf.shape[1:] for leaf in leaves(state)] == [leaf.shape[1:] for leaf in leaves(one_state)]
    assert {leaf.shape[0] for leaf in leaves(state)} == {0}


@over_cores
def test_inputs_and_states_that_are_not_contiguous(core):
    rnn = wrap(core)
    x, context = inputs(rnn), random(B, 2)
    h0 = rnn.initial_state(B, context)
    scattered = x.movedim(2, 0).contiguous().movedim(0, 2)
    strided = map_state(lambda leaf: torch.stack([leaf, leaf], dim=-1)[..., 0], h0)
    assert not scattered.is_contiguous()
    for options in ({}, {"lengths": [2, 7, 1, 4]}, {"resets": torch.eye(T)[:B]}):
        output, state = rnn(x, state=h0, **options) if "resets" not in options else rnn(x, context, state=h0, **options)
        known = context if "resets" in options else None
        again, last = rnn(scattered, known, state=strided, **options)
        assert_same([output, *states(state)], [again, *states(last)])


def test_a_core_gets_its_named_tuples_whatever_the_initial_state_makes():
    core = Nested(named=True)
    rnn = ContextualRNN(core, ConstantState(((5,), ((5, 3), (2,)))))
    _, state = rnn(torch.randn(B, T, D))
    assert type(state[1]) is Memory
    rnn(torch.randn(B, T, D), state=(state[0], tuple(state[1])), lengths=[1, 2, 0, 3])


def test_sampling_is_passed_on():
    core = nn.GRU(D, 5, batch_first=True)
    rnn = ContextualRNN(core, GaussianState(FreeState(core))).eval()
    x = torch.randn(1, T, D).expand(B, T, D)
    assert_same([rnn(x)[0][0]], [rnn(x)[0][1]])
    drawn, _ = rnn(x, sample=True, generator=TrajectorySeeds(0))
    assert not torch.allclose(drawn[0], drawn[1])
    alone, _ = rnn(x[:1], sample=True, generator=TrajectorySeeds(0, first=1))
    assert_same([drawn[1:2]], [alone])


def test_every_episode_draws_its_own_start():
    core = nn.GRU(D, 5, batch_first=True)
    rnn = ContextualRNN(core, GaussianState(FreeState(core)))
    output, _ = rnn(torch.zeros(1, 4, D), resets=torch.ones(1, 4))
    assert len({tuple(step.tolist()) for step in output[0]}) == 4


ERRORS = {
    "two dimensions": (lambda x, _: ((x[0],), {}), r"x must have three dimensions.*found shape \(7, 3\)"),
    "no steps": (lambda x, _: ((x[:, :0],), {}), r"at least one time step; found shape \(4, 0, 3\)"),
    "too few lengths": (lambda x, _: ((x,), {"lengths": [1, 2]}), r"lengths must be 4 integers.*\(2,\)"),
    "lengths that are no integers": (lambda x, _: ((x,), {"lengths": [1.0] * 4}), "lengths must be 4 integers"),
    "a length past the end": (lambda x, _: ((x,), {"lengths": [1, 8, 2, 3]}), "0 to 7.*found 1 to 8"),
    "a length below zero": (lambda x, _: ((x,), {"lengths": [1, -1, 2, 3]}), "0 to 7.*found -1 to 3"),
    "resets of another shape": (
        lambda x, _: ((x,), {"resets": torch.zeros(7, 4)}),
        r"resets must be \(batch, time\) = \(4, 7\); found shape \(7, 4\)",
    ),
    "a context and a state": (
        lambda x, h0: ((x, torch.zeros(4, 2)), {"state": h0}),
        "context and state are both given",
    ),
    "a state of another shape": (
        lambda x, h0: ((x,), {"state": h0[0]}),
        r"shape \(4, 1, 5\); expected \(\(4, 1, 5\), \(4, 1, 5\)\)",
    ),
    "a state of nn.LSTM's layout": (
        lambda x, h0: ((x,), {"state": tuple(leaf.transpose(0, 1) for leaf in h0)}),
        r"shape \(\(1, 4, 5\), \(1, 4, 5\)\); expected \(\(4, 1, 5\), \(4, 1, 5\)\) \(batch first",
    ),
    "a state of another batch, with resets": (
        lambda x, h0: ((x,), {"state": tuple(leaf[:2] for leaf in h0), "resets": torch.zeros(4, 7)}),
        r"shape \(\(2, 1, 5\), \(2, 1, 5\)\); expected \(\(4, 1, 5\)",
    ),
    "packed, with lengths": (
        lambda x, _: ((pack_padded_sequence(x, [7] * 4, True), torch.zeros(4, 2)), {"lengths": [7] * 4}),
        "cannot be given with a PackedSequence",
    ),
    "packed, with resets": (
        lambda x, _: ((pack_padded_sequence(x, [7] * 4, True), torch.zeros(4, 2)), {"resets": torch.zeros(4, 7)}),
        "cannot be given with a PackedSequence",
    ),
    "a context of neither the batch nor the episodes": (
        lambda x, _: ((x, torch.zeros(5, 2)), {"resets": torch.eye(7)[1:5]}),
        "context has 5 rows; expected 4, one for each row of the batch, or 8, one for each episode",
    ),
    "no context for a fresh episode": (
        lambda x, h0: ((x,), {"state": h0, "resets": torch.eye(7)[1:5]}),
        "function of context, but no context was given",
    ),
    "a context of another batch": (lambda x, _: ((x, torch.zeros(3, 2)), {}), "one row for each of the 4 sequences"),
}


@pytest.mark.parametrize(("call", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_say_what_would_be_right(call, message):
    rnn = wrap(CORES["lstm"]).float()
    x, h0 = torch.randn(B, T, D), rnn.initial_state(B, torch.zeros(B, 2))
    arguments, options = call(x, h0)
    with pytest.raises(ValueError, match=message):
        rnn(*arguments, **options)


def test_an_initial_state_of_another_core_is_refused():
    with pytest.raises(ValueError, match=r"made for a core of state shapes \(1, 5\); this core has \(2, 5\)"):
        ContextualRNN(nn.GRU(D, 5, 2), FreeState(nn.GRU(D, 5)))


def test_an_initial_state_that_makes_a_wrong_shape_is_refused():
    class Wrong(ConstantState):
        def forward(self, batch_size, context=None, *, sample=None, generator=None):
            return torch.zeros(1, batch_size, 5)

    core = nn.GRU(D, 5, batch_first=True)
    with pytest.raises(ValueError, match=r"has shape \(1, 4, 5\); expected \(4, 1, 5\)"):
        ContextualRNN(core, Wrong(core))(torch.randn(B, T, D))


class Adding(nn.Module):
    """A cell, which reads one step."""

    state_shapes = (3,)

    def forward(self, x, state):
        return x + state, x + state


def test_a_cell_that_is_taken_for_a_core_is_told_to_be_wrapped():
    cell = Adding()
    rnn = ContextualRNN(cell, ConstantState(cell))
    with pytest.raises(ValueError, match="a cell, which reads one step, is wrapped in Unroll"):
        rnn(torch.zeros(3, 3, 3))  # of which the state has the shape (3, 3), as the batch and the steps
    unrolled = Unroll(cell)
    assert ContextualRNN(unrolled, ConstantState(unrolled))(torch.ones(3, 3, 3))[1].eq(3).all()


def test_a_number_is_no_generator():
    core = nn.GRU(1, 2, batch_first=True)
    with pytest.raises(TypeError, match=r"torch.Generator or TrajectorySeeds\(7\); found 7"):
        FreeState(core, noise=1.0)(3, generator=7)


def test_a_state_that_is_given_as_a_context_is_refused_where_no_context_is_used():
    x = torch.randn(4, 5, 3)
    for core in (nn.LSTM(3, 6, 2, batch_first=True), nn.GRU(3, 6, 2, batch_first=True), FastWeightsRNN(3, 6)):
        for start in (ConstantState(core), GaussianState(ErrorNoise(FreeState(core)))):
            rnn = ContextualRNN(core, start).eval()
            output, state = rnn(x)
            layouts = [state] if isinstance(core, FastWeightsRNN) else [state, torch_layout(state)]
            for continued in layouts:
                with pytest.raises(
                    ValueError, match=r"to continue from a state, give it as `state`: rnn\(x, state=state"
                ):
                    rnn(x, continued)
            assert torch.equal(rnn(x, torch.randn(4, 6))[0], output)  # a context that the kind does not use
            assert not torch.equal(rnn(x, state=state)[0], output)
    core = nn.LSTM(3, 6, batch_first=True)
    reads_a_state = ContextState(core, SumOfState())
    ContextualRNN(core, reads_a_state)(x, (torch.randn(4, 1, 6), torch.randn(4, 1, 6)))
    with pytest.raises(ValueError, match="found a tuple; to continue from a state, give it as `state`"):
        ContextualRNN(core, ContextState(core, Context(a=Quantity(mean=0.0, deviation=1.0))))(
            x, (torch.randn(4, 1, 6), torch.randn(4, 1, 6))
        )


class SumOfState(nn.Module):
    out_features = 6

    def forward(self, state):
        return state[0][:, 0] + state[1][:, 0]


def test_an_error_in_a_core_of_ones_own_is_told_how_it_was_called():
    class Cell(nn.Module):
        state_shapes = (6,)

        def __init__(self):
            super().__init__()
            self.map = nn.Linear(9, 6)

        def forward(self, x, h):
            return self.map(torch.cat([x, h], dim=1))

    cell = Cell()
    with pytest.raises(RuntimeError) as caught:
        ContextualRNN(cell, FreeState(cell))(torch.randn(4, 5, 3))
    assert caught.value.__notes__ == [
        "Cell was called as a core, with x (4, 5, 3) and a state of (4, 6); a cell, which reads one step, is wrapped in "
        "Unroll"
    ]


@pytest.mark.parametrize("kind", [GaussianState, ErrorNoise])
def test_a_base_that_is_no_initial_state_is_refused(kind):
    with pytest.raises(ValueError, match=r"is an initial state, such as FreeState\(core\); found a LSTM"):
        kind(nn.LSTM(3, 6))


def test_no_state_stays_none_where_it_is_detached():
    assert detach(None) is None
