"""Remarks on a training table: labels in several forms, numbers that are names, and marks of missing values."""

import numpy as np
import polars as pl
import pytest

from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.series import Datasets
from contextual_rnn.errors import InputError

STEPS = np.arange(40)


def notes(frame, **columns):
    return Datasets.read(frame, None, None, ColumnSettings(**{"targets": ["y"]} | columns)).notes


def contexts(*cells):
    return pl.DataFrame({"id": [f"s{place}" for place in range(len(cells))], "c": cells, "y": range(len(cells))})


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["Red", "red", "blue"], "'Red', 'red' are different values of column 'c'; if they mean the same"),
        (["a b", "a\u00a0b"], "are different values"),
        (["e\u0301", "\u00e9"], r"'e\u0301', '\xe9' are different values"),
        (["true", "False", "1"], "'1', 'true' are different values"),
        (["1,000", "2,500"], "'c' is read as labels, such as '1,000'; if its cells are quantities"),
        (["2024-01-01", "2024-02-01"], "'c' is read as labels, such as '2024-01-01'"),
        (
            ["01234", "99999"],
            "'c' has numbers such as 01234 and is read as a quantity; if they are names, give `labels` c",
        ),
    ],
)
def test_a_context_that_may_be_read_wrongly_is_named(cells, words):
    found = notes(contexts(*cells), series="id", context=["c"])
    assert len(found) == 1
    assert words in found[0]


def test_other_contexts_need_no_remark():
    assert notes(contexts("red", "blue", "redder"), series="id", context=["c"]) == ()
    assert notes(contexts("1.5", "0.25", "10"), series="id", context=["c"]) == ()
    assert notes(contexts("007", "8", "9"), series="id", context=["c"], labels=["c"]) == ()


def test_series_and_inputs_in_several_forms_are_named():
    frame = pl.DataFrame({"id": ["a", "a", "A", "A"], "u": ["On", "on", "off", "On"], "y": [1, 2, 3, 4]})
    found = notes(frame, series="id", inputs=["u"])
    assert [one.split(" are ")[0] for one in found if "spell them" in one] == ["'On', 'on'", "'a', 'A'"]


def test_a_number_far_from_all_others_may_stand_for_a_missing_value():
    values = STEPS % 12
    marked = np.where(STEPS % 10 == 3, -200, values)
    frame = pl.DataFrame({"u": np.sin(STEPS), "y": marked})
    (found,) = [one for one in notes(frame, inputs=["u"]) if "stands" in one]
    assert found == (
        "The number -200 stands 4 times in column 'y', far from all others; if it stands for a missing value, give "
        "`missing_values` -200."
    )
    assert not [one for one in notes(frame.with_columns(y=values), inputs=["u"]) if "stands" in one]


def test_marks_of_missing_values_are_found_in_single_precision_and_refused_in_a_context():
    frame = pl.DataFrame(
        {"id": ["a", "b"], "c": [-99.9, 1.0], "u": pl.Series([1.0, -99.9], dtype=pl.Float32), "y": [1, 2]}
    )
    columns = {"targets": ["y"], "inputs": ["u"], "missing": "hold", "missing_values": [-99.9]}
    data = Datasets.read(frame, None, None, ColumnSettings(**columns))
    assert data.training[0].inputs.tolist() == [[1, 0], [1, 1]]
    with pytest.raises(InputError, match="row 0, column 'c': a value is missing, as `missing_values` says"):
        Datasets.read(frame, None, None, ColumnSettings(**columns, series="id", context=["c"]))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (1e-25 * STEPS, "its numbers differ by 3.9e-24 at most, too little to compute with in single precision"),
        (
            np.where(STEPS == 7, 9.96921e36, STEPS),
            "row 7, column 'y': 9.96921e\\+36 is too large, as numbers must be below 1e\\+19",
        ),
    ],
)
def test_numbers_whose_squares_single_precision_does_not_hold_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        notes(pl.DataFrame({"y": values}))
