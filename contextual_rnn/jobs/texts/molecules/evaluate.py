"""What a trained model of molecules writes where all properties are known, some, or none, or where they are unusual."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ....data.units import join, split
from ..draw import Sampling
from ..model import TextModel
from ..obtained import correlation
from .properties import NAMES, nearest, with_properties

KNOWN: dict[str, tuple[str, ...]] = {
    "all": tuple(NAMES),
    "logP alone": ("logp",),
    "all but logP": tuple(name for name in NAMES if name != "logp"),
    "nothing": (),
}


def evaluate(model: TextModel, asked: pl.DataFrame, known: Sequence[str]) -> tuple[dict[str, Any], pl.DataFrame]:
    """Have a model write one molecule for every row of properties, of which it reads those that are `known`.

    Returns:
        What was found, and a table of the molecules with their properties, null where a molecule is not valid.
    """
    rows = [{name: row[name] if name in known else None for name in NAMES} for row in asked.iter_rows(named=True)]
    started = time.process_time()
    drawn = [join(symbols, model.settings.unit) for symbols, _ in model.draw(rows, Sampling(), seed=0)]
    seconds = time.process_time() - started
    written = with_properties(drawn)
    valid = written["logp"].is_not_null().to_numpy()
    kept, wanted = written.filter(valid), asked.filter(valid)
    result: dict[str, Any] = {"texts": len(drawn), "seconds of sampling": round(seconds, 1), **shares(model, written)}
    for name in NAMES:
        a, b = wanted[name].to_numpy(), kept[name].to_numpy()
        result[name] = {
            "correlation": correlation(a, b),
            "mean absolute error": float(np.abs(a - b).mean()) if len(b) else None,
            "mean": float(b.mean()) if len(b) else None,
            "deviation": float(b.std()) if len(b) else None,
        }
    return result, written


def shares(model: TextModel, written: pl.DataFrame) -> dict[str, float | None]:
    """Return the shares of molecules that are valid, and of those that are distinct and new, in per cent.

    A molecule is new if its SMILES is, symbol by symbol, none of the training and validation texts.
    """
    kept = written.drop_nulls()["smiles"]
    unseen = [not model.is_seen(split(one, model.settings.unit)) for one in kept]
    return {
        "valid, %": 100 * len(kept) / len(written),
        "distinct, % of valid": 100 * kept.n_unique() / len(kept) if len(kept) else None,
        "new, % of valid": 100 * float(np.mean(unseen)) if len(kept) else None,
    }


def beyond(model: TextModel, values: Mapping[str, Sequence[float]], count: int) -> list[dict[str, Any]]:
    """Have a model write `count` molecules for each value of a property alone, also outside the training range."""
    rows = []
    for name, several in values.items():
        low, high = getattr(model.fields[name], "observed", None) or (None, None)
        for value in several:
            alone = [{one: value if one == name else None for one in NAMES}] * count
            drawn = [join(symbols, model.settings.unit) for symbols, _ in model.draw(alone, Sampling(), seed=0)]
            written = with_properties(drawn)
            got = written[name].drop_nulls().to_numpy()
            row: dict[str, Any] = {"property": name, "asked": value, "training range": [low, high]}
            row |= shares(model, written)
            if len(got):
                row |= {"obtained": float(got.mean()), "deviation": float(got.std())}
                row["mean absolute error"] = float(np.abs(got - value).mean())
            rows.append(row)
    return rows


def similarity(written: Sequence[str], test: Sequence[str], training: Sequence[str]) -> dict[str, float]:
    """Return the mean similarity to the nearest training molecule, of written molecules and of test molecules."""
    return {
        name: float(nearest(list(molecules), training).mean())
        for name, molecules in (("written", written), ("test", test))
    }
