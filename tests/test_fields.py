"""What a context column is: a label or a quantity, said where it is inferred, and settled by an argument."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.data.series import Datasets
from contextual_rnn.errors import InputError
from contextual_rnn.jobs import generation


def digits(kinds, **more):
    """A table with a series of three rows for each kind."""
    ids = np.repeat(np.arange(len(kinds)), 3)
    return pd.DataFrame({"id": ids, "y": np.sin(np.arange(len(ids))), "kind": np.repeat(kinds, 3), **more})


def read(train, test=None, **options):
    columns = ColumnSettings(targets=("y",), context=("kind",), series="id", **options)
    return Datasets.read(train, None, test, columns)


def names(data):
    return getattr(data.fields["kind"], "names", None)


NUMBERS = [0, 1, 2, 0, 1, 2, 10]


def test_integers_of_few_values_get_a_sentence_that_an_argument_settles():
    (sentence,) = read(digits([0, 1, 2] * 2)).remarks
    assert sentence == (
        "The context column 'kind' has 3 distinct integers and is read as a quantity; if its numbers are names, give "
        "`labels` kind."
    )
    assert read(digits([0, 1, 2] * 2), quantities=("kind",)).remarks == []
    assert read(digits([0, 1, 2, 3])).remarks == []  # each in one series
    assert read(digits([0.5, 1, 2] * 2)).remarks == []
    data = read(digits(NUMBERS), labels=("kind",))
    assert names(data) == ["0", "1", "2", "10"]
    assert data.remarks == []


def test_a_label_is_one_in_every_format(tmp_path):
    train = digits(NUMBERS)
    train.to_csv(tmp_path / "train.csv", index=False)
    pl.DataFrame(train.to_dict("list")).with_columns(pl.col("kind").cast(pl.Float64)).write_parquet(
        tmp_path / "test.parquet"
    )
    for one, other in (("train.csv", "test.parquet"), ("test.parquet", "train.csv")):
        data = read(tmp_path / one, tmp_path / other, labels=("kind",))
        assert names(data) == ["0", "1", "2", "10"]
        assert all((a.context == b.context).all() for a, b in zip(data.training, data.test, strict=True))


@pytest.mark.parametrize("texts", [["true", "false"], ["True", "False"], ["TRUE", "FALSE"], [True, False]])
def test_booleans_are_labels_however_they_are_written(texts, tmp_path):
    digits([True, False]).to_csv(tmp_path / "test.csv", index=False)
    for source in (tmp_path / "test.csv", pl.DataFrame(digits([True, False]).to_dict("list"))):
        data = read(digits(texts), source)
        assert names(data) == ["false", "true"]
        assert [record.context.tolist() for record in data.test] == [[0, 1], [1, 0]]


@pytest.mark.parametrize("kind", ["pandas", "polars", "enum"])
def test_categories_are_labels_though_they_look_like_numbers(kind):
    frame = digits(["1", "2", "1"])
    if kind == "pandas":
        frame["kind"] = frame["kind"].astype(int).astype("category")
    else:
        dtype = pl.Categorical if kind == "polars" else pl.Enum(["1", "2"])
        frame = pl.DataFrame(frame.to_dict("list")).with_columns(pl.col("kind").cast(dtype))
    assert names(read(frame)) == ["1", "2"]
    assert names(read(frame, quantities=("kind",))) is None


def test_na_is_a_label_among_texts_and_missing_among_numbers(tmp_path):
    digits(["FR", "NA", "DE"]).to_csv(tmp_path / "a.csv", index=False)
    assert names(read(tmp_path / "a.csv")) == ["DE", "FR", "NA"]
    digits(["1", "NA", "2"]).to_csv(tmp_path / "b.csv", index=False)
    digits(["NA", "NA"]).to_csv(tmp_path / "c.csv", index=False)
    assert names(read(tmp_path / "c.csv", labels=("kind",))) == ["NA"]
    with pytest.raises(InputError, match="line 2, column 'kind': a value is missing, found 'NA'"):
        read(tmp_path / "c.csv")
    with pytest.raises(InputError, match="line 5, column 'kind': a value is missing, found 'NA'"):
        read(tmp_path / "b.csv")


def test_a_quantity_outside_the_training_range_is_warned_of():
    with pytest.warns(UserWarning, match=r"series '1', column 'kind': 7.5 is outside the range .* 1 to 3$"):
        read(digits([1.0, 3.0]), digits([2, 7.5]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(digits([1.0, 3.0]), digits([1, 3]))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": ("y",)}, "`labels` names 'y', but may only name columns of `context`"),
        ({"quantities": ("size",)}, "`quantities` names 'size', but may only name columns of `context`"),
        ({"labels": ("kind",), "quantities": ("kind",)}, "column 'kind' is in both `labels` and `quantities`"),
        ({"quantities": ("kind",)}, "series '0', column 'kind': 'a' is text, but it is named in `quantities`"),
    ],
)
def test_what_a_column_cannot_be_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        read(digits(["a", "b"]), **options)


def test_a_generator_of_labelled_digits_refuses_other_digits():
    small = {"targets": ["y"], "series": "id", "context": ["kind"], "epochs": 1, "hidden": 4}
    model = generation.fit(digits(NUMBERS), labels=["kind"], **small)
    assert len(model.sample({"kind": 10}, n=1, steps=2)) == len(model.sample({"kind": "10.0"}, n=1, steps=2))
    for wrong in (7.5, 99):
        with pytest.raises(InputError, match=rf"no label '{wrong}'; it has 0, 1, 2, 10$"):
            model.sample({"kind": wrong}, n=1)
    with pytest.warns(UserWarning, match="99 is outside the range of the training table, 0 to 10"):
        generation.fit(digits(NUMBERS), **small).sample({"kind": 99}, n=1, steps=2)
