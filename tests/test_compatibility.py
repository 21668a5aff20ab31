"""Every public class under what changes a model in place: copies, dtypes, autocast, weight norm, pruning, quantisation.

A cell of docs/compatibility.md is a test here, or in one of the other files test_compatibility_*.py.
"""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.distributions import Normal
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.utils._pytree import tree_leaves, tree_map
from zoo import CASES, C, D, H, Own, run

from contextual_rnn import (
    MLP,
    ContextState,
    ContextualRNN,
    FastWeightsRNN,
    GaussianHead,
    SequenceModel,
    Unroll,
    torch_layout,
)

every_case = pytest.mark.parametrize("name", CASES)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated"),
    pytest.mark.filterwarnings("ignore:There is a performance drop"),  # torch of operators that vmap runs in a loop
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor"),
]


def floats(tensors):
    return [tensor for tensor in tensors if tensor.is_floating_point()]


@every_case
def test_a_copy_and_a_pickle_are_the_model(name):
    case = CASES[name]
    model, arguments = case.model(), case.arguments(3)
    expected = run(model, arguments)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(run(other, arguments), expected, rtol=0, atol=0)
        other.train()
        for parameter in other.parameters():
            parameter.data.zero_()
    torch.testing.assert_close(run(model, arguments), expected, rtol=0, atol=0)


@pytest.fixture
def fixed_noise(monkeypatch):
    """Draws that are the same in every dtype."""
    draw = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *size, dtype=None, **options: draw(*size, **options).to(dtype))
    monkeypatch.setattr(Normal, "rsample", None)


@every_case
def test_in_float64_everything_is_float64_and_the_same(name, fixed_noise):
    case = CASES[name]
    model, arguments = case.model(), case.arguments(3)
    double = tree_map(lambda one: one.double() if one.is_floating_point() else one, arguments)
    expected, found = run(model, arguments), run(model.double(), double)
    assert {tensor.dtype for tensor in floats(found)} == {torch.float64}
    torch.testing.assert_close([one.float() for one in floats(found)], floats(expected), rtol=1e-4, atol=1e-5)


@every_case
@pytest.mark.parametrize(("dtype", "error"), [(torch.bfloat16, 0.1), (torch.float16, 0.01)])
def test_under_autocast_the_model_and_its_gradients_are_nearly_the_same(name, dtype, error, fixed_noise):
    case = CASES[name]
    model, arguments = case.model().train(), case.arguments(3)

    def results():
        outputs = floats(run(model, arguments))
        model.zero_grad()
        sum(one.float().square().mean() for one in outputs if one.requires_grad).backward()
        return [one.float() for one in outputs], [one.grad for one in model.parameters() if one.grad is not None]

    outputs, gradients = results()
    with torch.autocast("cpu", dtype=dtype):
        found, slopes = results()
    torch.testing.assert_close(found, outputs, rtol=error, atol=error)
    for slope, gradient in zip(slopes, gradients, strict=True):
        assert (slope - gradient).norm() <= 2 * error * (gradient.norm() + 1), "the gradient"


def row(case, arguments, number):
    """Return one row of arguments, without the batch."""
    if case.dims[0] == "tb":
        return arguments[0][:, number], arguments[1][number]
    return tree_map(lambda one: one[number], arguments)


def batch_of_one(case, arguments):
    if case.dims[0] == "tb":
        return arguments[0].unsqueeze(1), arguments[1].unsqueeze(0)
    return tree_map(lambda one: one.unsqueeze(0), arguments)


def square(outputs):
    return sum(one.square().mean() for one in floats(one for one in tree_leaves(outputs) if one is not None))


@every_case
def test_gradients_of_each_example_are_those_of_a_loop(name):
    case = CASES[name]
    model = case.model().double()
    arguments = tree_map(lambda one: one.double() if one.is_floating_point() else one, case.arguments(3))
    weights = dict(model.named_parameters())

    def loss(weights, *one):
        return square(functional_call(model, weights, batch_of_one(case, one)))

    places = (1, 0) if case.dims[0] == "tb" else tree_map(lambda _: 0, arguments)
    torch.manual_seed(1)
    found = vmap(grad(loss), in_dims=(None, *places), randomness="same")(
        {key: one.detach() for key, one in weights.items()}, *arguments
    )
    for number in range(3):
        torch.manual_seed(1)
        alone = torch.autograd.grad(
            loss(weights, *row(case, arguments, number)), list(weights.values()), allow_unused=True
        )
        for key, one in zip(weights, alone, strict=True):
            torch.testing.assert_close(found[key][number], torch.zeros_like(weights[key]) if one is None else one)


VECTORISED = ["ContextualRNN: nn.GRU", "ContextualRNN: nn.LSTM", "field Summary", "EncoderDecoder: project, additive"]


