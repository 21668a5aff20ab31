"""Molecules that a model of texts writes for the properties of test molecules: valid, distinct, new, and as asked.

Train the model with `fit texts` on a table of `benchmarks.molecules.with_properties`; see docs/results/molecules.md.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch

from contextual_rnn.jobs import texts
from contextual_rnn.jobs.texts.draw import Sampling

NAMES = ("logp", "tpsa", "weight", "qed", "rings", "donors")
GIVEN = {
    "all": NAMES,
    "logP alone": ("logp",),
    "all but logP": tuple(name for name in NAMES if name != "logp"),
    "nothing": (),
}
NEAREST = 1000  # molecules whose nearest training molecule is found


def properties(smiles: str) -> dict[str, float] | None:
    """Return the properties of a molecule by name; None if RDKit cannot parse and sanitise it, or not compute them.

    They are the octanol-water partition coefficient by Wildman and Crippen (logp), the topological polar surface area
    (tpsa), the molecular weight, the quantitative estimate of drug-likeness (qed), and the numbers of rings and of
    hydrogen-bond donors.
    """
    from rdkit import Chem, RDLogger
    from rdkit.Chem import QED, rdMolDescriptors

    RDLogger.DisableLog("rdApp.*")
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    try:
        parts = QED.properties(molecule)
    except ValueError:  # it removes hydrogens and sanitises again, which fails for a few molecules
        return None
    return {
        "logp": parts.ALOGP,
        "tpsa": parts.PSA,
        "weight": parts.MW,
        "qed": QED.qed(molecule, qedProperties=parts),
        "rings": rdMolDescriptors.CalcNumRings(molecule),
        "donors": rdMolDescriptors.CalcNumHBD(molecule),
    }


def with_properties(smiles: Sequence[str]) -> pl.DataFrame:
    """Return molecules with a column for every property, null where a molecule is not valid."""
    rows = [{"smiles": one, **(properties(one) or dict.fromkeys(NAMES))} for one in smiles]
    return pl.DataFrame(rows, schema={"smiles": pl.String, **dict.fromkeys(NAMES, pl.Float64)})


def evaluate(model: Any, asked: pl.DataFrame, given: Sequence[str]) -> tuple[dict[str, Any], pl.DataFrame]:
    """Write one molecule for every row of asked properties, of which the model reads `given`; return what is found."""
    rows = [{name: row[name] if name in given else None for name in NAMES} for row in asked.iter_rows(named=True)]
    started = time.process_time()
    found = with_none = ["".join(text) for text, _ in model.draw(rows, Sampling(), seed=0)]
    seconds = time.process_time() - started
    got = with_properties(with_none)
    valid = got["logp"].is_not_null().to_numpy()
    kept = got.filter(pl.Series(valid))
    wanted = asked.filter(pl.Series(valid))
    result: dict[str, Any] = {
        "texts": len(found),
        "seconds of sampling": round(seconds, 1),
        "valid, %": 100 * float(valid.mean()),
        "distinct, % of valid": 100 * kept["smiles"].n_unique() / len(kept),
        "new, % of valid": 100 * float(np.mean([not model.is_seen(_symbols(one, model)) for one in kept["smiles"]])),
    }
    for name in NAMES:
        a, b = wanted[name].to_numpy(), kept[name].to_numpy()
        result[name] = {
            "correlation": float(np.corrcoef(a, b)[0, 1]),
            "mean absolute error": float(np.abs(a - b).mean()),
            "mean": float(b.mean()),
            "deviation": float(b.std()),
        }
    return result, kept


def _symbols(smiles: str, model: Any) -> tuple[str, ...]:
    from contextual_rnn.data.units import split

    return split(smiles, model.settings.unit)


def nearest(molecules: Sequence[str], training: Sequence[str]) -> float:
    """Return the mean Tanimoto similarity of molecules to the nearest training molecule (Morgan, radius 2, 1024)."""
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    prints = [make.GetFingerprint(Chem.MolFromSmiles(one)) for one in training]
    of = (make.GetFingerprint(Chem.MolFromSmiles(one)) for one in molecules)
    return float(np.mean([max(DataStructs.BulkTanimotoSimilarity(one, prints)) for one in of]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate a trained model on test molecules, or compute the properties of a file's molecules."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.molecules", description=main.__doc__)
    parser.add_argument(
        "--properties", type=pathlib.Path, help="file with the column smiles; its properties are written"
    )
    parser.add_argument("--run", type=pathlib.Path, help="run folder of fit texts")
    parser.add_argument("--test", type=pathlib.Path, help="file of test molecules")
    parser.add_argument("--train", type=pathlib.Path, help="file of training molecules, for the nearest of them")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="table or JSON file to write")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.properties:
        with_properties(pl.read_csv(options.properties)["smiles"].to_list()).write_parquet(options.out)
        return
    model = texts.load(options.run)
    asked = with_properties(pl.read_csv(options.test)["smiles"].to_list())
    results = {}
    for name, given in GIVEN.items():
        results[name], kept = evaluate(model, asked, given)
        print(name, json.dumps(results[name], indent=1), flush=True)
        kept.write_parquet(options.out.with_suffix(f".{name.replace(' ', '_')}.parquet"))
        options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
        if name == "all":
            first = kept["smiles"].to_list()[:NEAREST]
    if options.train:
        training = pl.read_csv(options.train)["smiles"].to_list()
        sets = {"written": first, "test": asked["smiles"].to_list()[:NEAREST]}
        results["nearest"] = {name: nearest(molecules, training) for name, molecules in sets.items()}
        print(results["nearest"])
        options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
