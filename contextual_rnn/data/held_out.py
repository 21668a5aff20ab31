"""Parts of the training data that are held out, by a rule that always gives the same ones."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

SHARE = 0.1  # of the items
MOST = 10_000  # items of a table that stays on the disk


def tenth(number: int, most: int | None = None) -> list[int]:
    """Return the places of a random tenth of a number of items, at most `most`, always the same ones."""
    order = torch.randperm(number, generator=torch.Generator().manual_seed(0))
    count = max(1, int(SHARE * number))
    return order[: count if most is None else min(count, most)].tolist()


def held_out_in_words(number: int, among: int, what: str) -> str:
    """Return a sentence on `number` items that `tenth` chose among others."""
    verb, ones = ("is", "one") if number == 1 else ("are", "ones")
    return f"{number} of the {among} {what} {verb} held out to validate on, drawn at random, always the same {ones}."


def hash_of(parts: tuple[str, ...]) -> int:
    """Return 63 bits of a hash of texts."""
    digest = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def in_order(hashes: np.ndarray) -> np.ndarray:
    """Return the distinct numbers among (N,), in the order in which they first appear."""
    distinct, first = np.unique(hashes, return_index=True)
    return distinct[first.argsort()]