@pytest.mark.parametrize("name", VECTORISED)
@pytest.mark.parametrize("argument", [0, 1])
def test_vmap_over_one_argument_alone(name, argument):
    case = CASES[name]
    model, arguments, others = case.model(), case.arguments(3), case.arguments(3, 6)
    others = tree_map(lambda one: one.flip(0), others)

    def loss(weights, one):
        given = list(arguments)
        given[argument] = one
        return square(functional_call(model, weights, tuple(given)))

    weights = {key: one.detach() for key, one in model.named_parameters()}
    both = torch.stack([arguments[argument], others[argument]])
    found = vmap(grad(loss), in_dims=(None, 0))(weights, both)
    for number, one in enumerate((arguments[argument], others[argument])):
        torch.testing.assert_close(
            {key: slopes[number] for key, slopes in found.items()}, grad(loss)(weights, one), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", [*VECTORISED, "LatentModel: GaussianState, own"])
def test_an_ensemble_of_models_is_vectorised(name):
    case = CASES[name]
    models = [case.model(), case.model()]
    with torch.no_grad():
        for one in models[1].parameters():
            one.mul_(0.5)
    arguments, (weights, buffers) = case.arguments(3), stack_module_state(models)

    def loss(weights, buffers):
        return square(functional_call(models[0], (weights, buffers), arguments))

    torch.manual_seed(1)
    found = vmap(grad(loss), randomness="same")(weights, buffers)
    for number, model in enumerate(models):
        torch.manual_seed(1)
        alone = torch.autograd.grad(square(model(*arguments)), list(model.parameters()), allow_unused=True)
        for slopes, one in zip(found.values(), alone, strict=True):
            expected = torch.zeros_like(slopes[number]) if one is None else one
            torch.testing.assert_close(slopes[number], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("ContextualRNN") and "first" not in name])
@pytest.mark.parametrize("kind", ["lengths", "resets"])
def test_gradients_by_torch_func_with_lengths_and_resets(name, kind):
    model = CASES[name].model().double()
    x, context = (one.double() for one in CASES[name].arguments(4))
    lengths, resets = torch.tensor([6, 2, 0, 6]), torch.arange(24).view(4, 6) % 5 == 0
    given = {"lengths": lengths} if kind == "lengths" else {"resets": resets, "lengths": lengths}

    def loss(weights, context):
        return square(functional_call(model, weights, (x, context), given))

    weights = dict(model.named_parameters())
    found = grad(loss)({key: one.detach() for key, one in weights.items()}, context)
    expected = torch.autograd.grad(loss(weights, context), list(weights.values()))
    torch.testing.assert_close(list(found.values()), list(expected))
    with pytest.raises(ValueError, match=rf"torch.func.vmap cannot vectorise {kind}"):
        vmap(loss, in_dims=(None, 0))(weights, torch.stack([context, context]))


def test_model_agnostic_meta_learning_has_the_gradient_of_finite_differences():
    model = CASES["ContextualRNN: nn.GRUCell"].model().double()
    x, context = (one.double() for one in CASES["ContextualRNN: nn.GRUCell"].arguments(3))
    weights = {key: one.detach() for key, one in model.named_parameters()}

    def adapted(rate):
        def loss(weights):
            return functional_call(model, weights, (x, context))[0].square().mean()

        slopes = grad(loss)(weights)
        return loss({key: one - rate * slopes[key] for key, one in weights.items()})

    rate, small = torch.tensor(0.1, dtype=torch.float64), 1e-6
    finite = (adapted(rate + small) - adapted(rate - small)) / (2 * small)
    torch.testing.assert_close(grad(adapted)(rate), finite, rtol=1e-5, atol=1e-8)


CHANGES = {
    "weight_norm, hook": weight_norm,
    "weight_norm, parametrisation": parametrizations.weight_norm,
    "spectral_norm, hook": spectral_norm,
    "spectral_norm, parametrisation": parametrizations.spectral_norm,
    "pruning": lambda module, name: prune.l1_unstructured(module, name, 0.5),
}
over_changes = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
CORES = {
    "nn.LSTM": lambda: nn.LSTM(D, H, batch_first=True),
    "nn.GRU": lambda: nn.GRU(D, H, batch_first=True),
    "nn.LSTMCell": lambda: Unroll(nn.LSTMCell(D, H)),
    "FastWeightsRNN": lambda: FastWeightsRNN(D, H),
    "own core": Own,
}


def sequence_model(core):
    return SequenceModel(ContextualRNN(core, ContextState(core, MLP(C, [5]))), GaussianHead(H, D)).eval()


def change_weights(module, change):
    for one in list(module.modules()):
        for name in [name for name, weight in one.named_parameters(recurse=False) if weight.dim() == 2]:
            change(one, name)


