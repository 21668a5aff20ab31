"""Bridges, attentions and feeding policies are made from their names, and a wrong name is refused."""

import pytest
import torch
from torch import nn

from contextual_rnn import ConstantState, InputError
from contextual_rnn.seq2seq import (
    ATTENTIONS,
    BRIDGES,
    FEEDINGS,
    AdditiveAttention,
    ConcatBridge,
    CopyBridge,
    MultiplicativeAttention,
    ProjectBridge,
    ScheduledSampling,
    linear,
    make_attention,
    make_bridge,
    make_feeding,
)


def test_every_name_makes_its_class():
    reads, writes = nn.GRU(2, 4, batch_first=True), nn.LSTM(2, 6, batch_first=True)
    bridges = {"zero": ConstantState, "project": ProjectBridge, "concat": ConcatBridge, "copy": CopyBridge}
    assert {name: type(make_bridge(name, reads, writes)) for name in BRIDGES} == bridges
    attentions = {"none": type(None), "additive": AdditiveAttention, "multiplicative": MultiplicativeAttention}
    assert {name: type(make_attention(name, 6, 4)) for name in ATTENTIONS} == attentions
    assert [make_attention("additive", 6, 4, hidden).size for hidden in (None, 3)] == [6, 3]
    assert make_feeding("truth", 0.5, 10, seed=3) is None
    for name in FEEDINGS[1:]:
        feeding = make_feeding(name, 0.5, 10, seed=3)
        assert (type(feeding), feeding.form, feeding.coin_seed, feeding.sample_seed) == (ScheduledSampling, name, 6, 7)
        assert [feeding.probability(step) for step in range(15)] == [linear(0, 0.5, 10)(step) for step in range(15)]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: make_attention("adittive", 4, 4),
            "attention must be one of none, additive, multiplicative; found 'adittive'; did you mean 'additive'?",
        ),
        (lambda: make_feeding("truht", 0.5, 10, 0), "feeding must be one of .*; did you mean 'truth'?"),
        (lambda: make_bridge("Zero", (4,), (4,)), "bridge must be one of .*; found 'Zero'; did you mean 'zero'?"),
        (lambda: make_bridge("xylophone", (4,), (4,)), "bridge must be one of .*; found 'xylophone'$"),
        (lambda: MultiplicativeAttention(4, 4, "genral"), "score must be one of .*; did you mean 'general'?"),
        (lambda: ScheduledSampling(0.5, "outputs"), "form must be one of .*; did you mean 'output'?"),
        (lambda: ConcatBridge((4,), (4,), "states"), "joined must be one of .*; did you mean 'state'?"),
    ],
)
def test_a_wrong_name_is_refused_and_the_nearest_is_suggested(make, said):
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        make()


def test_a_bridge_made_by_name_draws_the_same_numbers_as_its_class():
    shapes = (nn.GRU(2, 4, batch_first=True), nn.GRU(2, 6, batch_first=True))
    for name, cls in (("project", ProjectBridge), ("concat", ConcatBridge), ("copy", CopyBridge)):
        found = []
        for make in (cls, lambda *cores, name=name: make_bridge(name, *cores)):
            torch.manual_seed(0)
            found.append(make(*shapes).state_dict())
        assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
