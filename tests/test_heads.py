"""Heads: their losses are those of the distributions they name, and what they draw follows these."""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import MultivariateNormal

from contextual_rnn import CategoryHead, ChangeHead, GaussianHead, MixtureHead, TrajectorySeeds


def test_a_gaussian_is_the_multivariate_normal():
    head = GaussianHead(4, 3).double()
    hidden, target = torch.randn(2, 5, 4).double(), torch.randn(2, 5, 3).double()
    one = head(hidden).component_distribution
    right = MultivariateNormal(one.mean[..., 0, :], covariance_matrix=one.covariance_matrix[..., 0, :, :])
    torch.testing.assert_close(head.loss(hidden, target), -right.log_prob(target))
    assert (one.covariance_matrix[..., 0, 1] != 0).all()


def test_a_mixture_is_the_sum_of_its_parts():
    head = MixtureHead(4, 2, components=3, change=True).double()
    hidden, target, last = (torch.randn(7, size).double() for size in (4, 2, 2))
    found = head(hidden, last)
    density = sum(
        found.mixture_distribution.probs[:, k]
        * MultivariateNormal(
            found.component_distribution.mean[:, k], found.component_distribution.covariance_matrix[:, k]
        )
        .log_prob(target)
        .exp()
        for k in range(3)
    )
    torch.testing.assert_close(head.loss(hidden, target, last).neg().exp(), density)
    torch.testing.assert_close(head(hidden, last).mean, head(hidden, last * 0).mean + last)


@pytest.mark.parametrize(
    "head", [GaussianHead(3, 2), MixtureHead(3, 2, 2, change=True), ChangeHead(3, [-1, 0], [1, 3])]
)
def test_gradients_of_the_loss(head):
    head = head.double()
    hidden, target, last = (torch.randn(4, size).double().requires_grad_() for size in (3, 2, 2))
    assert torch.autograd.gradcheck(lambda *a: head.loss(a[0], a[1], a[2]), (hidden, target, last))


def test_a_mixture_far_from_its_data_has_a_finite_loss():
    head = MixtureHead(3, 2, 4)
    loss = head.loss(torch.randn(5, 3) * 1e3, torch.full((5, 2), 1e4))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert head.linear.weight.grad.isfinite().all()


def test_a_category_is_the_softmax():
    head = CategoryHead(4, 6)
    hidden, target = torch.randn(2, 5, 4), torch.randint(6, (2, 5))
    torch.testing.assert_close(head.loss(hidden, target), -head(hidden).log_prob(target))


def test_draws_follow_the_distribution():
    torch.manual_seed(0)
    uniform = TrajectorySeeds(0).uniform(20_000, 3)
    hidden, last = torch.randn(1, 4).expand(20_000, -1), torch.zeros(20_000, 2)
    mixture = MixtureHead(4, 2, 3)
    with torch.no_grad():
        drawn, right = mixture.sample(hidden, last, uniform), mixture(hidden[:1])
        same = right.expand((20_000,)).sample()
        for number in range(2):
            assert stats.ks_2samp(drawn[:, number], same[:, number]).pvalue > 1e-3
        torch.testing.assert_close(drawn.T.cov(), same.T.cov(), rtol=0.1, atol=0.03)
        category = CategoryHead(4, 5)
        found = torch.bincount(category.sample(hidden, None, uniform), minlength=5)
        share = category(hidden[0]).probs.double()
        assert stats.chisquare(found, 20_000 * share / share.sum()).pvalue > 1e-3


def test_temperature_goes_from_the_mode_to_the_distribution():
    mixture, category = MixtureHead(4, 2, 3), CategoryHead(4, 5)
    hidden, uniform = torch.randn(50, 4), TrajectorySeeds(0).uniform(50, 3)
    parts = mixture(hidden)
    likeliest = parts.mixture_distribution.probs.argmax(1)
    mode = parts.component_distribution.mean[torch.arange(50), likeliest]
    torch.testing.assert_close(mixture.sample(hidden, None, uniform, 0), mode)
    torch.testing.assert_close(mixture.sample(hidden, None, uniform, 1e-8), mode, rtol=0, atol=1e-2)
    assert (category.sample(hidden, None, uniform, 0) == category(hidden).probs.argmax(1)).all()
    assert (category.sample(hidden, None, uniform, 1e-8) == category(hidden).probs.argmax(1)).all()


def test_the_change_is_scaled_from_its_range_and_clipped_to_it():
    head = ChangeHead(2, [-1.0], [3.0])
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.fill_(0.5)
    hidden, last = torch.zeros(1, 2), torch.tensor([[10.0]])
    torch.testing.assert_close(head(hidden, last), torch.tensor([[12.0]]))
    torch.testing.assert_close(head.loss(hidden, torch.tensor([[11.0]]), last), torch.tensor([0.25]))
    with torch.no_grad():
        head.linear.bias.fill_(7)
    torch.testing.assert_close(head.sample(hidden, last, torch.zeros(1, 0)), torch.tensor([[13.0]]))
    with pytest.raises(ValueError, match="predicts the change from the last element"):
        head(hidden)
    with pytest.raises(ValueError, match="lists of equal length, with low < high"):
        ChangeHead(2, [1.0], [1.0])


def test_uniform_numbers_are_in_the_open_interval():
    drawn = TrajectorySeeds(0).uniform(1000, 1000)
    assert 0 < drawn.min() < 2e-6
    assert 1 - 2e-6 < drawn.max() < 1
    assert stats.kstest(drawn.flatten()[:100_000], "uniform").pvalue > 1e-3
    normal = TrajectorySeeds(0).draw(1000, 101)
    assert stats.kstest(normal.flatten(), "norm").pvalue > 1e-3
    assert abs(float(normal[:, 0] @ normal[:, 1]) / 1000) < 4 / math.sqrt(1000)
