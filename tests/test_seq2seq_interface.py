"""The encoder and decoder in wrappers, exporters and short calls, and what they refuse at construction."""

import copy
import pickle

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils.rnn import pack_sequence

from contextual_rnn import ConstantState, ContextualRNN, FastWeightsRNN, GaussianState, InputError
from contextual_rnn.seq2seq import (
    BRIDGES,
    AdditiveAttention,
    Decoder,
    Encoder,
    EncoderDecoder,
    ProjectBridge,
    ScheduledSampling,
    beam,
    constant,
    exponential,
    greedy,
    inverse_sigmoid,
    linear,
    make_attention,
    make_bridge,
)


def categories(bridge="project", attention="additive", dropout=0.0, **decoder):
    torch.manual_seed(0)
    reads, writes = nn.GRU(5, 4, bidirectional=True, batch_first=True), nn.LSTM(5, 6, batch_first=True)
    encoder = Encoder(ContextualRNN(reads, ConstantState(reads)), nn.Embedding(9, 5), dropout)
    start = make_bridge(bridge, reads, writes)
    memory = make_attention(attention, 6, 8)
    return EncoderDecoder(encoder, Decoder(ContextualRNN(writes, start), 9, nn.Embedding(9, 5), memory, **decoder))


def vectors():
    torch.manual_seed(0)
    reads, writes = nn.GRU(3, 4, batch_first=True), nn.GRU(3, 4, batch_first=True)
    decoder = Decoder(ContextualRNN(writes, ProjectBridge(reads, writes)), 2)
    return EncoderDecoder(Encoder(ContextualRNN(reads, ConstantState(reads))), decoder)


def pair(rows=3, source=5, target=4):
    torch.manual_seed(rows)
    return torch.randint(2, 9, (rows, source)), torch.randint(2, 9, (rows, target))


def test_forward_with_a_target_is_the_loss_and_with_inputs_the_predictions():
    network, (source, target) = categories(), pair()
    lengths = {"source_lengths": torch.tensor([5, 3, 4]), "target_lengths": torch.tensor([4, 4, 1])}
    assert torch.equal(network(source, target=target, **lengths), network.loss(source, target, **lengths))
    assert network(source, network.framed(target)[0]).outputs.shape == (3, 5, 9)
    past, future, known = torch.randn(2, 5, 3), torch.randn(2, 4, 2), torch.randn(2, 4, 1)
    options = {"first": future[:, 0], "known": known}
    assert torch.equal(vectors()(past, target=future, **options), vectors().loss(past, future, **options))
    with pytest.raises(InputError, match="or target=, for the loss; found neither"):
        network(source)
    with pytest.raises(InputError, match="or target=, for the loss; found both"):
        network(source, target, target=target)
    with pytest.raises(InputError, match="can only be used with target="):
        network(source, target, target_lengths=torch.tensor([1, 1, 1]))


def test_a_subclass_that_changes_predictions_changes_the_loss():
    class Doubled(EncoderDecoder):
        def forward(self, *args, **options):
            found = super().forward(*args, **options)
            return found._replace(outputs=2 * found.outputs)

    network, (source, target) = categories(), pair()
    other = Doubled(network.encoder, network.decoder)
    assert not torch.equal(other.loss(source, target), network.loss(source, target))


def test_distributed_data_parallel_gives_the_loss_and_its_gradients(tmp_path):
    network, (source, target) = categories(), pair()
    network.loss(source, target).backward()
    right = [one.grad.clone() for one in network.parameters()]
    network.zero_grad()
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        DistributedDataParallel(network)(source, target=target).backward()
    finally:
        distributed.destroy_process_group()
    assert all(torch.equal(a, one.grad) for a, one in zip(right, network.parameters(), strict=True))


