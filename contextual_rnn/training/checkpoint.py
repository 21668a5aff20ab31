"""A checkpoint: all that training needs to go on as if it had never stopped, in one file."""

from __future__ import annotations

import json
import os
import pathlib

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

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
        part = self.path.with_suffix(".part")
        copies = {name: value.detach().cpu().clone() for name, value in tensors.items()}  # tied tensors share memory
        save_file(copies, str(part), metadata={"history": json.dumps(history)})
        os.replace(part, self.path)

    def load(self) -> list[dict[str, float]]:
        """Put everything back as it was and return the history; an empty one where there is no checkpoint yet."""
        if self.path is None or not self.path.exists():
            return []
        with safe_open(str(self.path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            history = json.loads(file.metadata()["history"])
        self.module.load_state_dict(_under("module", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer", tensors).items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        return history


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix + "."): value for name, value in tensors.items() if name.startswith(prefix + ".")}
