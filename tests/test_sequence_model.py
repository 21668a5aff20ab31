"""Sequence models: losses of padded batches, generation that can be repeated, ends, and saving."""

import pytest
import torch
from torch import nn

from contextual_rnn import (
    MLP,
    CategoryHead,
    ChangeHead,
    ConstantState,
    Context,
    ContextState,
    ContextualRNN,
    GaussianState,
    Label,
    MixtureHead,
    SequenceModel,
    load,
)

MAKERS = {}


def made(function):
    MAKERS[function.__name__] = function
    return function


def rnn_of(width, hidden=8):
    core = nn.LSTM(width, hidden, batch_first=True)
    context = Context(digit=Label(3))
    return ContextualRNN(core, GaussianState(ContextState(core, nn.Sequential(context, MLP(3, [5])))))


@made
def mixture():
    return SequenceModel(rnn_of(2), MixtureHead(8, 2, 3, change=True), end=True)


@made
def category():
    return SequenceModel(rnn_of(4), CategoryHead(8, 5), nn.Embedding(5, 4), end=0)


@made
def change():
    return SequenceModel(rnn_of(2), ChangeHead(8, [-1.0, -1.0], [1.0, 1.0]), start=False)


@made
def control():
    core = nn.GRU(2 + 3, 8, batch_first=True)
    rnn = ContextualRNN(core, ConstantState(core))
    return SequenceModel(rnn, MixtureHead(8, 2, 3), every_step=Context(digit=Label(3)))


def elements(model, rows, steps):
    return torch.randint(1, 5, (rows, steps)) if model.head.is_category else torch.randn(rows, steps, 2)


def known(rows):
    return {"digit": torch.arange(rows) % 3}


def generated(model, rows, **options):
    first = None if model.start is not None else torch.zeros(1, 2)
    return model.sample(known(rows), steps=12, first=first, **options)


@pytest.mark.parametrize("name", MAKERS)
def test_a_padded_batch_has_the_losses_of_its_sequences_alone(name):
    model = MAKERS[name]().eval()
    x, lengths = elements(model, 3, 6), torch.tensor([6, 2, 4])
    if not model.head.is_category:
        x[1, 2:] = torch.nan
    found = model.losses(x, known(3), lengths)
    total = 0.0
    for row, length in enumerate(lengths):
        alone = model.losses(x[row : row + 1, :length], {"digit": torch.tensor([row])})
        torch.testing.assert_close(found[row, : alone.shape[1]], alone[0])
        assert not found[row, alone.shape[1] :].any()
        total += alone.sum()
    shift = 0 if model.start is not None else 1
    torch.testing.assert_close(model.loss(x, known(3), lengths), total / (12 - 3 * shift))
    torch.testing.assert_close(model.log_likelihood(x, known(3), lengths), -found.sum(1))
    model.loss(x, known(3), lengths).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", MAKERS)
def test_a_trajectory_is_the_same_whatever_the_batches(name):
    torch.manual_seed(1)
    model = MAKERS[name]()
    whole = generated(model, 7, seed=3)
    for size in (1, 3):
        parts = generated(model, 7, seed=3, batch_size=size)
        torch.testing.assert_close(parts.elements, whole.elements, rtol=0, atol=1e-5)
        assert parts.lengths.tolist() == whole.lengths.tolist()
    other = generated(model, 7, seed=4)
    assert not torch.equal(other.elements, whole.elements)
    modes = [generated(model, 7, seed=seed, temperature=0).elements for seed in (3, 4)]
    torch.testing.assert_close(*modes)


def test_what_is_generated_is_what_the_model_predicts():
    """Fed back as data, at temperature 0, every element is the mode of the distribution that `losses` sees."""
    model = SequenceModel(rnn_of(2), MixtureHead(8, 2, 1)).eval()
    found = model.sample(known(3), steps=5, temperature=0).elements
    with torch.no_grad():
        inputs = torch.cat([model.start.expand(3, 1, -1), found[:, :-1]], 1)
        output, _ = model.rnn(inputs, known(3), sample=False)
        torch.testing.assert_close(model.head(output).mean, found)


def test_sequences_end_at_the_flag_or_the_category():
    torch.manual_seed(0)
    model = category()
    samples = model.sample(known(3), steps=30, n=None, seed=0)
    assert (samples.lengths < 30).any()
    for row, length in zip(samples.elements, samples.lengths, strict=True):
        assert (row[: length - 1] != 0).all()
        assert not row[length:].any()
    flagged = mixture()
    with torch.no_grad():
        flagged.flag.weight.zero_()
        flagged.flag.bias.fill_(-1.0986)  # one in four
    lengths = flagged.sample({"digit": torch.tensor([1])}, 4000, 60).lengths.double()
    assert abs(lengths.mean() - 4) < 4 * (12**0.5) / 4000**0.5


