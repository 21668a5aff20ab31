"""Pen digits (UCI, Alpaydin and Alimoglu): handwritten digits as 8 points of a pen, and how good generated ones are."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ...context import Context, Label
from ...errors import InputError
from ...heads import MixtureHead
from ...initial_state import ConstantState, ContextState
from ...recurrent import ContextualRNN
from ...sequence_model import SequenceModel

POINTS, DIGITS = 8, 10


@dataclasses.dataclass(frozen=True)
class PenDigits:
    """Digits: `points` (N, 8, 2), x and y scaled from [0, 100] to [-1, 1], and which `digit` each is (N,)."""

    points: Tensor
    digit: Tensor

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> PenDigits:
        """Read a published file: 16 numbers in 0 to 100 and the digit, comma-separated, a line a digit.

        Raises:
            InputError: a line is something else; names the file and the line.
        """
        with open(path, encoding="utf-8") as file:
            rows = [_row(f"{path}, line {number}", line) for number, line in enumerate(file, start=1) if line.strip()]
        if not rows:
            raise InputError(f"{path} holds no digits: lines of {2 * POINTS} numbers and the digit are right")
        table = torch.tensor(rows)
        return cls(table[:, :-1].view(-1, POINTS, 2) / 50 - 1, table[:, -1].long())

    def __len__(self) -> int:
        """Return N."""
        return len(self.digit)

    def split(self, share: float) -> tuple[PenDigits, PenDigits]:
        """Return the first digits, and the last `share` of them."""
        first = len(self) - round(share * len(self))
        return PenDigits(self.points[:first], self.digit[:first]), PenDigits(self.points[first:], self.digit[first:])


def _row(place: str, line: str) -> list[float]:
    try:
        numbers = [float(text) for text in line.split(",")]
    except ValueError as error:
        raise InputError(f"{place}: {error}; {2 * POINTS} numbers and the digit are right") from error
    *points, digit = numbers
    if len(points) != 2 * POINTS or digit not in range(DIGITS) or not all(0 <= value <= 100 for value in points):
        raise InputError(f"{place}: {2 * POINTS} numbers in 0 to 100 and a digit are right; found {line.strip()}")
    return numbers


def nearest(digits: PenDigits, among: PenDigits) -> tuple[Tensor, Tensor]:
    """Return how far every digit's nearest neighbour is (N,), in the points' unit, and which digit that is (N,)."""
    parts = [torch.cdist(part, among.points.flatten(1)).min(dim=1) for part in digits.points.flatten(1).split(1000)]
    return torch.cat([part.values for part in parts]), among.digit[torch.cat([part.indices for part in parts])]


def accuracy(digits: PenDigits, among: PenDigits) -> float:
    """Return the share of digits, %, that a 1-nearest-neighbour classifier trained on `among` gets right."""
    return 100 * float((nearest(digits, among)[1] == digits.digit).double().mean())


def nearer(generated: PenDigits, test: PenDigits, training: PenDigits) -> float:
    """Return how often, %, a generated digit lies nearer to a training digit than a real test digit does.

    Over all pairs of one of each, ties counting half: 50 where generated digits are as new as real ones, and towards
    100 where they are copies.
    """
    ours = np.sort(nearest(generated, training)[0].numpy())
    real = nearest(test, training)[0].numpy()
    below, upto = np.searchsorted(ours, real, "left"), np.searchsorted(ours, real, "right")
    return float(50 * (below + upto).mean() / len(ours))


LABELS = ("none", "every-step", "initial-state")
UNITS, COMPONENTS = 256, 20


@register
class PenModel(nn.Module):
    """An LSTM and a mixture of Gaussians over the pen's next point; the digit is told in h0, at every step, or never.

    Args:
        label: one of `LABELS`.
        hidden: units of the LSTM.
        components: of the mixture.
    """

    def __init__(self, label: str, hidden: int = UNITS, components: int = COMPONENTS) -> None:
        super().__init__()
        self.label, self.hidden, self.components = label, hidden, components
        told = Context(digit=Label(DIGITS))
        core = nn.LSTM(2 + (DIGITS if label == "every-step" else 0), hidden, batch_first=True)
        h0 = ContextState(core, told) if label == "initial-state" else ConstantState(core)
        head = MixtureHead(hidden, 2, components, change=True, floor=0.01)
        every_step = told if label == "every-step" else None
        self.sequences = SequenceModel(ContextualRNN(core, h0), head, every_step=every_step)

    def log_likelihood(self, digits: PenDigits) -> Tensor:
        """Return the log likelihood of every digit's points given which digit it is (N,), nats."""
        return self.sequences.log_likelihood(digits.points, {"digit": digits.digit})

    def generate(self, digit: Tensor, seed: int) -> PenDigits:
        """Return one digit drawn for every label (N,)."""
        return PenDigits(self.sequences.sample({"digit": digit}, steps=POINTS, seed=seed).elements, digit)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"label": self.label, "hidden": self.hidden, "components": self.components}


def loss(model: PenModel, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean negative log likelihood of a point, nats, of points (B, 8, 2) and digits (B,)."""
    points, digit = batch
    return model.sequences.loss(points, {"digit": digit})


def shuffled(digits: PenDigits, size: int = 128) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return what gives an epoch's batches, the digits shuffled."""

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(digits)).split(size):
            yield digits.points[rows], digits.digit[rows]

    return batches


@torch.no_grad()
def scores(model: PenModel, training: PenDigits, test: PenDigits, seed: int) -> dict[str, float]:
    """Return the figures of merit of a model, with as many digits generated as it was trained on, of the same labels.

    `log_likelihood` of a test digit, nats; `tstr_accuracy`, trained on generated and tested on real; `trts_accuracy`,
    the other way; `nearer`, see the function; accuracies in %.
    """
    generated = model.generate(training.digit, seed)
    return {
        "log_likelihood": float(model.log_likelihood(test).mean()),
        "tstr_accuracy": accuracy(test, generated),
        "trts_accuracy": accuracy(generated, training),
        "nearer": nearer(generated, test, training),
    }
