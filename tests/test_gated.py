"""Gated cores: the compiled loops equal the plain equations and PyTorch, and fall back where they cannot run."""

import copy
import itertools
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from contextual_rnn import ContextState, ContextualRNN, gated, load, save
from contextual_rnn.gated import backend, reference

operation = pytest.importorskip("contextual_rnn.gated.operation", reason="Numba is not installed")
from contextual_rnn.gated.stepping import GatedSteps  # noqa: E402

MODES = ("GRU", "LSTM", "RNN_TANH", "RNN_RELU")
NAMES = ("GRU", "LSTM", "RNN")
TOLERANCES = {torch.float32: 5e-6, torch.float64: 1e-12}


def random(generator, *shape, dtype=torch.float64, scale=0.5):
    return (scale * torch.randn(*shape, generator=generator, dtype=dtype)).requires_grad_()


def layer(mode, sizes, features, hidden, *, bias=True, dtype=torch.float64, seed=0):
    """Random rows of all steps, an initial state and weights."""
    generator = torch.Generator().manual_seed(seed)
    gates = {"GRU": 3, "LSTM": 4}.get(mode, 1) * hidden
    state = [random(generator, sizes[0], hidden, dtype=dtype) for _ in range(1 + (mode == "LSTM"))]
    shapes = [(gates, features), (gates, hidden), *([(gates,)] * 2 if bias else [])]
    weights = [random(generator, *shape, dtype=dtype, scale=0.3) for shape in shapes]
    return random(generator, sum(sizes), features, dtype=dtype), state, weights


def compiled(mode, x, sizes, state, weights, reverse):
    run = operation.Run(mode, torch.tensor(sizes).numpy(), reverse)
    return operation.run_layer(run, x, tuple(state), weights)


def with_gradients(results, inputs, seed=1):
    """The results, and the gradients of all inputs through all of them."""
    generator = torch.Generator().manual_seed(seed)
    grads = [torch.randn(result.shape, generator=generator, dtype=result.dtype) for result in results]
    return [*results, *torch.autograd.grad(results, inputs, grads)]


def assert_equal(found, right, tolerance):
    for a, b in zip(found, right, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance * max(1.0, b.detach().abs().max().item()))


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("sizes", [[1], [3] * 5, [70, 70], [5, 5, 3, 2, 2, 1], [9, 8, 7, *[1] * 60]], ids=len)
def test_a_layer_equals_the_plain_equations(mode, sizes, dtype):
    for (features, hidden), reverse, bias in itertools.product([(1, 1), (9, 8), (2, 13)], [False, True], [True, False]):
        x, state, weights = layer(mode, sizes, features, hidden, bias=bias, dtype=dtype)
        inputs = [x, *state, *weights]
        right = with_gradients(reference.run(mode, x, sizes, tuple(state), weights, reverse), inputs)
        assert_equal(
            with_gradients(compiled(mode, x, sizes, state, weights, reverse), inputs), right, TOLERANCES[dtype]
        )


@pytest.mark.parametrize("mode", MODES)
def test_gradients_are_those_of_finite_differences(mode):
    sizes = [2, 2, 1]
    x, state, weights = layer(mode, sizes, 2, 2)
    for reverse in (False, True):

        def run(x, *others, reverse=reverse):
            return compiled(mode, x, sizes, others[: len(state)], list(others[len(state) :]), reverse)

        assert torch.autograd.gradcheck(run, (x, *state, *weights))
        assert torch.autograd.gradgradcheck(run, (x, *state, *weights), fast_mode=True)


def test_only_the_gradients_that_are_wanted_are_computed_and_they_are_the_same():
    x, state, weights = layer("LSTM", [4, 4, 2], 3, 5)
    everything = with_gradients(compiled("LSTM", x, [4, 4, 2], state, weights, False), [x, *state, *weights])[3:]
    for wanted in ([x], state, weights[:1], [state[1]]):
        inputs = [x, *state, *weights]
        kept = [tensor if any(tensor is w for w in wanted) else tensor.detach() for tensor in inputs]
        results = compiled("LSTM", kept[0], [4, 4, 2], kept[1:3], kept[3:], False)
        right = [g for tensor, g in zip(inputs, everything, strict=True) if any(tensor is w for w in wanted)]
        assert_equal(with_gradients(results, wanted)[3:], right, 0)


