"""Two digits named from an image: the data, the model, and the comparison of where the image is given."""

import json
import sys

import pytest
import torch

from contextual_rnn.errors import InputError

pytest.importorskip("sklearn", reason="scikit-learn is not installed: its digits were not read (extra digits)")

from contextual_rnn.papers.image_context import Digits, ReadingModel, accuracy, loss, reproduce


def test_pairs_are_two_digits_side_by_side_and_no_image_is_in_two_parts():
    digits = Digits.load()
    first, second = digits.split(1000, 700, seed=0)
    known = {tuple(pixels.flatten().tolist()) for pixels in first.pixels}
    assert not any(tuple(pixels.flatten().tolist()) in known for pixels in second.pixels)
    images, names = first.pairs(5, torch.Generator().manual_seed(0))
    assert images.shape == (5, 1, 8, 16)
    halves = torch.cat([images[:, 0, :, :8], images[:, 0, :, 8:]])
    for half, name in zip(halves, names.T.flatten(), strict=True):
        alike = (first.pixels == half).all(2).all(1)
        assert (first.digit[alike] == name).all()
        assert alike.any()


def test_the_image_in_h0_is_read_and_none_is_chance():
    torch.manual_seed(0)
    training, test = Digits.load().split(1000, 500, seed=0)
    pairs = test.pairs(1000, torch.Generator().manual_seed(0))
    found = {}
    for kind in ("none", "coarse"):
        model = ReadingModel(kind, hidden=64)
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for batch in (training.pairs(128) for _ in range(150)):
            optimizer.zero_grad()
            loss(model, batch).backward()
            optimizer.step()
        found[kind] = accuracy(model.eval(), *pairs)
    assert found["none"] < 5
    assert found["coarse"] > 50


def test_reproduce_compares_where_the_image_is_given(tmp_path):
    out = tmp_path / "run"
    said = reproduce(out=out, smoke=True, seeds=1, jobs=1, images=["none", "coarse", "every-step"], updates=5)
    assert said.startswith("share of images with both digits correct, %")
    for name in ("accuracy", "reading"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000
    report = json.loads((out / "results.json").read_text())
    assert [run["image"] for run in report["runs"]] == ["none", "coarse", "every-step"]
    assert [(row["a"], row["b"]) for row in report["differences"]] == [("coarse", "none"), ("coarse", "every-step")]


def test_parts_that_exceed_the_digits_are_refused(tmp_path):
    with pytest.raises(InputError, match="add up to 1798; there are 1797 digits"):
        reproduce(out=tmp_path / "run", training_size=1001)


def test_without_scikit_learn_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(InputError, match=r"pip install 'contextual-rnn\[digits\]'"):
        reproduce(out=tmp_path / "run")
