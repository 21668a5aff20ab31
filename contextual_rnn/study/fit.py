"""The training loop: a module and a loss, seeded epoch by epoch so that it resumes exactly."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from ..errors import InputError
from .checkpoint import Best, Checkpoint
from .run_folder import append_line, write_lines

Metrics = dict[str, float]


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """How to train.

    Attributes:
        epochs: passes over the batches.
        learning_rate: of Adam.
        clip: the greatest norm of the gradient; None leaves it as it is.
        weight_decay: of AdamW; 0 is plain Adam.
        schedule: constant, or cosine, by which the learning rate falls from epoch to epoch, to nothing after the last.
        seed: of the order of the data and of all noise.
        accelerator: where to train: cpu, cuda, or auto for whichever is there.
        keep: numbers of `evaluate` by whose least values the weights are chosen that the module holds in the end: by
            the first number, of equal ones by the next, of wholly equal ones the earliest. None takes the last epoch's.
        patience: with `keep`, how many epochs without a new least end the training; None trains all of them.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    clip: float | None = None
    weight_decay: float = 0.0
    schedule: str = "constant"
    seed: int = 0
    accelerator: str = "cpu"
    keep: tuple[str, ...] | None = None
    patience: int | None = None


class DivergedError(InputError):
    """The loss or the weights stopped being finite numbers."""


def fit(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batches: Callable[[], Iterable[Any]],
    config: FitConfig,
    *,
    evaluate: Callable[[Any], Metrics] | None = None,
    folder: pathlib.Path | None = None,
    on_epoch: Callable[[Metrics], None] | None = None,
    until: Callable[[Metrics], bool] | None = None,
) -> list[Metrics]:
    """Train `module` in place.

    Args:
        module: the model; in the end it holds the trained weights.
        loss: `loss(module, batch)`, a scalar.
        batches: called once an epoch for that epoch's batches. It draws from torch's global generator, which is seeded
            by (seed, epoch), so that an epoch depends on nothing that went before it but weights and optimiser.
        config: how to train.
        evaluate: called after each epoch with the module in evaluation mode and no gradients; its numbers join the
            epoch's metrics.
        folder: where to write `metrics.jsonl`, a line an epoch, and a checkpoint. If one is there already, training
            goes on from it, to exactly the weights that an unbroken run would have had.
        on_epoch: called with the metrics of each epoch.
        until: whether, by an epoch's metrics, training is done before all epochs are.

    Returns:
        The metrics of every epoch: `epoch`, `loss`, and what `evaluate` returned.

    Raises:
        DivergedError: the loss or a weight is not a finite number; says at which step and what to try.
    """
    fabric = fabric_of(config.accelerator)
    model, optimizer = fabric.setup(module, _optimizer(module, config))
    checkpoint = Checkpoint(folder, module, optimizer.optimizer)
    best = Best(folder, module)
    history = checkpoint.load()
    if folder is not None:
        write_lines(folder / "metrics.jsonl", history)
    for epoch in range(len(history) + 1, config.epochs + 1):
        if history and (_is_patient_no_more(history, config) or (until is not None and until(history[-1]))):
            break
        torch.manual_seed(int(np.random.SeedSequence([config.seed, epoch]).generate_state(1)[0]))
        _set_learning_rate(optimizer, config, epoch)
        mean_loss = _train_epoch(fabric, model, optimizer, loss, batches(), config, epoch)
        history.append({"epoch": epoch, "loss": mean_loss, **_evaluate(module, evaluate)})
        if config.keep is not None and _best_epoch(history, config.keep) == epoch:
            best.save()  # before the checkpoint: were it lost, this epoch would be trained again
        checkpoint.save(history)
        if folder is not None:
            append_line(folder / "metrics.jsonl", history[-1])
        if on_epoch is not None:
            on_epoch(history[-1])
    if config.keep is not None:
        best.load()
    module.eval()
    return history


def _best_epoch(history: list[Metrics], keep: tuple[str, ...]) -> int:
    """Return the number of the epoch of the least values, of equal ones the first."""
    values = [[metrics[name] for name in keep] for metrics in history]
    return 1 + values.index(min(values))


def _is_patient_no_more(history: list[Metrics], config: FitConfig) -> bool:
    if config.keep is None or config.patience is None:
        return False
    return len(history) - _best_epoch(history, config.keep) >= config.patience


def fabric_of(accelerator: str) -> Fabric:
    """Return what trains on an accelerator; raise InputError where it is not to be had."""
    try:
        return Fabric(accelerator=accelerator, devices=1)
    except RuntimeError as error:
        raise InputError(
            f"--accelerator {accelerator} is not to be had here: {str(error).partition(chr(10))[0]}"
        ) from None


def _optimizer(module: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def _set_learning_rate(optimizer: Any, config: FitConfig, epoch: int) -> None:
    """Set that of an epoch, which depends on its number alone, so that there is nothing to resume."""
    progress = (epoch - 1) / config.epochs if config.schedule == "cosine" else 0.0
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def _train_epoch(
    fabric: Fabric,
    model: Any,
    optimizer: Any,
    loss: Callable[[Any, Any], Tensor],
    batches: Iterable[Any],
    config: FitConfig,
    epoch: int,
) -> float:
    model.train()
    total, steps = 0.0, 0
    for steps, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        value = loss(model, fabric.to_device(batch))
        if not torch.isfinite(value):
            raise _diverged(f"the loss became {float(value.detach())}", epoch, steps, config)
        fabric.backward(value)
        if config.clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        total += float(value.detach())
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise _diverged("a weight is no longer a finite number", epoch, steps, config)
    return total / max(steps, 1)


def _diverged(what: str, epoch: int, step: int, config: FitConfig) -> DivergedError:
    remedy = "a lower clip" if config.clip else "clipping the gradient"
    return DivergedError(
        f"{what} at step {step} of epoch {epoch}; try a lower learning rate than {config.learning_rate:g}, or {remedy}"
    )


def _evaluate(module: nn.Module, evaluate: Callable[[Any], Metrics] | None) -> Metrics:
    if evaluate is None:
        return {}
    module.eval()
    with torch.no_grad():
        return evaluate(module)
