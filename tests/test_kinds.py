"""The kinds of initial state: one entry each, from which every job and figure takes them."""

import pytest
import torch
from torch import nn

from contextual_rnn import MLP, ContextState, ContextualRNN, InputError, kinds
from contextual_rnn.jobs import series
from contextual_rnn.kinds import COMPARED, KINDS, Kind, check_kind, comparisons, possible_kinds
from contextual_rnn.study.figures import colour


@pytest.mark.parametrize("name", COMPARED)
def test_every_kind_builds_an_initial_state_and_has_its_own_colour(name):
    core = nn.GRU(2, 3, batch_first=True)
    rnn = ContextualRNN(core, KINDS[name].build(core, lambda: ContextState(core, MLP(4, [5]))))
    known = torch.zeros(2, 4) if KINDS[name].needs_context and not KINDS[name].is_control else None
    assert rnn(torch.zeros(2, 6, 2), known)[0].shape == (2, 6, 3)
    assert colour(name) == KINDS[name].colour
    assert [kind.colour for kind in KINDS.values()].count(colour(name)) == 1


def test_a_model_is_trained_from_any_kind_that_is_no_control():
    assert {kind.name for kind in KINDS.values() if kind.is_control} == {"warm-up", "every-step"}
    assert set(COMPARED) == set(KINDS)


def test_what_is_known_decides_which_kinds_are_possible():
    assert possible_kinds(0, ()) == ["zero", "free", "error-noise"]
    assert possible_kinds(0, ("c",)) == ["zero", "free", "error-noise", "every-step", "context", "gaussian"]
    assert possible_kinds(2, ()) == [
        name for name in COMPARED if name not in ("handoff", "estimated", "context+estimated")
    ]
    assert kinds.kinds_to_compare(["estimated"], COMPARED, 2, ()) == ["estimated"]
    check_kind(KINDS["context"], 2, ())
    with pytest.raises(
        InputError,
        match=r"initial state 'context' is computed from .* name in `context` columns .*, or give `window` 5 to compute it",
    ):
        check_kind(KINDS["context"], 0, ())
    with pytest.raises(InputError, match="initial state 'warm-up' needs the targets of a window: give `window`"):
        check_kind(KINDS["warm-up"], 0, ("c",))


def test_every_kind_that_is_asked_for_is_compared():
    pairs = comparisons(["gaussian", "warm-up", "every-step"])
    assert {kind for a, b, _ in pairs for kind in (a, b)} == {"gaussian", "warm-up", "every-step"}
    assert ("gaussian", "context", "Sampling h0 around g(context) in training") in comparisons(["context", "gaussian"])
    assert comparisons(["zero"]) == []
    assert comparisons([]) == []


@pytest.mark.parametrize("names", [COMPARED, tuple(reversed(COMPARED)), ("every-step", "free")])
def test_comparisons_are_of_kinds_that_were_trained_and_none_twice(names):
    pairs = [(a, b) for a, b, _ in comparisons(names)]
    assert len(set(pairs)) == len(pairs)
    assert {kind for pair in pairs for kind in pair} == set(names)


def test_a_new_kind_is_one_entry_for_settings_training_and_figures(monkeypatch):
    """A reader's walk: nothing outside kinds.py names the kinds one by one, except where a control joins its context."""
    import dataclasses

    new = dataclasses.replace(KINDS["context"], name="context-again", colour="#123456", questions=())
    monkeypatch.setitem(kinds.KINDS, new.name, new)
    assert "context-again" in possible_kinds(2, ())
    assert colour("context-again") == "#123456"
    assert comparisons(["zero", "context-again"]) == [("context-again", "zero", "context-again rather than zero")]
    assert isinstance(new, Kind)
    assert series.SeriesSettings.__dataclass_fields__["initial_state"].metadata["choices"] == COMPARED
