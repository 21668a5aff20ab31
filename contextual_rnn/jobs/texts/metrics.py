"""Metrics of texts. A new metric of `compare texts` is one entry of `METRICS`."""

from __future__ import annotations

import math

from torch import Tensor

from ...study.metric import ItemMetric, Metric
from .batches import Encoded
from .model import TextModel

BITS = Metric("bits_per_symbol", "negative log-likelihood per symbol", "bits", "difference")
METRICS = (BITS,)
BY_TEXT = ItemMetric(
    BITS.key,
    f"{BITS.name} of a text",
    BITS.unit,
    BITS.compared_by,
    values="bits_by_text",
    items="texts",
    item="text",
)


def bits_by_text(model: TextModel, texts: Encoded) -> Tensor:
    """Return the negative log-likelihood per symbol of every text, its end included, (N,) in bits."""
    return -model.log_likelihood(texts) / texts.lengths / math.log(2)
