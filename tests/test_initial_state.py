"""Every kind of initial state, over every kind of core."""

import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functional_call, grad, vmap
from torch.nn.functional import softplus

from contextual_rnn import (
    MLP,
    ConstantState,
    ContextState,
    ContextualRNN,
    ErrorNoise,
    FreeState,
    GaussianState,
    InitialState,
    JoinedState,
    Label,
    LatentState,
    TrajectorySeeds,
    load,
    save,
)
from contextual_rnn._core.state import check_state, leaves, map_state, state_shapes

BATCH = 4


class Nested(nn.Module):
    """A user's own core."""

    state_shapes = ((5,), ((5, 3), (2,)))

    def __init__(self):
        super().__init__()
        self.into, self.back = nn.Linear(3, 5), nn.Linear(22, 5)
        self.memory, self.tail = nn.Linear(5, 15), nn.Linear(5, 2)

    def forward(self, x, state):
        h, (memory, tail) = state
        outputs = []
        for x_t in x.unbind(1):
            h = torch.tanh(self.into(x_t) + self.back(torch.cat([h, memory.flatten(1), tail], dim=-1)))
            memory = 0.9 * memory + self.memory(h).unflatten(1, (5, 3))
            tail = torch.tanh(self.tail(h) + tail)
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h, (memory, tail))


CORES = {
    "rnn": lambda: nn.RNN(3, 5, batch_first=True),
    "gru, two layers, bidirectional": lambda: nn.GRU(3, 5, 2, bidirectional=True, batch_first=True),
    "lstm": lambda: nn.LSTM(3, 5, batch_first=True),
    "lstm, two layers, projected": lambda: nn.LSTM(3, 5, 2, proj_size=2, batch_first=True),
    "rnn cell": lambda: nn.RNNCell(3, 5),
    "gru cell": lambda: nn.GRUCell(3, 5),
    "lstm cell": lambda: nn.LSTMCell(3, 5),
    "own": Nested,
}


def g(features=6):
    return MLP(2, [7, features], activation="tanh")


class LookUp(InitialState):
    """A user's own initial state: a table of them, by the number that the context is."""

    def __init__(self, core, entries):
        super().__init__(core)
        self.tables = nn.ParameterList(torch.randn(entries, *leaf) for leaf in _leaf_shapes(self.shapes))

    def forward(self, batch_size, context=None, *, sample=None, generator=None):
        tables = iter(self.tables)
        return _nest(self.shapes, lambda: next(tables)[context])


def _leaf_shapes(shapes):
    if all(isinstance(size, int) for size in shapes):
        return [shapes]
    return [leaf for part in shapes for leaf in _leaf_shapes(part)]


def _nest(shapes, make):
    if all(isinstance(size, int) for size in shapes):
        return make()
    return tuple(_nest(part, make) for part in shapes)


def first_units(shapes):
    """A mask that is true at the first unit of every leaf."""
    if all(isinstance(size, int) for size in shapes):
        return (torch.arange(math.prod(shapes)) == 0).view(shapes)
    return tuple(first_units(inner) for inner in shapes)


KINDS = {
    "constant": lambda core: ConstantState(core, 0.5),
    "free": FreeState,
    "free, noisy": lambda core: FreeState(core, noise=0.3),
    "context": lambda core: ContextState(core, g()),
    "context, tanh": lambda core: ContextState(core, nn.Linear(2, 6), activation=nn.Tanh()),
    "gaussian of constant": lambda core: GaussianState(ConstantState(core)),
    "gaussian of free": lambda core: GaussianState(FreeState(core)),
    "gaussian of context": lambda core: GaussianState(ContextState(core, g()), scale=0.5),
    "gaussian, scale by network": lambda core: GaussianState(ContextState(core, g()), scale=g()),
    "gaussian of gaussian": lambda core: GaussianState(GaussianState(FreeState(core))),
    "gaussian of error-noise of context": lambda core: GaussianState(ErrorNoise(ContextState(core, g()))),
    "error-noise of constant": lambda core: ErrorNoise(ConstantState(core)),
    "error-noise of context": lambda core: ErrorNoise(ContextState(core, g())),
    "error-noise of gaussian": lambda core: ErrorNoise(GaussianState(FreeState(core))),
    "gaussian masked by context": lambda core: JoinedState(
        GaussianState(FreeState(core)), ContextState(core, g()), mask=first_units(state_shapes(core))
    ),
}
DRAWING = [name for name in KINDS if "noisy" in name or "gaussian" in name]

