"""Attention: weights over what is there, scores by their equations, and their gradients."""

from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contextual_rnn.seq2seq import AdditiveAttention, MultiplicativeAttention, additive_scores

ATTENTIONS = {
    "additive": lambda q, m: AdditiveAttention(q, m, 3),
    "general": lambda q, m: MultiplicativeAttention(q, m),
    "dot": lambda q, m: MultiplicativeAttention(m, m, "dot"),
    "scaled": lambda q, m: MultiplicativeAttention(m, m, "scaled"),
}


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(sorted(ATTENTIONS)), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.data())
def test_weights_are_a_distribution_over_what_is_there(kind, size, steps, sources, data):
    torch.manual_seed(0)
    attention = ATTENTIONS[kind](4, 6).double()
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, sources), min_size=size, max_size=size)))
    mask = torch.arange(sources) < lengths.unsqueeze(1)
    query, memory = torch.randn(size, steps, attention.query_size).double(), torch.randn(size, sources, 6).double()
    read, weights = attention(query, attention.keys(memory), memory, mask)
    assert weights.shape == (size, steps, sources)
    assert not weights[~mask.unsqueeze(1).expand_as(weights)].any()
    torch.testing.assert_close(weights.sum(2), (lengths > 0).double().unsqueeze(1).expand(size, steps))
    for row, length in enumerate(lengths.tolist()):
        if length:
            short = memory[row : row + 1, :length]
            alone, _ = attention(query[row : row + 1], attention.keys(short), short, mask[row : row + 1, :length])
            torch.testing.assert_close(alone[0], read[row])
    changed = memory.masked_fill(~mask.unsqueeze(2), 1e6)
    torch.testing.assert_close(attention(query, attention.keys(changed), changed, mask)[0], read)


def test_scores_are_those_of_their_equations():
    query, memory = torch.randn(2, 3, 4).double(), torch.randn(2, 5, 4).double()
    one = AdditiveAttention(4, 4, 6).double()
    q, m = query[0, 1], memory[0, 2]
    right = one.score.weight[0] @ torch.tanh(one.query.weight @ q + one.key.weight @ m + one.key.bias)
    torch.testing.assert_close(one.scores(query, one.keys(memory))[0, 1, 2], right)
    for kind, right in (("dot", q @ m), ("scaled", q @ m / 2)):
        one = MultiplicativeAttention(4, 4, kind).double()
        torch.testing.assert_close(one.scores(query, one.keys(memory))[0, 1, 2], right)
    one = MultiplicativeAttention(4, 4).double()
    torch.testing.assert_close(one.scores(query, one.keys(memory))[0, 1, 2], q @ one.key.weight @ m)


@settings(max_examples=25, deadline=None)
@given(sizes=st.tuples(*[st.integers(0, 5)] * 3, st.integers(1, 4)), limit=st.sampled_from([1, 20, 10**6]))
def test_additive_scores_and_their_gradients_are_the_references(sizes, limit):
    rows, steps, sources, width = sizes
    shapes = (rows, steps, width), (rows, sources, width), (width,)
    with mock.patch.object(additive_scores, "IN_CACHE", limit):
        given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
        toward = torch.randn(rows, steps, sources, dtype=torch.float64)
        found = additive_scores.AdditiveScores.apply(*given)
        gradients = torch.autograd.grad(found, given, toward)
    expected = additive_scores.reference_scores(*given)
    assert torch.allclose(found, expected, rtol=1e-12)
    for one, other in zip(gradients, torch.autograd.grad(expected, given, toward), strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("dtype", "size", "rtol"), [(torch.float32, 1.0, 1e-6), (torch.bfloat16, 1e-3, 0.01)])
def test_additive_scores_lose_no_places_to_their_speed(dtype, size, rtol):
    given = [size * torch.randn(shape).to(dtype) for shape in ((2, 3, 32), (2, 4, 32))] + [torch.ones(32, dtype=dtype)]
    found = additive_scores.AdditiveScores.apply(*given)
    wide = additive_scores.reference_scores(*[one.double() for one in given])
    assert torch.allclose(found.double(), wide, rtol=rtol, atol=32 * size * rtol)


@pytest.mark.parametrize("limit", [1, 10**6])  # queries one by one, and all at once
def test_gradients_of_additive_scores_add_up_in_half_precision(limit):
    torch.manual_seed(0)
    given = [0.1 * torch.randn(1, size, 32) for size in (600, 3)] + [torch.ones(32)]
    gradients = []
    for dtype in (torch.bfloat16, torch.float64):
        tensors = [one.bfloat16().to(dtype).requires_grad_() for one in given]
        with mock.patch.object(additive_scores, "IN_CACHE", limit):
            found = additive_scores.AdditiveScores.apply(*tensors)
            gradients.append(torch.autograd.grad(found, tensors, torch.ones_like(found)))
    for narrow, wide in zip(*gradients, strict=True):
        assert narrow.dtype == torch.bfloat16
        assert (narrow.double() - wide).norm() < 0.02 * wide.norm()


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_gradients_of_attention(kind):
    attention = ATTENTIONS[kind](4, 4).double()
    query, memory = (torch.randn(2, steps, 4).double().requires_grad_() for steps in (2, 3))
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert torch.autograd.gradcheck(lambda q, m: attention(q, attention.keys(m), m, mask), (query, memory))
