"""Checkpoints: all that training needs to go on as if it had never stopped, and the weights of its best epoch."""

from __future__ import annotations

import json
import pathlib

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import InputError
from ..serialization import write_tensors

NAME = "checkpoint.safetensors"


class Checkpoint:
    """The checkpoint of a run: weights, optimiser, and the metrics so far.

    The state of the random generators is not needed: `fit` seeds them at the start of every epoch.

    Args:
        folder: where it lies; None keeps none.
        module: the model.
        optimizer: its optimiser.
    """

    def __init__(
        self,
        folder: pathlib.Path | None,
        module: nn.Module,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.path = None if folder is None else folder / NAME
        self.module, self.optimizer = module, optimizer

    def save(self, history: list[dict[str, float]]) -> None:
        """Replace the checkpoint by one of this moment; `history` holds the metrics of every epoch so far."""
        if self.path is None:
            return
        tensors = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        write_tensors(_copies(tensors), self.path, {"history": json.dumps(history)})

    def load(self) -> list[dict[str, float]]:
        """Put everything back as it was and return the history; an empty one where there is no checkpoint yet.

        Raises:
            InputError: the file is damaged.
        """
        if self.path is None or not self.path.exists():
            return []
        try:
            with safe_open(str(self.path), framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
                history = json.loads(file.metadata()["history"])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.path} is damaged ({error}): delete its folder, and the run starts anew") from None
        self.module.load_state_dict(_under("module", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer", tensors).items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        return history


class Best:
    """The weights of the best epoch so far; in a file, so that a resumed run has them too.

    Args:
        folder: where it lies; None keeps them in memory.
        module: the model.
    """

    def __init__(self, folder: pathlib.Path | None, module: nn.Module) -> None:
        self.path = None if folder is None else folder / "best.safetensors"
        self.module, self.tensors = module, dict[str, Tensor]()

    def save(self) -> None:
        """Keep the weights of this moment instead of those before."""
        self.tensors = _copies(self.module.state_dict())
        if self.path is not None:
            write_tensors(self.tensors, self.path)

    def load(self) -> None:
        """Put them back into the model."""
        self.module.load_state_dict(self.tensors if self.path is None else load_file(self.path))


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}  # tied tensors share memory


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix + "."): value for name, value in tensors.items() if name.startswith(prefix + ".")}
