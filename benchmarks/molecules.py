"""Molecules that a model of texts writes for the properties of test molecules: valid, distinct, new, and as asked.

Train the model with `fit texts` on a table of properties; see docs/results/molecules.md.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from collections.abc import Sequence

import polars as pl
import torch

from contextual_rnn.jobs import texts
from contextual_rnn.jobs.texts.molecules import figures
from contextual_rnn.jobs.texts.molecules.data import read_smiles
from contextual_rnn.jobs.texts.molecules.evaluate import KNOWN, beyond, evaluate, similarity
from contextual_rnn.jobs.texts.molecules.properties import NAMES, with_properties
from contextual_rnn.jobs.texts.molecules.reproduce import ROW, SIMILAR, UNUSUAL
from contextual_rnn.study.figures import write_figure


def main(arguments: Sequence[str] | None = None) -> None:
    """Evaluate a trained model on test molecules, or compute the properties of a file's molecules."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks molecules", description=main.__doc__)
    parser.add_argument(
        "--properties", type=pathlib.Path, help="file with the column smiles; its properties are written"
    )
    parser.add_argument("--run", type=pathlib.Path, help="run folder of fit texts, or a model file")
    parser.add_argument("--test", type=pathlib.Path, help="file of test molecules, or table of their properties")
    parser.add_argument("--train", type=pathlib.Path, help="file of training molecules, for the nearest of them")
    parser.add_argument("--count", type=int, help="number of test molecules that are read; by default, all")
    parser.add_argument("--figures", type=pathlib.Path, help="folder for figures; needs --train")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="table or JSON file to write")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.properties:
        with_properties(read_smiles(options.properties)).write_parquet(options.out)
        return
    model = texts.load(options.run)
    asked = table(options.test)[: options.count].drop_nulls()
    results: dict[str, object] = {}
    written = {}
    for name, given in KNOWN.items():
        results[name], written[name] = evaluate(model, asked, given)
        print(name, json.dumps(results[name], indent=1), flush=True)
        written[name].write_parquet(options.out.with_suffix(f".{name.replace(' ', '_')}.parquet"))
        options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    results["beyond"] = beyond(model, UNUSUAL, 300)
    if options.train:
        training = table(options.train)
        first = [written["all"].drop_nulls()["smiles"].to_list()[:SIMILAR], asked["smiles"].to_list()[:SIMILAR]]
        results["similarity"] = similarity(*first, training["smiles"].to_list())
    print(json.dumps({name: results.get(name) for name in ("beyond", "similarity")}, indent=1))
    options.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    if options.figures:
        both = {f"asked {name}": asked[name] for name in NAMES}
        both |= {f"obtained {name}": written["all"][name] for name in NAMES}
        draws = {
            "asked": lambda: figures.asked_and_obtained(pl.DataFrame(both), "All properties known"),
            "molecules": lambda: figures.grid(model, "logp", ROW),
            "distributions": lambda: figures.distributions(model, training),
            "initial_states": lambda: figures.initial_states(model, training),
        }
        for name, draw in draws.items():
            write_figure(draw(), options.figures, f"molecules_{name}")


def table(path: pathlib.Path) -> pl.DataFrame:
    """Return the molecules of a file with their properties, which are computed if the file is no Parquet table."""
    return pl.read_parquet(path) if path.suffix == ".parquet" else with_properties(read_smiles(path))


if __name__ == "__main__":
    main()