def test_schedules_are_pickled_and_compared_by_their_settings():
    for schedule, other in (
        (constant(0.2), constant(0.3)),
        (linear(0, 0.5, 10), linear(0, 0.5, 11)),
        (exponential(0.9), exponential(0.8)),
        (inverse_sigmoid(10), inverse_sigmoid(11)),
    ):
        again = pickle.loads(pickle.dumps(ScheduledSampling(schedule)))
        assert again == ScheduledSampling(schedule) != ScheduledSampling(other)
        assert again.probability(3) == schedule(3)
        assert len({schedule, copy.deepcopy(schedule), other}) == 2
    for wrong, said in ((lambda: exponential(1.5), "rate must be"), (lambda: inverse_sigmoid(0), "rate must be")):
        with pytest.raises(ValueError, match=said):
            wrong()


@pytest.mark.parametrize(("width", "n_best"), [(1, 1), (4, 1), (4, 3)])
def test_generate_is_the_search_in_evaluation_mode(width, n_best):
    network, (source, _) = categories(dropout=0.5), pair()
    lengths, options = torch.tensor([5, 2, 4]), {"start": 0, "end": 1, "max_steps": 7, "alpha": 0.5}
    network.encoder.embedding.eval()
    modes = [module.training for module in network.modules()]
    found = network.generate(source, lengths, beam=width, n_best=n_best, max_steps=7, alpha=0.5)
    assert [module.training for module in network.modules()] == modes
    step, state = network.eval().begin(source, lengths)
    more = {} if width == 1 else {"width": width, "n_best": n_best}
    right = (greedy if width == 1 else beam)(step, state, 3, **more, **options)
    assert found.texts(n_best - 1) == right.texts(n_best - 1)
    assert torch.equal(found.scores, right.scores)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_categories_may_be_integers_of_any_type(dtype):
    network, (source, target) = categories(), pair()
    lengths = torch.tensor([4, 0, 2])
    right = network.loss(source, target, target_lengths=lengths)
    assert torch.equal(network.loss(source.to(dtype), target.to(dtype), target_lengths=lengths), right)


