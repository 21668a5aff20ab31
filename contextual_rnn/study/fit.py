"""The training loop and its checkpoints. Every epoch is seeded, so that training resumes exactly."""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from .._core.checkpoint import Best, Checkpoint, Metrics, best_epoch
from .._core.flat_adamw import FlatAdamW
from .._core.gpus import own_gpu
from .._core.group import current_group, make_fabric
from .._core.settings import Settings, setting
from ..errors import InputError
from .run_folder import append_line, write_lines


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """How to train. Jobs extend this with settings of their own, and may change the defaults."""

    epochs: int = setting(40, "Number of training epochs.", group="training", least=1, tunable=True)
    batch_size: int = setting(32, "Sequences, windows or pairs in a minibatch.", group="training", least=1)
    learning_rate: float = setting(
        0.01,
        "Learning rate of AdamW in the first epoch; decayed to 0 with a cosine schedule.",
        group="training",
        above=0,
        tunable=True,
    )
    weight_decay: float = setting(0.1, "Weight decay of AdamW.", group="training", least=0, tunable=True)
    clip: float | None = setting(
        1.0, "Largest norm of the gradient; larger gradients are scaled down to it.", group="training", above=0
    )
    accelerator: Literal["cpu", "cuda", "auto"] = setting(
        "cpu", "Device to train on; auto takes a GPU if there is one.", group="training"
    )
    precision: Literal["32", "bf16-mixed"] = setting(
        "32",
        "Precision of the computation: 32 bits, or bfloat16 where it is safe, with weights of 32 bits.",
        group="training",
    )


SETTLED = {"validation": 0.05, "loss": 0.25}  # the most that an error of a finished training falls at its end


def unsettled(histories: Sequence[Sequence[Metrics]], higher: Sequence[str] = ()) -> str:
    """Return a sentence on the runs whose error was still falling when they ended; empty if most had settled.

    The lowest error of the last quarter of the epochs is compared with the lowest one before. The error is that of
    validation where a run has one, else the training loss. Runs of fewer than four epochs do not count.

    Args:
        histories: the metrics of every epoch of every run.
        higher: the validation metrics of which a higher value is better, which are passed over.
    """
    falling, name = 0, ""
    long = [history for history in histories if len(history) >= 4]
    for history in long:
        validated = [key for key in history[0] if "validation" in key and key not in higher]
        name = (validated or ["loss"])[0]
        values = [epoch[name] for epoch in history]
        start = len(values) - len(values) // 4
        before, last = min(values[:start]), min(values[start:])
        falling += before > 0 and last < (1 - SETTLED["validation" if validated else "loss"]) * before
    if not long or 2 * falling < len(long):
        return ""
    runs = f"In {falling} of {len(long)} runs, the" if len(histories) > 1 else "The"
    error, most = ("validation error", "validation") if name != "loss" else ("training loss", "loss")
    return f"{runs} {error} still fell by more than {SETTLED[most]:.0%} in the last quarter of the epochs."


class DivergedError(InputError):
    """The loss or the weights stopped being finite numbers."""


