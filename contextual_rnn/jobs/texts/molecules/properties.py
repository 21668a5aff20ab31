"""Properties of a molecule, given as SMILES, by RDKit (extra `molecules`). Each function can be a check of texts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ....errors import InputError

# The properties, and how figures name them.
NAMES = {
    "logp": "logP",
    "tpsa": "TPSA, square angstroms",
    "weight": "weight, daltons",
    "qed": "QED",
    "rings": "rings",
    "donors": "hydrogen-bond donors",
}
BITS, RADIUS = 1024, 2  # of Morgan fingerprints


def rdkit() -> Any:
    """Return the module `rdkit.Chem`, which no longer prints what is wrong with a molecule.

    Raises:
        InputError: RDKit is not installed.
    """
    try:
        from rdkit import Chem, RDLogger
    except ImportError:
        raise InputError("molecules need RDKit: pip install 'contextual-rnn[molecules]'") from None
    logger: Any = RDLogger
    logger.DisableLog("rdApp.*")
    return Chem


@functools.lru_cache(maxsize=256)
def properties(smiles: str) -> dict[str, float] | None:
    """Return the properties of a molecule by name; None if RDKit cannot parse and sanitise it, or not compute them.

    They are the octanol-water partition coefficient by Wildman and Crippen (logp), the topological polar surface area
    (tpsa), the molecular weight, the quantitative estimate of drug-likeness (qed), and the numbers of rings and of
    hydrogen-bond donors.
    """
    molecule = rdkit().MolFromSmiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    from rdkit.Chem import QED, rdMolDescriptors

    try:
        parts = QED.properties(molecule)
    except ValueError:  # it removes hydrogens and sanitises again, which fails for a few molecules
        return None
    return {
        "logp": parts.ALOGP,
        "tpsa": parts.PSA,
        "weight": parts.MW,
        "qed": QED.qed(molecule, qedProperties=parts),
        "rings": float(rdMolDescriptors.CalcNumRings(molecule)),
        "donors": float(rdMolDescriptors.CalcNumHBD(molecule)),
    }


def _property(name: str, smiles: str) -> float | None:
    found = properties(smiles)
    return None if found is None else found[name]


def logp(smiles: str) -> float | None:
    """Return the octanol-water partition coefficient; None if the molecule is not valid."""
    return _property("logp", smiles)


def tpsa(smiles: str) -> float | None:
    """Return the topological polar surface area; None if the molecule is not valid."""
    return _property("tpsa", smiles)


def weight(smiles: str) -> float | None:
    """Return the molecular weight; None if the molecule is not valid."""
    return _property("weight", smiles)


def qed(smiles: str) -> float | None:
    """Return the quantitative estimate of drug-likeness; None if the molecule is not valid."""
    return _property("qed", smiles)


def rings(smiles: str) -> float | None:
    """Return the number of rings; None if the molecule is not valid."""
    return _property("rings", smiles)


def donors(smiles: str) -> float | None:
    """Return the number of hydrogen-bond donors; None if the molecule is not valid."""
    return _property("donors", smiles)


def with_properties(smiles: Sequence[str]) -> pl.DataFrame:
    """Return molecules with a column for every property, null where a molecule is not valid."""
    rows = [{"smiles": one, **(properties(one) or dict.fromkeys(NAMES))} for one in smiles]
    return pl.DataFrame(rows, schema={"smiles": pl.String, **dict.fromkeys(NAMES, pl.Float64)})


def nearest(molecules: Sequence[str], training: Sequence[str]) -> np.ndarray:
    """Return the Tanimoto similarity of each molecule to the nearest training molecule, (N,).

    Fingerprints are Morgan's of radius 2 with 1024 bits, as in MOSES.
    """
    chem = rdkit()
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    make = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    prints = [make.GetFingerprint(chem.MolFromSmiles(one)) for one in training]
    of = (make.GetFingerprint(chem.MolFromSmiles(one)) for one in molecules)
    return np.array([max(DataStructs.BulkTanimotoSimilarity(one, prints)) for one in of])
