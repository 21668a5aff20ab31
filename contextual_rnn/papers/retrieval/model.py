"""Models of associative retrieval, their loss, and their accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from ..._core.module_config import register
from ..._core.state import State, map_state
from ...fast_weights.backend import Backend
from ...fast_weights.rnn import FastWeightsRNN
from ...initial_state import ContextState
from ...kinds import KINDS
from ..experiment import he_truncated_normal
from .data import PAIRS, SYMBOLS, Retrievals

EMBEDDING, HEAD = 100, 100
CELLS = ("irnn", "lstm", "fast-weights")


@register
class RetrievalRNN(nn.Module):
    """A model of table 1 of Ba et al.: an embedding of 100, a core from h0 = 0, 100 ReLU units, and 37 logits.

    Args:
        cell: one of `CELLS`. "irnn" has ReLU units whose recurrent weights start at the identity (Le et al., arXiv
            1504.00941); "fast-weights" are those of Ba et al.: the final state is written, and the layer norm has
            trained parameters.
        hidden: H, the hidden units.
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
    """The published model: fast weights, then 100 ReLU units and 37 logits of the last hidden state.

    The embedding of 100 starts at zero. W and C start at 0.05 times the identity. The preliminary state is written. The
    layer norm has no parameters. g is linear, from the embedding of the first symbol to h_0 and A_0.

    Args:
        initial_state: one of `PAPER_KINDS`; it is also the kind of the initial fast weights.
        hidden: H, the hidden units.
        backend: of the fast weights; see `FastWeightsRNN`.
    """

    def __init__(self, initial_state: str = "context", hidden: int = 50, backend: Backend = "auto") -> None:
        super().__init__()
        self.kind, self.hidden = initial_state, hidden
        self.embedding = nn.Embedding(len(SYMBOLS), EMBEDDING)
        self.core = FastWeightsRNN(EMBEDDING, hidden, write="preliminary", epsilon=1e-12, backend=backend)
        context = ContextState(self.core, nn.Identity(), features=EMBEDDING)
        self.initial_state = KINDS[initial_state].build(self.core, lambda: context)
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
        """Return the arguments that build the model again; the attribute `initial_state` is a module."""
        return {"initial_state": self.kind, "hidden": self.hidden}

    def forward(self, symbols: Tensor) -> Tensor:
        """Return the logits of the answer (B, 37) to sequences of symbols (B, T)."""
        projected = self.core.project(self.embedding.weight, symbols)
        _, h, _ = self.core.run(projected, self._start(symbols), return_fast=False)
        return self.head(h)

    @torch.no_grad()
    def attention(self, symbols: Tensor) -> Tensor:
        """Return the weights (B, T, T) with which step t adds what step i wrote."""
        return self.core(self.embedding(symbols), self._start(symbols), return_attention=True)[2][:, 0]

    def _start(self, symbols: Tensor) -> State:
        first = symbols[:, 0]
        if self.kind == "context":  # it depends on the symbol only: compute it once per symbol, then look it up
            table = self.initial_state(len(SYMBOLS), self.embedding.weight)
            # A product with one-hot columns looks up too, and has B last in memory, as the compiled loops want it.
            chosen = one_hot(first, len(SYMBOLS)).to(self.embedding.weight).T
            return map_state(lambda leaf: (leaf.flatten(1).T @ chosen).T.unflatten(1, leaf.shape[1:]), table)
        return self.initial_state(len(symbols), self.embedding(first) if self.kind == "gaussian" else None)


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Return the mean negative log likelihood of the answers, in nats."""
    symbols, answer = batch
    return cross_entropy(model(symbols), answer)


@torch.no_grad()
def scores(model: nn.Module, retrievals: Retrievals, size: int = 1000) -> dict[str, float]:
    """Return the mean log likelihood in nats, the accuracy, and that of each pair (`accuracy_pair_1` to `_4`)."""
    logits = torch.cat([model(symbols) for symbols in retrievals.symbols.split(size)])
    correct = (logits.argmax(dim=1) == retrievals.answer).double()
    by_pair = {f"accuracy_pair_{pair + 1}": float(correct[retrievals.pair == pair].mean()) for pair in range(PAIRS)}
    return {
        "log_likelihood": -float(cross_entropy(logits, retrievals.answer)),
        "accuracy": float(correct.mean()),
        **by_pair,
    }


def first_epoch(history: Sequence[dict[str, float]], level: int) -> int | None:
    """Return the first epoch with an accuracy of at least `level` per cent; None if there is none."""
    return next((epoch for epoch, row in enumerate(history, start=1) if row["accuracy"] >= level / 100), None)
