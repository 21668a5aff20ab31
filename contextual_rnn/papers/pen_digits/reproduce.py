"""`reproduce pen-digits`: handwritten digits generated from their label, told in h0, at every step, or never."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import torch

from ..._core.state import leaves
from ...serialization import load
from ...serialization import save as save_model
from ...study.comparison import difference, in_words, summarise
from ...study.figures import dots, finish, plane, save, strokes, subplots
from ...study.fit import FitConfig, fit
from ...study.intervals import mean_interval
from ...study.parallel import Job, run_all
from ...study.run_folder import RunFolder, write_json
from ..published import PEN_DIGITS_TEST, PEN_DIGITS_TRAINING, find
from .model import DIGITS, PenDigits, PenModel, accuracy, loss, scores, shuffled

FACTORS = ["label"]
METRICS = {
    "tstr_accuracy": "trained on generated, tested on real, % right",
    "trts_accuracy": "trained on real, tested on generated, % right",
    "log_likelihood": "log likelihood of a test digit, nats",
    "nearer": "nearer to training than test digits are, %",
}


@dataclasses.dataclass(frozen=True)
class PenConfig:
    """The setting; `--smoke` makes it small.

    Attributes:
        epochs: passes over the digits that are trained on.
        learning_rate: of Adam in the first epoch; it falls to nothing by a cosine.
        weight_decay: of AdamW.
        validation: the share of the training file that is not trained on, its last.
        rows: how many digits of each file are read; None is all.
    """

    epochs: int = 120
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    validation: float = 0.2
    rows: int | None = None


def reproduce(
    labels: list[str], seeds: int, out: pathlib.Path, config: PenConfig, data: pathlib.Path | None, *, resume: bool
) -> str:
    """Train, generate, compare; draw the figures, write `results.json`, and return what was found in words."""
    files = [str(find(file, data)) for file in (PEN_DIGITS_TRAINING, PEN_DIGITS_TEST)]
    folder = RunFolder.open(out, {"labels": labels, "seeds": seeds, **dataclasses.asdict(config)}, resume=resume)
    jobs = [
        Job(f"{label}-seed-{seed}", {"label": label, "seed": seed, **dataclasses.asdict(config)}, config.epochs)
        for label in labels
        for seed in range(seeds)
    ]
    results = run_all(jobs, Training(*files), out / "runs", resume=resume, title="pen digits")
    runs = [
        {"label": job.config["label"], "seed": job.config["seed"], **result}
        for job, result in zip(jobs, results, strict=True)
    ]
    training, test = (read(file, config.rows) for file in files)
    report: dict[str, Any] = {"runs": runs, "summary": summarise(runs, FACTORS), "differences": _differences(runs)}
    report["shortfall"] = _shortfall(runs)
    report["real_accuracy"] = accuracy(test, training)
    report["verdict"] = verdict(report)
    write_json(folder.results_path, report)  # before the pictures, which could fail
    draw(folder, labels, seeds, runs, training)
    return report["verdict"]


@dataclasses.dataclass(frozen=True)
class Training:
    """Trains one model on the files, in a process of its own."""

    training: str
    test: str

    def __call__(self, config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
        """Train one model and return its metrics."""
        whole, test = read(self.training, config["rows"]), read(self.test, config["rows"])
        training, validation = whole.split(config["validation"])
        torch.manual_seed(config["seed"])
        model = PenModel(config["label"])

        def evaluate(model: PenModel) -> dict[str, float]:
            return {"validation_log_likelihood": float(model.log_likelihood(validation).mean())}

        rate, decay = config["learning_rate"], config["weight_decay"]
        settings = FitConfig(config["epochs"], rate, 1.0, decay, "cosine", config["seed"])
        history = fit(model, loss, shuffled(training), settings, evaluate=evaluate, folder=folder)
        save_model(model, folder / "model.safetensors")
        found = scores(model.eval(), whole, test, config["seed"])
        return {"metrics": {**found, "validation_log_likelihood": history[-1]["validation_log_likelihood"]}}


def read(path: str, rows: int | None) -> PenDigits:
    """Return the digits of a file, or the first of them."""
    digits = PenDigits.read(path)
    return PenDigits(digits.points[:rows], digits.digit[:rows])


def _differences(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    others = [label for label in dict.fromkeys(run["label"] for run in runs) if label != "initial-state"]
    if not any(run["label"] == "initial-state" for run in runs):
        return []
    metrics = ("tstr_accuracy", "trts_accuracy")
    return [
        difference(runs, {"label": "initial-state"}, {"label": other}, metric) for other in others for metric in metrics
    ]


def _shortfall(runs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return how far h0 stays behind the label at every step in `tstr_accuracy`, points, paired by seed."""
    of = {(run["label"], run["seed"]): run["metrics"]["tstr_accuracy"] for run in runs}
    seeds = sorted({seed for label, seed in of if label == "initial-state" and ("every-step", seed) in of})
    if not seeds:
        return None
    return dataclasses.asdict(mean_interval([of["every-step", seed] - of["initial-state", seed] for seed in seeds]))


