"""The model of pairs: every bridge, attention and feeding trains, is saved, and decodes whatever it is given."""

import itertools

import pytest
import torch

from contextual_rnn import InputError, load, save
from contextual_rnn.data.encoded_pairs import Vocabulary, bucketed
from contextual_rnn.data.pairs import Pair
from contextual_rnn.data.units import Units
from contextual_rnn.jobs.pairs import PairModel, PairSettings
from contextual_rnn.jobs.pairs import decode as decoding
from contextual_rnn.jobs.pairs.decode import decode
from contextual_rnn.jobs.pairs.network import PairLoss
from contextual_rnn.seq2seq import ATTENTIONS, BRIDGES, FEEDINGS, greedy, make_feeding

# Every letter becomes two symbols, so that a target is twice as long as its source.
PAIRS = [Pair(tuple(word), tuple(f"{x}{i}" for x in word for i in "12")) for word in ("ab", "ba", "abc", "cab", "c")]
UNITS = Units("characters", "symbols")


def model(seed=0, **config):
    torch.manual_seed(seed)
    sides = [Vocabulary.of(side).symbols for side in ([p.source for p in PAIRS], [p.target for p in PAIRS])]
    return PairModel(PairSettings(hidden=16, embedding=8, dropout=0.0, **config), *sides, UNITS)


def train(network, feeding="truth", updates=100):
    loss, optimizer = PairLoss(make_feeding(feeding, 0.3, 100, seed=0)), torch.optim.Adam(network.parameters(), 0.02)
    losses = []
    for _ in range(updates):
        for batch in bucketed(network.encode(PAIRS), 3):
            optimizer.zero_grad()
            losses.append(loss(network, batch))
            losses[-1].backward()
            optimizer.step()
    assert int(network.updates) == len(losses)
    return network.eval()


@pytest.mark.parametrize(("bridge", "attention"), list(itertools.product(BRIDGES, ATTENTIONS)))
def test_every_bridge_and_attention_takes_a_step_and_is_saved(bridge, attention, tmp_path):
    network = train(model(bridge=bridge, attention=attention), updates=1)
    save(network, tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").eval()
    sources = [pair.source for pair in PAIRS]
    assert decode([again], sources, width=2, max_steps=8) == decode([network], sources, width=2, max_steps=8)


@pytest.mark.parametrize("feeding", FEEDINGS)
def test_it_learns_its_pairs_and_answers_for_letters_it_has_not_seen(feeding):
    network = train(model(), feeding)
    found = decode([network], [pair.source for pair in PAIRS])
    assert [one[0].symbols for one in found] == [pair.target for pair in PAIRS]
    assert decode([network], [tuple("axb")])[0][0].symbols
    assert network.source.unknown("axb") == ["x"]


@pytest.mark.parametrize("attention", [name for name in ATTENTIONS if name != "none"])
def test_input_feeding_needs_an_attention(attention, tmp_path):
    network = train(model(input_feeding=True, attention=attention), updates=1)
    assert network.pairs.decoder.input_feeding
    save(network, tmp_path / "model.safetensors")
    again, sources = load(tmp_path / "model.safetensors").eval(), [pair.source for pair in PAIRS]
    assert decode([again], sources, width=2, max_steps=8) == decode([network], sources, width=2, max_steps=8)
    with pytest.raises(InputError, match="needs an `attention` other than none"):
        model(input_feeding=True, attention="none")


def test_arguments_of_version_0_1_build_the_same_model():
    network = model(attention="none")
    now = network.config()
    names = ("cell", "hidden", "layers", "embedding", "bridge", "attention", "dropout", "label")
    config = {**{name: now["settings"][name] for name in names}, "input_feeding": True}  # which had no effect
    before = {"config": config, **{name: value for name, value in now.items() if name != "settings"}}
    again = PairModel(**PairModel.upgrade(before, "model.safetensors"))
    again.load_state_dict(network.state_dict())
    sources = [pair.source for pair in PAIRS]
    assert decode([again.eval()], sources, max_steps=8) == decode([network.eval()], sources, max_steps=8)
    assert PairModel.upgrade(now, "model.safetensors") == now


def test_the_same_words_in_any_batches_give_the_same_answers():
    network, sources = train(model(), updates=20).double(), [pair.source for pair in PAIRS]
    for width in (1, 3):
        whole = [[target.symbols for target in one] for one in decode([network], sources, width=width)]
        parts = decode([network], sources[::-1], width=width, batch_size=2)[::-1]
        assert [[target.symbols for target in one] for one in parts] == whole


def test_n_best_are_ranked_and_an_ensemble_of_one_model_twice_is_that_model():
    network, sources = train(model(), updates=20), [pair.source for pair in PAIRS]
    several = decode([network], sources, width=4, n_best=3)
    assert all(len(one) == 3 for one in several)
    assert all(a.score >= b.score for one in several for a, b in itertools.pairwise(one))
    many = decode([network], sources, width=20, n_best=20, max_steps=5)
    assert all(len({target.symbols for target in one}) == 20 for one in many)
    with pytest.raises(ValueError, match="n_best must be in 1 to the width of the beam, 1; found 3"):
        decode([network], sources, n_best=3)
    twice, once = (decode([network] * count, sources) for count in (2, 1))
    assert [one[0].symbols for one in twice] == [one[0].symbols for one in once]
    both = decode([network, train(model(1), updates=20)], sources)
    assert both != once


def test_greedy_search_runs_only_where_its_answer_is_used(monkeypatch):
    network, sources = model().eval(), [pair.source for pair in PAIRS]
    calls = []
    monkeypatch.setattr(decoding, "greedy", lambda *args, **options: calls.append(1) or greedy(*args, **options))
    for width, n_best in ((1, 1), (2, 1), (2, 2)):
        decode([network], sources, width=width, n_best=n_best, max_steps=5)
    assert len(calls) == 2


LABELLED = [
    Pair(pair.source, pair.target if label == "one" else pair.source, label)
    for pair in PAIRS
    for label in ("one", "two")
]


@pytest.mark.parametrize("read_in", ["none", "token", "h0"])
def test_a_label_is_read_in_a_first_symbol_or_in_the_encoders_h0(read_in, tmp_path):
    torch.manual_seed(0)
    sides = [Vocabulary.of(side).symbols for side in ([p.source for p in LABELLED], [p.target for p in LABELLED])]
    config = PairSettings(hidden=16, embedding=8, dropout=0.0, label=read_in)
    network = PairModel(config, *sides, UNITS, ["one", "two"])
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(100):
        for batch in bucketed(network.encode(LABELLED), 4):
            optimizer.zero_grad()
            PairLoss()(network, batch).backward()
            optimizer.step()
    save(network.eval(), tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").eval()
    found = decode([again], [p.source for p in LABELLED], [p.label for p in LABELLED])
    right = sum(one[0].symbols == pair.target for one, pair in zip(found, LABELLED, strict=True))
    assert right == len(LABELLED) if read_in != "none" else right <= len(LABELLED) / 2
    with pytest.raises(InputError, match="the model has no label 'three'; its labels are one, two"):
        decode([again], [("a",)], ["three"])


def test_a_bidirectional_encoder_needs_an_even_number_of_units():
    with pytest.raises(InputError, match="`hidden` must be even"):
        PairSettings(hidden=17)