@over_changes
@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
@pytest.mark.parametrize("whole", [False, True])
def test_changed_weights_are_used_by_every_path(core, change, whole):
    torch.manual_seed(0)
    model = sequence_model(core())
    x, context = torch.randn(3, 6, D), torch.randn(3, C)
    before = model.rnn(x, context)[0]
    change_weights(model if whole else model.rnn.core, change)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()(x, context).backward()
    optimizer.step()
    model.eval()
    with torch.no_grad():
        output = model.rnn(x, context)[0]
        assert (output - before).abs().max() > 1e-4
        step = model.rnn.stepper(model.rnn.start(3, context))
        steps = torch.stack([step(x[:, t]).clone() for t in range(6)], dim=1)
        torch.testing.assert_close(steps, output)
        short = model.rnn(x, context, lengths=[6, 2, 4])[0]
        torch.testing.assert_close(short[1, :2], output[1, :2])
        model(x, context)  # torch copies weights that a hook computed only if that was without gradients
        torch.testing.assert_close(copy.deepcopy(model).rnn(x, context)[0], output)
        if isinstance(model.rnn.core, nn.RNNBase):
            bare = model.rnn.core(x, torch_layout(model.rnn.start(3, context)))[0]
            torch.testing.assert_close(bare, output)


@over_changes
def test_changed_weights_are_refused_by_save(change, tmp_path):
    model = sequence_model(CORES["nn.LSTM"]())
    change_weights(model.rnn.core, change)
    with pytest.raises(ValueError, match=r"weight_norm, spectral_norm|parametrisation"):
        model.rnn.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())


QUANTISED = [
    name
    for name in CASES
    if name.startswith(("ContextualRNN: nn.LSTM", "ContextualRNN: nn.GRU", "Sequence", "Latent", "Encoder", "field"))
    and "projected" not in name
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", QUANTISED)
@pytest.mark.parametrize("kinds", [{nn.LSTM, nn.GRU}, {nn.LSTM, nn.GRU, nn.GRUCell, nn.LSTMCell, nn.Linear}])
def test_a_quantised_model_is_off_by_two_hundredths_at_most(name, kinds):
    case = CASES[name]
    model, arguments = case.model(), case.arguments(4)
    with torch.no_grad():
        quantised = torch.ao.quantization.quantize_dynamic(model, kinds)
        torch.testing.assert_close(run(quantised, arguments), run(model, arguments), rtol=0.02, atol=0.02)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("layers", [1, 2])
def test_a_quantised_lstm_starts_from_context_as_the_bare_one_does(layers):
    torch.manual_seed(0)
    core = nn.LSTM(D, H, layers, batch_first=True)
    model = ContextualRNN(core, ContextState(core, MLP(C, [5]))).eval()
    for rows in (layers, 4):  # as many rows as layers hide a state in the wrong layout
        x, context = torch.randn(rows, 6, D), torch.randn(rows, C)
        quantised = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM})
        with torch.no_grad():
            found, expected = quantised(x, context)[0], model(x, context)[0]
            assert (found - expected).abs().max() <= 0.01
            bare = quantised.core(x, torch_layout(model.start(rows, context)))[0]
        torch.testing.assert_close(found, bare, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torch_quantises_no_projections():
    bare = nn.LSTM(D, H, batch_first=True, proj_size=5)
    model = ContextualRNN(bare, ContextState(bare, MLP(C, [5])))
    x, context = CASES["ContextualRNN: nn.LSTM, projected"].arguments(4)
    for module, given in (bare, (x, (torch.zeros(1, 4, 5), torch.zeros(1, 4, H)))), (model, (x, context)):
        quantised = torch.ao.quantization.quantize_dynamic(nn.Sequential(module), {nn.LSTM})[0]
        with pytest.raises(RuntimeError, match="Expected hidden"):
            quantised(*given)


def exchanged(rnn):
    return {
        "copy": copy.deepcopy(rnn.core),
        "compiled": torch.compile(rnn.core, backend="eager"),
        "parallel": nn.DataParallel(rnn.core),
    }


@pytest.mark.parametrize("how", ["copy", "compiled", "parallel"])
@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
def test_a_core_exchanged_after_construction_is_called_as_before(core, how):
    torch.manual_seed(0)
    model = sequence_model(core())
    rows = model.rnn.state_shapes[0][0] if isinstance(model.rnn.state_shapes[0], tuple) else 3
    x, context = torch.randn(rows, 6, D), torch.randn(rows, C)
    expected = model.rnn(x, context)[0]
    model.rnn.core = exchanged(model.rnn)[how]
    torch.testing.assert_close(model.rnn(x, context)[0], expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert model(x, context).isfinite()
