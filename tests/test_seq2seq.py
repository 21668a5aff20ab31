"""Encoder and decoder: feeding, padding, and what the whole can and cannot learn."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from contextual_rnn import ConstantState, ContextState, ContextualRNN, Label, load, save
from contextual_rnn.context import Context
from contextual_rnn.seq2seq import (
    AdditiveAttention,
    CopyBridge,
    Decoder,
    Encoder,
    EncoderDecoder,
    MultiplicativeAttention,
    ProjectBridge,
    ScheduledSampling,
    beam,
    constant,
    exponential,
    greedy,
    inverse_sigmoid,
    linear,
)

ATTENTIONS = {
    "additive": lambda q, m: AdditiveAttention(q, m, 3),
    "general": lambda q, m: MultiplicativeAttention(q, m),
}


def model(attention="additive", bridge="project", input_feeding=False, symbols=12, hidden=24, size=8, dropout=0.0):
    torch.manual_seed(0)
    reads = nn.GRU(size, hidden // 2, bidirectional=True, batch_first=True)
    writes = nn.LSTM(size + hidden * input_feeding, hidden, batch_first=True)
    start = ProjectBridge(reads, writes) if bridge else ConstantState(writes)
    reader = Encoder(ContextualRNN(reads, ConstantState(reads)), nn.Embedding(symbols, size), dropout)
    looks = ATTENTIONS[attention](hidden, hidden) if attention else None
    writer = Decoder(
        ContextualRNN(writes, start),
        symbols,
        nn.Embedding(symbols, size),
        looks,
        input_feeding=input_feeding,
        dropout=dropout,
    )
    return EncoderDecoder(reader, writer, start=0, end=1)


KINDS = [(None, False), ("additive", False), ("general", True)]


def batch(size=5, longest=6, symbols=12):
    torch.manual_seed(1)
    source, target = (torch.randint(2, symbols, (size, longest)) for _ in range(2))
    return source, target, torch.randint(1, longest + 1, (size,)), torch.randint(1, longest + 1, (size,))


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_padding_and_company_change_no_loss(attention, input_feeding):
    network = model(attention, input_feeding=input_feeding)
    source, target, reads, writes = batch()
    together = network.loss(source, target, reads, writes)
    assert torch.equal(network.loss(source.int(), target.int(), reads.tolist(), writes.tolist()), together)
    alone = [
        network.loss(source[row : row + 1, : reads[row]], target[row : row + 1, : writes[row]]) for row in range(5)
    ]
    counts = (writes + 1).double()
    torch.testing.assert_close(together.double(), (torch.stack(alone).double() * counts).sum() / counts.sum())


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_step_by_step_equals_the_whole(attention, input_feeding):
    network = model(attention, input_feeding=input_feeding)
    source, target, reads, _ = batch()
    inputs, _ = network.framed(target)
    whole = network(source, inputs, reads).outputs.log_softmax(2)
    step, state = network.begin(source, reads)
    for t in range(inputs.shape[1]):
        log_probs, state = step(inputs[:, t], state)
        torch.testing.assert_close(log_probs, whole[:, t], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
@pytest.mark.parametrize("form", ["embedding", "output"])
def test_with_probability_0_sampling_is_teacher_forcing(attention, input_feeding, form):
    network, (source, target, reads, writes) = model(attention, input_feeding=input_feeding), batch()
    results = []
    for schedule in (None, constant(1e-30)):  # so small that no coin falls so, but the path of sampling is taken
        network.zero_grad()
        feeding = None if schedule is None else ScheduledSampling(schedule, form)
        loss = network.loss(source, target, reads, writes, feeding=feeding, training_step=0)
        loss.backward()
        results.append([loss.detach(), *(parameter.grad.clone() for parameter in network.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_with_probability_1_all_that_is_fed_was_sampled():
    network, (source, target, *_) = model(), batch()
    inputs, _ = network.framed(target)
    found = network(source, inputs, feeding=ScheduledSampling(1.0), training_step=3)
    assert found.sampled[:, 1:].all()
    assert not found.sampled[:, 0].any()
    again = network(source, found.fed)  # fed as if it were the truth, it gives the same
    torch.testing.assert_close(again.outputs, found.outputs)
    for seed, step in ((1, 4), (2, 3)):  # another update, another seed
        feeding = ScheduledSampling(1.0, sample_seed=seed)
        assert found.fed.ne(network(source, inputs, feeding=feeding, training_step=step).fed).any()


def test_coins_are_fair_and_independent_from_step_to_step():
    feeding = ScheduledSampling(0.3)
    coins = feeding.coins(7, 2000, 11, torch.device("cpu"))[:, 1:]
    assert stats.binomtest(int(coins.sum()), coins.numel(), 0.3).pvalue > 1e-3
    pairs = (coins[:, :-1] & coins[:, 1:]).sum()
    assert stats.binomtest(int(pairs), coins[:, 1:].numel(), 0.09).pvalue > 1e-3
    assert torch.equal(coins, feeding.coins(7, 2000, 11, torch.device("cpu"))[:, 1:])
    assert not torch.equal(coins, feeding.coins(8, 2000, 11, torch.device("cpu"))[:, 1:])
    other = ScheduledSampling(0.3, sample_seed=9)
    assert torch.equal(coins, other.coins(7, 2000, 11, torch.device("cpu"))[:, 1:])


@pytest.mark.parametrize("seeds", [(0, 1), (1, 1), (0, 0)])
def test_what_is_drawn_does_not_depend_on_the_coin(seeds):
    feeding, cpu = ScheduledSampling(0.3, "embedding", *seeds), torch.device("cpu")
    coins, drawn = (draws(7, 2000, 11, cpu) for draws in (feeding.coins, feeding.uniform))
    for side in (coins, ~coins):
        assert stats.kstest(drawn[side].double(), "uniform").pvalue > 1e-3


def test_the_share_that_is_sampled_is_the_schedules():
    network, (source, target, *_) = model(None), batch(400)
    inputs, _ = network.framed(target)
    found = network(source, inputs, feeding=ScheduledSampling(linear(0, 0.6, 100)), training_step=50)
    sampled = found.sampled[:, 1:]
    assert stats.binomtest(int(sampled.sum()), sampled.numel(), 0.3).pvalue > 1e-3
    assert torch.equal(found.fed[~found.sampled], inputs[~found.sampled])


def test_schedules():
    assert [linear(0.1, 0.5, 4)(step) for step in (0, 2, 4, 9)] == pytest.approx([0.1, 0.3, 0.5, 0.5])
    assert [exponential(0.9)(step) for step in (0, 1, 2)] == pytest.approx([0, 0.1, 0.19])
    assert inverse_sigmoid(10)(0) == pytest.approx(1 / 11)
    assert inverse_sigmoid(10)(10**6) == 1
    values = [inverse_sigmoid(10)(step) for step in range(100)]
    assert values == sorted(values)
    assert ScheduledSampling(lambda step: step / 10).probability(4) == 0.4
    with pytest.raises(ValueError, match=r"must be a probability from 0 to 1; found 2 at step 9"):
        ScheduledSampling(lambda step: 2).probability(9)


@pytest.mark.parametrize("form", ["output", "embedding"])
def test_gradients_pass_through_an_output_that_is_fed_and_not_through_a_draw(form):
    network, (source, target, *_) = model(None).double(), batch()
    inputs, _ = network.framed(target)
    decoder = network.decoder
    (state, _), start = network.encode(source), decoder.embedding(inputs[:, 0])
    first = decoder.output(decoder.rnn(start.unsqueeze(1), state=state[0])[0][:, 0])
    feeding = ScheduledSampling(1.0, form)
    outputs = network(source, inputs, feeding=feeding, training_step=0).outputs

    def second(first):
        """Return the second outputs as a function of the first: by the equation of the form."""
        shares = first.softmax(1)
        drawn = nn.functional.one_hot((shares.cumsum(1) < feeding.uniform(0, 5, 7, first.device)[:, 1:2]).sum(1), 12)
        fed = (shares if form == "output" else drawn.to(shares)) @ decoder.embedding.weight
        hidden = decoder.rnn(torch.stack([start, fed], dim=1), state=state[0])[0]
        return decoder.output(hidden[:, 1])

    torch.testing.assert_close(outputs[:, 1], second(first))
    found = torch.autograd.grad(outputs[:, 1].sum(), decoder.output.weight, retain_graph=True)[0]
    whole = torch.autograd.grad(second(first).sum(), decoder.output.weight, retain_graph=True)[0]
    held = torch.autograd.grad(second(first.detach()).sum(), decoder.output.weight)[0]
    torch.testing.assert_close(found, whole)
    assert torch.allclose(whole, held) is (form == "embedding")


def test_gradients_reach_the_encoder_by_the_bridge_and_by_attention():
    for attention, bridge, reached in ((None, "project", True), ("additive", None, True), (None, None, False)):
        network = model(attention, bridge)
        network.loss(*batch()).backward()
        gradient = network.encoder.embedding.weight.grad
        assert (gradient is not None and bool(gradient.any())) is reached


@pytest.mark.parametrize(("attention", "input_feeding"), KINDS)
def test_saved_it_is_the_same(attention, input_feeding, tmp_path):
    network, (source, target, reads, writes) = model(attention, input_feeding=input_feeding), batch()
    save(network, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert torch.equal(again.loss(source, target, reads, writes), network.loss(source, target, reads, writes))


def test_a_language_in_the_encoders_own_start():
    torch.manual_seed(0)
    reads, writes = nn.GRU(4, 8, batch_first=True), nn.GRU(4, 8, batch_first=True)
    language = ContextState(reads, Context(language=Label(["fre", "gre"])))
    encoder = Encoder(ContextualRNN(reads, language), nn.Embedding(9, 4))
    network = EncoderDecoder(
        encoder, Decoder(ContextualRNN(writes, ProjectBridge(reads, writes)), 9, nn.Embedding(9, 4))
    )
    source, target = torch.randint(2, 9, (2, 5)), torch.randint(2, 9, (2, 4))
    losses = [network.loss(source, target, context={"language": [name] * 2}) for name in ("fre", "gre")]
    assert losses[0] != losses[1]


def test_vectors_are_forecast_and_fed_on():
    torch.manual_seed(0)
    reads, writes = nn.GRU(2, 16, batch_first=True), nn.GRU(2, 16, batch_first=True)
    decoder = Decoder(ContextualRNN(writes, CopyBridge(reads, writes)), 2)
    network = EncoderDecoder(Encoder(ContextualRNN(reads, ConstantState(reads))), decoder)
    past, future = torch.randn(3, 6, 2), torch.randn(3, 4, 2)
    free = network.free_run(past, past[:, -1], 4)
    own = {"feeding": ScheduledSampling(1.0, "output"), "training_step": 0}
    inputs = torch.cat([past[:, -1:], future[:, :-1]], dim=1)
    outputs = network(past, inputs, **own).outputs
    torch.testing.assert_close(outputs, free)
    (gradient,) = torch.autograd.grad(outputs[:, 1].sum(), decoder.output.bias)
    assert not torch.allclose(gradient, torch.full((2,), 3.0))  # its own share; the rest comes by what was fed
    loss = network.loss(past, future, first=past[:, -1], **own)
    torch.testing.assert_close(loss, (free - future).square().mean())
    half = network.loss(past, future, target_lengths=torch.tensor([4, 0, 0]), first=past[:, -1], **own)
    torch.testing.assert_close(half, (free - future)[0].square().mean())
    with pytest.raises(ValueError, match="need the element before them: give first="):
        network.loss(past, future)
    with pytest.raises(ValueError, match="for vectors, give form='output'"):  # before the first coin falls so
        network.loss(past, future, first=past[:, -1], feeding=ScheduledSampling(0.0), training_step=0)
    with pytest.raises(ValueError, match="targets must have width 2, the decoder's size; found 3"):
        network.loss(past, torch.randn(3, 4, 3), first=past[:, -1])
    with pytest.raises(ValueError, match="steps must be at least 1; found 0"):
        network.free_run(past, past[:, -1], 0)


def test_padding_that_is_no_number_reaches_no_gradient():
    torch.manual_seed(0)
    reads, writes = nn.GRU(2, 8, batch_first=True), nn.GRU(3, 8, batch_first=True)
    decoder = Decoder(ContextualRNN(writes, CopyBridge(reads, writes)), 2)
    network = EncoderDecoder(Encoder(ContextualRNN(reads, ConstantState(reads))), decoder)
    past, future, known = torch.randn(2, 6, 2), torch.randn(2, 4, 2), torch.randn(2, 4, 1)
    gradients = []
    for padding in (0.0, math.nan):
        past[1, 3:] = future[1, 2:] = known[1, 2:] = padding
        network.zero_grad()
        lengths = {"source_lengths": [6, 3], "target_lengths": [4, 2]}
        network.loss(past, future, first=past[:, 0], known=known, **lengths).backward()
        gradients.append([one.grad.clone() for one in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_searches_do_not_depend_on_the_batch_and_a_beam_of_one_is_greedy():
    network, (source, _, reads, _) = model().double().eval(), batch(6)
    options = {"start": 0, "end": 1, "max_steps": 8}

    def run(rows, search, **more):
        step, state = network.begin(source[rows], reads[rows])
        return search(step, state, len(rows), **more, **options).texts()

    whole, order = torch.arange(6), [3, 0, 5, 1, 4, 2]
    for search, more in ((greedy, {}), (beam, {"width": 3})):
        right = run(whole, search, **more)
        assert run(torch.tensor(order), search, **more) == [right[row] for row in order]
        assert [run(torch.tensor([row]), search, **more)[0] for row in range(6)] == right
    assert run(whole, beam, width=1) == run(whole, greedy)


def share_reproduced(network, source, target):
    """Return the share of sources whose whole target greedy search writes."""
    step, state = network.eval().begin(source)
    found = greedy(step, state, len(source), start=0, end=1, max_steps=source.shape[1] + 5).texts()
    network.train()
    return sum(a == b for a, b in zip(found, target.tolist(), strict=True)) / len(source)


def learn(network, change, updates, rate=1e-2, length=8, symbols=12):
    """Train on fresh random strings until 200 strings that are fresh too come out whole; return the largest share.

    Training stops at the first success, so that the result does not depend on rounding.
    """
    optimizer = torch.optim.Adam(network.parameters(), rate)
    generator = torch.Generator().manual_seed(0)
    best = 0.0
    for update in range(updates):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 + math.cos(math.pi * update / updates)) / 2
        source = torch.randint(2, symbols, (64, length), generator=generator)
        optimizer.zero_grad()
        network.loss(source, change(source)).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if update % 50 == 49:
            source = torch.randint(2, symbols, (200, length), generator=generator)
            best = max(best, share_reproduced(network, source, change(source)))
        if best == 1:
            break
    return best


@pytest.mark.parametrize("change", [lambda source: source, lambda source: source.flip(1)], ids=["copied", "reversed"])
def test_random_strings_are_reproduced_exactly(change):
    assert learn(model("general", hidden=64, size=16), change, updates=800) == 1


def test_without_attention_and_from_zero_there_is_nothing_to_copy_from():
    assert learn(model(None, None, hidden=64, size=16), lambda source: source, updates=100) == 0


SOURCE, TARGET = torch.randint(9, (2, 4)), torch.randint(2, 7, (2, 3))
REFUSED = {
    "a source past the vocabulary": (
        lambda whole: whole.loss(SOURCE + 100, TARGET),
        "source must contain integers from 0 to 11; found 1",
    ),
    "a negative target": (
        lambda whole: whole.loss(SOURCE, TARGET - 99),
        "target must contain integers from 0 to 11; found -",
    ),
    "numbers that are no categories": (
        lambda whole: whole.loss(SOURCE.float(), TARGET),
        "source must contain integers from 0 to 11; found a tensor of float32",
    ),
    "targets of other sources": (
        lambda whole: whole.loss(SOURCE, TARGET[:1]),
        "sources and targets must be equal in number; found 2 sources and 1 targets",
    ),
    "a probability over 1": (lambda whole: ScheduledSampling(1.5), "must be a probability from 0 to 1; found 1.5"),
    "sampling that is not told the update": (
        lambda whole: whole.loss(SOURCE, TARGET, feeding=ScheduledSampling(0.3)),
        "feeding needs the number of the update: give training_step=0",
    ),
    "a schedule of no steps": (lambda whole: linear(0, 1, 0), "steps must be at least 1; found 0"),
    "an end that is never predicted": (
        lambda whole: EncoderDecoder(whole.encoder, whole.decoder, end=12),
        "end must be from 0 to 11, a category of the decoder; found 12",
    ),
    "an attention of another query": (
        lambda whole: Decoder(whole.decoder.rnn, 7, whole.decoder.embedding, AdditiveAttention(99, 99, 5)),
        "query_size 99, but the output of the decoder's core has width 24",
    ),
    "a cell's inputs of another width": (
        lambda whole: Decoder(ContextualRNN(cell := nn.GRUCell(4, 10), ConstantState(cell)), 9, nn.Embedding(9, 5)),
        "input_size 4, but the embeddings have width 5",
    ),
    "targets longer than there are steps": (
        lambda whole: whole.framed(torch.ones(2, 5, dtype=torch.long), torch.tensor([5, 6])),
        "target_lengths must be from 0 to 5, the number of steps; found 5 to 6",
    ),
    "a length for all targets": (
        lambda whole: whole.framed(torch.ones(2, 5, dtype=torch.long), torch.tensor([5])),
        "target_lengths must be 2 integers, one per row",
    ),
    "inputs of another width": (
        lambda whole: Decoder(whole.decoder.rnn, 7, nn.Embedding(7, 99)),
        "input_size 8, but the embeddings have width 99",
    ),
}


@pytest.mark.parametrize("bad", REFUSED)
def test_what_does_not_fit_gets_one_sentence(bad):
    call, said = REFUSED[bad]
    with pytest.raises(ValueError, match=said):
        call(model("additive"))
