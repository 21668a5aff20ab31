"""`reproduce molecules`: where a model of molecules reads their properties, and pictures of what it writes."""

from __future__ import annotations

import functools
import pathlib
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Literal

import polars as pl

from ...._core.settings import check_count
from ....study.parallel import caller_unchanged, one_thread
from ....study.run_folder import RunFolder, write_json
from ..compare import TextComparison, compare
from ..settings import PLACES
from .data import Molecules
from .evaluate import KNOWN, beyond, evaluate, similarity
from .properties import NAMES, rdkit

TRAINING: dict[str, Any] = {
    **{"text": "smiles", "unit": "smiles", "context": tuple(NAMES), "embedding": 32, "context_hidden": 64},
    **{"batch_size": 64, "learning_rate": 0.004, "drop": 0.3},
}
VALIDATION, TEST = 5000, 10000  # molecules
SIMILAR = 1000  # molecules whose nearest training molecule is found
ROW = [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]  # values of logP of the grid of molecules
UNUSUAL = {"logp": [-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0], "weight": [150.0, 200.0, 250.0, 300.0, 350.0, 400.0, 500.0]}


def reproduce(
    *,
    out: pathlib.Path,
    data: pathlib.Path | None = None,
    context_in: Sequence[str] = PLACES,
    seeds: int = 5,
    molecules: int = 30000,
    written: int = 2000,
    hidden: int = 256,
    epochs: int = 20,
    smoke: bool = False,
    resume: bool = False,
    jobs: int | None = None,
    accelerator: Literal["cpu", "cuda", "auto"] = "cpu",
) -> str:
    """Compare where a model of molecules (MOSES) reads their properties, and draw what it writes.

    An LSTM writes SMILES. The properties, which RDKit computes, are logP, the topological polar surface area, the
    weight, QED, and the numbers of rings and of hydrogen-bond donors. Each is not known for some training molecules.

    Args:
        out: Run folder to create.
        data: Folder that holds train.csv.gz and test.csv.gz, and perhaps validation.csv.gz, in it or in its folder
            molecules; without it, and without the environment variable CONTEXTUAL_RNN_DATA, they are downloaded once
            into a cache.
        context_in: Places to compare: the initial state (h0), every input (every-step), both, or none.
        seeds: Number of seeds, counted from 0.
        molecules: Number of training molecules.
        written: Number of molecules that each model writes, for the properties of test molecules.
        hidden: Hidden units of the LSTM.
        epochs: Maximum number of training epochs.
        smoke: Train two epochs on few molecules, to see that everything runs; the figures mean nothing.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; without it, one per processor.
        accelerator: Device to train on; auto takes a GPU if there is one.

    Returns:
        What was found, in words, and where the files are.

    Raises:
        InputError: an argument or a file is wrong, RDKit is not installed, or the folder cannot be used.

    Example:
        contextual-rnn reproduce molecules --out runs/molecules
    """
    rdkit()
    check_count(seeds=seeds, molecules=molecules, written=written, hidden=hidden, epochs=epochs)
    sizes = {"molecules": molecules, "validation": VALIDATION, "test": TEST, "written": written}
    training = {**TRAINING, "hidden": hidden, "epochs": epochs}
    if accelerator != "cpu":
        training["accelerator"] = accelerator
    if smoke:
        sizes = {"molecules": 300, "validation": 60, "test": 60, "written": 60}
        training |= {"hidden": 16, "epochs": 2}
    config = {**sizes, **training, "context_in": list(context_in), "seeds": seeds}
    with RunFolder.open(out, config, resume=resume) as folder, caller_unchanged():
        read = Molecules.read(data, sizes["molecules"], sizes["validation"], sizes["test"])
        tables = read.tables(folder.path / "tables")
        found = compare(
            tables["train"], tables["test"], context_in=context_in, seeds=seeds, validation=tables["validation"],
            check=[f"{__package__}.properties:{name}" for name in NAMES], check_texts=sizes["written"],
            out=folder.path / "comparison", resume=resume, jobs=jobs, **training,
        )  # fmt: skip
        with one_thread():
            results = describe(found, tables, sizes["written"])
            write_json(folder.results_path, results)  # first, because drawing could fail
            drawn = draw(found, pl.read_parquet(tables["train"]), folder)
    written_ones = "; ".join(f"{kind}, {rows['similarity']['written']:.3f}" for kind, rows in results.items())
    test = next(iter(results.values()))["similarity"]["test"]
    similar = (
        f"Mean Tanimoto similarity to the nearest training molecule: of test molecules, {test:.3f}; of molecules "
        f"written with the properties in {written_ones}."
    )
    files = f"Results: {folder.results_path}\nFigures: {folder.figures} ({', '.join(drawn)})"
    return f"{found.details()}\n\n{textwrap.fill(similar, 80)}\n\n{files}"


def describe(found: TextComparison, tables: dict[str, pathlib.Path], written: int) -> dict[str, Any]:
    """Return what the first model of each place writes where all, some or no properties are known, or unusual ones."""
    train, test = (pl.read_parquet(tables[name]) for name in ("train", "test"))
    results: dict[str, Any] = {}
    for kind, model in found.first_models().items():
        known = {name: evaluate(model, test[:written], given) for name, given in KNOWN.items()}
        valid = known["all"][1].drop_nulls()["smiles"].to_list()
        similar = similarity(valid[:SIMILAR], test["smiles"].to_list()[:SIMILAR], train["smiles"].to_list())
        results[kind] = {"known": {name: result for name, (result, _) in known.items()}, "similarity": similar}
        if kind != "none":
            results[kind]["beyond"] = beyond(model, UNUSUAL, min(written, 300))
    return results


def draw(found: TextComparison, training: pl.DataFrame, folder: RunFolder) -> list[str]:
    """Write the figures of the first seed, and return the names of their files."""
    from ....study.figures import write_figure
    from . import figures

    models = found.first_models()
    draws: dict[str, Callable[[], Any]] = {}
    read = [kind for kind in ("h0", "both", "every-step") if kind in models]
    for place in read:
        table = pl.read_csv(folder.path / "comparison" / "written" / f"{place}-seed-0.csv")
        draws[f"asked_{place}"] = functools.partial(figures.asked_and_obtained, table, f"Properties in {place}")
    kind = next(iter(read), None)
    if kind is not None:
        draws["molecules"] = functools.partial(figures.grid, models[kind], "logp", ROW)
        draws["distributions"] = functools.partial(figures.distributions, models[kind], training)
    for place in read:
        if place != "every-step":
            draws[f"initial_states_{place}"] = functools.partial(figures.initial_states, models[place], training)
    for name, one in draws.items():
        write_figure(one(), folder.figures, name)
    return [f"{name}.png" for name in draws]
