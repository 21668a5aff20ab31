"""What the papers' rooms share: their kinds of initial state, the settings of training, and an initialisation."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from torch import nn

from .._core.settings import setting
from ..study.fit import TrainingSettings

PAPER_KINDS = ("zero", "free", "context", "gaussian")  # equations 2a, 2b, 2c and 4 of arXiv 1902.03455


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaperSettings(TrainingSettings):
    """How a published experiment is trained.

    A field without a description has its published value and is no option of a command.
    """

    seeds: int = setting(5, "Number of seeds, counted from 0.", group="comparison", least=1)
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip: float | None = None
    accelerator: Literal["cpu"] = "cpu"


def he_truncated_normal(layer: nn.Linear) -> None:
    """Initialise a layer as He et al. (arXiv 1502.01852), from a normal truncated at two deviations; the bias is 0."""
    deviation = math.sqrt(2 / layer.in_features) / 0.87962566  # truncation reduces the deviation by this factor
    nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
    nn.init.zeros_(layer.bias)
