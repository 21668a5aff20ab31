"""Digits read out of an image: the task, and the comparison of where the image is told."""

import json
import sys

import pytest
import torch

from contextual_rnn.cli import main

pytest.importorskip("sklearn", reason="scikit-learn is not installed: its digits were not read (extra digits)")

from contextual_rnn.papers.image_context.model import Digits, ReadingModel, accuracy, drawn, loss


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
        for batch in drawn(training, updates=150)():
            optimizer.zero_grad()
            loss(model, batch).backward()
            optimizer.step()
        found[kind] = accuracy(model.eval(), *pairs)
    assert found["none"] < 5
    assert found["coarse"] > 50


def test_reproduce_compares_where_the_image_is_told(tmp_path, capsys):
    out = tmp_path / "run"
    main(["reproduce", "image-context", "--smoke", "--seeds", "1", "--out", str(out)])
    assert "With coarse image in h0, both digits right, %:" in capsys.readouterr().out
    for name in ("accuracy", "reading"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000
    report = json.loads((out / "results.json").read_text())
    assert [run["image"] for run in report["runs"]] == ["none", "coarse", "full", "every-step"]


def test_without_scikit_learn_the_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit) as stopped:
        main(["reproduce", "image-context", "--out", str(tmp_path / "run")])
    assert stopped.value.code == 2
    assert "pip install 'contextual-rnn[digits]'" in capsys.readouterr().err
