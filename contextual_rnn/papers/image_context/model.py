"""Two handwritten digits side by side, read out one after the other: the image is known from the start.

The digits are scikit-learn's, 8 x 8 pixels. The paper (arXiv 1902.03455, section 1) names a coarse image as a context;
here it is the image at half its resolution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ...context import Context, Image
from ...errors import InputError
from ...heads import CategoryHead
from ...initial_state import ConstantState, ContextState
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ...sequence_model import SequenceModel

SIDE, DIGITS, READ = 8, 10, 2
IMAGES = ("none", "coarse", "full", "every-step")


@dataclasses.dataclass(frozen=True)
class Digits:
    """Single digits: `pixels` (N, 8, 8) in 0 to 1, and which `digit` each is (N,)."""

    pixels: Tensor
    digit: Tensor

    @classmethod
    def load(cls) -> Digits:
        """Return scikit-learn's 1797 digits, in their order."""
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise InputError("the digits need scikit-learn: run pip install 'contextual-rnn[digits]'") from error
        found = load_digits()
        return cls(torch.tensor(found.images / 16, dtype=torch.float32), torch.tensor(found.target).long())

    def split(self, *sizes: int, seed: int) -> list[Digits]:
        """Return parts of these sizes, drawn without replacement, so that no image is in two of them."""
        order = torch.randperm(len(self.digit), generator=torch.Generator().manual_seed(seed))
        parts = order[: sum(sizes)].split(list(sizes))
        return [Digits(self.pixels[rows], self.digit[rows]) for rows in parts]

    def pairs(self, count: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw pairs: images (count, 1, 8, 16), and the two digits (count, 2)."""
        rows = torch.randint(len(self.digit), (count, READ), generator=generator)
        return torch.cat([self.pixels[rows[:, 0]], self.pixels[rows[:, 1]]], dim=2).unsqueeze(1), self.digit[rows]


@register
class ReadingModel(nn.Module):
    """An LSTM that names two digits, each step fed the digit just named; the image is told in h0, always, or never.

    Args:
        image: one of `IMAGES`: `"coarse"` and `"full"` are in h0; `"every-step"` is the coarse one at every step.
        hidden: units of the LSTM.
    """

    def __init__(self, image: str, hidden: int = 128) -> None:
        super().__init__()
        self.image, self.hidden = image, hidden
        field = Image(1, SIDE, READ * SIDE, down=1 if image == "full" else 2)
        told = nn.Sequential(Context(image=field), MLP(field.out_features, [256, 128]))
        always = image == "every-step"
        core = nn.LSTM(DIGITS + (128 if always else 0), hidden, batch_first=True)
        h0 = ContextState(core, told, features=128) if image in ("coarse", "full") else ConstantState(core)
        embedding = nn.Embedding(DIGITS, DIGITS)
        head = CategoryHead(hidden, DIGITS)
        self.sequences = SequenceModel(ContextualRNN(core, h0), head, embedding, every_step=told if always else None)

    def read(self, images: Tensor) -> Tensor:
        """Return the likeliest digit after the likeliest digit, (B, 2), of images (B, 1, 8, 16)."""
        return self.sequences.sample({"image": images}, steps=READ, temperature=0).elements

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"image": self.image, "hidden": self.hidden}


def loss(model: ReadingModel, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean negative log likelihood of a digit, nats, of images (B, 1, 8, 16) and their digits (B, 2)."""
    images, digits = batch
    return model.sequences.loss(digits, {"image": images})


def drawn(digits: Digits, updates: int = 50, size: int = 128) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return what gives an epoch's batches: pairs drawn anew."""

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(updates):
            yield digits.pairs(size)

    return batches


def accuracy(model: ReadingModel, images: Tensor, digits: Tensor) -> float:
    """Return the share of images, %, of which both digits are read right."""
    return 100 * float((model.read(images) == digits).all(dim=1).double().mean())