over_cores = pytest.mark.parametrize("core", CORES.values(), ids=CORES)
over_kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def context(rows=BATCH, dtype=torch.float32):
    return torch.linspace(-1, 1, 2 * rows, dtype=dtype).view(rows, 2)


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


def lstm():
    return nn.LSTM(3, 5, batch_first=True)


@over_cores
@over_kinds
def test_every_kind_starts_every_core_and_learns_through_it(core, kind):
    torch.manual_seed(0)
    rnn = ContextualRNN(core := core(), kind(core))
    check_state(rnn.initial_state(BATCH, context()), state_shapes(core), BATCH)
    output, _ = rnn(torch.randn(BATCH, 3, 3), context())
    (output * torch.randn_like(output)).sum().backward()
    for name, parameter in rnn.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@over_kinds
def test_every_kind_follows_the_dtype_of_its_module(kind):
    initial_state = kind(lstm()).to(torch.float64)
    for sample in (False, True):
        state = initial_state(BATCH, context(dtype=torch.float64), sample=sample)
        assert {leaf.dtype for leaf in leaves(state)} == {torch.float64}


@over_kinds
def test_every_kind_follows_the_device_of_its_module(kind):
    initial_state = kind(lstm()).to("meta")
    state = initial_state(BATCH, context().to("meta"), sample=True)
    assert {leaf.device.type for leaf in leaves(state)} == {"meta"}


@pytest.mark.parametrize("kind", DRAWING)
def test_training_samples_evaluation_does_not_and_either_can_be_overruled(kind):
    initial_state = KINDS[kind](lstm())
    mode = initial_state.eval()(BATCH, context())
    assert equal(mode, initial_state(BATCH, context()))
    assert not equal(mode, initial_state(BATCH, context(), sample=True))
    initial_state.train()
    assert equal(mode, initial_state(BATCH, context(), sample=False))
    assert not equal(mode, initial_state(BATCH, context()))


@pytest.mark.parametrize("kind", DRAWING)
def test_a_generator_makes_draws_repeatable_and_leaves_the_global_one_alone(kind):
    initial_state = KINDS[kind](lstm())
    before = torch.get_rng_state()
    draws = [initial_state(BATCH, context(), generator=torch.Generator().manual_seed(s)) for s in (0, 0, 1)]
    assert equal(draws[0], draws[1])
    assert not equal(draws[0], draws[2])
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", DRAWING)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    first=st.integers(0, 2**40),
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(sum),
)
def test_a_trajectory_is_the_same_alone_and_in_any_split_into_batches(kind, seed, first, sizes):
    initial_state = KINDS[kind](lstm())
    known = context(sum(sizes))
    whole = initial_state(sum(sizes), known, generator=TrajectorySeeds(seed, first))
    done = 0
    for size in sizes:
        part = initial_state(size, known[done : done + size], generator=TrajectorySeeds(seed, first + done))
        for got, leaf in zip(leaves(part), leaves(whole), strict=True):
            torch.testing.assert_close(got, leaf[done : done + size], rtol=1e-5, atol=1e-6)
        done += size


def test_trajectories_and_seeds_differ():
    alone = TrajectorySeeds(3, 2).uniform(4, 5)
    assert torch.equal(TrajectorySeeds(3, 2, groups=2).uniform(8, 5), torch.cat([alone, alone]))
    draws = [TrajectorySeeds(seed, first).draw(1, 5) for seed in (0, 1) for first in (0, 1)]
    assert len({tuple(draw[0].tolist()) for draw in draws}) == 4


@pytest.mark.parametrize("generator", [TrajectorySeeds(3), torch.Generator().manual_seed(3)])
def test_noise_of_a_base_is_independent_of_the_noise_around_it(generator):
    initial_state = GaussianState(FreeState(((20,),), noise=0.3), scale=0.4)
    (draw,) = initial_state(1000, generator=generator)
    assert draw.std().item() == pytest.approx(0.5, rel=0.03)  # 0.7 if the two were one


