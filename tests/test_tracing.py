"""Models traced, exported and compiled compute the same, at another batch size too, or refuse in one sentence."""

import warnings

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from contextual_rnn import (
    MLP,
    ContextState,
    ContextualRNN,
    GaussianHead,
    GaussianState,
    InitialState,
    LatentModel,
    MixtureHead,
    Posterior,
    SequenceModel,
)
from contextual_rnn._core.state import fill, leaves, shape_leaves

D, H = 3, 8
CORES = {
    "lstm": lambda: nn.LSTM(D, H, batch_first=True),
    "gru": lambda: nn.GRU(D, H, batch_first=True),
    "lstm cell": lambda: nn.LSTMCell(D, H),
}
over_cores = pytest.mark.parametrize("make", CORES.values(), ids=CORES)

# torch says this of its own graphs, which are in two parts around an nn.LSTM.
compiling = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


class Start(InitialState):
    """h0 of a linear map of the context, and nothing that a trace would fix."""

    def __init__(self, core):
        super().__init__(core)
        self.maps = nn.ModuleList(nn.Linear(2, torch.Size(shape).numel()) for shape in shape_leaves(self.shapes))

    def forward(self, batch_size, context=None, *, sample=None, generator=None):
        mapped = zip(self.maps, shape_leaves(self.shapes), strict=True)
        return fill(self.shapes, (layer(context).unflatten(1, shape) for layer, shape in mapped))


class WithLengths(nn.Module):
    def __init__(self, rnn, resets=None):
        super().__init__()
        self.rnn, self.resets = rnn, resets

    def forward(self, x, context, lengths):
        return self.rnn(x, context, lengths=lengths, resets=self.resets)[0]


def data(rows, steps=6):
    torch.manual_seed(rows)
    return torch.randn(rows, steps, D), torch.randn(rows, 2)


def assert_same(found, expected):
    torch.testing.assert_close([found[0], *leaves(found[1])], [expected[0], *leaves(expected[1])])


@pytest.mark.parametrize("make", [CORES["lstm"], CORES["lstm cell"]])
def test_exported_with_a_dynamic_batch(make):
    core = make()
    rnn = ContextualRNN(core, ContextState(core, nn.Linear(2, 5))).eval()
    batch = torch.export.Dim("batch", min=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of the flat weights of nn.LSTM
        exported = torch.export.export(rnn, data(4), dynamic_shapes=({0: batch}, {0: batch})).module()
    assert_same(exported(*data(7)), rnn(*data(7)))


@pytest.mark.filterwarnings("ignore")
def test_exported_lengths_are_beyond_torch_itself():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.core = nn.LSTM(D, H, batch_first=True)

        def forward(self, x, lengths):
            return pad_packed_sequence(self.core(pack_padded_sequence(x, lengths, True, False))[0], True)[0]

    core = nn.LSTM(D, H, batch_first=True)
    x, context = data(4)
    lengths = torch.tensor([6, 2, 3, 1])
    for model, arguments in (
        (Bare(), (x, lengths)),
        (WithLengths(ContextualRNN(core, Start(core))), (x, context, lengths)),
    ):
        with pytest.raises(Exception, match=r"FakeTensor|data.dependent|unpack"):
            torch.export.export(model, arguments)


def traced(model, arguments):
    """Trace, with an error for whatever this library would make a constant."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = torch.jit.trace(model, arguments, check_trace=False)
    assert not [warning for warning in caught if "contextual_rnn" in warning.filename]
    return found


@over_cores
def test_traced_it_takes_another_batch(make):
    core = make()
    rnn = ContextualRNN(core, Start(core)).eval()
    assert_same(traced(rnn, data(4))(*data(7)), rnn(*data(7)))


@pytest.mark.parametrize("make", [CORES["lstm"], CORES["gru"]])
def test_traced_with_lengths_it_takes_others(make):
    core = make()
    model = WithLengths(ContextualRNN(core, Start(core)).eval())
    found = traced(model, (*data(4), torch.tensor([6, 2, 0, 1])))
    for lengths in ([1, 0, 6, 4], [6, 6, 6, 6]):
        x, context = data(4)
        torch.testing.assert_close(found(x, context, torch.tensor(lengths)), model(x, context, torch.tensor(lengths)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "resets", "what"), [(CORES["lstm cell"], None, "lengths"), (CORES["lstm"], torch.eye(6)[:4], "resets")]
)
def test_what_a_trace_would_fix_is_refused(make, resets, what):
    core = make()
    model = WithLengths(ContextualRNN(core, Start(core)), resets)
    with pytest.raises(ValueError, match=f"torch.jit.trace cannot record {what}"):
        torch.jit.trace(model, (*data(4), torch.tensor([6, 2, 0, 1])))


@compiling
@pytest.mark.parametrize("make", [CORES["lstm"], CORES["lstm cell"]])
def test_compiled_with_lengths_and_without(make):
    core = make()
    rnn = ContextualRNN(core, ContextState(core, nn.Linear(2, 5)))
    torch._dynamo.reset()
    compiled = torch.compile(rnn, backend="eager")
    for rows in (4, 5):
        assert_same(compiled(*data(rows)), rnn(*data(rows)))
    assert_same(
        compiled(*data(4), lengths=torch.tensor([1, 6, 0, 3])), rnn(*data(4), lengths=torch.tensor([1, 6, 0, 3]))
    )


def sequence_model():
    core = nn.LSTM(D, H, batch_first=True)
    return SequenceModel(ContextualRNN(core, ContextState(core, MLP(2, [5]))), MixtureHead(H, D, 2), end=True)


def latent_model():
    core = nn.GRU(D, H, batch_first=True)
    rnn = ContextualRNN(core, GaussianState(ContextState(core, MLP(2, [5]))))
    return LatentModel(SequenceModel(rnn, GaussianHead(H, D)), Posterior(core, D))


def gradients(model, call):
    model.zero_grad()
    torch.manual_seed(0)
    loss = call(*data(4), torch.tensor([6, 2, 3, 1]))
    loss.backward()
    return [loss, *(parameter.grad for parameter in model.parameters())]


@pytest.mark.parametrize("make", [sequence_model, latent_model])
def test_a_model_called_is_its_loss(make):
    model = make()
    torch.testing.assert_close(gradients(model, model), gradients(model, model.loss), rtol=0, atol=0)


@compiling
def test_a_compiled_model_has_the_same_gradients():
    model = sequence_model()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager")
    torch.testing.assert_close(gradients(model, compiled), gradients(model, model.loss))


@pytest.mark.parametrize("make", [CORES["gru"], CORES["lstm cell"]])
def test_gradients_of_single_examples(make):
    core = make()
    rnn = ContextualRNN(core, ContextState(core, nn.Linear(2, 5)))
    weights = {name: weight.detach() for name, weight in rnn.named_parameters()}

    def loss(weights, x, context):
        return functional_call(rnn, weights, (x[None], context[None]))[0].square().mean()

    x, context = data(4)
    found = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, context)
    for row in range(4):
        torch.testing.assert_close(
            {name: rows[row] for name, rows in found.items()}, grad(loss)(weights, x[row], context[row])
        )
