"""`reproduce image-context`: two digits read out of an image that is told in h0, at every step, or never."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import torch

from ...serialization import load
from ...serialization import save as save_model
from ...study.comparison import difference, in_words, summarise
from ...study.figures import dots, finish, image, save, subplots
from ...study.fit import FitConfig, fit
from ...study.parallel import Job, run_all
from ...study.run_folder import RunFolder, write_json
from .model import Digits, ReadingModel, accuracy, drawn, loss

FACTORS = ["image"]
NAMES = {
    "none": "h0 zero",
    "coarse": "coarse image in h0",
    "full": "full image in h0",
    "every-step": "coarse image at every step",
}


@dataclasses.dataclass(frozen=True)
class ReadingConfig:
    """The setting; `--smoke` makes it small.

    Attributes:
        epochs: of 50 batches of 128 pairs, drawn anew.
        learning_rate: of Adam in the first epoch; it falls to nothing by a cosine.
        weight_decay: of AdamW.
        training: single digits to draw training pairs from.
        validation: others, for validation.
        test: others, for the error.
        pairs: how many pairs of the others are drawn, once.
    """

    epochs: int = 40
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    training: int = 1000
    validation: int = 297
    test: int = 500
    pairs: int = 5000


def reproduce(images: list[str], seeds: int, out: pathlib.Path, config: ReadingConfig, *, resume: bool) -> str:
    """Train, read, compare; draw the figures, write `results.json`, and return what was found in words."""
    Digits.load()  # says what is missing, before any work
    folder = RunFolder.open(out, {"images": images, "seeds": seeds, **dataclasses.asdict(config)}, resume=resume)
    jobs = [
        Job(f"{kind}-seed-{seed}", {"image": kind, "seed": seed, **dataclasses.asdict(config)}, config.epochs)
        for kind in images
        for seed in range(seeds)
    ]
    results = run_all(jobs, train, out / "runs", resume=resume, title="image context")
    runs = [
        {"image": job.config["image"], "seed": job.config["seed"], **result}
        for job, result in zip(jobs, results, strict=True)
    ]
    report: dict[str, Any] = {"runs": runs, "summary": summarise(runs, FACTORS), "differences": _differences(runs)}
    report["verdict"] = verdict(report)
    write_json(folder.results_path, report)  # before the pictures, which could fail
    draw(folder, images, runs, config)
    return report["verdict"]


def data(config: dict[str, Any]) -> tuple[Digits, tuple, tuple]:
    """Return a seed's digits to train on, and its pairs for validation and for the test."""
    sizes = [config[name] for name in ("training", "validation", "test")]
    training, validation, test = Digits.load().split(*sizes, seed=config["seed"])
    generator = torch.Generator().manual_seed(config["seed"])
    return training, validation.pairs(config["pairs"], generator), test.pairs(config["pairs"], generator)


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Train one model and return its metrics."""
    training, validation, test = data(config)
    torch.manual_seed(config["seed"])
    model = ReadingModel(config["image"])
    rate, decay = config["learning_rate"], config["weight_decay"]
    history = fit(
        model,
        loss,
        drawn(training),
        FitConfig(config["epochs"], rate, 1.0, decay, "cosine", config["seed"]),
        evaluate=lambda model: {"validation_accuracy": accuracy(model, *validation)},
        folder=folder,
    )
    save_model(model, folder / "model.safetensors")
    found = {"accuracy": accuracy(model.eval(), *test)}
    return {"metrics": {**found, "validation_accuracy": history[-1]["validation_accuracy"]}}


def _differences(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kinds = list(dict.fromkeys(run["image"] for run in runs))
    if "coarse" not in kinds:
        return []
    others = [kind for kind in kinds if kind != "coarse"]
    return [difference(runs, {"image": "coarse"}, {"image": kind}, "accuracy") for kind in others]


def verdict(report: dict[str, Any]) -> str:
    """Say the accuracy of every kind, seed by seed, and the differences with their intervals."""
    lines = []
    for kind in dict.fromkeys(run["image"] for run in report["runs"]):
        values = [run["metrics"]["accuracy"] for run in report["runs"] if run["image"] == kind]
        lines.append(
            f"With {NAMES[kind]}, both digits right, %: " + ", ".join(f"{value:.2f}" for value in values) + "."
        )
    return "\n".join([*lines, *map(in_words, report["differences"])])


def draw(folder: RunFolder, images: list[str], runs: list[dict[str, Any]], config: ReadingConfig) -> None:
    """Draw the accuracies, and images with what was read."""
    figure, axes = subplots(width=6, height=3)
    named = {NAMES[kind]: [run["metrics"]["accuracy"] for run in runs if run["image"] == kind] for kind in images}
    dots(axes[0, 0], named)
    finish(axes[0, 0], "both digits right, %", "", "A dot a seed, a line at the median", legend=False)
    save(figure, folder.figures, "accuracy")
    draw_reading(folder, images[-1], config)


def draw_reading(folder: RunFolder, kind: str, config: ReadingConfig, shown: int = 6) -> None:
    """Draw test images as they are and as the coarse one, with what a model reads."""
    model = load(folder.path / "runs" / f"{kind}-seed-0" / "model.safetensors").eval()
    _, _, (images, digits) = data({**dataclasses.asdict(config), "seed": 0})
    read = model.read(images[:shown])
    figure, axes = subplots(2, shown, width=2.2, height=1.5)
    coarse = torch.nn.functional.avg_pool2d(images[:shown], 2)
    for number in range(shown):
        image(axes[0, number], images[number, 0].numpy())
        image(axes[1, number], coarse[number, 0].numpy())
        names = ["".join(map(str, each[number].tolist())) for each in (digits, read)]
        axes[0, number].set_title(f"it is {names[0]}")
        axes[1, number].set_title(f"read {names[1]}")
    figure.suptitle(f"Test images and, below, at half the resolution; read with {NAMES[kind]}, seed 0")
    save(figure, folder.figures, "reading")
