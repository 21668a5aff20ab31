"""Latent models: bounds that are bounds, a spread that is the data's, generation that can be repeated."""

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from contextual_rnn import (
    MLP,
    ConstantState,
    ContextState,
    ContextualRNN,
    FreeState,
    GaussianHead,
    GaussianState,
    LatentModel,
    LatentState,
    Posterior,
    SequenceModel,
    TrajectorySeeds,
    load,
    register,
    save,
)


@register
class Hold(nn.Module):
    """A core whose output is its state, which stays as it is."""

    state_shapes = (1,)

    def forward(self, x, state):
        return state.unsqueeze(1).expand(-1, x.shape[1], -1), state


def held(scale=0.8, noise=0.5):
    """x_t = h + noise, h ~ N(0, scale^2): its likelihood is known."""
    model = SequenceModel(
        ContextualRNN(Hold(), GaussianState(FreeState(Hold()), scale)), GaussianHead(1, 1, floor=1e-6)
    )
    with torch.no_grad():
        model.head.linear.weight.copy_(torch.tensor([[0.0], [1.0], [0.0]]))
        model.head.linear.bias.copy_(torch.tensor([0.0, 0.0, noise]).expm1().log().nan_to_num(neginf=0.0))
    posterior = Posterior(Hold(), 1, hidden=8)
    nn.init.zeros_(posterior.spread[0].weight)  # as wide as the prior, so that few samples do
    return LatentModel(model, posterior)


def exact(x, scale=0.8, noise=0.5):
    steps = x.shape[1]
    covariance = scale**2 * torch.ones(steps, steps) + noise**2 * torch.eye(steps)
    return MultivariateNormal(torch.zeros(steps), covariance).log_prob(x[..., 0])


@pytest.mark.parametrize("feed", ["own", "truth"])
def test_the_bound_grows_to_the_likelihood(feed):
    torch.manual_seed(0)
    latent = held()
    latent.feed = feed
    x = 0.8 * torch.randn(50, 1, 1) + 0.5 * torch.randn(50, 3, 1)
    right = exact(x).mean()
    with torch.no_grad():
        one = torch.stack([latent.bound(x).mean() for _ in range(200)]).mean()
    few, many = (latent.log_likelihood_bound(x, samples=samples).mean() for samples in (5, 3000))
    assert one < few < many + 0.01
    assert abs(many - right) < 0.03


