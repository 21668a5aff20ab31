"""How a model of each record is built and trained: the candidates, and the folds that choose between them."""

from __future__ import annotations

import dataclasses

from ..._core.records import Record
from ...errors import InputError

BLOCKS = 4  # the parts of a training record, in order, of which a fold holds one out


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A core and its training.

    Attributes:
        cell: the core; see `SystemModel`.
        states: the width of its state, or its hidden units.
        units: the tanh units of a core of states.
        length: the steps of a training window after the known ones.
        batch_size: windows of a minibatch.
        updates: minibatches of an epoch.
        learning_rate: in the first epoch; it falls to 0 by a cosine.
        weight_decay: of AdamW.
    """

    cell: str
    states: int
    units: int
    length: int
    batch_size: int
    updates: int
    learning_rate: float
    weight_decay: float


_GRU = Recipe("gru", 32, 0, length=64, batch_size=32, updates=20, learning_rate=1e-2, weight_decay=0.3)
_STATES = Recipe("state-space", 4, 24, length=100, batch_size=64, updates=120, learning_rate=5e-3, weight_decay=0.0)
RECIPES = {
    "cascaded-tanks": (_GRU, dataclasses.replace(_GRU, updates=10)),
    "silverbox": (_STATES,),
    "wiener-hammerstein": (dataclasses.replace(_STATES, states=8, units=32),),
}
OTHER = "silverbox"  # has the recipes of records that have none of their own
HELD_OUT = {"cascaded-tanks": (0, 1, 2, 3)}  # the blocks that are held out, one after the other; else the last block


def recipes_of(name: str) -> tuple[Recipe, ...]:
    """Return the candidates for a record."""
    return RECIPES.get(name, RECIPES[OTHER])


def held_out(name: str) -> tuple[int, ...]:
    """Return the numbers of the blocks of a benchmark that its folds hold out."""
    return HELD_OUT.get(name, (BLOCKS - 1,))


def split(training: Record, block: int, window: int) -> tuple[list[Record], Record]:
    """Return the parts of a record that a fold trains on, and the block that it holds out.

    Raises:
        InputError: a block has no steps after the window.
    """
    size = len(training) // BLOCKS
    if size <= window + 1:
        raise InputError(f"`windows` of {window} steps leave nothing of a fold of {size} steps to score")
    first, stop = block * size, (block + 1) * size if block < BLOCKS - 1 else len(training)
    parts = [training.part(0, first), training.part(stop, len(training))]
    return [part for part in parts if len(part) > window + 1], training.part(first, stop)
