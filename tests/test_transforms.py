"""Transforms of `torch.func`, second derivatives, `torch.compile` and `torch.export` of hand-written operations."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from contextual_rnn import ContextualRNN, FastWeightsRNN, FreeState
from contextual_rnn.fast_weights import backend
from contextual_rnn.seq2seq import AdditiveAttention, CopyBridge, Decoder, Encoder, EncoderDecoder


class Attends(nn.Module):
    """Additive attention as a function of inputs alone: queries x (B, T, 3) of a memory (B, S, 4)."""

    def __init__(self):
        super().__init__()
        self.attention = AdditiveAttention(3, 4, 5)

    def forward(self, x, memory):
        mask = torch.ones(memory.shape[:2], dtype=torch.bool)
        return self.attention(x, self.attention.keys(memory), memory, mask)[0]


class Runs(nn.Module):
    """Fast weights from a start that depends on context: inputs x (B, T, 3), context (B, 2)."""

    def __init__(self, backend="auto"):
        super().__init__()
        self.start = nn.Linear(2, 4)
        self.core = FastWeightsRNN(3, 4, inner_steps=2, activation="tanh", backend=backend)

    def forward(self, x, context):
        h = self.start(context)
        output, (_, fast) = self.core(x, (h, h.unsqueeze(2) * h.unsqueeze(1)))
        return torch.cat([output.flatten(1), fast.flatten(1)], dim=1)


MODELS = {
    "additive attention": (Attends, (4, 3), (5, 4)),
    "fast weights": (Runs, (6, 3), (2,)),
    "fast weights in PyTorch": (lambda: Runs("attention"), (6, 3), (2,)),
}


def make(name, rows=3):
    torch.manual_seed(0)
    kind, *shapes = MODELS[name]
    return kind().double(), [torch.randn(rows, *shape, dtype=torch.float64) for shape in shapes]


def gradients(network, arguments):
    found = torch.autograd.grad(network(*arguments).square().sum(), list(network.parameters()))
    return dict(zip(dict(network.named_parameters()), found, strict=True))


def loss(network, parameters, arguments):
    return functional_call(network, parameters, arguments).square().sum()


def parameters(network):
    return {name: one.detach() for name, one in network.named_parameters()}


@pytest.mark.parametrize("name", MODELS)
def test_gradients_by_torch_func_are_those_of_autograd(name):
    network, arguments = make(name)
    found = grad(lambda weights: loss(network, weights, tuple(arguments)))(parameters(network))
    torch.testing.assert_close(found, gradients(network, arguments))


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_each_example_are_those_of_a_loop(name):
    network, arguments = make(name)

    def of_one(weights, *row):
        return loss(network, weights, tuple(part.unsqueeze(0) for part in row))

    found = vmap(grad(of_one), in_dims=(None, *[0] * len(arguments)))(parameters(network), *arguments)
    for row in range(3):
        alone = gradients(network, [part[row : row + 1] for part in arguments])
        torch.testing.assert_close({key: one[row] for key, one in found.items()}, alone)


def test_gradients_of_each_pair_of_an_encoder_and_decoder_are_those_of_a_loop():
    torch.manual_seed(0)
    reads, writes = FastWeightsRNN(5, 6), FastWeightsRNN(5, 6)
    encoder = Encoder(ContextualRNN(reads, FreeState(reads)), nn.Embedding(9, 5))
    decoder = Decoder(
        ContextualRNN(writes, CopyBridge(reads, writes)), 9, nn.Embedding(9, 5), AdditiveAttention(6, 6, 4)
    )
    network = EncoderDecoder(encoder, decoder).double()
    pairs = torch.randint(2, 9, (3, 5)), torch.randint(2, 9, (3, 4))

    def of_one(weights, source, target):
        return functional_call(network, weights, (source.unsqueeze(0),), {"target": target.unsqueeze(0)})

    found = vmap(grad(of_one), in_dims=(None, 0, 0))(parameters(network), *pairs)
    for row in range(3):
        loss = network.loss(*(part[row : row + 1] for part in pairs))
        alone = torch.autograd.grad(loss, list(network.parameters()))
        torch.testing.assert_close([one[row] for one in found.values()], list(alone))


@pytest.mark.parametrize("name", MODELS)
def test_a_learned_learning_step_has_the_gradient_of_finite_differences(name):
    network, arguments = make(name)

    def after_a_step(rate):
        def inner(weights):
            return loss(network, weights, tuple(arguments))

        start = parameters(network)
        slopes = grad(inner)(start)
        return inner({key: start[key] - rate * slopes[key] for key in start})

    rate, small = torch.tensor(0.01, dtype=torch.float64), 1e-6
    finite = (after_a_step(rate + small) - after_a_step(rate - small)) / (2 * small)
    torch.testing.assert_close(grad(after_a_step)(rate), finite, rtol=1e-5, atol=1e-7)


def test_additive_attention_has_second_derivatives():
    network, arguments = make("additive attention")
    arguments = [part.requires_grad_() for part in arguments]
    assert torch.autograd.gradgradcheck(network, arguments)
    network.requires_grad_(False)
    assert torch.autograd.gradgradcheck(network, arguments)


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_model_is_the_model(name):
    network, arguments = make(name)
    compiled = copy.deepcopy(network)
    compiled.compile(backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*arguments), network(*arguments))
    torch.testing.assert_close(gradients(compiled, arguments), gradients(network, arguments))


def test_compiled_fast_weights_still_run_in_their_own_kernels(monkeypatch):
    used, choose = [], backend.choose
    monkeypatch.setattr(
        "contextual_rnn.fast_weights.graph_operation.choose", lambda *args: used.append(args[0]) or choose(*args)
    )
    network, arguments = make("fast weights")
    network.compile(backend="eager")
    gradients(network, arguments)
    assert used == ["auto", "auto"]  # forward, and again for the backward pass


@pytest.mark.parametrize("name", MODELS)
def test_an_exported_model_is_the_model_at_another_batch_size(name):
    network, arguments = make(name)
    rows = torch.export.Dim("rows", min=2)
    exported = torch.export.export(network, tuple(arguments), dynamic_shapes=[{0: rows}] * len(arguments)).module()
    _, others = make(name, rows=5)
    torch.testing.assert_close(exported(*others), network(*others))
