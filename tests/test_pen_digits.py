"""Pen digits: reading, refusals, and metrics that distinguish copies and noise from new digits."""

import hashlib
import json
import os

import pytest
import torch

from contextual_rnn.data.published import PEN_DIGITS_TEST, PEN_DIGITS_TRAINING, VARIABLE, find
from contextual_rnn.errors import InputError
from contextual_rnn.papers.experiment import shuffled
from contextual_rnn.papers.pen_digits import reproduce
from contextual_rnn.papers.pen_digits.data import PenDigits, accuracy, nearer
from contextual_rnn.papers.pen_digits.model import PenModel, loss

LINE = " 47,100, 27, 81, 57, 37, 26,  0,  0, 23, 56, 53,100, 90, 40, 98, 8"


def test_reads_points_and_digit(tmp_path):
    path = tmp_path / "two.tra"
    path.write_text(f"{LINE}\n{LINE}\n")
    digits = PenDigits.read(path)
    assert digits.points.shape == (2, 8, 2)
    assert digits.points[0, 0].tolist() == pytest.approx([-0.06, 1.0])
    assert digits.digit.tolist() == [8, 8]
    assert [len(part) for part in digits.split(0.5)] == [1, 1]
    assert digits.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "line", [LINE + ",1", LINE.replace("47", "x"), LINE.replace("47", "101"), LINE[:-1] + "10", LINE[:-1] + "nan"]
)
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "bad.tra"
    path.write_text(f"{LINE}\n{line}\n")
    with pytest.raises(InputError, match=r"bad\.tra, line 2: .*16 numbers"):
        PenDigits.read(path)
    path.write_text("\n")
    with pytest.raises(InputError, match="holds no digits"):
        PenDigits.read(path)


def made(count, spread, seed):
    """Ten well separated digits and noise about them."""
    generator = torch.Generator().manual_seed(seed)
    digit = torch.arange(count) % 10
    centres = torch.rand(10, 8, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return PenDigits(centres[digit] + spread * torch.randn(count, 8, 2, generator=generator), digit)


def test_copies_are_told_from_new_digits():
    training, test, new = (made(500, 0.1, seed) for seed in (1, 2, 3))
    assert nearer(new, test, training) == pytest.approx(50, abs=5)
    assert nearer(training, test, training) == 100
    assert nearer(made(500, 0.5, 4), test, training) < 1


def test_accuracy_is_that_of_the_nearest_neighbour():
    training, test = made(500, 0.1, 1), made(500, 0.1, 2)
    assert accuracy(test, training) == 100
    wrong = PenDigits(training.points, training.digit.roll(1))
    assert accuracy(test, wrong) == 0


def test_the_published_files_give_the_published_accuracy():
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} is not set: the pen digits were not read")
    training, test = (PenDigits.read(find(file)) for file in (PEN_DIGITS_TRAINING, PEN_DIGITS_TEST))
    assert (len(training), len(test)) == (7494, 3498)
    assert accuracy(test, training) == pytest.approx(97.74, abs=0.01)


def write(path, digits):
    numbers = torch.cat([((digits.points.clamp(-1, 1) + 1) * 50).flatten(1), digits.digit.unsqueeze(1)], 1)
    rows = [",".join([*(f"{x:.0f}" for x in row[:-1]), f"{row[-1]:.0f}"]) for row in numbers.tolist()]
    path.write_text("\n".join(rows) + "\n")


def test_reproduce_compares_where_the_label_is_given(tmp_path):
    write(tmp_path / "pendigits.tra", made(200, 0.1, 1))
    write(tmp_path / "pendigits.tes", made(100, 0.1, 2))
    out = tmp_path / "run"
    said = reproduce(out=out, data=tmp_path, smoke=True, seeds=1, jobs=1)
    assert "accuracy, trained on generated and tested on real digits, %" in said
    assert str(out / "figures") in said
    for name in ("digits", "scores", "initial_states"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000
    report = json.loads((out / "results.json").read_text())
    assert [run["label"] for run in report["runs"]] == ["none", "every-step", "initial-state"]
    assert all(0 <= run["metrics"]["tstr_accuracy"] <= 100 for run in report["runs"])
    shift = report["runs"][1]["metrics"]["tstr_accuracy"] - report["runs"][2]["metrics"]["tstr_accuracy"]
    assert report["shortfall"]["middle"] == pytest.approx(shift)
    write(tmp_path / "pendigits.tes", made(100, 0.1, 3))
    with pytest.raises(InputError, match="sha256"):  # the results would mix two data sets
        reproduce(out=out, data=tmp_path, smoke=True, seeds=1, jobs=1, resume=True)


def test_a_model_with_the_label_in_h0_generates_digits_of_that_label():
    torch.manual_seed(0)
    training = made(300, 0.05, 1)
    model = PenModel("initial-state", hidden=32, components=2)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        for batch in shuffled(training.points, training.digit, batch_size=100)():
            optimizer.zero_grad()
            loss(model, batch).backward()
            optimizer.step()
    generated = model.eval().generate(training.digit, seed=0)
    assert accuracy(made(100, 0.05, 2), generated) > 90
    wrong = model.log_likelihood(PenDigits(training.points, training.digit.roll(1)))
    assert model.log_likelihood(training).mean() > wrong.mean() + 5
