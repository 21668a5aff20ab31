"""Figures of models of pairs."""

from __future__ import annotations

import numpy as np
import torch

from ...data.encoded_pairs import collate
from ...data.pairs import Pair
from ...errors import InputError
from ...study.figures import Figure, finish, styled, subplots, weight_matrix
from .answers import answer
from .network import PairNetwork
from .questions import Question, Symbols

MOST_SYMBOLS = 24  # the longest source whose symbols fit on a panel's axis


@styled
def plot_attention(model: PairNetwork, test: list[Question], shown: int = 6) -> Figure:
    """Draw the attention weights of a model for some test sources, one panel each.

    Args:
        model: a model with attention.
        test: the test questions; the longest sources that fit are chosen among the first 60.
        shown: the maximum number of sources.

    Raises:
        InputError: if the model has no attention.
    """
    if model.pairs.decoder.attention is None:
        raise InputError("the model has no attention, so there are no attention weights to draw")
    questions = _legible(test[:60])[:shown]
    answers = answer([model], questions)
    weights = [attention_weights(model, one, found) for one, found in zip(questions, answers.found, strict=True)]
    rows, most = min(2, len(questions)), max(float(one.max()) for one in weights)
    figure, axes = subplots(rows, -(-len(questions) // rows), width=4.5, height=3.6)
    for place, question, found, values in zip(axes.flat, questions, answers.found, weights, strict=False):
        image = weight_matrix(place, values, _source_symbols(question, model), [*found, "end"], most)
        finish(place, "source symbol", "target symbol, downwards")
        place.grid(visible=False)
    for place in axes.flat[len(questions) :]:
        place.axis("off")
    figure.colorbar(image, ax=axes, label="attention weight", fraction=0.03)
    figure.suptitle("Attention weights of each target symbol over the source symbols (a row sums to 1)")
    return figure


def _legible(test: list[Question]) -> list[Question]:
    """Return the questions that fit on a panel, the longest first; if none fits, all, the shortest first."""
    by_length = sorted(test, key=lambda question: -len(question.source))
    return [question for question in by_length if len(question.source) <= MOST_SYMBOLS] or by_length[::-1]


def _source_symbols(question: Question, model: PairNetwork) -> list[str]:
    first = [f"<{tag}>" for tag in model.tags(question.label)] if model.settings.label == "token" else []
    return [*first, *question.source, "end"]


@torch.no_grad()
def attention_weights(model: PairNetwork, question: Question, target: Symbols) -> np.ndarray:
    """Return the attention weights (T + 1, S) of a target of T symbols and its end over S source symbols."""
    batch = collate(model.encode([Pair(question.source, target, question.label)]))
    inputs, _ = model.pairs.framed(batch.target)
    decoded = model.pairs(batch.source, inputs, batch.source_lengths, model.context(batch.label))
    return decoded.weights[0].numpy()