def test_one_result_alone_has_a_gradient():
    x, state, weights = layer("LSTM", [4, 4, 2], 3, 5)
    for chosen in range(3):
        results = [run("LSTM", x, [4, 4, 2], tuple(state), weights, False)[chosen] for run in (reference.run, compiled)]
        assert_equal(*([*torch.autograd.grad(r.sum(), [x, *state, *weights])] for r in results[::-1]), 1e-12)


@pytest.mark.parametrize("settings", [
    {}, {"num_layers": 3, "dropout": 0.4, "bidirectional": True}, {"num_layers": 2, "batch_first": True, "bias": False},
])  # fmt: skip
@pytest.mark.parametrize("lengths", [None, [6, 4, 4, 1], [2, 6, 1, 6]], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_module_equals_that_of_pytorch(name, lengths, settings):
    for dtype, tolerance in TOLERANCES.items():
        torch.manual_seed(0)
        plain = getattr(nn, name)(3, 13, dtype=dtype, **settings)
        cores = [plain, gated.from_torch(copy.deepcopy(plain), backend="compiled")]
        x = torch.randn(4, 6, 3, dtype=dtype) if plain.batch_first else torch.randn(6, 4, 3, dtype=dtype)
        leaves = [torch.randn(plain.num_layers * (1 + plain.bidirectional), 4, 13, dtype=dtype) for _ in range(2)]
        found = []
        for core in cores:
            torch.manual_seed(1)  # of the dropout
            inputs = [tensor.clone().requires_grad_() for tensor in (x, *leaves[: 1 + (name == "LSTM")])]
            given = inputs[0] if lengths is None else packed(inputs[0], lengths, plain.batch_first)
            output, state = core(given, tuple(inputs[1:]) if name == "LSTM" else inputs[1])
            results = [output.data if lengths else output, *(state if name == "LSTM" else [state])]
            found.append(with_gradients(results, [*inputs, *core.parameters()]))
        assert found[0][0].stride() == found[1][0].stride()
        assert_equal(found[1], found[0], tolerance)


def packed(x, lengths, batch_first):
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first, enforce_sorted=lengths[0] == max(lengths))