def test_constant_is_the_value_in_every_leaf():
    for leaf in leaves(ConstantState(Nested(), 0.25)(3)):
        assert torch.equal(leaf, torch.full_like(leaf, 0.25))


def test_constant_takes_a_state_of_one_example():
    value = (torch.randn(5), (torch.randn(5, 3), torch.randn(2, requires_grad=True)))
    h, (memory, tail) = ConstantState(Nested(), value)(3)
    assert torch.equal(h, value[0].expand(3, 5))
    assert torch.equal(memory, value[1][0].expand(3, 5, 3))
    assert torch.equal(tail, value[1][1].expand(3, 2))
    assert not tail.requires_grad


def test_constant_of_integers_is_a_state_of_floats():
    (h,) = ConstantState(((3,),), (torch.tensor([1, 2, 3]),))(2)
    assert torch.equal(h, torch.tensor([[1.0, 2.0, 3.0]] * 2))


def test_constant_of_a_wrong_shape_is_refused():
    with pytest.raises(
        ValueError, match=r"\[\(1, 4\), \(1, 5\)\]; expected those of the state of one example, \[\(1, 5\), \(1, 5"
    ):
        ConstantState(lstm(), (torch.zeros(1, 4), torch.zeros(1, 5)))


def test_free_is_its_variable_tiled_and_starts_at_zero():
    initial_state = FreeState(lstm())
    assert all(not leaf.any() for leaf in leaves(initial_state(3)))
    with torch.no_grad():
        for number, parameter in enumerate(initial_state.variable):
            parameter.fill_(number + 1)
    h, c = initial_state(3)
    assert torch.equal(h, torch.ones(3, 1, 5))
    assert torch.equal(c, torch.full((3, 1, 5), 2.0))


def test_free_noise_has_its_standard_deviation_and_is_drawn_for_each_copy():
    h, c = FreeState(lstm(), noise=0.3)(4000)
    assert h.std().item() == pytest.approx(0.3, rel=0.03)
    assert c.std(dim=0).min() > 0.25
    assert torch.corrcoef(torch.stack([h.flatten(), c.flatten()]))[0, 1].abs() < 0.03


def test_context_is_a_map_of_its_own_for_every_leaf_and_layer():
    network, core = g(), nn.LSTM(3, 5, 2, proj_size=2, batch_first=True)
    initial_state = ContextState(core, network)
    h, c = initial_state(BATCH, context())
    for leaf, linear in zip((h, c), initial_state.maps, strict=True):
        size = leaf.shape[-1]
        for layer in range(2):
            rows = slice(layer * size, (layer + 1) * size)
            by_hand = network(context()) @ linear.weight[rows].T + linear.bias[rows]
            torch.testing.assert_close(leaf[:, layer], by_hand)
    assert not torch.allclose(h[:, 0], h[:, 1])


def test_context_never_forces_h_and_c_equal():
    h, c = ContextState(lstm(), g())(BATCH, context())
    assert not torch.isclose(h, c).any()


def test_context_rows_make_their_own_states():
    initial_state = ContextState(lstm(), g())
    together = initial_state(BATCH, context())
    alone = initial_state(1, context()[2:3])
    for leaf, one in zip(leaves(together), leaves(alone), strict=True):
        torch.testing.assert_close(leaf[2:3], one)


def test_context_activation_is_applied_to_the_mapped_state():
    linear, squashed = (ContextState(lstm(), g(), activation=activation) for activation in (None, nn.Tanh()))
    squashed.load_state_dict(linear.state_dict())
    for plain, bent in zip(leaves(linear(BATCH, context())), leaves(squashed(BATCH, context())), strict=True):
        torch.testing.assert_close(plain.tanh(), bent)


def test_the_width_of_a_network_is_found_or_asked_for():
    assert ContextState(lstm(), nn.Sequential(nn.Linear(2, 6), nn.ReLU())).features == 6
    network = nn.Sequential(nn.Flatten())
    with pytest.raises(ValueError, match="width of the output of Sequential is not known: pass features="):
        ContextState(lstm(), network)
    assert ContextState(lstm(), network, features=2)(BATCH, context())[0].shape == (BATCH, 1, 5)


