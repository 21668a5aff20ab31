"""Rows of a context are selected from whatever its fields take: with resets, and one batch of samples at a time."""

from typing import NamedTuple

import numpy as np
import polars
import pytest
import torch
from torch import nn

from contextual_rnn import (
    ConstantState,
    Context,
    ContextState,
    ContextualRNN,
    FixedGaussianHead,
    Label,
    Quantity,
    SequenceModel,
    Summary,
)
from contextual_rnn._core.rows import count_rows, map_columns, repeat_row, take_rows

INDEX = torch.tensor([2, 0, 2])


class Pair(NamedTuple):
    a: object
    b: object


COLUMNS = {
    "tensor": (torch.tensor([1, 2, 3]), lambda rows: rows.tolist()),
    "array": (np.array([1, 2, 3]), lambda rows: rows.tolist()),
    "list": ([1, 2, 3], list),
    "tuple": ((1, 2, 3), list),
    "series": (polars.Series([1, 2, 3]), list),
}


@pytest.mark.parametrize(("column", "read"), COLUMNS.values(), ids=COLUMNS)
def test_rows_of_a_column(column, read):
    assert count_rows(column) == 3
    assert read(take_rows(column, INDEX)) == [3, 1, 3]
    assert read(take_rows(column, slice(1, 3))) == [2, 3]
    assert read(repeat_row(take_rows(column, slice(1, 2)), 3)) == [2, 2, 2]


def test_rows_of_nested_columns():
    pair = Pair([1, 2, 3], (1.0, 2.0, 3.0))
    known = {"x": (torch.zeros(3, 4, 1), [4, 2, 1]), "names": ("a", None, "b"), "none": None, "pair": pair}
    found = map_columns(lambda column: take_rows(column, INDEX), known)
    assert found["x"][0].shape == (3, 4, 1)
    assert found["x"][1] == [1, 4, 1]
    assert found["names"] == ("b", "a", "b")
    assert found["none"] is None
    assert found["pair"] == Pair([3, 1, 3], (3.0, 1.0, 3.0))
    assert count_rows({"none": None, "x": known["x"]}) == 3
    assert count_rows({"none": None}) is None


def contexts():
    core = nn.GRU(1, 4, batch_first=True)
    summary = Summary(ContextualRNN(core, ConstantState(core)), 4)
    fields = Context(name=Label(["ice", "fre", "ger"]), level=Quantity(0, 1), past=summary)
    known = {
        "name": ["ger", "ice", "fre"],
        "level": [0.1, 0.9, 0.5],
        "past": (torch.randn(3, 5, 1), torch.tensor([5, 1, 3])),
    }
    return fields, known


def rows_of(known, rows):
    past, lengths = known["past"]
    return {
        "name": [known["name"][row] for row in rows],
        "level": [known["level"][row] for row in rows],
        "past": (past[rows], lengths[rows]),
    }


def test_resets_repeat_the_rows_of_names_numbers_and_sequences():
    fields, known = contexts()
    core = nn.GRU(2, 6, batch_first=True)
    rnn = ContextualRNN(core, ContextState(core, fields))
    x, resets = torch.randn(3, 4, 2), torch.tensor([[0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]])
    output, _ = rnn(x, known, resets=resets)
    by_episode, _ = rnn(x, rows_of(known, [0, 0, 1, 1, 1, 2]), resets=resets)
    torch.testing.assert_close(output, by_episode)
    torch.testing.assert_close(output[0, 2:], rnn(x[:1, 2:], rows_of(known, [0]))[0][0])


def test_samples_of_names_numbers_and_sequences_in_batches():
    fields, known = contexts()
    core = nn.LSTM(2, 6, batch_first=True)
    model = SequenceModel(ContextualRNN(core, ContextState(core, fields)), FixedGaussianHead(6, 2, 0.1))
    whole = model.sample(known, steps=3)
    assert whole.elements.shape == (3, 3, 2)
    torch.testing.assert_close(model.sample(known, steps=3, batch_size=2).elements, whole.elements)
    one = model.sample(rows_of(known, [1]), 3, steps=3).elements
    three = model.sample(rows_of(known, [1, 1, 1]), steps=3).elements
    torch.testing.assert_close(one, three)


def test_one_row_of_an_array_is_copied_and_not_multiplied():
    core = nn.GRU(2, 6, batch_first=True)
    rnn = ContextualRNN(core, ContextState(core, Context(level=Quantity(0, 1))))
    model = SequenceModel(rnn, FixedGaussianHead(6, 2, 0.1))
    found = model.sample({"level": np.array([0.25], dtype=np.float32)}, 3, steps=3)
    torch.testing.assert_close(found, model.sample({"level": torch.tensor([0.25])}, 3, steps=3))