@pytest.mark.parametrize("name", NAMES)
def test_inputs_in_any_order_of_memory_and_single_sequences(name):
    core = getattr(gated, name)(3, 5, backend="compiled", dtype=torch.float64)
    plain = gated.to_torch(core)
    base = torch.randn(3, 7, 4, dtype=torch.float64)
    for x in (base.permute(2, 1, 0), base[0, :, :3], torch.randn(5, 1, 3, dtype=torch.float64).expand(5, 4, 3)):
        assert_equal([core(x)[0]], [plain(x)[0]], 1e-12)
    weights = torch.zeros(7, 4, 5, dtype=torch.float64)[:, ::2]
    results = [
        torch.autograd.grad(c(base[:2].permute(1, 0, 2)[..., :3])[0], [*c.parameters()], weights[:, :1].expand(7, 2, 5))
        for c in (core, plain)
    ]
    assert_equal(*results, 1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_nan_and_infinity_go_through_as_in_pytorch(name, dtype):
    torch.manual_seed(0)
    core = getattr(gated, name)(2, 13, backend="compiled", dtype=dtype)
    for bad in (float("nan"), float("inf"), -float("inf")):
        x = torch.randn(4, 3, 2, dtype=dtype)
        x[1, 1, 0] = bad
        found, right = core(x)[0], gated.to_torch(core)(x)[0]
        assert torch.equal(found.isnan(), right.isnan())
        torch.testing.assert_close(found, right, equal_nan=True)
    assert core(torch.full((1, 1, 2), float("nan"), dtype=dtype))[0].isnan().all()


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_sigmoid_is_exact_in_its_tails(dtype):
    """An LSTM's c is f c0 = sigmoid(x) where the other gates are shut."""
    x = torch.linspace(-60, 60, 500, dtype=torch.float64)
    core = gated.LSTM(1, 1, backend="compiled", dtype=dtype)
    with torch.no_grad():
        for weight in core.parameters():
            weight.zero_()
        core.weight_ih_l0[1] = 1
    _, (_, c) = core(
        x.to(dtype).view(1, -1, 1), (torch.zeros(1, 500, 1, dtype=dtype), torch.ones(1, 500, 1, dtype=dtype))
    )
    right = torch.sigmoid(x.to(dtype).double())
    assert ((c.view(-1).double() - right) / right).abs().max() < (4e-7 if dtype == torch.float32 else 1e-14)


def test_a_graph_that_is_kept_gives_the_same_gradients_twice():
    core = gated.GRU(2, 5, backend="compiled")
    loss = core(torch.randn(9, 3, 2))[0].square().sum()
    first = torch.autograd.grad(loss, [*core.parameters()], retain_graph=True)
    assert_equal(torch.autograd.grad(loss, [*core.parameters()]), first, 0)


def test_gradients_of_many_outputs_at_once():
    core, x = gated.GRU(2, 3, backend="compiled", dtype=torch.float64), torch.randn(4, 2, 2, dtype=torch.float64)
    grads = torch.randn(5, 4, 2, 3, dtype=torch.float64)
    output, weight = core(x)[0], core.weight_hh_l0
    (found,) = torch.autograd.grad(output, weight, grads, is_grads_batched=True, retain_graph=True)
    right = [torch.autograd.grad(output, weight, grad, retain_graph=True)[0] for grad in grads]
    assert_equal([found], [torch.stack(right)], 1e-12)


def test_outputs_may_be_changed_in_place():
    core = gated.GRU(2, 8, backend="compiled", dtype=torch.float64)
    x = torch.randn(9, 3, 2, dtype=torch.float64)
    found = [torch.autograd.grad(c(x)[0].mul_(2).sum(), [*c.parameters()]) for c in (core, gated.to_torch(core))]
    assert_equal(*found, 1e-12)


def test_weights_that_change_before_the_backward_pass_are_an_error():
    core = gated.GRU(2, 5, backend="compiled")
    loss = core(torch.randn(4, 3, 2))[0].sum()
    with torch.no_grad():
        core.weight_hh_l0.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def runs(core, *arguments):
    """Whether a call runs the compiled loops."""
    called = []
    original, operation.run_layer = operation.run_layer, lambda *a: called.append(a) or original(*a)
    try:
        core(*arguments)
    finally:
        operation.run_layer = original
    return bool(called)


def test_auto_takes_the_loops_where_they_are_faster(monkeypatch):
    assert runs(gated.GRU(2, 32), torch.randn(64, 32, 2))
    assert runs(gated.LSTM(2, 32), torch.randn(64, 32, 2))
    assert not runs(gated.LSTM(2, 512), torch.randn(2, 3, 2))
    assert not runs(gated.GRU(2, 32), torch.randn(1, 1, 2))
    assert runs(gated.LSTM(2, 32), packed(torch.randn(9, 3, 2), [9, 4, 1], False))
    assert not runs(gated.GRU(2, 32, backend="torch"), torch.randn(64, 32, 2))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert runs(gated.GRU(2, 32), torch.randn(64, 32, 2))
    assert not backend.faster("GRU", 64 * 20, 20, 256, False)


def test_pytorch_runs_what_the_loops_cannot():
    x = torch.randn(64, 32, 2)
    for core, given in (
        (gated.LSTM(2, 32, proj_size=3), x),
        (gated.GRU(2, 32).bfloat16(), x.bfloat16()),
        (gated.GRU(2, 32, device="meta"), x.to("meta")),
    ):
        assert not runs(core, given)
        with pytest.raises(ValueError, match="backend='compiled' "):
            type(core)(**{**core.config(), "backend": "compiled"}).to(given.device, given.dtype)(given)
    core = gated.GRU(2, 32)
    with torch.autocast("cpu", torch.bfloat16):
        assert not runs(core, x)
        plain = gated.to_torch(core)(x)[0]
        assert torch.equal(core(x)[0], plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing and exporting, which warn of nn.GRU too
        assert torch.equal(torch.jit.trace(core, x)(x)[0], gated.to_torch(core)(x)[0])
        program = torch.export.export(core, (x,)).module()
        assert_equal([program(x)[0]], [core(x)[0]], 5e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_torch_func_and_changed_weights():
    core, x = gated.GRU(2, 5, dtype=torch.float64), torch.randn(9, 3, 2, dtype=torch.float64)
    names = dict(core.named_parameters())
    grads = torch.func.grad(lambda w: torch.func.functional_call(core, w, (x,))[0].sum())(names)
    right = torch.autograd.grad(core(x)[0].sum(), [*names.values()])
    assert_equal([*grads.values()], right, 1e-12)
    doubled = {name: 2 * weight for name, weight in names.items()}
    found = torch.func.functional_call(core, doubled, (x,))[0]
    assert_equal([found], [torch.func.functional_call(gated.to_torch(core), doubled, (x,))[0]], 1e-12)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        assert torch.autograd.forward_ad.unpack_dual(core(dual)[0]).tangent is not None


def test_parametrised_hooked_tied_and_frozen_weights():
    x = torch.randn(9, 3, 5, dtype=torch.float64)
    core = gated.GRU(5, 5, dtype=torch.float64)
    core.weight_ih_l0 = core.weight_hh_l0
    core.bias_ih_l0.requires_grad_(False)
    plain = copy.deepcopy(gated.to_torch(core))
    for module in (core, plain):
        parametrize.register_parametrization(module, "bias_hh_l0", nn.Tanh())
        module.register_forward_hook(lambda module, given, found: (2 * found[0], found[1]))
        module(x)[0].sum().backward()
    assert_equal([core(x)[0], core.weight_hh_l0.grad], [plain(x)[0], plain.weight_hh_l0.grad], 1e-12)
    assert core.bias_ih_l0.grad is None


def test_wrong_arguments_are_refused_as_in_pytorch():
    for name in NAMES:
        core = getattr(gated, name)(3, 5, backend="compiled")
        plain = gated.to_torch(core)
        data = PackedSequence(torch.randn(6, 3), torch.tensor([3, 2, 1]))
        wrong = [(torch.randn(4, 2, 4),), (torch.randn(4, 2, 3), torch.zeros(1, 3, 5)), (torch.randn(2, 2, 2, 3),),
                 (data, torch.zeros(1, 2, 5)), (torch.randn(4, 2, 3, dtype=torch.float64),)]  # fmt: skip
        if name == "LSTM":
            wrong = [(x, (h[0], h[0])) if h else (x,) for x, *h in wrong]
        for arguments in wrong:
            with pytest.raises((RuntimeError, ValueError)) as right:
                plain(*arguments)
            with pytest.raises(type(right.value)):
                core(*arguments)
    with pytest.raises(ValueError, match="backend must be one of auto, torch, compiled; found 'fast'"):
        gated.GRU(1, 2, backend="fast")


def test_without_numba_pytorch_runs_and_says_nothing(monkeypatch):
    find = backend.importlib.util.find_spec
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None if name == "numba" else find(name))
    backend.operations.cache_clear()
    try:
        core, x = gated.GRU(2, 32), torch.randn(64, 32, 2)
        assert torch.equal(core(x)[0], gated.to_torch(core)(x)[0])
        core.backend = "compiled"
        with pytest.raises(ImportError, match=r"pip install 'contextual-rnn\[fast\]'"):
            core(x)
    finally:
        backend.operations.cache_clear()


@pytest.mark.parametrize("name", NAMES)
def test_models_are_shared_with_pytorch_saved_and_copied(name, tmp_path):
    plain = getattr(nn, name)(3, 5, num_layers=2, batch_first=True, dropout=0.1).eval()
    core = gated.from_torch(plain)
    assert core.weight_hh_l1 is plain.weight_hh_l1
    assert not core.training
    assert [*core.state_dict()] == [*plain.state_dict()]
    assert gated.to_torch(core).weight_hh_l1 is plain.weight_hh_l1
    x = torch.randn(2, 9, 3)
    for made in (copy.deepcopy(core), core.double().float()):
        assert torch.equal(made(x)[0], core(x)[0])
    save(core, tmp_path / "core.safetensors")
    read = load(tmp_path / "core.safetensors")
    assert type(read) is getattr(gated, name)
    assert torch.equal(read(x)[0], core(x)[0])
    save(plain, tmp_path / "plain.safetensors")
    assert type(load(tmp_path / "plain.safetensors")) is getattr(nn, name)
    with pytest.raises(TypeError, match="found a Linear"):
        gated.from_torch(nn.Linear(1, 1))


def test_lengths_resets_and_contexts_of_a_contextual_rnn():
    core = gated.GRU(2, 5, batch_first=True, dtype=torch.float64)
    models = []
    for c in (core, gated.to_torch(core)):
        torch.manual_seed(0)
        models.append(ContextualRNN(c, ContextState(c, nn.Linear(3, 4, dtype=torch.float64)).double()))
    x, context = torch.randn(3, 12, 2, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    resets = torch.rand(3, 12) < 0.3
    for more in ({}, {"lengths": [0, 12, 5]}, {"lengths": [3, 12, 5], "resets": resets}):
        results = [model(x, context, **more) for model in models]
        assert_equal(results[0], results[1], 1e-12)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_steps_equal_the_whole_pass(name, dtype):
    for layers, hidden in ((1, 32), (3, 13)):
        core = getattr(nn, name)(5, hidden, num_layers=layers, batch_first=True, dtype=dtype)
        state = tuple(torch.randn(3, layers, hidden, dtype=dtype) for _ in range(1 + (name == "LSTM")))
        x = torch.randn(3, 7, 5, dtype=dtype)
        turned = [leaf.transpose(0, 1).contiguous() for leaf in state]
        with torch.no_grad():
            output, last = core(x, tuple(turned) if name == "LSTM" else turned[0])
            assert GatedSteps.supports(core)
            step = GatedSteps(core, state if name == "LSTM" else state[0])
            found = torch.stack([step(x[:, t]).clone() for t in range(7)], dim=1)
        pairs = zip(last, step.state, strict=True) if name == "LSTM" else [(last, step.state)]
        assert_equal([found], [output], 5 * TOLERANCES[dtype])
        assert_equal(
            *zip(*((mine, right.transpose(0, 1)) for right, mine in pairs), strict=True), 5 * TOLERANCES[dtype]
        )
        with pytest.raises(ValueError, match="x must have shape"):
            step(x[:2, 0])
        with torch.no_grad():
            again = gated.from_torch(core).stepper(state if name == "LSTM" else state[0])
            assert torch.equal(again(x[:, 0]), found[:, 0])
    assert not GatedSteps.supports(getattr(nn, name)(5, 4, bidirectional=True))
    assert getattr(gated, name)(5, 4, backend="torch").stepper(None) is None
    assert getattr(gated, name)(5, 4, bidirectional=True).stepper(None) is None


def test_two_threads_change_nothing():
    """The loops use no threads of a library: two threads of Python and two of PyTorch get what one gets."""
    from concurrent.futures import ThreadPoolExecutor

    core, x = gated.GRU(2, 32, backend="compiled"), torch.randn(64, 32, 2)

    def gradients(_):
        return torch.autograd.grad(core(x)[0].sum(), [*core.parameters()])

    right = gradients(0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(2) as pool:
            for found in pool.map(gradients, range(8)):
                assert all(torch.equal(a, b) for a, b in zip(found, right, strict=True))
    finally:
        torch.set_num_threads(before)
