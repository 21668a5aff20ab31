"""The sequences of associative retrieval (Ba et al., arXiv 1610.06258; arXiv 1902.03455, section 2.2.1).

Four letters, each with a digit, then `??` and one of the letters; the answer is its digit: c9k8j3f1??k -> 8. A variant
groups the letters and then the digits: ckjf9831??k -> 8.
"""

from __future__ import annotations

import dataclasses
import string
from typing import Literal

import torch
from torch import Tensor

SYMBOLS = string.ascii_lowercase + string.digits + "?"
LETTERS, FIRST_DIGIT, QUERY = 25, SYMBOLS.index("0"), SYMBOLS.index("?")  # the published code never draws z
PAIRS, STEPS = 4, 11

Order = Literal["paired", "grouped"]


@dataclasses.dataclass(frozen=True)
class Retrievals:
    """Sequences of symbols (B, 11), the answers (B,) as symbols, and the pair (B,), from 0, that each asks for."""

    symbols: Tensor
    answer: Tensor
    pair: Tensor

    @classmethod
    def draw(cls, count: int, seed: int, order: Order = "paired") -> Retrievals:
        """Draw sequences: letters without replacement, digits with."""
        generator = torch.Generator().manual_seed(seed)
        keys = torch.rand(count, LETTERS, generator=generator).argsort(dim=1)[:, :PAIRS]
        values = FIRST_DIGIT + torch.randint(10, (count, PAIRS), generator=generator)
        pair = torch.randint(PAIRS, (count, 1), generator=generator)
        pairs = torch.stack([keys, values], dim=2 if order == "paired" else 1).flatten(1)
        marks = torch.full((count, 2), QUERY)
        return cls(torch.cat([pairs, marks, keys.gather(1, pair)], dim=1), values.gather(1, pair)[:, 0], pair[:, 0])

    def text(self, row: int) -> str:
        """Return a sequence as the papers write it."""
        return "".join(SYMBOLS[symbol] for symbol in self.symbols[row])
