"""Figures of molecules that were written for properties."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from matplotlib.image import imread

from ...._core.state import leaves
from ....study.figures import Figure, finish, styled, subplots
from ..model import TextModel
from ..obtained import correlation
from .properties import NAMES, properties, rdkit, with_properties

SHOWN = 300  # molecules of a panel of a map
COUNTS = ("rings", "donors")  # properties that are whole numbers
WRITTEN = 300  # molecules of a distribution


@styled
def grid(model: TextModel, name: str, values: Sequence[float], each: int = 5) -> Figure:
    """Draw the first `each` valid molecules that a model writes for each value of a property, a row each."""
    figure, axes = subplots(len(values), each, width=2.2, height=1.9)
    for row, value in zip(axes, values, strict=True):
        drawn = (text for text, _ in model.texts({name: value}, 20 * each, seed=1))
        valid = [text for text in drawn if properties(text) is not None][:each]
        for place in row:
            place.axis("off")
        for place, smiles in zip(row, valid, strict=False):
            found = properties(smiles)
            assert found is not None
            place.imshow(picture(smiles))
            place.set_title(f"{found[name]:.3g}", fontsize=9)
        row[0].axis("on")
        row[0].set(xticks=[], yticks=[])
        row[0].spines[:].set_visible(False)
        row[0].set_ylabel(f"asked for {value:.3g}", fontsize=9)
    figure.suptitle(f"Molecules for {NAMES[name]}, nothing else known; above each: the value obtained")
    return figure


def picture(smiles: str, width: int = 330, height: int = 240) -> np.ndarray:
    """Return the structural formula of a molecule as an image."""
    molecule = rdkit().MolFromSmiles(smiles)
    from rdkit.Chem.Draw import rdMolDraw2D

    drawer = rdMolDraw2D.MolDraw2DCairo(width, height)
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, molecule)
    drawer.FinishDrawing()
    return imread(io.BytesIO(drawer.GetDrawingText()))


@styled
def asked_and_obtained(written: pl.DataFrame, heading: str) -> Figure:
    """Draw the value obtained against the one asked for, a dot for each valid molecule and a panel for each property.

    Args:
        written: columns such as "asked logp" and "obtained logp", null or NaN where a molecule is not valid.
        heading: above the panels.
    """
    figure, axes = subplots(2, 3, width=3.4, height=3.3)
    for place, (name, words) in zip(axes.flat, NAMES.items(), strict=True):
        both = (
            written.select(pl.col(f"asked {name}"), pl.col(f"obtained {name}")).fill_nan(None).drop_nulls().to_numpy()
        )
        if not len(both):
            continue
        asked, got = both.T
        shift = np.random.default_rng(0).uniform(-0.2, 0.2, both.shape).T * (name in COUNTS)
        place.plot(asked + shift[0], got + shift[1], ".", markersize=2, alpha=0.3)
        ends = [asked.min(), asked.max()]
        place.plot(ends, ends, color="black", linewidth=0.8)
        coefficient = correlation(asked, got)
        title = words if coefficient is None else f"{words}\ncorrelation {coefficient:.2f}"
        finish(place, "asked for", "obtained", title)
    figure.suptitle(heading)
    return figure


@styled
def distributions(model: TextModel, training: pl.DataFrame) -> Figure:
    """Draw how each property is distributed: in training molecules, and where nothing, it alone, or all is known.

    The value that is known is that of the training molecule at the 80th percentile of the property; where all is known,
    the others are those of this molecule too.
    """
    figure, axes = subplots(2, 3, width=4, height=3)
    nothing = _written(model, {})
    for place, (name, words) in zip(axes.flat, NAMES.items(), strict=True):
        molecule = training.sort(name)[int(0.8 * len(training))].row(0, named=True)
        asked = {other: molecule[other] for other in NAMES}
        sets = {
            "training molecules": training[name],
            "nothing known": nothing[name],
            "it alone known": _written(model, {name: asked[name]})[name],
            "all known": _written(model, asked)[name],
        }
        whole = np.concatenate([values.to_numpy() for values in sets.values()])
        low, high = np.quantile(whole, [0.005, 0.995]).tolist()
        bins: Any = np.linspace(low, high, 30)
        if name in COUNTS:
            bins = np.arange(-0.5, whole.max() + 1)
        for label, values in sets.items():
            if not len(values):
                continue
            place.hist(values.to_numpy(), bins, density=True, histtype="step", label=label)
        place.axvline(asked[name], color="black", linestyle=":", label="asked for")
        finish(place, words, "density")
    return figure


def _written(model: TextModel, context: dict[str, Any]) -> pl.DataFrame:
    return with_properties([text for text, _ in model.texts(context, WRITTEN, seed=2)]).drop_nulls()


@styled
@torch.no_grad()
def initial_states(model: TextModel, training: pl.DataFrame) -> Figure:
    """Draw h0 of training molecules in the plane of its two principal components, coloured by each property."""
    shown = training[:SHOWN]
    rows = [{name: row[name] for name in model.fields} for row in shown.iter_rows(named=True)]
    state = model.sequences.rnn.initial_state(len(rows), model.features(model.columns(rows)))
    points = torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1).cpu().numpy()
    points = points - points.mean(0)
    flat = points @ np.linalg.svd(points, full_matrices=False)[2][:2].T
    share = flat.var(0).sum() / points.var(0).sum()
    figure, axes = subplots(2, 3, width=3.6, height=3)
    for place, (name, words) in zip(axes.flat, NAMES.items(), strict=True):
        dots = place.scatter(*flat.T, c=shown[name].to_numpy(), s=8, cmap="viridis")
        figure.colorbar(dots, ax=place)
        finish(place, "first principal component", "second", words)
    figure.suptitle(f"h0 of {len(rows)} training molecules; the plane has {share:.0%} of the variance")
    return figure
