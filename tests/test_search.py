"""Searches: what they find is the best there is, does not depend on the company, and costs no more than it must."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contextual_rnn._core.categorical import draw_category
from contextual_rnn._core.noise import TrajectorySeeds
from contextual_rnn.seq2seq import Ensemble, beam, better, greedy, sample
from contextual_rnn.seq2seq.search import largest

V, START, END = 4, 0, 1


class Chain:
    """A model with a hidden state: what comes next depends on the source, the last token and how many came before."""

    def __init__(self, seed=0, sources=8, longest=12):
        generator = torch.Generator().manual_seed(seed)
        self.table = torch.randn(sources, longest, V, V, generator=generator, dtype=torch.float64).log_softmax(3)
        self.rows = 0

    def __call__(self, tokens, state):
        source, count = state
        self.rows += len(tokens)
        return self.table[source, count, tokens], (source, count + 1)

    def state(self, sources):
        return torch.tensor(sources), torch.zeros(len(sources), dtype=torch.long)

    def log_prob(self, source, tokens):
        last, total = START, 0.0
        for place, token in enumerate(tokens):
            total += float(self.table[source, place, last, token])
            last = token
        return total


OPTIONS = {"start": START, "end": END, "max_steps": 4}


def every(chain, source, longest=4):
    """All sequences, with the end where there is room for one, best first."""
    others = [token for token in range(V) if token != END]
    full = [[*body, END] for length in range(longest) for body in itertools.product(others, repeat=length)]
    full += [list(body) for body in itertools.product(others, repeat=longest)]
    return sorted(((chain.log_prob(source, one), one) for one in full), reverse=True)


@given(st.integers(0, 10**6), st.integers(1, 9), st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_largest_are_those_of_a_stable_sort(seed, count, has_ties):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(5, 9, generator=generator)
    values = values.round() if has_ties else values
    values[0, 3:] = float("-inf")
    ranked, index = values.sort(dim=1, descending=True, stable=True)
    found = largest(values, count)
    assert torch.equal(found[0], ranked[:, :count])
    assert torch.equal(found[1], index[:, :count])


def test_a_bonus_is_added_to_the_score_of_what_ends():
    chain = Chain()

    def bonus(state):
        return -0.5 * state[1] + 0.1 * state[0]  # state after the step: sources, and the number of steps

    found = beam(chain, chain.state([0, 1]), 2, width=200, n_best=5, alpha=0.7, bonus=bonus, **OPTIONS)
    for source in range(2):
        right = [(p / len(one) ** 0.7 - 0.5 * len(one) + 0.1 * source, p) for p, one in every(chain, source)]
        for rank, (score, log_prob) in enumerate(sorted(right, reverse=True)[:5]):
            assert float(found.scores[source, rank]) == pytest.approx(score)
            assert float(found.log_probs[source, rank]) == pytest.approx(log_prob)


@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_a_wide_beam_finds_the_best_of_all(alpha):
    chain = Chain()
    found = beam(chain, chain.state([0, 1, 2]), 3, width=200, n_best=5, alpha=alpha, **OPTIONS)
    for source in range(3):
        right = sorted(((p / len(one) ** alpha, p, one) for p, one in every(chain, source)), reverse=True)[:5]
        for rank, (score, log_prob, tokens) in enumerate(right):
            body = [token for token in tokens if token != END]
            length = int(found.lengths[source, rank])
            assert found.tokens[source, rank, :length].tolist() == body
            assert float(found.log_probs[source, rank]) == pytest.approx(log_prob)
            assert float(found.scores[source, rank]) == pytest.approx(score)
            assert bool(found.ended[source, rank]) is (END in tokens)


@settings(deadline=None)
@given(st.integers(0, 50), st.lists(st.integers(0, 7), min_size=1, max_size=6), st.integers(1, 5), st.integers(1, 4))
def test_company_and_order_change_nothing(seed, sources, width, split):
    chain = Chain(seed)

    def run(some, at):
        size = len(some)
        return [
            greedy(chain, chain.state(some), size, alpha=0.5, **OPTIONS),
            beam(chain, chain.state(some), size, width=width, alpha=0.5, n_best=width, **OPTIONS),
            sample(chain, chain.state(some), size, first_row=at, **OPTIONS),
        ]

    whole, parts = run(sources, 0), [run(sources[at : at + split], at) for at in range(0, len(sources), split)]
    for number, one in enumerate(whole):
        for name in ("tokens", "lengths", "log_probs", "scores", "ended"):
            assert torch.equal(getattr(one, name), torch.cat([getattr(part[number], name) for part in parts]))
    turned = beam(chain, chain.state(sources[::-1]), len(sources), width=width, alpha=0.5, n_best=width, **OPTIONS)
    assert torch.equal(turned.tokens.flip(0), whole[1].tokens)


@settings(deadline=None)
@given(st.integers(0, 100))
def test_a_beam_of_one_is_greedy(seed):
    chain, sources = Chain(seed), list(range(8))
    one, other = (
        greedy(chain, chain.state(sources), 8, **OPTIONS),
        beam(chain, chain.state(sources), 8, width=1, **OPTIONS),
    )
    assert torch.equal(one.tokens, other.tokens)
    assert torch.equal(one.lengths, other.lengths)
    torch.testing.assert_close(one.scores, other.scores)


@settings(deadline=None)
@given(st.integers(0, 30))
def test_n_best_are_sorted_and_differ(seed):
    chain = Chain(seed)
    found = beam(chain, chain.state([0, 1]), 2, width=4, n_best=4, **OPTIONS)
    for row in range(2):
        known = [rank for rank in range(4) if found.scores[row, rank] > -math.inf]
        scores = found.scores[row, known]
        assert torch.equal(scores, scores.sort(descending=True).values)
        texts = {(tuple(found.tokens[row, rank].tolist()), int(found.lengths[row, rank])) for rank in known}
        assert len(texts) == len(known) >= 1


def test_where_greedy_is_better_its_sequence_is_returned():
    chain = Chain(sources=1)
    table = torch.full((1, 12, V, V), -20.0, dtype=torch.float64)
    # The likeliest first token leads to a good sequence; a beam of two is filled by short ones of lower score.
    table[0, 0, START] = torch.tensor([-20.0, -1.0, -0.6, -20.0])
    table[0, 1, 2] = torch.tensor([-20.0, -1.2, -0.5, -20.0])
    table[0, 2, 2] = torch.tensor([-20.0, -0.01, -20.0, -20.0])
    chain.table = table
    one = greedy(chain, chain.state([0]), 1, alpha=1.0, **OPTIONS)
    two = beam(chain, chain.state([0]), 1, width=2, alpha=1.0, **OPTIONS)
    assert one.texts() == [[2, 2]]
    assert two.scores[0, 0] < one.scores[0, 0]
    assert better(two, one).texts() == [[2, 2]]
    assert better(one, two).texts() == [[2, 2]]


def test_what_has_ended_costs_nothing_more():
    chain = Chain(sources=8)
    chain.table[1:, 0, START] = torch.tensor([-50.0, 0.0, -50.0, -50.0])  # seven of eight end at once
    chain.table[0, :, :, END] = -50
    greedy(chain, chain.state(range(8)), 8, **OPTIONS)
    assert chain.rows == 8 + 3
    chain.rows = 0
    beam(chain, chain.state(range(8)), 8, width=2, **OPTIONS)
    assert chain.rows <= 2 * (8 + 8 + 2 * 8)


def test_samples_follow_the_model_and_its_temperature():
    chain = Chain(sources=1)
    found = sample(chain, chain.state([0] * 4000), 4000, **OPTIONS)
    first = torch.where(found.lengths[:, 0] > 0, found.tokens[:, 0, 0], END)
    share = torch.bincount(first, minlength=V).double() / 4000
    assert (share - chain.table[0, 0, START].exp()).abs().max() < 0.04
    warm = sample(chain, chain.state([0] * 4000), 4000, temperature=2.0, **OPTIONS)
    first = torch.where(warm.lengths[:, 0] > 0, warm.tokens[:, 0, 0], END)
    share, flat = torch.bincount(first, minlength=V).double() / 4000, (chain.table[0, 0, START] / 2).softmax(0)
    assert (share - flat).abs().max() < 0.04
    assert (chain.table[0, 0, START].exp() - flat).abs().max() > 0.1  # so that the two can be told apart
    for temperature in (0.0, 5e-324):
        cold = sample(chain, chain.state([0] * 5), 5, temperature=temperature, **OPTIONS)
        assert cold.texts() == greedy(chain, chain.state([0] * 5), 5, **OPTIONS).texts()
    best = chain.table[0, 0, START].topk(2).indices.tolist()
    few = sample(chain, chain.state([0] * 500), 500, top_k=2, **OPTIONS)
    assert set(torch.where(few.lengths[:, 0] > 0, few.tokens[:, 0, 0], END).tolist()) == set(best)
    assert found.texts() != sample(chain, chain.state([0] * 4000), 4000, seed=1, **OPTIONS).texts()


def test_of_equal_tokens_the_first_are_the_likeliest():
    def step(tokens, state):
        return torch.tensor([1.0, 3.0, 1.0, 1.0, 0.0]).log_softmax(0).expand(len(tokens), -1), state

    found = sample(step, torch.zeros(500, 1), 500, start=0, end=4, max_steps=1, top_k=2)
    assert set(found.tokens.flatten().tolist()) == {0, 1}


def test_many_categories_are_drawn_in_their_shares_in_half_precision_too():
    logits = torch.randn(400, generator=torch.Generator().manual_seed(0)).bfloat16()
    shares, count = logits.double().softmax(0), 40_000

    def step(tokens, state):
        return logits.log_softmax(0).expand(len(tokens), -1), state

    found = sample(step, torch.zeros(count, 1), count, start=0, end=399, max_steps=1)
    drawn = torch.where(found.lengths[:, 0] > 0, found.tokens[:, 0, 0], 399)
    distance = (torch.bincount(drawn, minlength=400) / count - shares).abs().sum() / 2
    assert distance < 0.06  # of 40,000 exact draws .03; summed in bfloat16, .18
    drawn = draw_category(logits.expand(count, -1), TrajectorySeeds(0).uniform(count, 1)[:, 0])
    assert (torch.bincount(drawn, minlength=400) / count - shares).abs().sum() / 2 < 0.06


def test_a_category_that_cannot_be_is_never_drawn():
    logits = torch.randn(300, 1000, generator=torch.Generator().manual_seed(0))
    logits[:, -1] = -math.inf
    assert (draw_category(logits, torch.full((300,), 1 - 2.0**-24)) < 999).all()


def test_an_ensemble_averages_probabilities():
    chains = [Chain(seed) for seed in range(3)]
    both = Ensemble(chains)
    states = tuple(chain.state([2]) for chain in chains)
    log_probs, _ = both(torch.tensor([START]), states)
    mean = torch.stack([chain.table[2, 0, START].exp() for chain in chains]).mean(0)
    torch.testing.assert_close(log_probs[0].exp(), mean, rtol=0, atol=1e-14)  # nothing in between is in float32
    found = beam(both, states, 1, width=3, **OPTIONS)
    assert found.scores[0, 0] > -math.inf


@pytest.mark.parametrize(
    ("search", "options", "said"),
    [
        (beam, {"width": 2, "n_best": 3}, "n_best must be between 1 and the width of the beam, 2; found 3"),
        (sample, {"temperature": -1.0}, "temperature must be at least 0"),
        (sample, {"temperature": math.nan}, "temperature must be at least 0 and finite.*found nan"),
        (sample, {"top_k": 0}, "top_k at least 1"),
        (greedy, {"max_steps": 0}, "max_steps must be at least 1; found 0"),
        (beam, {"width": 2, "end": 99}, "end must be from 0 to ., a token that the step predicts; found 99"),
        (sample, {"end": -1}, "end must be from 0 to ., a token that the step predicts; found -1"),
        (greedy, {"size": 2}, "size must be 1, the number of rows of the state; found 2"),
    ],
)
def test_bad_arguments_get_one_sentence(search, options, said):
    chain = Chain()
    with pytest.raises(ValueError, match=said):
        search(chain, chain.state([0]), **{"size": 1, **OPTIONS, **options})
