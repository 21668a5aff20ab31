"""Intervals and sentences: what a comparison may claim."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from contextual_rnn.study.differences import (
    Answer,
    baseline_rows,
    control_of,
    difference,
    difference_over_items,
    findings,
    in_words,
    summarise,
    told_apart,
)
from contextual_rnn.study.intervals import (
    adjusted,
    holm,
    mean_interval,
    ratio_estimate,
    rmse_ratio,
    two_way,
    two_way_estimate,
)
from contextual_rnn.study.metric import SHARE, ItemMetric, Metric

ERROR = Metric("error", "test error")
RATE = Metric("rate", "error rate", "%", "difference")
BY_ITEM = ItemMetric("item_error", "error of an item", values="by_item", items="things", item="thing")


def reply_of(subject, row, metric):
    return Answer(subject, row, metric, control=row and row["b"]).in_words()


def runs(a, b, metric="error"):
    return [
        {"kind": kind, "seed": seed, "metrics": {} if value is None else {metric: value}}
        for kind, values in (("a", a), ("b", b))
        for seed, value in enumerate(values)
    ]


def compared(a, b, metric=ERROR):
    return difference(runs(a, b, metric.key), {"kind": "a"}, {"kind": "b"}, metric)


def said(a, b, metric=ERROR):
    return in_words(compared(a, b, metric), metric)


def test_the_t_interval_is_the_textbook_one():
    interval = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451 * math.sqrt(2.5 / 5)  # t of 4 degrees of freedom, two-sided 95%
    assert interval.middle == pytest.approx(3)
    assert (interval.low, interval.high) == pytest.approx((3 - half, 3 + half))


def test_a_t_interval_of_five_covers_95_per_cent():
    draws = np.random.default_rng(0).standard_normal((4000, 5))
    intervals = [mean_interval(row) for row in draws]
    covered = np.mean([one.low < 0 < one.high for one in intervals])
    assert covered == pytest.approx(0.95, abs=0.012)


@given(st.lists(st.floats(0.1, 10), min_size=5, max_size=9), st.floats(0.1, 10))
def test_a_constant_ratio_is_found_exactly(values, factor):
    interval = ratio_estimate([factor * value for value in values], values).interval()
    assert (interval.middle, interval.low, interval.high) == pytest.approx((factor,) * 3)


def test_pairing_removes_what_seeds_share():
    shared = [1.0, 10.0, 3.0, 0.5, 7.0]
    found = compared([0.9 * value + 0.001 * i for i, value in enumerate(shared)], shared)
    assert found["high"] < 1
    assert in_words(found, ERROR).startswith("The test error of a is 10% lower than that of b (ratio 0.9")


def test_noise_is_called_no_difference():
    assert said([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]).startswith("No difference in test error was found between a and b")


def test_with_fewer_than_five_seeds_nothing_is_claimed():
    found = compared([1, 1, 1, 1], [2, 2, 2, 2])
    assert found["low"] is None
    assert found["ratio"] == pytest.approx(0.5)
    assert in_words(found, ERROR) == (
        "The test error of a is 50% lower than that of b, over 4 seeds; at least 5 seeds are needed to claim a difference."
    )
    assert "over 1 seed;" in said([1], [2])


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (0.5, "50% lower than"),
        (1.2, "20% higher than"),
        (0.9961, "0.4% lower than"),
        (1.0, "the same as"),
        (40, "40 times"),
    ],
)
def test_sizes_read_well_however_small_or_large(ratio, words):
    assert f"is {words} that of b" in said([ratio], [1.0])


def test_percentages_are_compared_by_their_difference():
    assert said([7, 8, 7, 8, 7.5], [5, 6, 5, 6, 5.5], RATE).startswith(
        "The error rate of a is 2 percentage points higher than that of b (difference 2, 95% interval 2 to 2, 5 seeds)"
    )
    assert "No difference in error rate" in said([0] * 5, [0] * 5, RATE)


def test_missing_values_are_left_out_and_counted():
    summary = summarise(runs([1.0, None, 3.0], [1.0, 1.0, 1.0]), ["kind"])
    assert [(row["kind"], row["mean"], row["seeds"], row["of"]) for row in summary] == [
        ("a", 2.0, 2, 3),
        ("b", 1.0, 3, 3),
    ]
    late = summarise(runs([None, 4.0], [None, None]), ["kind"])
    assert [(row["kind"], row["mean"]) for row in late] == [("a", 4.0)]


def test_differences_pair_the_seeds_that_both_kinds_have():
    found = compared([None, 2.0, 4.0], [1.0, 1.0, None])
    assert (found["ratio"], found["seeds"]) == (2.0, 1)
    nothing = compared([None, 2.0], [1.0, None])
    assert (nothing["ratio"], nothing["seeds"]) == (None, 0)
    assert in_words(nothing, ERROR) == "The test error of a and b cannot be compared, because no seed has both."
    assert said([None], [None], RATE) == "The error rate of a and b cannot be compared, because no seed has both."


def test_a_ratio_to_zero_is_not_given():
    found = compared([0.0] * 5, [1.0] * 5)
    assert found["ratio"] is None
    assert "cannot be compared as a ratio" in in_words(found, ERROR)
    assert "cannot be compared as a ratio" in said([-1.0] * 5, [1.0] * 5)
    assert reply_of("the start", found, ERROR).startswith("Does the start matter? Undetermined.")


def test_the_answer_comes_in_one_sentence():
    assert "matter? Only one kind was trained" in reply_of("the start", None, ERROR)
    assert "matter? Not enough runs to tell. The" in reply_of("the start", compared([1, 2], [2, 4]), ERROR)
    assert "matter? No difference was found. No" in reply_of(
        "the start", compared([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]), ERROR
    )
    assert "matter? Yes. The test error of a is" in reply_of(
        "the start", compared([1, 2, 3, 4, 5], [2, 4, 6, 8, 10.1]), ERROR
    )


def test_an_answer_names_the_worse_kind_where_that_is_not_the_control():
    worse = compared([2, 4, 6, 8, 10.1], [1, 2, 3, 4, 5])
    for control, reply, matters in [
        ("a", "Does the bridge matter? Yes. The test error of a is", True),
        ("b", "Does the bridge matter? Yes, but a does worse. ", False),
        (None, "Does the bridge matter? Yes. ", True),
    ]:
        found = Answer("the bridge", worse, ERROR, control=control)
        assert found.in_words().startswith(reply)
        assert found.matters is matters
    assert control_of({"copy": "copy", "base": "project"}) is None
    assert control_of({"zero, none": "zero", "project, none": "project"}) == "zero, none"


def answer_of(errors, *pairs):
    """The answer of findings on the errors of every kind and seed; h0 against read is its question."""
    runs = [
        {"initial_state": kind, "seed": seed, "metrics": {ERROR.key: value}, "squares": [value]}
        for kind, values in errors.items()
        for seed, value in enumerate(values)
    ]
    item = ItemMetric("squares", "error of an item", values="squares")
    return findings(runs, pairs, [ERROR], item, {}, primary=[("h0", "read")])["answer"]


def test_an_answer_without_a_difference_says_what_else_was_found():
    errors = {"h0": [1.0, 2, 3, 4, 5], "read": [2.0, 1, 4, 3, 5.1], "zero": [10.0, 20, 30, 40, 50]}
    reply = answer_of(errors, ("h0", "zero", "Being known"), ("h0", "read", "Where"))
    assert reply.startswith("Does the initial state matter? No difference was found. No difference in test error was")
    assert "But the test error of h0 is 90% lower than that of zero (ratio 0.1" in reply
    assert "But" not in answer_of(errors, ("h0", "read", "Where"))


@pytest.mark.parametrize(
    ("zero", "second"),
    [
        (10.0, " But the test error of h0 is"),
        (1.0, " No difference in test error was"),
        (0.1, " The test error of h0 is"),
    ],
)
def test_an_answer_against_the_first_kind_says_so_and_compares_it_with_zero(zero, second):
    own = [1.0, 2, 3, 4, 5.1]
    errors = {"h0": own, "read": [0.5, 1, 1.5, 2, 2.5], "zero": [zero * value for value in (1.01, 1.9, 3, 4.2, 5)]}
    reply = answer_of(errors, ("h0", "zero", "Being known"), ("h0", "read", "Where"))
    assert reply.startswith("Does the initial state matter? Yes, but h0 does worse. The test error of h0 is")
    assert f".{second}" in reply


def test_worse_is_lower_where_a_higher_value_is_better():
    good = compared([2, 4, 6, 8, 10.1], [1, 2, 3, 4, 5])
    rate = dataclasses.replace(ERROR, higher_is_better=True)
    assert "Yes. " in reply_of("the start", good, rate)
    assert "Yes, but a does worse. " in reply_of("the start", good, ERROR)


def test_baselines_are_rows_without_seeds():
    (row,) = baseline_rows("kind", {"persistence": {"error": 2.0}})
    assert (row["kind"], row["mean"], row["median"], row["low"], row["seeds"]) == ("persistence", 2.0, 2.0, None, 0)


def of_items(a, b):
    return [
        {
            "kind": kind,
            "initial_state": kind,
            "seed": seed,
            "metrics": {"error": float(np.mean(row))},
            "by_item": list(row),
        }
        for kind, values in (("a", a), ("b", b))
        for seed, row in enumerate(values)
    ]


def over_items(a, b, metric=BY_ITEM):
    return difference_over_items(of_items(a, b), {"kind": "a"}, {"kind": "b"}, metric)


def test_the_two_way_error_is_that_of_the_mean_squares():
    values = np.array([[1.0, 2.0, 6.0], [3.0, 4.0, 5.0]])  # mean squares: seeds 1.5, items 6.5, noise 1.5
    mean, error, freedom = two_way(values)
    assert mean == pytest.approx(3.5)
    assert error == pytest.approx(math.sqrt((1.5 + 6.5 - 1.5) / 6))
    assert freedom == pytest.approx(6.5**2 / (1.5**2 / 1 + 6.5**2 / 2 + 1.5**2 / 2))


def test_one_seed_or_one_item_gives_the_usual_standard_error():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    for shape in ((5, 1), (1, 5)):
        estimate = two_way_estimate(values.reshape(shape))
        assert (estimate.error, estimate.freedom) == pytest.approx((math.sqrt(0.5), 4))


@pytest.mark.parametrize(("of_seed", "of_item"), [(0.0, 1.0), (0.3, 1.0), (1.0, 0.2)])
def test_the_two_way_interval_covers_the_truth(of_seed, of_item):
    random = np.random.default_rng(0)
    seeds, items, noise = (random.standard_normal((2000, *shape)) for shape in ((5, 1), (1, 40), (5, 40)))
    value, error, freedom = two_way(of_seed * seeds + of_item * items + 0.5 * noise)
    half = error * stats.t.ppf(0.975, freedom)
    assert 0.935 <= np.mean(abs(value) <= half) <= 0.98


def test_items_are_paired():
    errors = np.random.default_rng(0).uniform(0.1, 10, (5, 40))
    interval = rmse_ratio(0.81 * errors, errors).interval()
    assert (interval.middle, interval.low, interval.high) == pytest.approx((0.9,) * 3)
    shift = two_way_estimate(errors + 2 - errors).interval()
    assert (shift.middle, shift.low, shift.high) == pytest.approx((2,) * 3)


def test_errors_of_zero_have_no_ratio():
    assert rmse_ratio(np.ones((5, 40)), np.zeros((5, 40))) is None
    assert "cannot be compared as a ratio" in in_words(
        over_items(np.ones((5, 40)), np.zeros((5, 40))), BY_ITEM, "things"
    )


def test_few_items_allow_no_claim_about_other_items():
    row = over_items(np.ones((5, 39)), 2 * np.ones((5, 39)))
    assert (row["seeds"], row["things"], row["low"], row["p"]) == (5, 39, None, None)
    assert "at least 40 test things are needed" in in_words(row, BY_ITEM, "things")


def test_a_difference_over_items_names_their_number():
    of_item = np.array([[1.0 + seed + item for item in range(40)] for seed in range(5)])
    row = over_items(0.25 * of_item, of_item)
    assert row["ratio"] == pytest.approx(0.5)
    assert "50% lower than that of b" in in_words(row, BY_ITEM, "things")
    assert "40 test things and 5 seeds" in in_words(row, BY_ITEM, "things")
    assert json.dumps(adjusted([row], row), allow_nan=False)


def test_no_difference_comes_with_the_one_that_would_have_been_found():
    row = compared([1, 2, 3, 4, 5], [5, 4, 3, 2, 1])
    logs = np.log([1 / 5, 2 / 4, 1, 4 / 2, 5 / 1])
    quantiles = 2.7764451 + 0.9409646  # t of 4 degrees of freedom, at 0.975 and at 0.8
    assert row["detectable"] == pytest.approx(math.exp(quantiles * logs.std(ddof=1) / math.sqrt(5)), rel=1e-6)
    assert in_words(row, ERROR).endswith(
        " These runs would find a true difference by a factor of 7.85 in four of five cases."
    )
    assert "find" not in said([0] * 5, [0] * 5, RATE)


def test_holm_adjusts_the_smallest_most():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []


def test_secondary_differences_are_claimed_by_adjusted_p_values():
    weak = compared([2.0, 2.4, 3.0, 2.2, 2.9], [2.2, 2.5, 3.5, 2.3, 3.0])
    assert 0.025 / 2 < weak["p"] < 0.05
    rows = adjusted([weak, dict(weak), dict(weak), dict(weak)], weak)
    assert [row["family"] for row in rows] == ["primary", "secondary", "secondary", "secondary"]
    assert in_words(rows[0], ERROR).startswith("The test error of a is")
    assert in_words(rows[1], ERROR).startswith("No difference in test error was found")
    assert rows[1]["p_adjusted"] == pytest.approx(3 * weak["p"])
    assert rows[1]["simultaneous_low"] < rows[1]["low"] < rows[1]["high"] < rows[1]["simultaneous_high"]
    assert "simultaneous with 3 claims" in in_words(rows[1], ERROR)
    assert rows[1]["detectable"] > rows[0]["detectable"]


def test_the_answer_is_that_of_the_primary_comparison():
    random = np.random.default_rng(0)
    members = of_items(0.5 + random.random((5, 40)), 2 + random.random((5, 40)))
    members += [{**one, "initial_state": "c"} for one in members[5:]]
    pairs = [("b", "c", "B rather than c"), ("a", "b", "A rather than b")]
    found = findings(members, pairs, [ERROR], BY_ITEM, {}, primary=[("x", "y"), ("a", "b")])
    assert found["answer"].startswith("Does the initial state matter? Yes. The error of an item of a is")
    assert [row["family"] for row in found["differences"]] == ["secondary"] * 3 + ["primary"]
    assert "fixed before the runs" in found["sentences"][-1]
    assert json.dumps(found["differences"], allow_nan=False)
    few = findings(members[:5] + members[5:10], [("a", "b", "A rather than b")], [ERROR], BY_ITEM, {})
    assert few["differences"][-1]["family"] == "primary"


def test_intervals_over_seeds_say_what_they_hold_for():
    members = of_items(np.arange(5.0)[:, None] + 1, np.arange(5.0)[:, None] + 2)
    found = findings(members, [("a", "b", "A rather than b")], [ERROR], BY_ITEM, {})
    assert (
        found["sentences"][-1] == "Intervals over seeds hold for other seeds on this test thing, not for other things."
    )


def test_intervals_of_shares_stay_between_their_bounds():
    near = [99.0, 100.0, 96.0, 100.0, 100.0]
    assert mean_interval(near).high > 100
    found = mean_interval(near, SHARE)
    assert (found.middle, found.high < 100, found.low > 90) == (99, True, True)
    few = mean_interval([100 - one for one in near], SHARE)
    assert (few.low, few.high) == pytest.approx((100 - found.high, 100 - found.low))
    assert mean_interval([100.0] * 5, SHARE).low == 100
    rates = mean_interval([1.0, 120.0, 2.0, 60.0, 3.0], (0, math.inf))
    assert 0 < rates.low < rates.middle < rates.high
    assert mean_interval([50.0, 50.2, 49.8, 50.1, 49.9], SHARE).high == pytest.approx(
        mean_interval([50.0, 50.2, 49.8, 50.1, 49.9]).high, abs=1e-3
    )
    summary = summarise(
        [{"kind": "a", "seed": seed, "metrics": {"one": one}} for seed, one in enumerate(near)], ["kind"]
    )
    assert summary[0]["high"] > 100
    bounded = summarise(
        [{"kind": "a", "seed": seed, "metrics": {"one": one}} for seed, one in enumerate(near)],
        ["kind"],
        [Metric("one", "one", "%", bounds=SHARE)],
    )
    assert bounded[0]["high"] < 100


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("zero, none, output", "project, none, output"), ("zero", "project")),
        (("zero, none, truth", "project, none, output"), ("zero, truth", "project, output")),
        (("context", "zero"), ("context", "zero")),
        (("a, b", "a"), ("a, b", "a")),
        (("a, b", "a, b"), ("a, b", "a, b")),
    ],
)
def test_sentences_name_the_settings_that_differ(names, shown):
    assert told_apart(*names) == shown
