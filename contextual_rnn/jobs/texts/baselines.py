"""Baselines of texts, which need no training: the frequency of each symbol, alone and after the symbol before."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .batches import END, Encoded
from .stored import StoredTexts


def baselines(training: Encoded | StoredTexts, texts: Encoded, symbols: int) -> dict[str, Tensor]:
    """Return the negative log-likelihood per symbol of every text under each baseline, (N,) in bits.

        p(x_t) = (count(x_t) + 1) / (count + K)
        p(x_t | x_{t-1}) = (count(x_{t-1}, x_t) + K p(x_t)) / (count(x_{t-1}) + K)

    Args:
        training: the texts that are counted.
        texts: the N texts.
        symbols: K, the number of categories, the end included.
    """
    pairs = torch.zeros(symbols + 1, symbols)
    for part in training.parts():
        before, after = _pairs(part, symbols)
        pairs.index_put_((before, after), torch.ones(len(after)), accumulate=True)
    single = (pairs.sum(0) + 1) / (pairs.sum() + symbols)
    after_each = (pairs + symbols * single) / (pairs.sum(1, keepdim=True) + symbols)
    before, after = _pairs(texts, symbols)
    owner = torch.arange(len(texts)).repeat_interleave(texts.lengths)
    found = {}
    for name, chances in (("symbol frequencies", single[after]), ("pairs of symbols", after_each[before, after])):
        bits = torch.zeros(len(texts)).index_add_(0, owner, -chances.log() / math.log(2))
        found[name] = bits / texts.lengths
    return found


def _pairs(texts: Encoded, symbols: int) -> tuple[Tensor, Tensor]:
    """Return the category before each symbol of all texts, `symbols` at a start, and the symbol's category."""
    inside = torch.arange(texts.symbols.shape[1]) < texts.lengths.unsqueeze(1)
    before = torch.nn.functional.pad(texts.symbols[:, :-1], (1, 0), value=symbols)
    assert END == 0
    return before[inside].long(), texts.symbols[inside].long()
