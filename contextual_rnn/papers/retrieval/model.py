"""Associative retrieval (Ba et al., arXiv 1610.06258; settings of arXiv 1902.03455, section 2.2.1): data and model.

Four letters, each with a digit, then `??` and one of the letters; the answer is its digit: c9k8j3f1??k -> 8. A variant
groups the letters and then the digits: ckjf9831??k -> 8.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from ..._core.module_config import register
from ..._core.state import State, map_state
from ...fast_weights.backend import Backend
from ...fast_weights.rnn import FastWeightsRNN
from ...initial_state import ContextState
from ..common import he_truncated_normal
from ..common import initial_state as make_initial_state

SYMBOLS = string.ascii_lowercase + string.digits + "?"
LETTERS, FIRST_DIGIT, QUERY = 25, SYMBOLS.index("0"), SYMBOLS.index("?")  # the published code never draws z
PAIRS, STEPS = 4, 11
EMBEDDING, HEAD = 100, 100

ORDERS = ("paired", "grouped")


@dataclasses.dataclass(frozen=True)
class Retrievals:
    """Sequences of symbols (B, 11), the answers (B,) as symbols, and which pair was asked for (B,), from 0."""

    symbols: Tensor
    answer: Tensor
    pair: Tensor

    @classmethod
    def draw(cls, count: int, seed: int, order: str = "paired") -> Retrievals:
        """Draw sequences: letters without replacement, digits with."""
        generator = torch.Generator().manual_seed(seed)
        keys = torch.rand(count, LETTERS, generator=generator).argsort(dim=1)[:, :PAIRS]
        values = FIRST_DIGIT + torch.randint(10, (count, PAIRS), generator=generator)
        pair = torch.randint(PAIRS, (count, 1), generator=generator)
        shown = torch.stack([keys, values], dim=2 if order == "paired" else 1).flatten(1)
        marks = torch.full((count, 2), QUERY)
        return cls(torch.cat([shown, marks, keys.gather(1, pair)], dim=1), values.gather(1, pair)[:, 0], pair[:, 0])

    def text(self, row: int) -> str:
        """Return a sequence as it is written in the papers."""
        return "".join(SYMBOLS[symbol] for symbol in self.symbols[row])


CELLS = ("irnn", "lstm", "fast-weights")


@register
class RetrievalRNN(nn.Module):
    """A model of Ba et al.'s table 1: embedding of 100, a core from zero, a head of 100 ReLU units and 37 logits.

    Args:
        cell: `irnn`, ReLU units whose recurrent weights start at the identity (Le et al., arXiv 1504.00941); `lstm`;
            or `fast-weights`, as Ba et al. have them: the final state is written, the layer norm is trained.
        hidden: H.
    """

    def __init__(self, cell: str, hidden: int) -> None:
        super().__init__()
        self.cell, self.hidden = cell, hidden
        self.embedding = nn.Embedding(len(SYMBOLS), EMBEDDING)
        makers: dict[str, Callable[[], nn.Module]] = {
            "irnn": lambda: _irnn(hidden),
            "lstm": lambda: nn.LSTM(EMBEDDING, hidden, batch_first=True),
            "fast-weights": lambda: FastWeightsRNN(EMBEDDING, hidden),
        }
        self.core = makers[cell]()
        self.head = nn.Sequential(nn.Linear(hidden, HEAD), nn.ReLU(), nn.Linear(HEAD, len(SYMBOLS)))

    def forward(self, symbols: Tensor) -> Tensor:
        """Return the logits of the answer (B, 37) to sequences of symbols (B, T)."""
        output, _ = self.core(self.embedding(symbols))
        return self.head(output[:, -1])


def _irnn(hidden: int) -> nn.RNN:
    core = nn.RNN(EMBEDDING, hidden, nonlinearity="relu", batch_first=True)
    parameters = dict(core.named_parameters())
    nn.init.eye_(parameters["weight_hh_l0"])
    nn.init.normal_(parameters["weight_ih_l0"], std=0.001)
    nn.init.zeros_(parameters["bias_ih_l0"])
    nn.init.zeros_(parameters["bias_hh_l0"])
    return core


@register
class RetrievalModel(nn.Module):
    """The published model: fast weights, whose last hidden state a head of 100 ReLU units and 37 logits reads.

    An embedding of 100 starts at zero; W and C start at .05 times the identity; the preliminary state is written; the
    layer norm has no gain or offset to train. g is linear, from the first symbol's embedding to h_0 and to A_0.

    Args:
        initial_state: one of `paper.KINDS`.
        hidden: H.
        backend: of the fast weights; see `FastWeightsRNN`.
    """

    def __init__(self, initial_state: str = "context", hidden: int = 50, backend: Backend = "auto") -> None:
        super().__init__()
        self.kind, self.hidden = initial_state, hidden
        self.embedding = nn.Embedding(len(SYMBOLS), EMBEDDING)
        self.core = FastWeightsRNN(EMBEDDING, hidden, write="preliminary", epsilon=1e-12, backend=backend)
        context = ContextState(self.core, nn.Identity(), features=EMBEDDING)
        self.initial_state = make_initial_state(initial_state, self.core, context)
        self.head = nn.Sequential(nn.Linear(hidden, HEAD), nn.ReLU(), nn.Linear(HEAD, len(SYMBOLS)))
        self._initialise()

    def _initialise(self) -> None:
        core = self.core
        nn.init.zeros_(self.embedding.weight)
        with torch.no_grad():
            nn.init.eye_(core.weight_ih).mul_(0.05)
        nn.init.uniform_(core.bias, -0.245, 0.245)
        core.layer_norm = nn.LayerNorm(self.hidden, core.recurrence.epsilon, elementwise_affine=False)
        for module in [*self.head.modules(), *self.initial_state.modules()]:
            if isinstance(module, nn.Linear):
                he_truncated_normal(module)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"initial_state": self.kind, "hidden": self.hidden}

    def forward(self, symbols: Tensor) -> Tensor:
        """Return the logits of the answer (B, 37) to sequences of symbols (B, T)."""
        projected = self.core.project(self.embedding.weight, symbols)
        _, h, _ = self.core.run(projected, self._start(symbols), return_fast=False)
        return self.head(h)

    @torch.no_grad()
    def attention(self, symbols: Tensor) -> Tensor:
        """Return how much of what step i wrote is added to step t, (B, T, T)."""
        return self.core(self.embedding(symbols), self._start(symbols), return_attention=True)[2][:, 0]

    def _start(self, symbols: Tensor) -> State:
        first = symbols[:, 0]
        if self.kind == "context":  # a function of the symbol alone: map every symbol once, then look up
            table = self.initial_state(len(SYMBOLS), self.embedding.weight)
            # A product with one-hot columns is a look-up too, with B last in memory, as the compiled loops have it.
            chosen = one_hot(first, len(SYMBOLS)).to(self.embedding.weight).T
            return map_state(lambda leaf: (leaf.flatten(1).T @ chosen).T.unflatten(1, leaf.shape[1:]), table)
        return self.initial_state(len(symbols), self.embedding(first) if self.kind == "gaussian" else None)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean negative log likelihood of the answers, in nats."""
    symbols, answer = batch
    return cross_entropy(model(symbols), answer)


def shuffled(retrievals: Retrievals, size: int = 128) -> Callable[[], Iterator[tuple[Tensor, Tensor]]]:
    """Return what gives an epoch's batches, the sequences shuffled."""

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(retrievals.symbols)).split(size):
            yield retrievals.symbols[rows], retrievals.answer[rows]

    return batches


@torch.no_grad()
def scores(model: nn.Module, retrievals: Retrievals, size: int = 1000) -> dict[str, float]:
    """Return the mean log likelihood, the accuracy, and by which pair was asked for (`accuracy_pair_1` to `_4`)."""
    logits = torch.cat([model(symbols) for symbols in retrievals.symbols.split(size)])
    right = (logits.argmax(dim=1) == retrievals.answer).double()
    by_pair = {f"accuracy_pair_{pair + 1}": float(right[retrievals.pair == pair].mean()) for pair in range(PAIRS)}
    return {
        "log_likelihood": -float(cross_entropy(logits, retrievals.answer)),
        "accuracy": float(right.mean()),
        **by_pair,
    }
