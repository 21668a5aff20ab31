"""Properties of molecules, as RDKit computes them from SMILES."""

from __future__ import annotations

import gzip
import hashlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import polars as pl

from ...errors import InputError

NAMES = ("logp", "tpsa", "weight", "qed", "rings", "donors")
UNITS = {"logp": "", "tpsa": "square angstroms", "weight": "daltons", "qed": "", "rings": "", "donors": ""}


def rdkit() -> Any:
    """Return RDKit's module of molecules, with its messages off; raise InputError if RDKit is not installed."""
    try:
        from rdkit import Chem, RDLogger
    except ImportError as error:
        raise InputError("molecules need RDKit: run pip install 'contextual-rnn[molecules]'") from error
    RDLogger.DisableLog("rdApp.*")
    return Chem


def properties(smiles: str) -> dict[str, float] | None:
    """Return the properties of a molecule by name; None if RDKit cannot parse and sanitise it.

    They are the octanol-water partition coefficient by Wildman and Crippen (logp), the topological polar surface area
    (tpsa), the molecular weight, the quantitative estimate of drug-likeness (qed), and the numbers of rings and of
    hydrogen-bond donors.

    Args:
        smiles: the molecule.
    """
    molecule = rdkit().MolFromSmiles(smiles)
    if molecule is None or not molecule.GetNumAtoms():
        return None
    from rdkit.Chem import QED, rdMolDescriptors

    parts = QED.properties(molecule)  # of which the first three are asked for as they are
    return {
        "logp": parts.ALOGP,
        "tpsa": parts.PSA,
        "weight": parts.MW,
        "qed": QED.qed(molecule, qedProperties=parts),
        "rings": rdMolDescriptors.CalcNumRings(molecule),
        "donors": rdMolDescriptors.CalcNumHBD(molecule),
    }


def logp(smiles: str) -> float | None:
    """Return the logP of a molecule, for `check`; None if it is not valid."""
    found = properties(smiles)
    return None if found is None else found["logp"]


def with_properties(path: str | os.PathLike[str], cache: pathlib.Path) -> pl.DataFrame:
    """Return the molecules of a file with the column `smiles`, and a column for every property.

    Args:
        path: the file, a CSV table that may be compressed with gzip.
        cache: a folder, in which the result is kept under the hash of the file's content.

    Raises:
        InputError: the file cannot be read, has no column `smiles`, or a molecule is not valid.
    """
    path = pathlib.Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    kept = cache / f"{hashlib.sha256(content).hexdigest()[:16]}.parquet"
    if kept.exists():
        return pl.read_parquet(kept)
    table = pl.read_csv(gzip.decompress(content) if path.suffix == ".gz" else content)
    if "smiles" not in table.columns:
        raise InputError(f"{path} has no column 'smiles'; it has {', '.join(table.columns)}")
    smiles = table["smiles"].to_list()
    found = frame_of(smiles)
    wrong = found["logp"].is_null()
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise InputError(f"{path}, line {row + 2}: RDKit cannot read the molecule {smiles[row]!r}")
    cache.mkdir(parents=True, exist_ok=True)
    found.write_parquet(kept)
    return found


def frame_of(smiles: Sequence[str]) -> pl.DataFrame:
    """Return molecules and their properties as a table; the properties are null where a molecule is not valid."""
    nothing = dict.fromkeys(NAMES)
    rows = [{"smiles": one, **(properties(one) or nothing)} for one in smiles]
    return pl.DataFrame(rows, schema={"smiles": pl.String, **dict.fromkeys(NAMES, pl.Float64)})
