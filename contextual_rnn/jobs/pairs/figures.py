"""Figures of models of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from ...data.encoded_pairs import collate
from ...data.pairs import Pair, SourceLine
from ...data.units import symbol_name
from ...errors import InputError
from ...study.figures import Figure, finish, styled, subplots, weight_matrix, weight_matrix_size
from .answers import answer
from .decode import Target
from .network import PairNetwork
from .questions import Question

MOST_SYMBOLS = 24  # the longest source whose panel is chosen for a figure of several
MOST_PANELS = 20
SMALLEST = (4.5, 3.6)  # inches, of a panel


def plot_attention(model: PairNetwork, test: list[Question], shown: int = 6) -> Figure:
    """Draw the attention weights of a model for some test sources and the targets of greedy search, one panel each.

    Args:
        model: a model with attention.
        test: the test questions; the longest sources that fit are chosen among the first 60.
        shown: the maximum number of sources.

    Raises:
        InputError: if the model has no attention.
    """
    check_attention(model)
    questions = _legible(test[:60])[:shown]
    answers = answer([model], questions)
    return draw_attention(
        model, [Pair(one.source, found, one.label) for one, found in zip(questions, answers.found, strict=True)]
    )


def check_attention(model: PairNetwork) -> None:
    """Raise InputError if a model has no attention."""
    if model.pairs.decoder.attention is None:
        raise InputError("the model has no attention, so there are no attention weights to draw")


def written_pairs(found: Iterable[tuple[SourceLine, list[Target]]]) -> list[Pair]:
    """Return the sources that a search has read, each with its best target, as pairs; empty sources are left out.

    Raises:
        InputError: there is no source, or there are more than `MOST_PANELS`.
    """
    pairs = [Pair(line.symbols, targets[0].symbols, line.label) for line, targets in found if targets]
    if not 1 <= len(pairs) <= MOST_PANELS:
        raise InputError(f"a figure shows the attention of 1 to {MOST_PANELS} sources; found {len(pairs)}")
    return pairs


@styled
def draw_attention(model: PairNetwork, pairs: Sequence[Pair]) -> Figure:
    """Draw the attention weights of each pair of a source and a target that the model has written, one panel each.

    Every panel is large enough to name each symbol; see `study.figures.weight_matrix`.
    """
    weights = [attention_weights(model, pair) for pair in pairs]
    names = [(_source_symbols(pair, model), [*pair.target, "end"]) for pair in pairs]
    sizes = [SMALLEST, *(weight_matrix_size(*one) for one in names)]
    rows, most = min(2, len(pairs)), max(float(one.max()) for one in weights)
    columns, (width, height) = math.ceil(len(pairs) / rows), (max(sides) for sides in zip(*sizes, strict=True))
    figure, axes = subplots(rows, columns, width=width, height=height)
    source, target = symbol_name(model.units.source), symbol_name(model.units.target)
    for place, (across, down), values in zip(axes.flat, names, weights, strict=False):
        image = weight_matrix(place, values, across, down, most)
        finish(place, f"source {source}", f"target {target}, downwards")
        place.grid(visible=False)
    for place in axes.flat[len(pairs) :]:
        place.axis("off")
    figure.colorbar(image, ax=axes, label="attention weight", fraction=0.03)
    figure.suptitle("Attention weights (each row sums to 1)")
    return figure


def _legible(test: list[Question]) -> list[Question]:
    """Return the questions that fit on a panel, the longest first; if none fits, all, the shortest first."""
    by_length = sorted(test, key=lambda question: -len(question.source))
    return [question for question in by_length if len(question.source) <= MOST_SYMBOLS] or by_length[::-1]


def _source_symbols(pair: Pair, model: PairNetwork) -> list[str]:
    first = [f"<{tag}>" for tag in model.tags(pair.label)] if model.settings.label == "token" else []
    return [*first, *pair.source, "end"]


@torch.no_grad()
def attention_weights(model: PairNetwork, pair: Pair) -> np.ndarray:
    """Return the attention weights (T + 1, S) of a target of T symbols and its end over S source symbols."""
    batch = collate(model.encode([pair]))
    source, lengths, target, label = (
        part.to(model.device) for part in (batch.source, batch.source_lengths, batch.target, batch.label)
    )
    inputs, _ = model.pairs.framed(target)
    decoded = model.pairs(source, inputs, lengths, model.context(label))
    weights: np.ndarray = decoded.weights[0].cpu().numpy()
    return weights
