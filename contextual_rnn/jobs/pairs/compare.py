"""`compare pairs`: what bridge, attention, feeding and label are worth on these pairs, one factor at a time."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import torch

from ...data.pairs import Pair, collate
from ...serialization import load
from ...study.comparison import bootstrap_shares, in_words, summarise
from ...study.factors import one_at_a_time
from ...study.figures import dots, finish, save, subplots, weights
from ...study.intervals import bootstrap_mean
from ...study.parallel import run_all
from ...study.run_folder import RunFolder, write_json
from .choice import PairChoice, PairOption, choose
from .choice import in_words as settled
from .metrics import Question, answer
from .model import PairModel
from .train import PairData, PairFiles, fingerprints, job, train

FACTORS = ("bridge", "attention", "feeding", "label")
LEGIBLE = 24  # source symbols whose names a panel has room for
RATES = ("word_error_rate", "phone_error_rate")


@dataclasses.dataclass(frozen=True)
class Variant:
    """One setting of all factors."""

    bridge: str
    attention: str
    feeding: str
    label: str

    @property
    def name(self) -> str:
        """Its values, as a folder is called."""
        return "-".join(dataclasses.astuple(self))


def compare(
    values: dict[str, tuple[str, ...]],
    options: list[PairOption],
    files: PairFiles,
    *,
    seeds: int,
    out: pathlib.Path,
    resume: bool,
) -> str:
    """Choose every variant's settings on validation, train it with every seed, and compare errors on the test file.

    Args:
        values: for every factor, its values; the first of each make the base.
        options: the settings to choose among, for every variant alike.
        files: the pairs.
        seeds: how many.
        out: the run folder.
        resume: skip the runs that are done.

    Returns:
        What was found in words. `results.json` and figures are in the folder.
    """
    data = PairData.read(files)  # so that what is wrong in a file is said before anything is trained
    settings = {
        "factors": values,
        "options": [dataclasses.asdict(option) for option in options],
        "files": dataclasses.asdict(files),
        "sha256": fingerprints(files),
        "seeds": seeds,
    }
    folder = RunFolder.open(out, settings, resume=resume)
    variants = [Variant(**one) for one in one_at_a_time(values)]
    candidates = {one.name: [option.with_factors(**dataclasses.asdict(one)) for option in options] for one in variants}
    choices = choose(candidates, files, out / "tuning", resume=resume)
    jobs = [
        job(f"{name}-seed-{seed}", choice.option.model, choice.option.training, files, seed)
        for name, choice in choices.items()
        for seed in range(seeds)
    ]
    results = run_all(jobs, train, out / "runs", resume=resume, title="pairs")
    identities = [{**dataclasses.asdict(one), "seed": seed} for one in variants for seed in range(seeds)]
    runs = [
        {**identity, "initial_state": identity["bridge"], **result}
        for identity, result in zip(identities, results, strict=True)
    ]
    report = _report(folder, choices, variants, runs, data.test, seeds)
    report["verdict"] = "\n".join([report["verdict"], *data.seen()])
    write_json(folder.results_path, report)  # before the pictures, which could fail
    draw_errors(folder, variants, runs)
    draw_attention(folder, variants[0], data.test)
    return report["verdict"]


def _report(
    folder: RunFolder,
    choices: dict[str, PairChoice],
    chosen: list[Variant],
    runs: list[dict[str, Any]],
    test: list[Question],
    seeds: int,
) -> dict[str, Any]:
    base, beam = dataclasses.asdict(chosen[0]), choices[chosen[0].name].option.training.beam
    differences = [bootstrap_shares(runs, dataclasses.asdict(one), base) for one in chosen[1:]]
    report: dict[str, Any] = {
        "runs": runs,
        "summary": summarise(runs, FACTORS),
        "errors": [_errors(one, runs) for one in chosen],
        "differences": differences,
        "chosen": {name: {**choice.values, "validation": choice.validation} for name, choice in choices.items()},
        "ensembles": [_ensemble(folder, one, test, seeds, beam) for one in chosen] if seeds > 1 else [],
    }
    lines = [f"Chosen for {name} on validation: {settled(one.values)}." for name, one in choices.items() if one.values]
    if any(one.option.model.input_feeding and one.option.model.attention == "none" for one in choices.values()):
        lines.append("Without attention there is nothing to feed back: that variant lacks input feeding as well.")
    return {**report, "verdict": "\n".join([verdict(report), *lines])}


def _of(runs: list[dict[str, Any]], one: Variant) -> list[dict[str, Any]]:
    return [run for run in runs if all(run[factor] == value for factor, value in dataclasses.asdict(one).items())]


def _errors(one: Variant, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a variant's rates, means of the seeds; for the interval of the first the words are drawn again."""
    mine = _of(runs, one)
    wrong = np.mean([run["wrong"] for run in mine], axis=0, keepdims=True)
    interval = bootstrap_mean(100 * wrong)
    means = {rate: float(np.mean([run["metrics"][rate] for run in mine])) for rate in RATES}
    return {**dataclasses.asdict(one), **means, "low": interval.low, "high": interval.high}