class Predictions(nn.Module):
    """The predictions and attention weights of a model, as exporters without named tuples need them."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, source, inputs):
        decoded = self.network(source, inputs)
        return decoded.outputs if decoded.weights is None else (decoded.outputs, decoded.weights)


CASES = [("zero", "none"), ("project", "additive"), ("concat", "multiplicative"), ("copy", "additive")]


# What PyTorch says of a bare nn.GRU as well: on its flat weights, its deprecated tracing, and where a graph breaks.
OWN_WARNINGS = pytest.mark.filterwarnings(
    "ignore:The tensor attributes", "ignore:`torch.jit", "ignore:The .grad attribute", "ignore:Converting a tensor"
)


@OWN_WARNINGS
@pytest.mark.parametrize(("bridge", "attention"), CASES)
def test_an_exported_model_is_the_model_at_another_batch_size(bridge, attention):
    network = categories(bridge, attention).eval()
    if bridge == "copy":  # here with input feeding, whose steps are unrolled
        writes = nn.LSTM(11, 6, batch_first=True)
        start = make_bridge(bridge, network.encoder.rnn.core, writes)
        network.decoder = Decoder(
            ContextualRNN(writes, start), 9, nn.Embedding(9, 5), AdditiveAttention(6, 8, 6), input_feeding=True
        ).eval()
    rows = torch.export.Dim("rows", min=2)
    exported = torch.export.export(network, pair(), dynamic_shapes=({0: rows}, {0: rows})).module()
    found, right = exported(*pair(7)), network(*pair(7))
    torch.testing.assert_close(found.outputs, right.outputs)
    torch.testing.assert_close(found.weights, right.weights)


@OWN_WARNINGS
def test_a_dynamic_length_is_beyond_torch_export_for_a_bare_core_as_well():
    steps = torch.export.Dim("steps", min=2)
    with pytest.raises(Exception, match="specialized it to be a constant"):
        torch.export.export(nn.GRU(3, 4, batch_first=True), (torch.randn(2, 5, 3),), dynamic_shapes=({1: steps},))


@OWN_WARNINGS
@pytest.mark.parametrize("attention", ["none", "additive"])
def test_a_traced_model_is_the_model_at_another_batch_size_and_length(attention):
    network = Predictions(categories(attention=attention).eval())
    traced = torch.jit.trace(network, pair())
    torch.testing.assert_close(traced(*pair(7, 6, 9)), network(*pair(7, 6, 9)))


@pytest.mark.filterwarnings("ignore")  # exporters and their packages warn of each other
@pytest.mark.parametrize("dynamo", [True, False], ids=["torch.export", "torch.jit.trace"])
def test_a_model_in_onnx_is_the_model_at_another_batch_size(dynamo, tmp_path):
    pytest.importorskip("onnxscript", reason="the ONNX exporters need it")
    runtime = pytest.importorskip("onnxruntime", reason="it runs what was exported")
    network, rows = Predictions(categories().eval()), torch.export.Dim("rows", min=2)
    names, file = ["source", "inputs"], tmp_path / "model.onnx"
    shapes = (
        {"dynamic_shapes": ({0: rows}, {0: rows})}
        if dynamo
        else {"dynamic_axes": {name: {0: "rows"} for name in names}}
    )
    torch.onnx.export(network, pair(), file, dynamo=dynamo, input_names=names, verbose=False, **shapes)
    other = pair(7)
    found = runtime.InferenceSession(file).run(None, dict(zip(names, (part.numpy() for part in other), strict=True)))
    for a, b in zip(found, network(*other), strict=True):
        torch.testing.assert_close(torch.from_numpy(a), b, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("bridge", BRIDGES)
def test_other_dtypes_give_nearly_the_same_loss(bridge, dtype):
    network, (source, target) = categories(bridge), pair()
    right = network.loss(source, target)
    within = 1e-6 if dtype == torch.float64 else 0.03
    if dtype != torch.float64:
        with torch.autocast("cpu", dtype):
            loss = network.loss(source, target)
            network.generate(source, beam=3)
        loss.backward()
        torch.testing.assert_close(loss, right, rtol=0, atol=within, check_dtype=False)
    torch.testing.assert_close(
        copy.deepcopy(network).to(dtype).loss(source, target), right, rtol=0, atol=within, check_dtype=False
    )


@OWN_WARNINGS
def test_a_compiled_model_has_the_loss_and_the_gradients_of_the_model():
    network, (source, target) = categories(), pair()
    losses, gradients = [], []
    for compiled in (False, True):
        network.zero_grad()
        run = torch.compile(network, backend="eager") if compiled else network
        losses.append(run(source, target=target))
        losses[-1].backward()
        gradients.append([one.grad.clone() for one in network.parameters()])
    torch.testing.assert_close(losses[1], losses[0])
    torch.testing.assert_close(gradients[1], gradients[0])


def gru(inputs=5, units=6, **options):
    core = nn.GRU(inputs, units, batch_first=True, **options)
    return ContextualRNN(core, ConstantState(core))


LONG = nn.GRU(5, 9, batch_first=True)
TOKENS, SOURCE = nn.Embedding(9, 5), torch.randint(2, 9, (2, 4))
REFUSED = {
    "a probability as feeding": (
        lambda: categories().loss(SOURCE, SOURCE, feeding=0.25),
        r"feeding must be a ScheduledSampling or None, such as ScheduledSampling\(0.25\); found 0.25",
    ),
    "a name as feeding": (
        lambda: categories().loss(SOURCE, SOURCE, feeding="output", training_step=0),
        "feeding must be a ScheduledSampling or None, .*; found 'output'",
    ),
    "a schedule that is no number": (lambda: ScheduledSampling("0.5"), "schedule must be a probability or a function"),
    "a bare core as encoder": (lambda: Encoder(nn.GRU(5, 6)), "encoder's rnn must be a ContextualRNN.*; found GRU"),
    "a class as encoder": (lambda: Encoder(nn.GRU), "encoder's rnn must be a ContextualRNN.*; found GRU"),
    "a bare core as decoder": (lambda: Decoder(nn.GRU(5, 6), 9), "decoder's rnn must be a ContextualRNN"),
    "a bidirectional decoder": (lambda: Decoder(gru(bidirectional=True), 9, TOKENS), "must have one direction"),
    "an attention's name": (lambda: Decoder(gru(), 9, TOKENS, "additive"), "attention must be an Attention"),
    "input feeding alone": (lambda: Decoder(gru(), 9, TOKENS, input_feeding=True), "input_feeding needs an attention"),
    "an encoder's embedding": (lambda: Encoder(gru(4), TOKENS), "encoder's core has input_size 4, .* have width 5"),
    "a linear embedding": (
        lambda: Encoder(gru(4), nn.Linear(2, 5)),
        "encoder's core has input_size 4, .* have width 5",
    ),
    "input feeding's width": (
        lambda: Decoder(gru(5), 9, TOKENS, AdditiveAttention(6, 6, 3), input_feeding=True),
        r"input_size 5, but the embeddings and the attentional vector have width 5 \+ 6 = 11",
    ),
    "vectors wider than the inputs": (lambda: Decoder(gru(5), 7), "input_size 5, but the predicted vectors.* width 7"),
    "a bridge of another encoder": (
        lambda: EncoderDecoder(
            Encoder(gru(), TOKENS), Decoder(ContextualRNN(LONG, ProjectBridge(LONG, LONG)), 9, TOKENS)
        ),
        r"bridge was made for an encoder of state shapes \(1, 9\); this encoder has \(1, 6\)",
    ),
    "a noisy bridge of another encoder": (
        lambda: EncoderDecoder(
            Encoder(gru(), TOKENS),
            Decoder(ContextualRNN(LONG, GaussianState(ProjectBridge(LONG, LONG))), 9, TOKENS),
        ),
        r"bridge was made for an encoder of state shapes \(1, 9\)",
    ),
    "an attention of another encoder": (
        lambda: EncoderDecoder(Encoder(gru(), TOKENS), Decoder(gru(), 9, TOKENS, AdditiveAttention(6, 7, 3))),
        "the attention has memory_size 7, but the encoder's outputs have width 6",
    ),
    "a start without an embedding": (
        lambda: EncoderDecoder(Encoder(gru(), TOKENS), Decoder(gru(), 9, TOKENS), start=9),
        "start must be from 0 to 8, a row of the embedding; found 9",
    ),
    "vectors to search for": (lambda: vectors().generate(torch.randn(2, 4, 3)), "for vectors, call free_run"),
    "more targets than the beam": (lambda: categories().generate(SOURCE, n_best=2), "n_best must be between 1 and"),
    "truth values as categories": (lambda: categories().loss(SOURCE > 3, SOURCE), "found a tensor of bool"),
    "a backend's name": (lambda: FastWeightsRNN(3, 4, backend="numbaa"), "did you mean 'numba'"),
}


@pytest.mark.parametrize("bad", REFUSED)
def test_what_does_not_fit_is_refused_in_one_sentence(bad):
    call, said = REFUSED[bad]
    with pytest.raises(InputError, match=said):
        call()


def test_what_is_no_state_of_a_decoder_and_no_padded_source_is_refused():
    network, (source, target) = categories(), pair()
    with pytest.raises(InputError, match="source must be a padded tensor, with `lengths`; found a PackedSequence"):
        network.encoder(pack_sequence(list(source)))
    encoded = network.encoder(source)
    of_the_core = network.decoder.rnn.start(len(source), encoded.state)
    memory = network.decoder.remember(encoded.outputs, encoded.mask)
    for call in (network.decoder, lambda inputs, state, memory: network.decoder.step(inputs[:, 0], state, memory)):
        with pytest.raises(InputError, match=r"take it from decoder.start\(batch_size, encoded.state\)"):
            call(target, of_the_core, memory)
