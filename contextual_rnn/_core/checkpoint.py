"""The checkpoints of a run: its weights, the state of its optimiser, and the metrics of every epoch.

The last checkpoint is written after every epoch. The one before it is flushed to the disk and kept, so that a run
survives a damaged file and a power cut.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import time
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DataWarning, InputError
from .files import sync
from .flat_adamw import MOMENTS, FlatAdamW
from .tensor_files import TensorFile, read_tensors, write_tensors

NAME = "checkpoint.safetensors"
PREVIOUS = "checkpoint-previous.safetensors"
BEST = "best.safetensors"
INTERVAL = 5.0  # least seconds between two checkpoints that are kept
_ENTRY, _FORMER_ENTRY = "checkpoint", "history"  # of the metadata; the latter in version 0.1
Metrics = dict[str, float]


def best_epoch(history: list[Metrics], minimise: tuple[str, ...]) -> int:
    """Return the number of the epoch with the smallest metrics, compared in order of priority; the first of equals.

    A metric whose name follows a minus sign is maximised.
    """
    values = [[signed(metrics, name) for name in minimise] for metrics in history]
    return 1 + values.index(min(values))


def signed(metrics: Metrics, name: str) -> float:
    """Return a metric; its negative if a minus sign is before its name, as for metrics that are to be maximised."""
    return -metrics[name[1:]] if name.startswith("-") else metrics[name]


class OtherRunError(InputError):
    """A checkpoint is that of a run with another seed or other settings."""


class Checkpoint:
    """The last checkpoint of a run, and the one before.

    It holds no state of random generators, since `fit` seeds them at the start of every epoch.

    Args:
        folder: where to write it; None writes none.
        module: the model.
        optimizer: its optimiser.
        run: what identifies the run, such as its seed and settings; JSON can hold it.
    """

    def __init__(
        self,
        folder: pathlib.Path | None,
        module: nn.Module,
        optimizer: FlatAdamW,
        run: dict[str, Any] | None = None,
    ) -> None:
        self.run = json.loads(json.dumps(run or {}))
        self.path = None if folder is None else folder / NAME
        self.module, self.optimizer = module, optimizer
        self.kept = -math.inf  # when the previous checkpoint was kept

    def save(self, history: list[Metrics]) -> None:
        """Replace the checkpoint; `history` holds the metrics of every epoch so far."""
        if self.path is None:
            return
        tensors = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        self._keep_previous(self.path)
        write_tensors(self.path, tensors, _ENTRY, {"history": history, "run": self.run}, synced=False)

    def _keep_previous(self, path: pathlib.Path) -> None:
        """Keep the checkpoint that is there, on the disk, unless another has been kept a short while ago."""
        if time.monotonic() - self.kept >= INTERVAL and path.exists():
            for file in (path, path.with_name(BEST)):
                sync(file)
            os.replace(path, path.with_name(PREVIOUS))
            self.kept = time.monotonic()

    def load(self) -> list[Metrics]:
        """Restore weights and optimiser, and return the history; it is empty if there is no checkpoint.

        If the last checkpoint is damaged, the one before it is taken, with a `DataWarning`.

        Raises:
            InputError: no checkpoint is whole, or it is that of a run with another seed or other settings.
        """
        damage = ""
        for path in () if self.path is None else (self.path, self.path.with_name(PREVIOUS)):
            if not os.path.lexists(path):
                continue
            try:
                file = read_tensors(path)
                self._check_run(file)
                tensors, history = self._read(file)
            except OtherRunError:
                raise
            except InputError as error:
                damage = damage or _damage(path, error)
                continue
            if damage:
                warnings.warn(
                    f"{damage}; training goes on from the checkpoint before, of epoch {len(history)}",
                    DataWarning,
                    stacklevel=3,
                )
                os.replace(path, self.path or path)  # so that the damaged one is never kept as the one before
            self._restore(tensors)
            return history
        if damage:
            raise InputError(
                f"{damage}, and no checkpoint before it is whole; delete its folder to start the run again"
            )
        return []

    def _check_run(self, file: TensorFile) -> None:
        """Raise OtherRunError if a file has another seed or another setting than this run."""
        run = file.header(_ENTRY).get("run", {}) if file.is_sealed and _ENTRY in file.metadata else {}
        name = next((name for name in run if name in self.run and run[name] != self.run[name]), None)
        if name is not None:
            raise OtherRunError(
                f"{file.path.parent} holds a run with `{name}` {run[name]!r}, but {self.run[name]!r} was requested; "
                "give the settings of that run, or another folder"
            )

    def _read(self, file: TensorFile) -> tuple[dict[str, Tensor], list[Metrics]]:
        """Return the tensors and the history of a file; raise InputError unless they are those of such a run."""
        history = _history(file)
        tensors = file.tensors()
        _check_same(_under("module", tensors), self.module.state_dict(), "weight")
        self._check_optimizer(_under("optimizer", tensors))
        return tensors, history

    def _check_optimizer(self, found: dict[str, Tensor]) -> None:
        """Raise InputError unless these are the moments, and their step, of some parameters of the optimiser."""
        parameters = dict(zip(map(str, self.optimizer.numbers), self.optimizer.parameters, strict=True))
        present = {name.partition(".")[0] for name in found}
        if not present <= parameters.keys():
            raise InputError("it has the state of other parameters")
        step = torch.zeros(())
        wanted = {f"{number}.{name}": parameters[number].detach() for number in present for name in MOMENTS}
        _check_same(found, wanted | {f"{number}.step": step for number in present}, "optimiser state")

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        self.module.load_state_dict(_under("module", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer", tensors).items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


class Best:
    """The weights of the best epoch so far, in a file, so that a resumed run has them too.

    Args:
        folder: where to write the file; None keeps the weights in memory.
        module: the model.
    """

    def __init__(self, folder: pathlib.Path | None, module: nn.Module) -> None:
        self.path = None if folder is None else folder / BEST
        self.module, self.tensors = module, dict[str, Tensor]()

    def save(self, epoch: int) -> None:
        """Keep the current weights, which are those after an epoch."""
        tensors = self.module.state_dict()
        if self.path is None:
            self.tensors = {name: value.detach().clone() for name, value in tensors.items()}
        else:
            write_tensors(self.path, tensors, "best", {"epoch": epoch}, synced=False)

    def check(self, history: list[Metrics], minimise: tuple[str, ...]) -> None:
        """Raise InputError unless the file has the weights of the best epoch so far, or of one to be trained again."""
        if history and self.path is not None:
            epoch, _ = self._read(self.path)
            if epoch is not None and epoch <= len(history) and epoch != best_epoch(history, minimise):
                raise self._damaged(f"it has the weights of epoch {epoch}")

    def load(self, history: list[Metrics], minimise: tuple[str, ...]) -> None:
        """Restore the kept weights; raise InputError unless they are those of the best epoch."""
        if self.path is not None:
            epoch, self.tensors = self._read(self.path)
            if epoch is not None and epoch != best_epoch(history, minimise):
                raise self._damaged(f"it has the weights of epoch {epoch}")
        self.module.load_state_dict(self.tensors)

    def _read(self, path: pathlib.Path) -> tuple[int | None, dict[str, Tensor]]:
        """Return the epoch, which is None in a file of version 0.1, and the weights."""
        try:
            file = read_tensors(path)
            if file.is_sealed:
                epoch = file.header("best")["epoch"]
            elif file.metadata:
                raise InputError("its checksum is missing")
            else:
                epoch = None
            tensors = file.tensors()
            _check_same(tensors, self.module.state_dict(), "weight")
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(error) from None
        return epoch, tensors

    def _damaged(self, error: Exception | str) -> InputError:
        return InputError(f"{_damage(self.path, error)}; delete its folder to start the run again")


def _damage(path: pathlib.Path | None, error: Exception | str) -> str:
    return f"{path} is damaged ({str(error).removeprefix(f'{path} ')})"


def _history(file: TensorFile) -> list[Metrics]:
    """Return the metrics of every epoch; raise InputError unless they are the epochs 1, 2, and so on."""
    try:
        history: Any = file.header(_ENTRY)["history"] if file.is_sealed else file.header(_FORMER_ENTRY)
        numbers = [metrics["epoch"] for metrics in history]
        are_numbers = all(isinstance(value, (int, float)) for metrics in history for value in metrics.values())
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError("it has no metrics of the epochs") from None
    if not numbers or numbers != list(range(1, len(numbers) + 1)) or not are_numbers:
        raise InputError("its metrics are not those of the epochs so far")
    return history


def _check_same(found: dict[str, Tensor], wanted: dict[str, Tensor], what: str) -> None:
    """Raise InputError unless the tensors have the names, shapes and dtypes of others."""
    name = next((name for name in {**wanted, **found} if _kind(found.get(name)) != _kind(wanted.get(name))), None)
    if name is not None:
        raise InputError(f"the {what} {name} is {_kind(found.get(name))}, not {_kind(wanted.get(name))}")


def _kind(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix + "."): value for name, value in tensors.items() if name.startswith(prefix + ".")}
