"""`reproduce pen-digits`: handwritten digits generated from a label that is given in h0, at every step, or not."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from typing import Any

import torch

from ..._core.settings import setting, takes_settings
from ...data.published import PEN_DIGITS_TEST, PEN_DIGITS_TRAINING, find
from ...study.intervals import mean_interval
from ...study.metric import SHARE, Metric, Row
from ..experiment import Experiment, PaperSettings, compare, fit_and_save, sentences, shuffled, table
from .data import PenDigits, accuracy
from .model import LABELS, PenModel, loss, scores

FACTORS = ("label",)
METRICS = (
    Metric(
        "tstr_accuracy",
        "accuracy, trained on generated and tested on real digits",
        "%",
        higher_is_better=True,
        bounds=SHARE,
    ),
    Metric(
        "trts_accuracy",
        "accuracy, trained on real and tested on generated digits",
        "%",
        higher_is_better=True,
        bounds=SHARE,
    ),
    Metric("log_likelihood", "log likelihood of a test digit", "nats", higher_is_better=True),
    Metric("nearer", "generated digits nearer to training digits than test digits are", "%", bounds=SHARE),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PenSettings(PaperSettings):
    """The model of pen digits and its training."""

    labels: tuple[str, ...] = setting(
        LABELS, "Where the model gets the label.", group="comparison", choices=LABELS, least=1
    )
    epochs: int = setting(120, "Number of training epochs.", group="training", least=1)
    validation_share: float = setting(
        0.2, "Share of the training file, its last digits, that is used for validation.", group="data", above=0, below=1
    )
    rows: int | None = setting(None, "Digits of each file to read; without it, all.", group="data", least=10)
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    clip: float | None = 1.0


@takes_settings(PenSettings)
def reproduce(
    *,
    out: pathlib.Path,
    data: pathlib.Path | None = None,
    smoke: bool = False,
    resume: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    **options: Any,
) -> str:
    """Generate handwritten digits (UCI pen digits) from a label that is given in h0, at every step, or not.

    Args:
        out: Run folder to create.
        data: Folder that holds pendigits.tra and pendigits.tes; without it, and without the environment variable
            CONTEXTUAL_RNN_DATA, they are downloaded once into a cache.
        smoke: Train two epochs on few digits, to see that everything runs; the figures mean nothing.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; without it, one per processor.
        cluster: Address of a Dask scheduler whose workers do the runs, such as dask://host:8786.

    Returns:
        What was found, in words, and where the files are.

    Raises:
        InputError: a setting or a file is wrong, or the folder cannot be used.

    Example:
        contextual-rnn reproduce pen-digits --out runs/pen
    """
    from . import figures

    settings = PenSettings.of(options | ({"epochs": 2, "rows": 300} if smoke else {}))
    files = [find(file, data) for file in (PEN_DIGITS_TRAINING, PEN_DIGITS_TEST)]
    whole = [PenDigits.read(file) for file in files]
    hashes, (training, test) = [one.sha256 for one in whole], (one.first(settings.rows) for one in whole)
    experiment = Experiment.open(out, "{label}", settings, resume=resume, jobs=jobs, cluster=cluster, sha256=hashes)
    kinds = [{"label": label} for label in settings.labels]
    runs = experiment.train(kinds, settings, functools.partial(train, training, test), "pen digits")
    ours = {"label": "initial-state"}
    pairs = [(ours, kind) for kind in kinds if kind != ours and ours in kinds]
    differences = compare(runs, pairs, METRICS[:2])
    real_accuracy, shortfall = accuracy(test, training), _shortfall(runs)
    verdict = [
        *table(runs, FACTORS, METRICS),
        f"A classifier that is trained on real digits has an accuracy of {real_accuracy:.2f}% on real test digits.",
        *_shortfall_in_words(shortfall),
        *sentences(differences, METRICS),
    ]
    models = {label: experiment.model({"label": label, "seed": 0}) for label in settings.labels}
    draws = {
        "digits": lambda: figures.digits(models, training),
        "scores": lambda: figures.scores(runs, METRICS),
    }
    if "initial-state" in models:
        draws["initial_states"] = lambda: figures.initial_states(models["initial-state"])
    more = {"shortfall": shortfall, "real_accuracy": real_accuracy}
    return experiment.finish(runs, FACTORS, differences, verdict, draws, METRICS, **more)


def train(
    whole: PenDigits, test: PenDigits, settings: PenSettings, config: dict[str, Any], folder: pathlib.Path
) -> dict[str, Any]:
    """Train one model, and return its metrics and those of the digits that it generates."""
    seed = config["seed"]
    training, validation = whole.split(settings.validation_share)
    torch.manual_seed(seed)
    model = PenModel(config["label"])
    history = fit_and_save(
        model,
        loss,
        shuffled(training.points, training.digit, batch_size=settings.batch_size),
        settings,
        seed=seed,
        schedule="cosine",
        evaluate=lambda model: {"validation_log_likelihood": float(model.log_likelihood(validation).mean())},
        folder=folder,
    )
    last = {"validation_log_likelihood": history[-1]["validation_log_likelihood"]}
    return {"metrics": {**scores(model, whole, test, seed), **last}}


def _shortfall(runs: list[Row]) -> dict[str, Any] | None:
    """Return how far the label in h0 stays behind the label at every step in `tstr_accuracy`, in points, by seed."""
    of = {(run["label"], run["seed"]): run["metrics"]["tstr_accuracy"] for run in runs}
    seeds = sorted({seed for label, seed in of if label == "initial-state" and ("every-step", seed) in of})
    if not seeds:
        return None
    return dataclasses.asdict(mean_interval([of["every-step", seed] - of["initial-state", seed] for seed in seeds]))


def _shortfall_in_words(shortfall: dict[str, Any] | None) -> list[str]:
    if shortfall is None or shortfall["high"] is None:
        return []
    return [
        f"Trained on generated digits, the label in h0 alone is {shortfall['middle']:.2f} percentage points behind the "
        f"label at every step (95% interval {shortfall['low']:.2f} to {shortfall['high']:.2f})."
    ]
