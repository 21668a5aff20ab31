"""The molecules of MOSES (Polykovskiy et al. 2020), from a folder of the user or downloaded once, with properties."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import polars as pl

from ....data.output import write_table
from ....data.published import PublishedFile, find
from ....errors import InputError
from ....study.run_folder import make_folder
from .properties import with_properties

MOSES = (
    "https://media.githubusercontent.com/media/molecularsets/moses/b94468cab4590ced03a98c26a35d3c1e0647d9c9/"
    "moses/dataset/data"
)
TRAIN = PublishedFile(
    "molecules/train.csv.gz",
    f"{MOSES}/train.csv.gz",
    "786f0313aa6b9ba5514df685f885742a70ea8d86f1a4fa48115f7f80a634265c",
)
TEST = PublishedFile(
    "molecules/test.csv.gz",
    f"{MOSES}/test.csv.gz",
    "f896fbf3764f88d94670b9959e5872c600c12152a18233823e820761b7a791b2",
)
VALIDATION = "validation.csv.gz"


@dataclasses.dataclass(frozen=True)
class Molecules:
    """SMILES to train on, to choose the epoch on, and to test on."""

    train: list[str]
    validation: list[str]
    test: list[str]

    @classmethod
    def read(
        cls, folder: str | os.PathLike[str] | None, train: int, validation: int, test: int, seed: int = 0
    ) -> Molecules:
        """Read the files, and draw molecules from each at random.

        Args:
            folder: that holds train.csv.gz and test.csv.gz, and may hold validation.csv.gz; see `published.find`.
                Without the last, validation molecules are drawn from the training file.
            train: the largest number of training molecules.
            validation: that of validation molecules.
            test: that of test molecules.
            seed: of the drawing.

        Raises:
            InputError: a file is missing, or has no column `smiles`.
        """
        path = find(TRAIN, folder)
        drawn = np.random.default_rng(seed)
        whole, tested = (_drawn(read_smiles(one), drawn) for one in (path, find(TEST, folder)))
        held_out = path.with_name(VALIDATION)
        if held_out.exists():
            return cls(whole[:train], _drawn(read_smiles(held_out), drawn)[:validation], tested[:test])
        return cls(whole[validation : validation + train], whole[:validation], tested[:test])

    def tables(self, folder: pathlib.Path) -> dict[str, pathlib.Path]:
        """Return the path of a table with properties for each part; compute those that are not in the folder yet."""
        paths = {}
        make_folder(folder)
        for name, smiles in dataclasses.asdict(self).items():
            paths[name] = folder / f"{name}.parquet"
            if not paths[name].exists():
                write_table(paths[name], with_properties(smiles).drop_nulls())
        return paths


def read_smiles(path: pathlib.Path) -> list[str]:
    """Return the column of a file that is named smiles or SMILES.

    Raises:
        InputError: the file is not a table with such a column.
    """
    try:
        table = pl.read_csv(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path} is not a table of molecules: {error}") from None
    names = [name for name in table.columns if name.lower() == "smiles"]
    if not names:
        raise InputError(f"{path} has no column 'smiles'; it has {', '.join(table.columns)}")
    return table[names[0]].drop_nulls().to_list()


def _drawn(smiles: Sequence[str], random: np.random.Generator) -> list[str]:
    return [smiles[place] for place in random.permutation(len(smiles))]