def verdict(report: dict[str, Any]) -> str:
    """Say every figure of merit seed by seed, and the differences with their intervals."""
    lines = []
    for label in dict.fromkeys(run["label"] for run in report["runs"]):
        mine = [run["metrics"] for run in report["runs"] if run["label"] == label]
        for metric, name in METRICS.items():
            lines.append(f"Label {label}, {name}: " + ", ".join(f"{metrics[metric]:.2f}" for metrics in mine) + ".")
    lines.append(f"Trained on real digits, the classifier is right on {report['real_accuracy']:.2f} %.")
    short = report["shortfall"]
    if short is not None and short["high"] is not None:
        interval = f"{short['middle']:.2f} points behind, 95 % interval {short['low']:.2f} to {short['high']:.2f}"
        lines.append(f"The label in h0 alone against the label at every step: {interval}.")
    return "\n".join([*lines, *map(in_words, report["differences"])])


def draw(folder: RunFolder, labels: list[str], seeds: int, runs: list[dict[str, Any]], training: PenDigits) -> None:
    """Draw digits, real beside generated, the figures of merit, and h0 by its label."""
    models = {label: load(folder.path / "runs" / f"{label}-seed-0" / "model.safetensors").eval() for label in labels}
    draw_digits(folder.figures, models, training)
    draw_scores(folder.figures, labels, runs)
    if "initial-state" in models:
        draw_states(folder.figures, models["initial-state"])


def draw_digits(figures: pathlib.Path, models: dict[str, Any], training: PenDigits, each: int = 5) -> None:
    """Draw `each` digits of every kind as the pen went, real ones beside those of every model."""
    figure, axes = subplots(1, 1 + len(models), width=1.0 * each, height=1.0 * DIGITS)
    digit = torch.arange(DIGITS).repeat_interleave(each)
    first = torch.cat([(training.digit == kind).nonzero()[:each, 0] for kind in range(DIGITS)])
    shown = {"real": training.points[first]}
    shown |= {f"label {label}": model.generate(digit, seed=1).points for label, model in models.items()}
    for place, (name, points) in zip(axes[0], shown.items(), strict=True):
        strokes(place, points.numpy(), each)
        place.set_title(name)
    save(figure, figures, "digits")


def draw_scores(figures: pathlib.Path, labels: list[str], runs: list[dict[str, Any]]) -> None:
    """Draw every figure of merit, a dot a seed."""
    figure, axes = subplots(2, 2, width=5, height=2.4)
    for place, (metric, name) in zip(axes.flat, METRICS.items(), strict=True):
        dots(place, {label: [run["metrics"][metric] for run in runs if run["label"] == label] for label in labels})
        finish(place, name, "label told", legend=False)
    figure.suptitle("Pen digits; a dot a seed, a line at the median")
    save(figure, figures, "scores")


@torch.no_grad()
def draw_states(figures: pathlib.Path, model: PenModel) -> None:
    """Draw h0 of every digit in the plane of its two principal components."""
    state = model.sequences.rnn.initial_state(DIGITS, {"digit": torch.arange(DIGITS)})
    figure, axes = subplots(width=5, height=4.5)
    plane(axes[0, 0], torch.cat([leaf.flatten(1) for leaf in leaves(state)], dim=1).numpy(), map(str, range(DIGITS)))
    finish(axes[0, 0], "first principal component of h0", "second", "h0 by the digit it was told", legend=False)
    save(figure, figures, "initial_states")