def test_training_teaches_the_context_and_the_end():
    """Digits 0, 1 and 2 are constant sequences of 1, 2 and 3 elements: both come out as they went in."""
    torch.manual_seed(0)
    model = SequenceModel(rnn_of(2, 8), MixtureHead(8, 2, 1, floor=0.05), end=True)
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    digit = torch.arange(3).repeat(20)
    x = digit.view(-1, 1, 1).expand(-1, 3, 2).float()
    for _ in range(200):
        optimizer.zero_grad()
        model.loss(x, {"digit": digit}, digit + 1).backward()
        optimizer.step()
    samples = model.eval().sample({"digit": torch.arange(3)}, steps=6, temperature=0)
    assert samples.lengths.tolist() == [1, 2, 3]
    for row in range(3):
        torch.testing.assert_close(
            samples.elements[row, : row + 1], torch.full((row + 1, 2), float(row)), rtol=0, atol=0.2
        )


@pytest.mark.parametrize("name", MAKERS)
def test_saved_and_loaded_it_generates_the_same(name, tmp_path):
    from contextual_rnn import save

    model = MAKERS[name]()
    save(model, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    torch.testing.assert_close(generated(again, 3, seed=1), generated(model, 3, seed=1), rtol=0, atol=0)


def test_sequences_start_from_a_state_that_is_given():
    torch.manual_seed(0)
    model = mixture()
    h0 = model.rnn.start(3, known(3), sample=False)
    options = {"steps": 6, "temperature": 0}
    found = model.sample(known(3), **options).elements
    torch.testing.assert_close(model.sample(n=3, state=h0, **options).elements, found)
    alone = model.sample(n=3, state=tuple(leaf[:1] for leaf in h0), **options).elements
    torch.testing.assert_close(alone, found[:1].expand(3, -1, -1))
    parts = model.sample(n=3, state=h0, batch_size=2, **options).elements
    torch.testing.assert_close(parts, found)
    assert len(model.sample(state=h0, **options).elements) == 3
    with pytest.raises(ValueError, match="has 3 rows; expected 4"):
        model.sample(n=4, state=h0)


def test_bad_arguments_get_one_sentence():
    core = nn.LSTM(2, 8)
    with pytest.raises(ValueError, match="batch_first=True"):
        SequenceModel(ContextualRNN(core, ConstantState(core)), MixtureHead(8, 2))
    with pytest.raises(ValueError, match="end must be a category or None for a head of categories"):
        SequenceModel(rnn_of(2), MixtureHead(8, 2), end=3)
    with pytest.raises(ValueError, match="n, the number of sequences, is required"):
        control().sample()
    with pytest.raises(ValueError, match="2 rows; expected 5, or one row for all"):
        mixture().sample(known(2), 5)
    with pytest.raises(ValueError, match="first is required by a model without a learned start"):
        change().sample(known(2))


def test_a_core_that_reads_what_it_is_to_predict_is_refused():
    core = nn.LSTM(2, 8, bidirectional=True, batch_first=True)
    with pytest.raises(ValueError, match="must not be bidirectional: its backward direction would read the elements"):
        SequenceModel(ContextualRNN(core, ConstantState(core)), MixtureHead(16, 2))


def test_lengths_past_the_end_are_refused():
    with pytest.raises(ValueError, match="lengths must be from 0 to 4"):
        mixture().loss(torch.randn(2, 4, 2), {"digit": torch.tensor([0, 1])}, torch.tensor([4, 40]))


def test_vectors_are_learned_and_drawn_in_half_precision():
    core = nn.GRU(2, 8, batch_first=True)
    model = SequenceModel(ContextualRNN(core, ConstantState(core)), MixtureHead(8, 2, 3, change=True))
    x = torch.randn(4, 5, 2)
    wide = model.loss(x)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = model.loss(x)
    narrow = model.bfloat16().loss(x.bfloat16())
    narrow.backward()
    for found in (mixed, narrow):
        torch.testing.assert_close(found.float(), wide, rtol=0.05, atol=0.05)
    drawn = model.sample(n=3, steps=4).elements
    assert drawn.dtype == torch.bfloat16
    assert drawn.isfinite().all()


def test_all_of_many_categories_are_drawn_in_half_precision():
    core = nn.GRU(4, 8, batch_first=True)
    model = SequenceModel(ContextualRNN(core, ConstantState(core)), CategoryHead(8, 1000), nn.Embedding(1000, 4))
    nn.init.zeros_(model.head.linear.weight)
    nn.init.zeros_(model.head.linear.bias)
    drawn = model.bfloat16().sample(n=1000, steps=20).elements
    counts = torch.bincount(drawn.flatten(), minlength=1000)  # 20 each, but for chance
    assert counts.min() > 0
    assert counts.max() < 60


@pytest.mark.parametrize("name", MAKERS)
def test_a_batch_with_nothing_to_predict_is_refused(name):
    model = MAKERS[name]()
    length = 0 if model.start is not None else 1
    with pytest.raises(ValueError, match=r"the batch has no element to predict: no sequence has (one|two) element"):
        model.loss(elements(model, 3, 4), known(3), torch.full((3,), length))
    assert model.loss(elements(model, 3, 4), known(3), torch.tensor([0, length + 1, 0])).isfinite()
    with pytest.raises(ValueError, match=r"no element to predict|at least one time step"):
        model.loss(elements(model, 3, length), known(3))


def test_widths_that_do_not_agree_are_refused():
    with pytest.raises(ValueError, match="head reads outputs of width 9; the outputs of the core have width 8"):
        SequenceModel(rnn_of(2), MixtureHead(9, 2))
    with pytest.raises(ValueError, match="the core's input_size is 3; the width of its inputs is 2"):
        SequenceModel(rnn_of(3), MixtureHead(8, 2))
    with pytest.raises(ValueError, match="the core's input_size is 4; the width of its inputs is 6"):
        SequenceModel(rnn_of(4), CategoryHead(8, 5), nn.Embedding(5, 6))
    core = nn.LSTM(2, 8, batch_first=True)
    with pytest.raises(ValueError, match=r"input_size is 2; the width of its inputs is 2 \+ 3 of every_step"):
        SequenceModel(ContextualRNN(core, ConstantState(core)), MixtureHead(8, 2), every_step=Context(digit=Label(3)))
    core = nn.LSTM(2, 8, proj_size=5, batch_first=True)
    SequenceModel(ContextualRNN(core, ConstantState(core)), MixtureHead(5, 2), end=True).loss(torch.randn(2, 3, 2))
    core = nn.GRUCell(4, 8)
    embedding = nn.Sequential(nn.Linear(2, 4), nn.Tanh())
    model = SequenceModel(ContextualRNN(core, ConstantState(core)), MixtureHead(8, 2), embedding)
    assert model.loss(torch.randn(2, 3, 2)).isfinite()


def test_sampling_while_training_is_sampling():
    """Fields that are dropped, and dropout in the core, are for training: trajectory i of a seed stays the same."""
    torch.manual_seed(0)
    core = nn.LSTM(2, 8, 2, dropout=0.5, batch_first=True)
    network = nn.Sequential(Context(digit=Label(3, unknown=True, drop=0.5)), MLP(3, [5]))
    model = SequenceModel(ContextualRNN(core, GaussianState(ContextState(core, network))), MixtureHead(8, 2)).train()
    model.head.eval()
    before = [module.training for module in model.modules()]
    whole = model.sample(known(6), steps=5)
    assert torch.equal(model.sample(known(6), steps=5).elements, whole.elements)
    torch.testing.assert_close(model.sample(known(6), steps=5, batch_size=2).elements, whole.elements)
    batches = model.samples(known(6), steps=5, batch_size=2)
    next(batches)
    assert [module.training for module in model.modules()] == before
    assert torch.equal(model.eval().sample(known(6), steps=5).elements, whole.elements)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", MAKERS)
def test_samples_and_losses_under_autocast(name, dtype):
    torch.manual_seed(0)
    model = MAKERS[name]()
    x = elements(model, 3, 6)
    whole, loss = generated(model, 3, seed=1), model.loss(x, known(3))
    with torch.autocast("cpu", dtype):
        mixed, mixed_loss = generated(model, 3, seed=1), model.loss(x, known(3))
    mixed_loss.backward()
    assert mixed.elements.dtype == whole.elements.dtype
    torch.testing.assert_close(mixed_loss.float(), loss, rtol=0.05, atol=0.05)
    if model.head.is_category:
        assert mixed.elements.shape == whole.elements.shape
    else:
        torch.testing.assert_close(mixed.elements[:, 0], whole.elements[:, 0], rtol=0.05, atol=0.05)
