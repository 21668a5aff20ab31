"""State trees: the shapes of every core's state, and what is done to states, nest by nest."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import contextual_rnn
from contextual_rnn import ContextState, ContextualRNN, FreeState, Unroll, state_shapes, torch_layout
from contextual_rnn._core.state import check_state, detach, leaves, map_state, move, select_rows, where_rows

NEST = ((5,), ((5, 3), (2,)))


class Pair(NamedTuple):
    h: object
    c: object


def a_state(rows=4):
    def leaf(*shape):
        return torch.randn(rows, *shape, requires_grad=True)

    return leaf(5), Pair(leaf(5, 3), leaf(2))


@given(st.sampled_from([nn.RNN, nn.GRU, nn.LSTM]), st.integers(1, 4), st.integers(1, 3), st.booleans(), st.booleans())
def test_shapes_are_those_of_the_state_that_the_core_returns(kind, hidden, layers, bidirectional, batch_first):
    core = kind(2, hidden, layers, bidirectional=bidirectional, batch_first=batch_first)
    x = torch.zeros((7, 3, 2) if batch_first else (3, 7, 2))
    found = map_state(lambda leaf: (leaf.shape[0], leaf.shape[2]), core(x)[1])
    assert state_shapes(core) == found


@pytest.mark.parametrize("bidirectional", [False, True])
def test_shapes_with_projections_differ_between_h_and_c(bidirectional):
    core = nn.LSTM(2, 6, 2, proj_size=3, bidirectional=bidirectional)
    assert state_shapes(core) == (((4, 3), (4, 6)) if bidirectional else ((2, 3), (2, 6)))


@pytest.mark.parametrize(
    ("cell", "shapes"),
    [(nn.RNNCell(2, 3), (3,)), (nn.GRUCell(2, 3), (3,)), (nn.LSTMCell(2, 3), ((3,), (3,)))],
)
def test_shapes_of_cells_alone_and_unrolled(cell, shapes):
    assert state_shapes(cell) == shapes
    assert state_shapes(Unroll(cell)) == shapes


def test_shapes_of_a_users_own_core():
    core = nn.Identity()
    core.state_shapes = NEST
    assert state_shapes(core) == NEST == state_shapes(NEST)


def test_a_module_that_is_no_core_is_refused_by_name():
    with pytest.raises(TypeError, match="Linear is not a recurrent core: it has no attribute state_shapes"):
        state_shapes(nn.Linear(2, 3))


@pytest.mark.parametrize("bad", [5, [(5,)], ((5,), 3), ((5,), "x"), (2.0,)])
def test_shapes_that_are_no_nest_are_refused(bad):
    core = nn.Identity()
    core.state_shapes = bad
    with pytest.raises(TypeError, match="nested tuple of sizes"):
        state_shapes(core)


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(4, 5),
        (torch.zeros(4, 5), torch.zeros(4, 5, 3)),
        (torch.zeros(4, 5), (torch.zeros(4, 3, 5), torch.zeros(4, 2))),
        (torch.zeros(3, 5), (torch.zeros(3, 5, 3), torch.zeros(3, 2))),
        (torch.zeros(4, 5), [torch.zeros(4, 5, 3), torch.zeros(4, 2)]),
    ],
)
def test_a_state_of_a_wrong_shape_is_refused_naming_both_shapes(bad):
    with pytest.raises(ValueError, match=r"has shape .*; expected \(\(4, 5\), \(\(4, 5, 3\), \(4, 2\)\)\)") as error:
        check_state(bad, NEST, 4)
    first = bad if isinstance(bad, torch.Tensor) else bad[0]
    assert str(tuple(first.shape)) in str(error.value).split("; expected ")[0]


def test_a_state_of_the_right_shape_is_accepted():
    check_state(a_state(4), NEST, 4)


def test_map_goes_leaf_by_leaf_and_keeps_named_tuples():
    state = a_state()
    doubled = map_state(lambda a, b: a + b, state, state)
    assert type(doubled) is tuple
    assert type(doubled[1]) is Pair
    for got, leaf in zip(leaves(doubled), leaves(state), strict=True):
        assert torch.equal(got, 2 * leaf)


def test_map_refuses_nests_that_differ():
    with pytest.raises(ValueError, match="shorter"):
        map_state(torch.add, (torch.zeros(1), torch.zeros(1)), (torch.zeros(1),))


@pytest.mark.parametrize("index", [torch.tensor([2, 0, 2]), torch.tensor([True, False, True, False])])
def test_select_rows(index):
    state = a_state()
    picked = select_rows(state, index)
    rows = index.nonzero()[:, 0] if index.dtype == torch.bool else index
    for got, leaf in zip(leaves(picked), leaves(state), strict=True):
        assert torch.equal(got, torch.stack([leaf[row] for row in rows]))


def test_where_rows_takes_whole_rows():
    one, other = a_state(), a_state()
    mixed = where_rows(torch.tensor([True, False, False, True]), one, other)
    for got, a, b in zip(leaves(mixed), leaves(one), leaves(other), strict=True):
        assert torch.equal(got, torch.stack([a[0], b[1], b[2], a[3]]))


def test_detach_cuts_the_graph_and_nothing_else():
    state = a_state()
    for got, leaf in zip(leaves(detach(state)), leaves(state), strict=True):
        assert not got.requires_grad
        assert torch.equal(got, leaf)


def test_move_changes_the_dtype_of_every_leaf():
    moved = move(a_state(), torch.float64)
    assert [leaf.dtype for leaf in leaves(moved)] == [torch.float64] * 3


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_torch_layout_is_the_one_that_a_bare_core_takes(kind):
    core = kind(2, 3, 2, batch_first=True)  # B = L, where the wrong layout is not an error
    rnn, x = ContextualRNN(core, ContextState(core, nn.Linear(2, 4))), torch.randn(2, 5, 2)
    context = torch.randn(2, 2)
    output, state = rnn(x, context)
    bare, last = core(x, torch_layout(rnn.start(2, context)))
    torch.testing.assert_close([bare, *leaves(last)], [output, *leaves(torch_layout(state))])


def test_torch_layout_refuses_what_has_no_layers():
    with pytest.raises(ValueError, match=r"tensors \(batch, layers, units\); found \(4, 3\)"):
        torch_layout((torch.zeros(4, 3), torch.zeros(4, 3)))
    with pytest.raises(ValueError, match="found list"):
        torch_layout([torch.zeros(4, 1, 3)])


def test_a_state_of_another_dtype_is_refused_by_name():
    with pytest.raises(ValueError, match=r"has dtype torch.float32; expected torch.float64"):
        check_state(a_state(4), NEST, 4, torch.float64)
    check_state((torch.zeros(4, dtype=torch.long), torch.zeros(4, 2)), ((), (2,)), 4, torch.float32)


def test_truncated_back_propagation_by_the_public_names():
    core = nn.GRU(2, 3, batch_first=True)
    rnn = ContextualRNN(core, FreeState(core))
    _, state = rnn(torch.randn(4, 5, 2))
    output, _ = rnn(torch.randn(2, 5, 2), state=contextual_rnn.detach(contextual_rnn.select_rows(state, [0, 2])))
    output.sum().backward()
    assert all(parameter.grad is None for parameter in rnn.initial_state.parameters())
