"""Intervals and sentences: what a comparison may claim."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextual_rnn.study.differences import (
    ItemMetric,
    Metric,
    answer,
    baseline_rows,
    bootstrap_mean,
    bootstrap_ratio,
    bootstrap_shift,
    difference,
    difference_over_items,
    in_words,
    mean_interval,
    ratio_interval,
    summarise,
)

ERROR = Metric("error", "test error")
RATE = Metric("rate", "error rate", "%", "difference")
BY_ITEM = ItemMetric("item_error", "error of an item", values="by_item", items="things")


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
    interval = ratio_interval([factor * value for value in values], values)
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
    assert answer("the start", found, ERROR).startswith("Does the start matter? Undetermined.")


def test_the_answer_comes_in_one_sentence():
    assert "matter? Only one kind was trained" in answer("the start", None, ERROR)
    assert "matter? Not enough runs to tell. The" in answer("the start", compared([1, 2], [2, 4]), ERROR)
    assert "matter? No difference was found. No" in answer(
        "the start", compared([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]), ERROR
    )
    assert "matter? Yes. The test error of a is" in answer(
        "the start", compared([1, 2, 3, 4, 5], [2, 4, 6, 8, 10.1]), ERROR
    )


def test_baselines_are_rows_without_seeds():
    (row,) = baseline_rows("kind", {"persistence": {"error": 2.0}})
    assert (row["kind"], row["mean"], row["median"], row["low"], row["seeds"]) == ("persistence", 2.0, 2.0, None, 0)


def test_the_bootstrap_is_paired():
    errors = np.random.default_rng(0).uniform(0.1, 10, (5, 30))
    interval = bootstrap_ratio(0.81 * errors, errors)
    assert (interval.middle, interval.low, interval.high) == pytest.approx((0.9,) * 3)
    shift = bootstrap_shift(errors + 2, errors)
    assert (shift.middle, shift.low, shift.high) == pytest.approx((2,) * 3)


def test_the_bootstrap_claims_nothing_from_few_seeds_or_of_zero_errors():
    errors = np.random.default_rng(0).uniform(0.1, 10, (4, 30))
    assert bootstrap_ratio(0.81 * errors, errors).low is None
    assert bootstrap_shift(errors, errors).low is None
    assert bootstrap_ratio(errors, 0 * errors).middle is None
    assert bootstrap_mean(errors).low < errors.mean() < bootstrap_mean(errors).high


def test_a_bootstrap_that_resamples_zero_errors_gives_no_infinite_interval():
    a, b = np.ones((5, 3)), np.zeros((5, 3))
    b[:, 0] = 1  # many resamples of the three items leave out the only one with an error
    members = [
        {"kind": kind, "seed": seed, "metrics": {}, "by_item": rows.tolist()}
        for kind, values in (("a", a), ("b", b))
        for seed, rows in enumerate(values)
    ]
    row = difference_over_items(members, {"kind": "a"}, {"kind": "b"}, BY_ITEM)
    assert (row["seeds"], row["things"], row["low"], row["high"]) == (5, 3, None, None)
    assert row["ratio"] == pytest.approx(math.sqrt(3))
    assert "no interval can be given" in in_words(row, BY_ITEM, "things")
    assert json.dumps(row, allow_nan=False)


def test_a_difference_over_items_names_their_number():
    members = [
        {"kind": kind, "seed": seed, "metrics": {}, "by_item": [factor * (1 + seed + item) for item in range(12)]}
        for kind, factor in (("a", 0.25), ("b", 1.0))
        for seed in range(5)
    ]
    row = difference_over_items(members, {"kind": "a"}, {"kind": "b"}, BY_ITEM)
    assert row["ratio"] == pytest.approx(0.5)
    assert "50% lower than that of b" in in_words(row, BY_ITEM, "things")
    assert "12 test things and 5 seeds" in in_words(row, BY_ITEM, "things")