def test_of_padded_sequences_the_bound_is_theirs_alone():
    torch.manual_seed(0)
    latent = held()
    x = torch.randn(2, 4, 1)
    x[1, 2:] = torch.nan
    found = latent.log_likelihood_bound(x, lengths=torch.tensor([4, 2]), samples=1500)
    torch.testing.assert_close(found, torch.stack([exact(x[:1])[0], exact(x[1:, :2])[0]]), rtol=0, atol=0.1)
    latent.loss(x, lengths=torch.tensor([4, 2])).backward()
    gradients = [parameter.grad for parameter in latent.posterior.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_at_the_start_the_posterior_is_near_the_prior():
    latent = held()
    x = torch.randn(5, 3, 1)
    prior = latent.model.rnn.initial_state.distribution(5)
    for parameter in latent.posterior.shift[0].parameters():
        nn.init.zeros_(parameter)
    nn.init.zeros_(latent.posterior.spread[0].weight)
    posterior = latent.posterior(x, torch.ones(5, 3, dtype=torch.bool), prior)
    torch.testing.assert_close(posterior.mean, prior.mean)
    torch.testing.assert_close(posterior.stddev, prior.stddev)


def lstm(feed="own"):
    core = nn.LSTM(1, 16, batch_first=True)
    start = GaussianState(ContextState(core, MLP(1, [8])), MLP(1, [8]))
    model = SequenceModel(ContextualRNN(core, start), GaussianHead(16, 1, change=True))
    return LatentModel(model, Posterior(core, 1, hidden=16), feed)


def test_a_spread_that_no_input_tells_is_learned():
    """Each sequence holds one value drawn from U(-1, 1): samples must spread so, and not within themselves."""
    torch.manual_seed(0)
    latent = lstm()
    optimizer = torch.optim.Adam(latent.parameters(), 1e-2)
    for _ in range(400):
        x = (2 * torch.rand(64, 1, 1) - 1).expand(-1, 4, -1)
        optimizer.zero_grad()
        latent.loss(x, torch.zeros(64, 1)).backward()
        nn.utils.clip_grad_norm_(latent.parameters(), 1.0)
        optimizer.step()
    found = latent.eval().sample(torch.zeros(1, 1), 2000, 4, seed=0).elements[..., 0]
    assert found[:, 0].std() == pytest.approx(3**-0.5, rel=0.2)
    assert found.std(dim=1).mean() < 0.3 * found[:, 0].std()


@pytest.mark.parametrize("feed", ["own", "truth"])
def test_saved_and_in_other_batches_it_generates_the_same(feed, tmp_path):
    latent = lstm(feed)
    context = torch.randn(5, 1)
    whole = latent.sample(context, steps=6, seed=2)
    parts = latent.sample(context, steps=6, seed=2, batch_size=2)
    torch.testing.assert_close(parts.elements, whole.elements, rtol=0, atol=1e-5)
    save(latent, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").sample(context, steps=6, seed=2)
    torch.testing.assert_close(again.elements, whole.elements, rtol=0, atol=0)


def test_bad_arguments_get_one_sentence():
    core = nn.LSTM(1, 4, batch_first=True)
    model = SequenceModel(ContextualRNN(core, ConstantState(core)), GaussianHead(4, 1))
    with pytest.raises(ValueError, match="must be a GaussianState, the prior, or a LatentState; found ConstantState"):
        LatentModel(model, Posterior(core, 1))
    with pytest.raises(ValueError, match="feed must be one of own, truth"):
        LatentModel(model, Posterior(core, 1), "mine")
    good = SequenceModel(ContextualRNN(core, GaussianState(FreeState(core))), GaussianHead(4, 1))
    for posterior in (Posterior(core, 2), Posterior((1, 4), 1)):
        with pytest.raises(
            ValueError, match=r"posterior was made for shapes .*; expected \(\(1, 4\), \(1, 4\)\).* 1 feat"
        ):
            LatentModel(good, posterior)
    model = SequenceModel(ContextualRNN(core, GaussianState(FreeState(core))), GaussianHead(4, 1), end=True)
    with pytest.raises(ValueError, match="with a learned start and no end"):
        LatentModel(model, Posterior(core, 1))


def start_of(kind):
    if kind == "h0":
        return GaussianState(ContextState(Hold(), nn.Linear(1, 1), 1))
    prior = GaussianState(ContextState((2,), nn.Linear(1, 1), 1))
    return LatentState(prior, ContextState(Hold(), MLP(3, [8])), nn.Identity())


@pytest.mark.parametrize("kind", ["h0", "z"])
def test_the_posterior_takes_back_what_the_context_misled_the_prior_to_expect(kind, tmp_path):
    """The sequence holds its h0, the context is h0 with noise: the posterior finds h0, the prior what is likely."""
    torch.manual_seed(0)
    start = start_of(kind)
    model = SequenceModel(ContextualRNN(Hold(), start), GaussianHead(1, 1, floor=0.02))
    given = start.prior if isinstance(start, LatentState) else start
    latent = LatentModel(model, Posterior(given.shapes, 1, hidden=16))
    optimizer = torch.optim.Adam(latent.parameters(), 0.02)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 300)
        h0 = torch.randn(128, 1)
        known = h0 + torch.randn(128, 1)
        optimizer.zero_grad()
        latent.loss(h0.unsqueeze(1).expand(-1, 3, -1), known).backward()
        optimizer.step()
    with torch.no_grad():
        h0, known = torch.randn(4000, 1), torch.tensor([[1.5]])
        drawn = latent.sample(known, n=4000, steps=1, seed=0).elements[:, 0, 0]
    assert abs(float(drawn.mean()) - 0.75) < 0.1  # h0 given 1.5 is normal, with mean 1.5 / 2 and variance 1 / 2
    assert abs(float(drawn.std()) - 0.5**0.5) < 0.1
    save(latent, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").sample(known, n=4000, steps=1, seed=0).elements[:, 0, 0]
    assert torch.equal(again, drawn)


def test_the_units_of_a_latent_state_vary_together():
    torch.manual_seed(0)
    core = nn.LSTM(1, 6, batch_first=True)
    state = LatentState(GaussianState(FreeState((1,)), 1.0), ContextState(core, nn.Identity(), 1))
    h0, c0 = state(500, sample=True)
    flat = torch.cat([h0.flatten(1), c0.flatten(1)], dim=1).detach()
    assert torch.linalg.matrix_rank(flat - flat.mean(0), rtol=1e-4) == 1
    mode = state(3, sample=False)
    assert torch.equal(mode[0][0], mode[0][2])
    seeded = [state(4, sample=True, generator=TrajectorySeeds(5, first)) for first in (0, 2)]
    torch.testing.assert_close(seeded[0][0][2:], seeded[1][0][:2])
    output, _ = ContextualRNN(core, state)(torch.zeros(3, 2, 1))
    output.sum().backward()
    assert all(parameter.grad is not None for parameter in state.parameters())


def test_noise_behind_a_latent_state_follows_its_arguments():
    core = nn.GRU(2, 3, batch_first=True)
    prior = GaussianState(ContextState((2,), nn.Linear(2, 4)), 0.5)
    latent = LatentState(prior, GaussianState(ContextState(core, nn.Linear(2, 4)), 0.5)).train()
    context = torch.randn(4, 2)
    assert torch.equal(latent(4, context, sample=False), latent(4, context, sample=False))
    drawn = [latent(4, context, generator=TrajectorySeeds(seed)) for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    torch.testing.assert_close(latent(2, context[2:], generator=TrajectorySeeds(0, first=2)), drawn[0][2:])


def test_the_posterior_of_a_sequence_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    latent = lstm()
    x, context, lengths = torch.randn(4, 7, 1), torch.randn(4, 1), torch.tensor([7, 3, 0, 1])
    inside = torch.arange(7) < lengths.unsqueeze(1)
    x = torch.where(inside.unsqueeze(2), x, 0)
    prior = latent.model.rnn.initial_state.distribution(4, context)
    found = latent.posterior(x, inside, prior)
    for row, length in enumerate(lengths):
        alone = latent.model.rnn.initial_state.distribution(1, context[row : row + 1])
        expected = (
            latent.posterior(x[row : row + 1, :length], inside[row : row + 1, :length], alone) if length else None
        )
        for one, other in zip(found, expected or (), strict=bool(expected)):
            torch.testing.assert_close(one.mean[row], other.mean[0])
            torch.testing.assert_close(one.stddev[row], other.stddev[0])
    assert all(one.mean.isfinite().all() for one in found)


def test_the_posterior_reads_from_the_end_to_the_start():
    posterior = Posterior((1,), 2, hidden=5)
    x, inside = torch.randn(3, 4, 2), torch.ones(3, 4, dtype=torch.bool)
    steps = torch.cat([x, torch.ones(3, 4, 1)], dim=2)
    torch.testing.assert_close(
        posterior._encode(steps, inside), posterior.encoder(steps.flip(1))[0][:, -1], rtol=0, atol=0
    )


def test_a_batch_with_nothing_to_predict_is_refused():
    latent, x = lstm(), torch.randn(3, 4, 1)
    with pytest.raises(ValueError, match="the batch has no element to predict"):
        latent.loss(x, torch.zeros(3, 1), torch.zeros(3, dtype=torch.long))
    with pytest.raises(ValueError, match="needs a sequence of at least two elements"):
        latent.loss(x, torch.zeros(3, 1), torch.ones(3, dtype=torch.long), prior_weight=1.0)
    assert latent.loss(x, torch.zeros(3, 1), torch.tensor([0, 2, 0]), prior_weight=1.0).isfinite()


@pytest.mark.parametrize("feed", ["own", "truth"])
def test_sampling_while_training_and_under_autocast(feed):
    torch.manual_seed(0)
    core = nn.LSTM(1, 16, 2, dropout=0.5, batch_first=True)
    start = GaussianState(ContextState(core, MLP(1, [8])))
    model = SequenceModel(ContextualRNN(core, start), GaussianHead(16, 1, change=True))
    latent, context = LatentModel(model, Posterior(core, 1), feed).train(), torch.randn(5, 1)
    whole = latent.sample(context, steps=6)
    assert torch.equal(latent.sample(context, steps=6).elements, whole.elements)
    assert latent.training
    with torch.autocast("cpu", torch.bfloat16):
        mixed = latent.sample(context, steps=6)
        loss = latent.eval()(whole.elements, context)
    assert loss.isfinite()
    torch.testing.assert_close(mixed.elements.float(), whole.elements, rtol=0.1, atol=0.1)
