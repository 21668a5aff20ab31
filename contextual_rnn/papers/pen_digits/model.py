"""A model that generates pen digits from their label."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ...context import Context, Label
from ...heads import MixtureHead
from ...initial_state import ConstantState, ContextState
from ...recurrent import ContextualRNN
from ...sequence_model import SequenceModel
from .data import DIGITS, POINTS, PenDigits, accuracy, nearer

LABELS = ("none", "every-step", "initial-state")


@register
class PenModel(nn.Module):
    """An LSTM with a mixture of Gaussians over the next point of the pen.

    Args:
        label: where the model gets the label: "none", "every-step" or "initial-state".
        hidden: the hidden units of the LSTM.
        components: the components of the mixture.
    """

    def __init__(self, label: str, hidden: int = 256, components: int = 20) -> None:
        super().__init__()
        self.label, self.hidden, self.components = label, hidden, components
        context = Context(digit=Label(DIGITS))
        core = nn.LSTM(2 + (DIGITS if label == "every-step" else 0), hidden, batch_first=True)
        h0 = ContextState(core, context) if label == "initial-state" else ConstantState(core)
        head = MixtureHead(hidden, 2, components, change=True, floor=0.01)
        every_step = context if label == "every-step" else None
        self.sequences = SequenceModel(ContextualRNN(core, h0), head, every_step=every_step)

    def log_likelihood(self, digits: PenDigits) -> Tensor:
        """Return the log likelihood (N,) of the points of every digit given its label, in nats."""
        return self.sequences.log_likelihood(digits.points, {"digit": digits.digit})

    def generate(self, digit: Tensor, seed: int) -> PenDigits:
        """Return one generated digit for every label (N,)."""
        return PenDigits(self.sequences.sample({"digit": digit}, steps=POINTS, seed=seed).elements, digit)


def loss(model: PenModel, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean negative log likelihood of a point in nats, of points (B, 8, 2) and labels (B,)."""
    points, digit = batch
    return model.sequences.loss(points, {"digit": digit})


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
