"""How good generated digits are: likelihood, nearest-neighbour accuracies, and whether they are copies."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...study.differences import Metric
from .data import PenDigits
from .model import PenModel

METRICS = (
    Metric("tstr_accuracy", "accuracy, trained on generated and tested on real digits", "%"),
    Metric("trts_accuracy", "accuracy, trained on real and tested on generated digits", "%"),
    Metric("log_likelihood", "log likelihood of a test digit", "nats"),
    Metric("nearer", "generated digits nearer to training digits than test digits are", "%"),
)


def nearest(digits: PenDigits, among: PenDigits) -> tuple[Tensor, Tensor]:
    """Return the distance (N,) from every digit to its nearest neighbour, and the digit (N,) of that neighbour."""
    parts = [torch.cdist(part, among.points.flatten(1)).min(dim=1) for part in digits.points.flatten(1).split(1000)]
    return torch.cat([part.values for part in parts]), among.digit[torch.cat([part.indices for part in parts])]


def accuracy(digits: PenDigits, among: PenDigits) -> float:
    """Return the accuracy in per cent of a 1-nearest-neighbour classifier that is trained on `among`."""
    return 100 * float((nearest(digits, among)[1] == digits.digit).double().mean())


def nearer(generated: PenDigits, test: PenDigits, training: PenDigits) -> float:
    """Return how often, in per cent, a generated digit is nearer to a training digit than a test digit is.

    All pairs of a generated digit and a test digit are compared; ties count as half. 50 means that generated digits are
    as new as real ones; 100 means that they are copies.
    """
    ours = np.sort(nearest(generated, training)[0].numpy())
    real = nearest(test, training)[0].numpy()
    below, up_to = np.searchsorted(ours, real, "left"), np.searchsorted(ours, real, "right")
    return float(50 * (below + up_to).mean() / len(ours))


@torch.no_grad()
def scores(model: PenModel, training: PenDigits, test: PenDigits, seed: int) -> dict[str, float]:
    """Return the metrics of a model, from as many generated digits as it was trained on, of the same labels."""
    generated = model.generate(training.digit, seed)
    return {
        "log_likelihood": float(model.log_likelihood(test).mean()),
        "tstr_accuracy": accuracy(test, generated),
        "trts_accuracy": accuracy(generated, training),
        "nearer": nearer(generated, test, training),
    }