def test_a_network_may_take_any_context():
    class Sum(nn.Module):
        out_features = 2

        def forward(self, known):
            return known["a"] + known["b"]

    h, _ = ContextState(lstm(), Sum())(BATCH, {"a": context(), "b": context()})
    assert h.shape == (BATCH, 1, 5)


@pytest.mark.parametrize("kind", [name for name in KINDS if "context" in name or "network" in name])
def test_no_context_is_refused_with_what_to_do(kind):
    with pytest.raises(ValueError, match=r"function of context, but no context was given: call rnn\(x, context\)"):
        KINDS[kind](lstm())(BATCH)


@pytest.mark.parametrize("kind", [name for name in KINDS if "context" in name or "network" in name])
@pytest.mark.parametrize("rows", [1, BATCH + 1])
def test_a_context_of_another_batch_is_refused(kind, rows):
    with pytest.raises(ValueError, match="one row for each of the 4 sequences"):
        KINDS[kind](lstm())(BATCH, context(rows))


@pytest.mark.parametrize("kind", [name for name in KINDS if "context" not in name and "network" not in name])
def test_kinds_that_use_no_context_take_it_and_leave_it(kind):
    initial_state = KINDS[kind](lstm()).eval()
    assert equal(initial_state(BATCH), initial_state(BATCH, context()))


@over_cores
@over_kinds
def test_an_empty_batch_makes_an_empty_state(core, kind):
    initial_state = kind(core := core())
    check_state(initial_state(0, context(0), sample=True), state_shapes(core), 0)


@pytest.mark.parametrize("scale", [1e-3, 0.25, 3.0, 1000.0])
def test_gaussian_starts_at_its_scale(scale):
    distributions = GaussianState(ConstantState(lstm()), scale=scale).distribution(2)
    for distribution in leaves(distributions):
        assert distribution.stddev.shape == (2, 1, 5)
        torch.testing.assert_close(distribution.stddev, torch.full((2, 1, 5), scale), rtol=1e-4, atol=0)


@pytest.mark.parametrize("scale", [0, -1.0])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ValueError, match="scale is a standard deviation and must be positive"):
        GaussianState(ConstantState(lstm()), scale=scale)


def test_negative_noise_is_refused():
    with pytest.raises(ValueError, match=r"cannot be negative; found -0\.1"):
        FreeState(lstm(), noise=-0.1)


@over_cores
def test_the_distribution_is_that_of_the_draws(core):
    torch.manual_seed(0)
    core = core()
    initial_state = GaussianState(ContextState(core, g()), scale=g())
    rows = 3000
    known = context(1).expand(rows, 2)
    distributions = initial_state.distribution(rows, known)
    draws, mode = initial_state(rows, known), initial_state.eval()(rows, known)
    for distribution, draw, mean in zip(leaves(distributions), leaves(draws), leaves(mode), strict=True):
        assert torch.equal(distribution.mean, mean)
        assert distribution.log_prob(draw).shape == (rows,)
        tolerance = 5 * distribution.stddev[0] / math.sqrt(rows)
        assert ((draw.mean(0) - mean[0]).abs() < tolerance).all()
        assert ((draw.std(0) - distribution.stddev[0]).abs() < tolerance).all()


def test_log_prob_is_the_sum_of_normal_densities():
    initial_state = GaussianState(FreeState(((2,),)), scale=0.5)
    (distribution,) = initial_state.distribution(1)
    by_hand = sum(-((x / 0.5) ** 2) / 2 - math.log(0.5 * math.sqrt(2 * math.pi)) for x in (0.3, -1.0))
    assert distribution.log_prob(torch.tensor([[0.3, -1.0]])).item() == pytest.approx(by_hand, rel=1e-5)


def test_a_scale_by_network_depends_on_the_context():
    (distribution,) = GaussianState(ConstantState(((5,),)), scale=g()).distribution(BATCH, context())
    assert (distribution.stddev > 0).all()
    assert distribution.stddev.std(dim=0).min() > 0


def train_once(rnn, x):
    rnn(x)[0].square().sum((1, 2)).mean().backward()


