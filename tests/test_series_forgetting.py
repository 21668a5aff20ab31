"""How long outputs depend on their start, and whether a difference in error lies before or after that."""

import dataclasses
import types

import pytest
import torch
from tanks import QUICK, TANK, panda, records

from contextual_rnn.jobs import series
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings
from contextual_rnn.jobs.series.compare import about_the_start
from contextual_rnn.jobs.series.forgetting import Forgetting, forgetting

LONG = records(2, 200)


def made(kind, window=0):
    torch.manual_seed(0)
    found = SeriesModel(SeriesSettings(**TANK, hidden=4, window=window, initial_state=kind)).eval()
    found.standardise(LONG)
    return found


@pytest.mark.parametrize("window", [0, 3])
def test_a_difference_of_the_readout_lies_after_the_start_is_forgotten(window):
    one, other = made("zero", window), made("zero", window)
    with torch.no_grad():
        other.head.bias += 5
    found = forgetting([one], [other], LONG)
    assert 1 < found.steps < 60
    assert found.longest == 201 - window
    assert found.share_after == pytest.approx(1 - found.steps / found.longest, abs=0.1)
    assert f"first {found.steps} of {found.longest} predicted steps" in found.in_words()
    assert f"{found.share_after:.0%} of the difference in squared error lies after" in found.in_words()


def test_a_difference_of_the_start_lies_before_and_nothing_is_said():
    one, other = made("zero"), made("free")
    with torch.no_grad():
        other.rnn.core.load_state_dict(one.rnn.core.state_dict())
        other.head.load_state_dict(one.head.state_dict())
        for start in other.rnn.initial_state.parameters():
            start.fill_(0.9)
    exact = [dataclasses.replace(record, targets=own) for record, own in zip(LONG, one.predictions(LONG), strict=True)]
    found = forgetting([one], [other], exact)
    assert 0 <= found.share_after < 0.05
    assert found.in_words() == ""


def test_a_start_that_is_never_forgotten_is_no_reason_for_a_sentence():
    assert Forgetting(30, 30, 0.5).in_words() == ""
    assert Forgetting(10, 30, None).in_words() == ""
    assert "All of the difference" in Forgetting(10, 30, 1.2).in_words()


@pytest.mark.parametrize(("low", "is_said"), [(1.2, True), (0.9, False)])
def test_the_answer_says_what_lies_after_the_start_and_that_one_series_is_tested(low, is_said):
    worse = made("free")
    with torch.no_grad():
        worse.head.bias += 5
    runs = [{"initial_state": kind} for kind in ("zero", "free")]
    models = {"zero-seed-0": made("zero"), "free-seed-0": worse}
    trained = types.SimpleNamespace(runs=runs, models=models, test=LONG[:1])
    row = {"family": "primary", "a": "free", "b": "zero", "ratio": 1.5, "low": low, "high": 2.0}
    start, sentences = about_the_start(trained, [row])
    assert sentences[-1] == "This answer rests on one test series."
    assert ("start" in start) == is_said == sentences[0].startswith("The outputs depend on the start for the first ")
    assert about_the_start(types.SimpleNamespace(**{**vars(trained), "test": LONG}), [])[1] == []


def test_a_comparison_on_one_record_says_so():
    train, test = panda(6).drop(columns="id"), panda(1, 40).drop(columns="id")
    options = {**TANK, **QUICK, "window": 3, "jobs": 1}
    found = series.compare(train, test, seeds=1, initial_states=["zero", "free"], **options)
    assert found.answer.endswith("This answer rests on one test series.")
