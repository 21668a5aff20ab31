"""The command `sample` for a model of texts: texts as a file, written as they are drawn."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import polars as pl

from ...data.fields import named_values
from ...data.output import check_files, write_table
from .model import TextModel


def sample_file(
    run: pathlib.Path,
    out: str | os.PathLike[str],
    *,
    context: Sequence[str] = (),
    n: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    prefix: str = "",
    novel: bool = False,
    steps: int | None = None,
    seed: int = 0,
) -> str:
    """Write texts with a trained model, and store them in a file.

    Args:
        run: Run folder that `fit texts` made, or a model file.
        out: Table to write, CSV, TSV or Parquet.
        context: Values of context columns, as NAME=VALUE; columns that are left out are not known.
        n: Number of texts.
        temperature: 1 samples from the model's distribution; 0 takes the most likely symbols.
        top_k: Draw among the k most likely symbols; by default, among all.
        top_p: Draw among the most likely symbols whose probabilities sum to p.
        prefix: Start of every text.
        novel: Leave out texts of the training table, and draw others in their place.
        steps: Maximum number of symbols; by default, twice that of the longest training text.
        seed: Random seed; text i does not depend on `n`.

    Raises:
        InputError: if an argument is invalid, or the file holds no such model.

    Example:
        contextual-rnn sample runs/drugs --out drugs.csv --context logp=2.5 qed=0.8 --n 1000
    """
    check_files(read={"run": run}, written={"out": out})
    values = named_values(context)
    model = TextModel.load(run)
    found = list(
        model.texts(
            values, n, temperature=temperature, top_k=top_k, top_p=top_p, prefix=prefix, novel=novel, steps=steps,
            seed=seed,
        )
    )  # fmt: skip
    given = {name: [value] * len(found) for name, value in values.items()}
    write_table(out, pl.DataFrame({model.settings.text: [text for text, _ in found], **given}))
    distinct = len({text for text, _ in found})
    report = f"{len(found)} texts, {distinct} of them distinct.\n"
    if len(found) < n:
        report += f"Only {len(found)} of {n} texts are not in the training table.\n"
    unfinished = sum(not ended for _, ended in found)
    if unfinished:
        report += f"{unfinished} of the texts reached the limit of their symbols (`steps`).\n"
    return f"{report}Texts: {out}"