def test_error_noise_is_zero_before_the_first_backward_pass():
    initial_state = ErrorNoise(ConstantState(lstm(), 0.5))
    assert equal(initial_state(BATCH), ConstantState(lstm(), 0.5)(BATCH))


@pytest.mark.parametrize("base", [ConstantState, FreeState], ids=["constant", "free"])
def test_error_noise_keeps_a_running_mean_of_the_squared_gradient_of_each_example(base):
    torch.manual_seed(0)
    core = nn.GRU(3, 5, batch_first=True)
    rnn = ContextualRNN(core, ErrorNoise(base(core), rate=0.0, decay=0.8))
    running = torch.zeros(1, 5)
    for _ in range(3):
        x = torch.randn(BATCH, 4, 3)
        h0 = torch.zeros(BATCH, 1, 5, requires_grad=True)
        for row in range(BATCH):  # the loss of each example alone
            core(x[row : row + 1], h0[row : row + 1].transpose(0, 1))[0].square().sum().backward()
        running = 0.8 * running + 0.2 * h0.grad.square().mean(0)
        train_once(rnn, x)
        torch.testing.assert_close(rnn.initial_state.squared_error.get_buffer("0"), running)


def test_error_noise_is_in_proportion_to_the_error():
    torch.manual_seed(0)
    core = nn.GRU(3, 5, batch_first=True)
    rnn = ContextualRNN(core, ErrorNoise(ConstantState(core, 0.5), rate=2.0))
    train_once(rnn, torch.randn(BATCH, 4, 3))
    noise = rnn.initial_state(20000).detach() - 0.5
    expected = 2.0 * rnn.initial_state.squared_error.get_buffer("0").sqrt()
    assert expected.min() > 0
    torch.testing.assert_close(noise.std(0), expected, rtol=0.03, atol=0)
    assert equal(rnn.initial_state.eval()(BATCH), torch.full((BATCH, 1, 5), 0.5))
    assert not equal(rnn.initial_state(BATCH, sample=True), torch.full((BATCH, 1, 5), 0.5))


def test_error_noise_learns_nothing_in_evaluation_or_without_gradients():
    core = nn.GRU(3, 5, batch_first=True)
    rnn = ContextualRNN(core, ErrorNoise(FreeState(core))).eval()
    train_once(rnn, torch.randn(BATCH, 4, 3))
    with torch.no_grad():
        rnn.train()(torch.randn(BATCH, 4, 3))
    assert not rnn.initial_state.squared_error.get_buffer("0").any()


def test_error_noise_survives_an_empty_batch_and_a_second_derivative():
    initial_state = ErrorNoise(FreeState(((3,),)))
    (empty,) = initial_state(0)
    empty.sum().backward()
    (h0,) = initial_state(BATCH, sample=False)
    loss = (h0 + 1).pow(3).mean(0).sum()
    (gradient,) = torch.autograd.grad(loss, initial_state.base.variable[0], create_graph=True)
    gradient.sum().backward()
    buffer = initial_state.squared_error.get_buffer("0")
    assert buffer.isfinite().all()
    assert not buffer.requires_grad


@pytest.mark.parametrize("arguments", [{"rate": -1.0}, {"decay": 1.0}, {"decay": -0.1}])
def test_error_noise_refuses_what_is_out_of_range(arguments):
    with pytest.raises(ValueError, match="rate must be at least 0 and decay in"):
        ErrorNoise(ConstantState(lstm()), **arguments)


@pytest.mark.parametrize(
    "kind",
    ["context", "context, tanh", "gaussian of context", "gaussian, scale by network", "gaussian of free"],
)
def test_gradients_against_differences(kind):
    torch.manual_seed(0)
    initial_state = KINDS[kind](nn.LSTM(1, 2, 2, proj_size=1)).double()

    def draw(known, *_):
        return tuple(leaves(initial_state(2, known, generator=torch.Generator().manual_seed(0))))

    known = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(draw, (known, *initial_state.parameters()))