def check_finite(metrics: Metrics) -> None:
    """Raise DivergedError for the first metric that is not a finite number."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise DivergedError(
                f"the {name} became {value}; try a lower `learning_rate`, or check for very large targets"
            )


def fit(
    module: nn.Module,
    loss: Callable[[Any, Any], Tensor],
    batches: Callable[[], Iterable[Any]],
    settings: TrainingSettings,
    *,
    seed: int = 0,
    schedule: Literal["constant", "cosine"] = "constant",
    warmup: int = 0,
    evaluate: Callable[[Any], Metrics] | None = None,
    minimise: tuple[str, ...] | None = None,
    patience: int | None = None,
    until: Callable[[Metrics], bool] | None = None,
    count: Callable[[Any, Any], float] | None = None,
    on_epoch: Callable[[Metrics], None] | None = None,
    folder: pathlib.Path | None = None,
) -> list[Metrics]:
    """Train `module` in place.

    In a group of processes (see `group`), each process computes the loss of its rows of every minibatch, process 0
    evaluates and writes, and all end with the same weights and metrics.

    Args:
        module: the model; it holds the trained weights at the end.
        loss: `loss(module, batch)` returns a scalar, a mean over items.
        batches: called once per epoch for that epoch's batches. It draws from torch's global generator, which is
            seeded by (seed, epoch), so that an epoch depends on the weights and the optimiser alone.
        settings: epochs, learning rate, weight decay, gradient clipping and device.
        seed: of the order of the data and of all noise.
        schedule: "constant", or "cosine": the learning rate falls from epoch to epoch, to 0 after the last.
        warmup: the number of updates in which the learning rate grows linearly from 0 to that of the schedule.
        evaluate: called after each epoch with the module in evaluation mode and without gradients; its metrics are
            added to the epoch's.
        minimise: metrics to minimise, in order of priority; the weights of the best epoch are restored at the end.
            None keeps the weights of the last epoch.
        patience: with `minimise`, stop after this many epochs without improvement.
        until: stop as soon as this returns True for an epoch's metrics.
        count: `count(module, batch)` returns the number of items of a minibatch whose mean its loss is, which weights
            the parts of a minibatch in a group; None counts rows.
        on_epoch: called with the metrics of each epoch.
        folder: where to write `metrics.jsonl`, one line per epoch, and a checkpoint. Training resumes from a
            checkpoint that is there, and ends with exactly the weights of an uninterrupted run. A damaged checkpoint is
            reported with a `DataWarning`, and the one before it is used.

    Returns:
        The metrics of every epoch: `epoch`, `loss`, and what `evaluate` returned.

    Raises:
        DivergedError: the loss or a weight is not finite; says at which step and what to try.
        InputError: the accelerator is not available, no checkpoint in the folder is whole, or the folder holds a run
            with another seed or other settings.
    """
    device = Device(settings.accelerator, settings.precision)
    group = device.group
    is_first = group is None or group.rank == 0
    folder = folder if is_first else None
    device.move(module)
    optimizer = FlatAdamW(
        module.parameters(), settings.learning_rate, max_norm=settings.clip, weight_decay=settings.weight_decay
    )
    run = {**settings.to_json(), "seed": seed, "schedule": schedule}
    checkpoint = Checkpoint(folder, module, optimizer, run)
    best = Best(folder, module)
    history = checkpoint.load()
    if minimise is not None:
        best.check(history, minimise)
    if folder is not None:
        write_lines(folder / "metrics.jsonl", history)
    if group is not None:
        history = group.share_state(module, optimizer, history)
    for epoch in range(len(history) + 1, settings.epochs + 1):
        if history and (_is_out_of_patience(history, minimise, patience) or (until is not None and until(history[-1]))):
            break
        torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
        rate = settings.learning_rate * _decay(settings, schedule, epoch)
        drawn = batches() if group is None else group.batches(batches(), [seed, epoch])
        mean_loss = _train_epoch(device, module, optimizer, loss, count, drawn, settings, epoch, (rate, warmup))
        metrics = {"epoch": epoch, "loss": mean_loss, **_evaluate(module, evaluate)} if is_first else {}
        history.append(metrics if group is None else group.broadcast(metrics))
        if is_first and minimise is not None and best_epoch(history, minimise) == epoch:
            best.save(epoch)  # before the checkpoint: if the process dies in between, this epoch is trained again
        checkpoint.save(history)
        if folder is not None:
            append_line(folder / "metrics.jsonl", history[-1])
        if on_epoch is not None and is_first:
            on_epoch(history[-1])
    optimizer.release()
    if minimise is not None and is_first:
        best.load(history, minimise)
    if group is not None:
        group.share_weights(module)
    module.eval()
    return history


def _is_out_of_patience(history: list[Metrics], minimise: tuple[str, ...] | None, patience: int | None) -> bool:
    if minimise is None or patience is None:
        return False
    return len(history) - best_epoch(history, minimise) >= patience


class Device:
    """The device and the precision that train: Lightning's Fabric. The CPU alone needs none, which saves seconds.

    Args:
        accelerator: cpu, cuda or auto.
        precision: see `TrainingSettings`.

    Attributes:
        group: the processes that train together; None if this one trains alone.

    Raises:
        InputError: the accelerator is not available.
    """

    def __init__(self, accelerator: str, precision: str = "32") -> None:
        self.group = current_group()
        self.fabric: Any = None if self.group is None else self.group.fabric
        is_cpu = accelerator == "cpu" or (accelerator == "auto" and not torch.accelerator.is_available())
        if self.fabric is None and not (is_cpu and precision == "32"):
            devices = 1 if is_cpu else [own_gpu()]
            self.fabric = make_fabric(accelerator, precision, devices=devices)

    def move(self, module: nn.Module) -> None:
        """Move a module to the device."""
        module.to("cpu" if self.fabric is None else self.fabric.device)

    def gradients(
        self,
        module: nn.Module,
        batch: Any,
        loss: Callable[[Any, Any], Tensor],
        count: Callable[[Any, Any], float] | None = None,
    ) -> float:
        """Compute the gradients of the loss of a minibatch, which is on the CPU; return the loss.

        If the loss is not finite, gradients may be missing.
        """

        def of(part: Any) -> Tensor:
            if self.fabric is None:
                return loss(module, part)
            with self.fabric.autocast():
                return loss(module, self.fabric.to_device(part))

        if self.group is not None:
            own = [parameter for parameter in module.parameters() if parameter.requires_grad]
            return self.group.gradients(own, batch, of, functools.partial(count, module) if count else None)
        value = of(batch)
        if torch.isfinite(value):
            value.backward()
        return float(value.detach())


def check_accelerator(accelerator: str) -> None:
    """Raise InputError if an accelerator is not available, before a folder is made."""
    if accelerator != "cpu":
        Device(accelerator)


def _decay(settings: TrainingSettings, schedule: str, epoch: int) -> float:
    """Return the factor of the learning rate in an epoch.

    It depends on the epoch's number alone, so a checkpoint need not store it.
    """
    progress = (epoch - 1) / settings.epochs if schedule == "cosine" else 0.0
    return (1 + math.cos(math.pi * progress)) / 2


def _set_learning_rate(optimizer: FlatAdamW, rate: float, warmup: int) -> None:
    """Set the learning rate of the next update; it is lower in the first `warmup` updates."""
    share = min(1.0, (optimizer.updates + 1) / warmup) if warmup else 1.0
    for group in optimizer.param_groups:
        group["lr"] = rate * share


def _train_epoch(
    device: Device,
    model: nn.Module,
    optimizer: FlatAdamW,
    loss: Callable[[Any, Any], Tensor],
    count: Callable[[Any, Any], float] | None,
    batches: Iterable[Any],
    settings: TrainingSettings,
    epoch: int,
    rate_and_warmup: tuple[float, int],
) -> float:
    model.train()
    total, steps = 0.0, 0
    for steps, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        value = device.gradients(model, batch, loss, count)
        if not math.isfinite(value):
            raise _diverged(f"the loss became {value}", epoch, steps, settings)
        _set_learning_rate(optimizer, *rate_and_warmup)
        optimizer.step()
        total += value
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise _diverged("a weight is no longer a finite number", epoch, steps, settings)
    return total / max(steps, 1)


def _diverged(what: str, epoch: int, step: int, settings: TrainingSettings) -> DivergedError:
    remedy = "a lower clip" if settings.clip else "clipping the gradient"
    rate = settings.learning_rate
    return DivergedError(
        f"{what} at step {step} of epoch {epoch}; try a lower learning rate than {rate:g}, or {remedy}"
    )


def _evaluate(module: nn.Module, evaluate: Callable[[Any], Metrics] | None) -> Metrics:
    if evaluate is None:
        return {}
    module.eval()
    with torch.no_grad():
        return evaluate(module)