def _ensemble(folder: RunFolder, one: Variant, test: list[Question], seeds: int, beam: int) -> dict[str, Any]:
    """Return the rates of the mean of all seeds' predictions, with an interval over the words."""
    models = [load(folder.path / "runs" / f"{one.name}-seed-{seed}" / "model.safetensors") for seed in range(seeds)]
    answers = answer(models, test, beam)
    interval = bootstrap_mean(100 * np.array([answers.wrong], dtype=float))
    return {**dataclasses.asdict(one), **answers.metrics(), "low": interval.low, "high": interval.high}


def verdict(report: dict[str, Any]) -> str:
    """Return a table of the rates, and what each factor is worth, with its interval."""
    rows = [
        [
            "bridge",
            "attention",
            "feeding",
            "label",
            "word error, % [95 % over words]",
            "phone error, %",
            "ensemble, word",
        ]
    ]
    ensembles = [f"{_percent(one)}" for one in report["ensembles"]] or ["-"] * len(report["errors"])
    for one, ensemble in zip(report["errors"], ensembles, strict=True):
        rates = [_percent(one), f"{one['phone_error_rate']:.2f}", ensemble]
        rows.append([one[factor] for factor in FACTORS] + rates)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *map(in_words, report["differences"])])


def _percent(one: dict[str, Any]) -> str:
    return f"{one['word_error_rate']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def draw_errors(folder: RunFolder, chosen: list[Variant], runs: list[dict[str, Any]]) -> None:
    """Draw the error rates of every run."""
    figure, axes = subplots(1, 2, width=5.5, height=1.2 + 0.45 * len(chosen))
    count = len(FACTORS) - all(one.label == "none" for one in chosen)
    names = {one: ", ".join(dataclasses.astuple(one)[:count]) for one in chosen}
    for place, (rate, name) in zip(axes[0], zip(RATES, ("word", "phone"), strict=True), strict=True):
        dots(place, {names[one]: [run["metrics"][rate] for run in _of(runs, one)] for one in chosen})
        finish(place, f"{name} error rate on the test file, %", "", "dot: one seed; bar: median", legend=False)
    axes[0, 0].set_ylabel(", ".join(FACTORS[:count]))
    save(figure, folder.figures, "errors")


def draw_attention(folder: RunFolder, one: Variant, test: list[Question], shown: int = 6) -> None:
    """Draw where the base's first seed looks while it writes its answers to some of the test, long but legible."""
    model = load(folder.path / "runs" / f"{one.name}-seed-0" / "model.safetensors")
    if not isinstance(model, PairModel) or model.pairs.decoder.attention is None:
        return
    asked = _legible(test[:60])[:shown]
    answers = answer([model], asked)
    looked = [looks(model, question, found) for question, found in zip(asked, answers.found, strict=True)]
    rows, most = min(2, len(asked)), max(float(one.max()) for one in looked)
    figure, axes = subplots(rows, -(-len(asked) // rows), width=4.5, height=3.6)
    for place, question, found, values in zip(axes.flat, asked, answers.found, looked, strict=False):
        drawn = weights(place, values, _source_symbols(question, model), [*found, "end"], most)
        finish(place, "source", "written so far, downwards", legend=False)
        place.grid(visible=False)
    for place in axes.flat[len(asked) :]:
        place.axis("off")
    figure.colorbar(drawn, ax=axes, label="weight", fraction=0.03)
    figure.suptitle("Attention: how much of each source symbol is read for each symbol written (a row sums to 1)")
    save(figure, folder.figures, "attention")


def _legible(test: list[Question]) -> list[Question]:
    """Return questions, the longest that a picture has room for first, or, where all are longer, the shortest."""
    by_length = sorted(test, key=lambda question: -len(question.source))
    return [question for question in by_length if len(question.source) <= LEGIBLE] or by_length[::-1]


def _source_symbols(question: Question, model: PairModel) -> list[str]:
    told = [f"<{question.label}>"] if model.labels and model.settings.label == "token" else []
    return [*told, *question.source, "end"]


@torch.no_grad()
def looks(model: PairModel, question: Question, target: tuple[str, ...]) -> np.ndarray:
    """Return the attention's weights (T + 1, S) while a target is written, its end last."""
    batch = collate(model.encode([Pair(question.source, target, question.label)]))
    inputs, _ = model.pairs.framed(batch.target)
    decoded = model.pairs(batch.source, inputs, batch.source_lengths, model.context(batch.label))
    return decoded.weights[0].numpy()