@over_cores
@pytest.mark.parametrize(
    "wrap", [lambda base: base, GaussianState, ErrorNoise], ids=["bare", "gaussian", "error-noise"]
)
def test_a_users_own_initial_state_works_alone_and_wrapped(core, wrap):
    table = LookUp(core := core(), entries=6)
    rnn = ContextualRNN(core, wrap(table))
    numbers = torch.tensor([5, 0, 5, 2])
    h0 = rnn.initial_state(BATCH, numbers, sample=False)
    assert torch.equal(next(leaves(h0)), table.tables[0][numbers])
    output, _ = rnn(torch.randn(BATCH, 3, 3), numbers)
    output.square().sum().backward()
    touched = table.tables[0].grad.flatten(1).abs().sum(1) > 0
    assert touched.tolist() == [True, False, True, False, False, True]


def test_an_initial_state_keeps_no_core():
    core = lstm()
    for kind in KINDS.values():
        mine = {id(module) for module in kind(core).modules()}
        assert id(core) not in mine


def test_scale_is_softplus_of_sigma():
    initial_state = GaussianState(FreeState(lstm()), scale=0.7)
    distributions = initial_state.distribution(1)
    for distribution, sigma in zip(leaves(distributions), initial_state.sigma, strict=True):
        torch.testing.assert_close(distribution.stddev[0], softplus(sigma))
    assert map_state(lambda d: tuple(d.event_shape), distributions) == ((1, 5), (1, 5))


@pytest.mark.parametrize("bad", [torch.zeros(3, 6), torch.zeros(3, 5, dtype=torch.long), [1, 2], torch.tensor(1.0)])
def test_a_context_of_the_wrong_width_or_kind_gets_one_clear_sentence(bad):
    core = nn.LSTM(2, 4, batch_first=True)
    rnn = ContextualRNN(core, ContextState(core, MLP(5, [8])))
    with pytest.raises(ValueError, match=r"the context must be a tensor of real numbers \(batch, 5\); found"):
        rnn(torch.zeros(3, 7, 2), bad)


@pytest.mark.parametrize("kind", [ConstantState, FreeState])
def test_what_is_written_to_a_state_of_one_row_is_not_kept(kind):
    module = kind(nn.GRU(2, 3, batch_first=True))
    with torch.no_grad():
        module(1).add_(3)
    assert not module(1).any()


def test_a_gradient_that_is_not_finite_leaves_the_error_noise_as_it_was():
    core = nn.GRU(1, 3, batch_first=True)
    noise = ErrorNoise(FreeState(core))
    rnn = ContextualRNN(core, noise)
    rnn(torch.randn(4, 2, 1))[0].mean().backward()
    before = noise.squared_error.state_dict()["0"].clone()
    assert before.any()
    (rnn(torch.randn(4, 2, 1))[0].mean() * math.inf).backward()
    assert torch.equal(noise.squared_error.state_dict()["0"], before)


def test_a_field_a_number_of_classes_and_an_embedding_are_context_networks():
    torch.manual_seed(0)
    index = torch.tensor([2, 0, 9])
    for network, width in ((Label(10), 10), (10, 10), (nn.Embedding(10, 4), 4), (Label(10, size=3), 3)):
        state = ContextState(lstm(), network)
        assert state.features == width
        h, _ = state(3, index)
        assert h.shape == (3, 1, 5)
        assert not torch.equal(h[0], h[1])
    names = ContextState(lstm(), Label(["ice", "fre"]))
    assert equal(names(2, ["fre", "ice"]), names(2, ["ice", "fre"])) is False
    core = lstm()
    rnn = ContextualRNN(core, ContextState(core, 10))
    assert rnn(torch.zeros(3, 2, 3), index)[0].shape == (3, 2, 5)
    with pytest.raises(ValueError, match="row 0 has label 10; labels must be from 0 to 9"):
        rnn(torch.zeros(1, 2, 3), torch.tensor([10]))


@pytest.mark.parametrize("network", [None, "mlp", True, MLP, nn.Linear, 2.5, [3]])
def test_what_is_no_context_network_is_refused_at_construction(network):
    with pytest.raises(ValueError, match="the context network must be a module, such as MLP"):
        ContextState(lstm(), network)


