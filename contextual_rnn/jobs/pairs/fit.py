"""`fit pairs`: train one model on a file of pairs."""

from __future__ import annotations

import dataclasses
import pathlib

from ...study.parallel import run_all
from ...study.run_folder import RunFolder, write_json
from .choice import PairOption, choose, in_words
from .train import PairData, PairFiles, fingerprints, job, train


def fit_pairs(options: list[PairOption], files: PairFiles, *, seed: int, out: pathlib.Path, resume: bool) -> str:
    """Choose settings on validation, train a model, its epoch chosen so too, and return what was done in words.

    The run folder then holds `model.safetensors`, for `transcribe`, and `results.json`.
    """
    data = PairData.read(files)
    settings = {
        "options": [dataclasses.asdict(option) for option in options],
        "files": dataclasses.asdict(files),
        "sha256": fingerprints(files),
        "seed": seed,
    }
    folder = RunFolder.open(out, settings, resume=resume)
    choice = choose({"model": options}, files, out / "tuning", resume=resume)["model"]
    chosen = job("final", choice.option.model, choice.option.training, files, seed)
    (result,) = run_all([chosen], train, out, resume=resume, title="training")
    folder.copy(out / "final" / "model.safetensors")
    write_json(folder.results_path, {**result, "chosen": choice.values, "validation": choice.validation})
    metrics = result["metrics"]
    words = [f"Settings: {in_words(choice.values)}."] if choice.values else []
    words += [
        f"Of the validation words {metrics['validation_word_error_rate']:.2f} % are wrong after epoch "
        f"{metrics['epoch']}, the best, and {metrics['validation_phone_error_rate']:.2f} % of their symbols."
    ]
    if files.test:
        rates = (
            f"{metrics['word_error_rate']:.2f} % of the words and {metrics['phone_error_rate']:.2f} % of the symbols"
        )
        words.append(f"Of the test file {rates} are wrong; every answer is in {out / 'final' / 'answers.tsv'}.")
    return "\n".join([*words, *data.seen(), f"The model is {folder.model_path}."])
