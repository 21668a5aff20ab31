"""Whether sampled trajectories spread as the truth does: coverage and width of their bands, and CRPS."""

from __future__ import annotations

import torch
from torch import Tensor


def band(samples: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Return the ends of the central interval of samples (B, S, ...), (B, ...) each, at `level`, such as .9."""
    low, high = torch.quantile(samples, torch.tensor([(1 - level) / 2, (1 + level) / 2]).to(samples), dim=1)
    return low, high


def covered(samples: Tensor, truth: Tensor, level: float) -> Tensor:
    """Return where the truth (B, ...) lies in the central interval of samples (B, S, ...), its ends included."""
    low, high = band(samples, level)
    return (low <= truth) & (truth <= high)


def crps(samples: Tensor, truth: Tensor) -> Tensor:
    """Return the continuous ranked probability score, in the unit of the truth: 0 is best.

        E|X - y| - E|X - X'| / 2,  X and X' different samples

    (Gneiting and Raftery 2007, equation 21, unbiased in the number of samples.)

    Args:
        samples: (B, S, ...), S at least 2.
        truth: (B, ...).

    Returns:
        (B, ...).
    """
    count = samples.shape[1]
    ordered = samples.sort(dim=1).values
    weights = 2 * torch.arange(count, dtype=samples.dtype, device=samples.device) - count + 1
    spread = (ordered * weights.view(1, -1, *[1] * (samples.dim() - 2))).sum(1) / (count * (count - 1))
    return (samples - truth.unsqueeze(1)).abs().mean(1) - spread
