"""`fit series`: train one model on a table of series, its settings chosen on folds of it."""

from __future__ import annotations

import dataclasses
import pathlib

from ...study.parallel import run_all
from ...study.run_folder import RunFolder, write_json
from .purposes import purpose_of
from .runs import Option, SeriesFiles, check_kinds, choose, final_job, fingerprints, read_tables, train


def fit_series(
    kind: str, options: list[Option], files: SeriesFiles, *, folds: int, seed: int, out: pathlib.Path, resume: bool
) -> str:
    """Choose settings on folds, train on the whole table, and return what was done in words.

    The run folder then holds `model.safetensors`, for `predict`, and `results.json`.
    """
    check_kinds([kind], options[0].model.window, files.columns)
    read_tables(files, options[0].model.window)
    settings = {
        "options": [dataclasses.asdict(option) for option in options],
        "files": dataclasses.asdict(files),
        "sha256": fingerprints(files),
        "folds": folds,
        "seed": seed,
    }
    folder = RunFolder.open(out, settings, resume=resume)
    choice = choose({kind: options}, files, folds, out, resume=resume)[kind]
    job = final_job("final", choice, files, seed)
    (result,) = run_all([job], train, out, resume=resume, title="training")
    for name in ("model.safetensors", "columns.json"):
        folder.copy(out / "final" / name)
    place = options.index(choice.option)
    chosen = choice.validation[place]
    write_json(folder.results_path, {**result, "chosen": chosen, "validation": choice.validation})
    purpose = purpose_of(files.columns)
    error = f"validation_{purpose.chosen_by}"
    words = [
        f"h0 = {kind}, settings {_tuned(choice.validation, chosen, error)}: the validation error {purpose.unit} is "
        f"{chosen[error]:.4g}."
    ]
    words += [f"On the test table, {name} is {value:.4g}." for name, value in result["metrics"].items()]
    return "\n".join([*words, f"The model is {folder.model_path}."])


def _tuned(options: list[dict], chosen: dict, error: str) -> str:
    varied = [name for name in chosen if len({str(option[name]) for option in options}) > 1]
    names = [name for name in varied if name != error]
    return ", ".join(f"{name} {chosen[name]}" for name in names) or "as given"
