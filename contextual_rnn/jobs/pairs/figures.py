"""Figures of models of pairs."""

from __future__ import annotations

import numpy as np
import torch

from ...data.encoded_pairs import collate
from ...data.pairs import Pair
from ...errors import InputError
from ...study.figures import Figure, finish, styled, subplots, weight_matrix
from .answers import answer
from .data import Question, Symbols
from .network import PairNetwork

MOST_SYMBOLS = 24  # of a source whose names a panel has room for


@styled
def plot_attention(model: PairNetwork, test: list[Question], shown: int = 6) -> Figure:
    """Draw the attention weights of a model while it writes its answers to some test sources, one panel each.

    Args:
        model: with an attention.
        test: the questions, from whose first 60 the longest sources with legible names are drawn.
        shown: the number of sources.

    Raises:
        InputError: the model has no attention.
    """
    if model.pairs.decoder.attention is None:
        raise InputError("the model has no attention, so there are no attention weights to draw")
    asked = _legible(test[:60])[:shown]
    answers = answer([model], asked)
    weights = [attention_weights(model, one, found) for one, found in zip(asked, answers.found, strict=True)]
    rows, most = min(2, len(asked)), max(float(one.max()) for one in weights)
    figure, axes = subplots(rows, -(-len(asked) // rows), width=4.5, height=3.6)
    for place, question, found, values in zip(axes.flat, asked, answers.found, weights, strict=False):
        image = weight_matrix(place, values, _source_symbols(question, model), [*found, "end"], most)
        finish(place, "source symbol", "target symbol, downwards", legend=False)
        place.grid(visible=False)
    for place in axes.flat[len(asked) :]:
        place.axis("off")
    figure.colorbar(image, ax=axes, label="attention weight", fraction=0.03)
    figure.suptitle("Attention weights of each target symbol over the source symbols (a row sums to 1)")
    return figure


def _legible(test: list[Question]) -> list[Question]:
    """Return questions, the longest that a panel has room for first; if all are longer, the shortest first."""
    by_length = sorted(test, key=lambda question: -len(question.source))
    return [question for question in by_length if len(question.source) <= MOST_SYMBOLS] or by_length[::-1]


def _source_symbols(question: Question, model: PairNetwork) -> list[str]:
    first = [f"<{question.label}>"] if model.labels and model.settings.label == "token" else []
    return [*first, *question.source, "end"]


@torch.no_grad()
def attention_weights(model: PairNetwork, question: Question, target: Symbols) -> np.ndarray:
    """Return the attention weights (T + 1, S) while a target of T symbols and its end are written."""
    batch = collate(model.encode([Pair(question.source, target, question.label)]))
    inputs, _ = model.pairs.framed(batch.target)
    decoded = model.pairs(batch.source, inputs, batch.source_lengths, model.context(batch.label))
    return decoded.weights[0].numpy()
