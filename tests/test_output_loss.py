"""The loss of a large output layer in pieces: equal in value and every gradient, and bounded in memory."""

import pytest
import torch
from torch import nn

from contextual_rnn import ConstantState, ContextualRNN
from contextual_rnn.seq2seq import Decoder, Encoder, EncoderDecoder, ProjectBridge, make_attention, output_loss
from contextual_rnn.seq2seq.output_loss import LossInPieces, reference_loss


def layer(rows, width, categories, dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = ((rows, width), (categories, width), (categories,))
    made = [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]
    return made, torch.randint(-1, categories, (rows,), generator=generator)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-12), (torch.float32, 5e-6)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("piece", [1, 50, 1000])
def test_pieces_give_the_loss_and_every_gradient(dtype, within, smoothing, piece):
    tensors, labels = layer(37, 5, 11, dtype)
    wanted, found = reference_loss(*tensors, labels, smoothing), LossInPieces.apply(*tensors, labels, smoothing, piece)
    assert float((wanted - found).detach()) == pytest.approx(0, abs=within)
    gradients = zip(torch.autograd.grad(3 * wanted, tensors), torch.autograd.grad(3 * found, tensors), strict=True)
    for one, other in gradients:
        assert torch.allclose(one, other, rtol=0, atol=within)


def test_second_derivatives_are_those_of_the_plain_loss():
    tensors, labels = layer(7, 3, 5, torch.float64)
    assert torch.autograd.gradcheck(lambda *given: LossInPieces.apply(*given, labels, 0.1, 8), tensors)
    assert torch.autograd.gradgradcheck(lambda *given: LossInPieces.apply(*given, labels, 0.1, 8), tensors)


def model(attention="additive", **options):
    torch.manual_seed(0)
    reads, writes = nn.GRU(6, 5, bidirectional=True, batch_first=True), nn.GRU(6, 10, batch_first=True)
    encoder = Encoder(ContextualRNN(reads, ConstantState(reads)), nn.Embedding(20, 6))
    rnn = ContextualRNN(writes, ProjectBridge(reads, writes))
    return EncoderDecoder(encoder, Decoder(rnn, 30, nn.Embedding(30, 6), make_attention(attention, 10, 10), **options))


@pytest.mark.parametrize("attention", ["none", "additive"])
@pytest.mark.parametrize("options", [{}, {"attentional_size": 6, "tied": True}])
def test_a_model_has_the_same_loss_and_gradients_in_pieces(monkeypatch, attention, options):
    made = model(attention, **options)
    source, target, lengths = torch.randint(20, (4, 7)), torch.randint(2, 30, (4, 5)), torch.tensor([5, 2, 0, 4])

    def run():
        made.zero_grad()
        loss = made.loss(source, target, None, lengths, label_smoothing=0.1)
        loss.backward()
        return [loss.detach(), *(parameter.grad.clone() for parameter in made.parameters())]

    whole, calls, apply = run(), [], LossInPieces.apply
    monkeypatch.setattr(output_loss, "LARGE", 10)
    monkeypatch.setattr(LossInPieces, "apply", lambda *given: calls.append(1) or apply(*given))
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(whole, run(), strict=True))
    assert calls == [1]


def test_hooks_of_the_output_layer_are_called(monkeypatch):
    monkeypatch.setattr(output_loss, "LARGE", 10)
    made, seen = model(), []
    made.decoder.output.register_forward_hook(lambda *given: seen.append(1))
    made.loss(torch.randint(20, (4, 7)), torch.randint(2, 30, (4, 5)))
    assert seen == [1]


def test_the_logits_of_a_minibatch_are_never_all_in_memory(monkeypatch):
    sizes, linear = [], output_loss.linear
    monkeypatch.setattr(output_loss, "linear", lambda *given: sizes.append(linear(*given).numel()) or linear(*given))
    tensors, labels = layer(400, 4, 50, torch.float32)
    LossInPieces.apply(*tensors, labels, 0.0, 1000).backward()
    assert len(sizes) == -(-int((labels >= 0).sum()) // 20)
    assert max(sizes) <= 1000


def test_a_tied_embedding_gets_both_gradients():
    made = model(attentional_size=6, tied=True)
    assert made.decoder.output.weight is made.decoder.embedding.weight
    source, target = torch.randint(20, (4, 7)), torch.randint(2, 30, (4, 5))
    apart = model(attentional_size=6)
    apart.load_state_dict(made.state_dict())
    made.loss(source, target).backward()
    apart.loss(source, target).backward()
    both = apart.decoder.output.weight.grad + apart.decoder.embedding.weight.grad
    assert torch.allclose(made.decoder.embedding.weight.grad, both, atol=1e-6)
    logits = made(source, torch.randint(30, (4, 5))).outputs
    assert 0.05 < float(logits.std().detach()) < 2


def test_an_embedding_of_another_width_cannot_be_tied():
    with pytest.raises(
        ValueError, match=r"tied needs an nn\.Embedding of 30 rows of width 10, the attentional vector's"
    ):
        model(tied=True)


def test_label_smoothing_spreads_the_probability_of_each_label():
    made = model()
    source, target = torch.randint(20, (4, 7)), torch.randint(2, 30, (4, 5))
    inputs, labels = made.framed(target)
    log_probs = made(source, inputs).outputs.log_softmax(2)
    right = log_probs.gather(2, labels.unsqueeze(2)).mean()
    wanted = -(0.9 * right + 0.1 * log_probs.mean())
    found = made.loss(source, target, label_smoothing=0.1)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-6)
