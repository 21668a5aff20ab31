"""Molecules that are written from an h0 that is drawn at random: whether the set is wider, at the same validity.

Three models are trained alike: h0 is a function of the context; it is drawn around this function (`GaussianState`);
or it is a function of the context and of a few normal numbers (`LatentState`). The noise is drawn anew for each text in
training, which maximises the likelihood of the texts under single draws.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from contextual_rnn import MLP, ContextState, GaussianState, LatentState
from contextual_rnn.jobs.texts.batches import Encoded
from contextual_rnn.jobs.texts.data import TextData
from contextual_rnn.jobs.texts.metrics import bits_by_text
from contextual_rnn.jobs.texts.model import TextModel
from contextual_rnn.jobs.texts.molecules.evaluate import shares
from contextual_rnn.jobs.texts.molecules.properties import NAMES, rdkit, with_properties
from contextual_rnn.jobs.texts.molecules.reproduce import TRAINING
from contextual_rnn.jobs.texts.settings import TextSettings
from contextual_rnn.jobs.texts.train import text_loss
from contextual_rnn.study.fit import fit

KINDS = ("function", "gaussian", "latent")
LATENT = 16  # normal numbers of LatentState
ASKED = {"nothing": {}, "logP 2.5": {"logp": 2.5}}


def model_of(kind: str, settings: TextSettings, data: TextData) -> TextModel:
    """Return an untrained model whose h0 is of a kind."""
    model = TextModel(settings, data.symbols, data.fields, len(data.seen), 60)
    model.remember(data.seen)
    rnn, width = model.sequences.rnn, settings.context_hidden
    if kind == "gaussian":
        rnn.initial_state = GaussianState(rnn.initial_state)
    if kind == "latent":
        prior = GaussianState(ContextState((LATENT,), nn.Identity(), features=width), 1.0)
        state = ContextState(rnn.core, MLP(width + LATENT, [width]), features=width)
        rnn.initial_state = LatentState(prior, state, Told())
    return model


class Told(nn.Module):
    """Features of the context as they are."""

    def forward(self, context: Tensor) -> Tensor:
        """Return the features."""
        return context


def diversity(smiles: Sequence[str]) -> float:
    """Return one minus the mean Tanimoto similarity of all pairs of molecules (internal diversity of MOSES)."""
    chem = rdkit()
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    prints = [make.GetFingerprint(chem.MolFromSmiles(one)) for one in smiles]
    pairs = [DataStructs.BulkTanimotoSimilarity(one, prints[:place]) for place, one in enumerate(prints) if place]
    return 1 - float(np.concatenate(pairs).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one model for each kind of h0, and measure what it writes for nothing and for a value of logP."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks molecules_noise", description=main.__doc__)
    parser.add_argument(
        "--train", type=pathlib.Path, required=True, help="table of `benchmarks molecules --properties`"
    )
    parser.add_argument("--validation", type=pathlib.Path, required=True, help="another")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--updates", type=int, default=440, help="minibatches of an epoch")
    parser.add_argument("--count", type=int, default=1000, help="molecules that are written for each context")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    settings = TextSettings.of(
        {**TRAINING, "hidden": options.hidden, "epochs": options.epochs, "updates": options.updates}
    )
    data = TextData.read(options.train, options.validation, None, settings)
    training, validation = (Encoded.of(part, data.symbols) for part in (data.training, data.validation))
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    for kind in options.kinds:
        torch.manual_seed(0)
        model = model_of(kind, settings, data)
        fit(
            model,
            text_loss,
            lambda: training.bucketed(settings.batch_size, settings.updates),
            settings,
            schedule="cosine",
        )
        model.eval()
        results[kind] = {"bits per symbol at the mean of h0": float(bits_by_text(model, validation).mean())}
        for name, context in ASKED.items():
            written = with_properties([text for text, _ in model.texts(context, options.count)])
            kept = written.drop_nulls()
            results[kind][name] = {
                **shares(model, written),
                "internal diversity": diversity(kept["smiles"]),
                "deviations": kept.select(pl.col(*NAMES).std()).row(0, named=True),
            }
        print(kind, json.dumps(results[kind], indent=1), flush=True)
        options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
