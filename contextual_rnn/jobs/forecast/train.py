"""One run of a model that forecasts: its tables, its settings, its training, its errors on the test table."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import torch
from torch import Tensor

from ...data.series import Columns
from ...errors import InputError
from ...seq2seq import make_feeding
from ...serialization import save
from ...study.fit import FitConfig, fit
from ...study.parallel import Job
from ..series.data import read_held_out, read_training, write_columns
from ..series.runs import SeriesFiles
from ..series.train import Record
from .model import ForecastConfig, ForecastModel, Stretches, random_stretches, squared_errors, windows

HELD_OUT = 0.2  # the share of each training series, its end, to choose the epoch by where there is no validation table
CHOSEN_BY = ("validation_rmse",)


@dataclasses.dataclass(frozen=True)
class ForecastTraining:
    """How to train.

    Attributes:
        epochs: of `updates` batches.
        updates: batches in an epoch, of stretches drawn at random.
        batch_size: stretches.
        learning_rate: of Adam in the first epoch; it falls to nothing by a cosine.
        weight_decay: of AdamW.
        clip: the greatest norm of the gradient.
        feeding: what the decoder is fed: truth, or its own output now and then.
        sampling: the probability of its own output in the last epoch; it grows from 0.
        accelerator: where to train.
    """

    epochs: int = 40
    updates: int = 50
    batch_size: int = 32
    learning_rate: float = 5e-3
    weight_decay: float = 0.1
    clip: float = 1.0
    feeding: str = "output"
    sampling: float = 1.0
    accelerator: str = "cpu"


@dataclasses.dataclass(frozen=True)
class ForecastData:
    """Series to train on, stretches to choose the epoch by, and stretches to report."""

    training: list[Record]
    validation: list[Record]
    test: list[Record]
    context: Any

    @classmethod
    def read(cls, files: SeriesFiles, config: ForecastConfig) -> ForecastData:
        """Read every table; raise InputError where one is wrong or its series are too short."""
        size = config.past + config.horizon
        training, context = read_training(files.train, files.columns, size - 2)
        test = read_held_out(files.test, files.columns, context, size - 1) if files.test else []
        if files.validation:
            validation = read_held_out(files.validation, files.columns, context, size - 1)
        else:
            training, validation = hold_out_ends(training, size)
        return cls(training, windows(validation, config), windows(test, config), context)


def hold_out_ends(training: list[Record], size: int) -> tuple[list[Record], list[Record]]:
    """Return the beginnings of series, to train on, and their ends, of `size` steps at least.

    Raises:
        InputError: none is long enough for both.
    """
    long = [record for record in training if len(record) >= 2 * size]
    if not long:
        longest = max(map(len, training))
        raise InputError(
            f"the longest series has {longest} steps; past and horizon take {size}, and twice that is needed to train "
            "on its beginning and choose by its end; give shorter ones, or a validation table"
        )
    cuts = [len(record) - max(size, int(HELD_OUT * len(record))) for record in long]
    short = [record for record in training if size <= len(record) < 2 * size]
    beginnings = [record.part(0, cut) for record, cut in zip(long, cuts, strict=True)]
    ends = [record.part(cut, len(record)) for record, cut in zip(long, cuts, strict=True)]
    return beginnings + short, ends


def job(name: str, model: ForecastConfig, training: ForecastTraining, files: SeriesFiles, seed: int) -> Job:
    """Return a run."""
    config = {
        "model": dataclasses.asdict(model),
        "training": dataclasses.asdict(training),
        "files": dataclasses.asdict(files),
        "seed": seed,
    }
    return Job(name, config, training.epochs)


def train(config: dict[str, Any], folder: pathlib.Path) -> dict[str, Any]:
    """Do one run; return its metrics, and the squared errors of the test by series and by step of the horizon."""
    kept, model_config = config["files"], ForecastConfig(**config["model"])
    columns = Columns.from_json(kept["columns"])
    files = SeriesFiles(kept["train"], columns, kept["validation"], kept["test"])
    data, seed = ForecastData.read(files, model_config), config["seed"]
    torch.manual_seed(seed)
    model, history = _fit(model_config, ForecastTraining(**config["training"]), data, seed, folder)
    write_columns(folder, columns, data.context)
    save(model, folder / "model.safetensors")
    best = min(history, key=lambda metrics: metrics[CHOSEN_BY[0]])
    metrics = {name: best[name] for name in (*CHOSEN_BY, "epoch")}
    if not data.test:
        return {"metrics": metrics}
    errors = squared_errors(model, data.test)
    return {
        "metrics": {**scores(errors), **metrics},
        "squared_error_by_series": by_series(errors, data.test),
        "rmse_by_step": errors.mean(0).sqrt().tolist(),
    }


def unit_in_words(columns: Columns) -> str:
    """Return what errors are counted in."""
    return "the target's own unit" if len(columns.targets) == 1 else "standard deviations of each target in training"


def by_series(errors: Tensor, stretches: list[Record]) -> list[float]:
    """Return the mean of squared errors (N, horizon) over each series' stretches."""
    rows: dict[str, list[int]] = {}
    for row, record in enumerate(stretches):
        rows.setdefault(record.name, []).append(row)
    return [float(errors[chosen].mean()) for chosen in rows.values()]


def scores(errors: Tensor) -> dict[str, float]:
    """Return the metrics of squared errors (N, horizon)."""
    return {"rmse": float(errors.mean().sqrt()), "last_step_rmse": float(errors[:, -1].mean().sqrt())}


def _fit(
    config: ForecastConfig, training: ForecastTraining, data: ForecastData, seed: int, folder: pathlib.Path
) -> tuple[ForecastModel, list[dict[str, float]]]:
    first = data.training[0]
    model = ForecastModel(config, first.inputs.shape[1], first.targets.shape[1], len(first.context))
    model.standardise(torch.cat([r.inputs for r in data.training]), torch.cat([r.targets for r in data.training]))
    feeding = make_feeding(training.feeding, training.sampling, training.epochs * training.updates, seed)

    def loss(model: ForecastModel, batch: Stretches) -> Tensor:
        found = model.loss(batch, feeding)
        model.updates.add_(1)
        return found

    def evaluate(model: ForecastModel) -> dict[str, float]:
        return {"validation_rmse": float(squared_errors(model, data.validation).mean().sqrt())}

    settings = FitConfig(
        training.epochs,
        training.learning_rate,
        training.clip,
        training.weight_decay,
        "cosine",
        seed,
        training.accelerator,
        CHOSEN_BY,
    )
    batches = random_stretches(data.training, config.past + config.horizon, training.batch_size, training.updates)
    return model, fit(model, loss, batches, settings, evaluate=evaluate, folder=folder)