def test_the_widths_of_an_mlp():
    assert MLP(2, 50).out_features == MLP(2, [50]).out_features == 50
    assert [layer.out_features for layer in list(MLP(2, (7, 6)))[::2]] == [7, 6]
    for wrong in (0, [], [5, 0], "50", 2.5, [True]):
        with pytest.raises(ValueError, match=r"hidden must contain|widths must be positive integers"):
            MLP(2, wrong)


def test_contexts_take_the_dtype_of_the_network_that_reads_them():
    double = context().double()
    for network in (g(), nn.Linear(2, 6), nn.Sequential(nn.Flatten(), nn.Linear(2, 6))):
        state = ContextState(lstm(), network)
        assert equal(state(BATCH, double), state(BATCH, context()))
        assert {leaf.dtype for leaf in leaves(state.bfloat16()(BATCH, context()))} == {torch.bfloat16}
    with pytest.raises(ValueError, match=r"a tensor of real numbers \(batch, 2\); found int64 of shape \(4, 2\)"):
        ContextState(lstm(), nn.Linear(2, 6))(BATCH, torch.zeros(4, 2, dtype=torch.long))


def test_an_own_network_is_called_with_the_context_as_it_is():
    class Scale(nn.Module):
        out_features = 2

        def forward(self, x):
            assert x.dtype == torch.float64
            return (x - 1e9).float()

    state = ContextState(lstm(), nn.Sequential(Scale(), MLP(2, 4)))
    states = [state(1, torch.tensor([[value, 1e9]], dtype=torch.float64)) for value in (1e9, 1e9 + 1)]
    assert not equal(*states)


def test_joined_by_item_h_is_from_context_and_c_is_zero(tmp_path):
    core = nn.LSTM(3, 5, 2, proj_size=2, batch_first=True)
    h_shape, c_shape = state_shapes(core)
    alone = ContextState(h_shape, g())
    for state in (
        JoinedState(alone, ConstantState(c_shape)),
        JoinedState(ContextState(core, g()), ConstantState(core)),
    ):
        rnn = ContextualRNN(core, state)
        h, c = rnn.initial_state(BATCH, context())
        assert h.shape == (BATCH, 2, 2)
        assert not c.any()
        save(rnn, tmp_path / "model")
        assert equal(load(tmp_path / "model").initial_state(BATCH, context()), (h, c))
    assert torch.equal(JoinedState(alone, ConstantState(c_shape))(BATCH, context())[0], alone(BATCH, context()))


def test_joined_by_mask_the_first_layer_is_learned(tmp_path):
    core = nn.LSTM(3, 5, 2, batch_first=True)
    state = JoinedState(FreeState(core), ConstantState(core, 0.5), mask=[True, False])
    nn.init.normal_(state.states[0].variable[0])
    h, c = state(BATCH)
    assert torch.equal(h[:, 0], state.states[0].variable[0][0].expand(BATCH, 5))
    assert (h[:, 1] == 0.5).all()
    assert not c[:, 0].any()
    save(state, tmp_path / "model")
    assert equal(load(tmp_path / "model")(BATCH), (h, c))
    only_h = JoinedState(FreeState(core), ConstantState(core, 0.5), mask=(True, False))
    assert (only_h(2)[1] == 0.5).all()
    units = torch.arange(10).view(2, 5) % 2 == 0
    assert torch.equal(JoinedState(FreeState(core), ConstantState(core, 0.5), mask=units)(1)[0][0] == 0, units)


def test_joined_noise_is_independent():
    part = GaussianState(FreeState((1000,), noise=0.3), 0.4)
    (a, b) = JoinedState(part, GaussianState(FreeState((1000,), noise=0.3), 0.4))(1, generator=TrajectorySeeds(0))
    assert torch.corrcoef(torch.cat([a, b]))[0, 1].abs() < 0.15


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: JoinedState(FreeState((3,))), "needs two or more initial states"),
        (lambda: JoinedState(FreeState((3,)), nn.Linear(1, 1)), "needs two or more initial states"),
        (lambda: JoinedState(FreeState((3,)), FreeState((4,)), mask=True), "two initial states of the same shapes"),
        (lambda: JoinedState(FreeState((3,)), FreeState((3,)), mask=[True]), r"the mask of a leaf of shape \(3,\)"),
        (lambda: JoinedState(FreeState((3,)), FreeState((3,)), mask=1), r"the mask of a leaf of shape \(3,\)"),
        (
            lambda: JoinedState(FreeState(((3,), (3,))), FreeState(((3,), (3,))), mask=(True,)),
            "the mask has 1 items; expected 2, as many as the state",
        ),
    ],
)
def test_what_cannot_be_joined_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("kind", [name for name in KINDS if name not in DRAWING])
def test_gradients_by_torch_func_are_those_of_backward(kind):
    """And the running mean of `ErrorNoise` becomes the same, of a batch and of its examples one by one."""
    x, known, head = torch.randn(BATCH, 5), context(), torch.randn(5, 1)
    states = []
    for _ in range(3):
        torch.manual_seed(0)
        states.append(KINDS[kind]((5,)))

    def of_batch(state, parameters):
        h = functional_call(state, parameters, (BATCH, known))
        return ((x + h).tanh() @ head).square().mean()

    def of_one(parameters, x, known):
        h = functional_call(states[1], parameters, (1, known[None]))
        return ((x + h[0]).tanh() @ head).square().sum()

    parameters, own = dict(states[0].named_parameters()), dict(states[2].named_parameters())
    whole = grad(lambda parameters: of_batch(states[0], parameters))(parameters)
    single = vmap(grad(of_one), (None, 0, 0), randomness="different")(parameters, x, known)
    if own:
        of_batch(states[2], own).backward()
    for name in parameters:
        torch.testing.assert_close(whole[name], own[name].grad)
        torch.testing.assert_close(single[name].mean(0), own[name].grad)
    if kind == "error-noise of context":
        squares = [state.squared_error.get_buffer("0") for state in states]
        assert squares[2].min() > 0
        torch.testing.assert_close(squares[0], squares[2])
        torch.testing.assert_close(squares[1], squares[2])


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "constant" and "of constant" not in name])
def test_second_derivatives(kind):
    torch.manual_seed(0)
    state = KINDS[kind]((2,)).double().eval()
    names = [name for name, parameter in state.named_parameters() if parameter.numel() < 30]
    values = tuple(dict(state.named_parameters())[name].detach().requires_grad_() for name in names)

    def start(known, *values):
        arguments = {"context": known, "sample": True, "generator": TrajectorySeeds(1)}
        return functional_call(state, dict(zip(names, values, strict=True)), (2,), arguments)

    known = context(2, torch.float64).requires_grad_()
    assert gradcheck(start, (known, *values))
    assert gradgradcheck(start, (known, *values))


class Started(nn.Module):
    """Takes the batch size from x, as `ContextualRNN` does."""

    def __init__(self, state):
        super().__init__()
        self.state = state

    def forward(self, x, known):
        return tuple(leaves(self.state(x.shape[0], known)))


LATENT = {
    "latent": lambda core: LatentState(
        GaussianState(ContextState((2,), g())), ContextState(core, MLP(4, 5)), nn.Identity()
    ),
    "joined": lambda core: JoinedState(ContextState(state_shapes(core)[0], g()), ConstantState(state_shapes(core)[1])),
}
TRACED = {**KINDS, **LATENT}


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("kind", TRACED)
def test_a_trace_holds_for_every_batch(kind):
    model = Started(TRACED[kind](lstm())).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        traced = torch.jit.trace(model, (torch.zeros(4, 1), context()))
    for rows in (1, 7):
        x, known = torch.zeros(rows, 1), context(rows)
        assert equal(traced(x, known), model(x, known))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_export_holds_for_every_batch():
    """One program of all kinds, since each export takes a second."""
    model = Started(All()).eval()
    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(
        model, (torch.zeros(4, 1), context()), dynamic_shapes=({0: batch}, {0: batch})
    ).module()
    x, known = torch.zeros(7, 1), context(7)
    assert equal(program(x, known), model(x, known))
    assert len(program(x, known)) == 2 * len(TRACED)


class All(nn.Module):
    def __init__(self):
        super().__init__()
        self.kinds = nn.ModuleList(make(lstm()) for make in TRACED.values())

    def forward(self, batch_size, known):
        return tuple(kind(batch_size, known) for kind in self.kinds)
