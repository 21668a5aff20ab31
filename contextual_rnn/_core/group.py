"""A group of processes that train one model together.

Each process computes the gradient of its rows of every minibatch. One sum over all processes per step gives each of
them the gradient of the whole minibatch, so that all take the steps that a single process takes.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError

_CURRENT: ContextVar[Group | None] = ContextVar("group", default=None)


class LostProcessError(InputError):
    """Another process of a group has ended."""


class Group:
    """The processes that train one model, which talk to each other by `torch.distributed`.

    Args:
        fabric: Lightning's Fabric, launched in every process.

    Attributes:
        rank: the number of this process; process 0 writes the files.
        size: the number of processes.
    """

    def __init__(self, fabric: Any) -> None:
        self.fabric = fabric
        self.rank, self.size = int(fabric.global_rank), int(fabric.world_size)
        self.rows = 0  # of the minibatch whose gradients are computed
        self.common = torch.get_rng_state()  # of the random numbers that all processes draw alike

    def broadcast(self, value: Any = None) -> Any:
        """Return the value that process 0 gives; the others wait for it."""
        with _talking():
            return self.fabric.broadcast(value)

    def share_state(self, module: nn.Module, optimizer: Any, history: list[Any]) -> list[Any]:
        """Give every process the weights, the state of the optimiser and the history of process 0."""
        kept = _on_cpu(optimizer.state_dict()) if history and self.rank == 0 else None
        weights, kept, history = self.broadcast((_on_cpu(dict(module.state_dict())), kept, history))
        if self.rank:
            module.load_state_dict(weights)
            if kept is not None:
                optimizer.load_state_dict(kept)
        return history

    def share_weights(self, module: nn.Module) -> None:
        """Give every process the weights of process 0."""
        module.load_state_dict(self.broadcast(_on_cpu(dict(module.state_dict()))))

    def batches(self, batches: Iterable[Any], seed: Sequence[int]) -> Iterator[Any]:
        """Yield minibatches that are the same in every process; what is drawn between them differs by process.

        Args:
            batches: draw from torch's global generator.
            seed: of what the processes draw themselves, such as noise.
        """
        self.common, given = torch.get_rng_state(), iter(batches)
        torch.manual_seed(int(np.random.SeedSequence([*seed, self.rank + 1]).generate_state(1)[0]))
        while True:
            with self._alike():
                batch = next(given, None)
            if batch is None:
                return
            yield batch

    @contextlib.contextmanager
    def _alike(self) -> Iterator[None]:
        """Draw the random numbers that all processes draw alike, as a single process would."""
        own = torch.get_rng_state()
        torch.set_rng_state(self.common)
        try:
            yield
        finally:
            self.common = torch.get_rng_state()
            torch.set_rng_state(own)

    def draw(self, draw: Callable[[int], Tensor]) -> Tensor:
        """Return this process's rows of random numbers for the whole minibatch."""
        with self._alike():
            return select(draw(self.rows), self._own(self.rows))

    def _own(self, rows: int) -> slice:
        """Return the rows of this process; one of another process if there are too few rows."""
        return slice(self.rank, None, self.size) if self.rank < rows else slice(0, 1)

    def gradients(
        self,
        parameters: Sequence[nn.Parameter],
        batch: Any,
        loss: Callable[[Any], Tensor],
        count: Callable[[Any], float] | None,
    ) -> float:
        """Set the gradients of the loss of a whole minibatch, in every process, and return the loss.

        The loss L is a mean over n items, of which process r has n_r, with the mean L_r over them:

            L = sum_r (n_r / n) L_r

        Args:
            parameters: of the model.
            batch: the whole minibatch; process r takes the rows r, r + size, and so on.
            loss: returns the loss of the rows.
            count: returns the number of items whose mean a loss is; None counts rows.
        """
        self.rows = _size(batch)
        own = select(batch, self._own(self.rows))
        total = float(count(batch)) if count else self.rows
        items = float(count(own)) if count else _size(own)
        weight = items / total if total else 1 / self.size
        if self.rank >= self.rows:
            weight = 0.0
        value = loss(own)  # without rows of its own, too, as models count their steps
        self.rows = 0
        if weight:
            value = value * weight
            value.backward()
        return self._sum(parameters, value if weight else torch.zeros_like(value))

    def _sum(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> float:
        """Replace the gradients by their sums over the processes, in one call; return the sum of the losses.

        A parameter that has no gradient in any process keeps none.
        """
        dtype = parameters[0].dtype
        for parameter in parameters:
            dtype = torch.promote_types(dtype, parameter.dtype)
        there = [float(parameter.grad is not None) for parameter in parameters]
        parts = [
            (torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).reshape(-1).to(dtype)
            for parameter in parameters
        ]
        others = torch.tensor(there, dtype=dtype, device=loss.device)
        flat = torch.cat([*parts, others, loss.detach().reshape(1).to(dtype)])
        with _talking():
            torch.distributed.all_reduce(flat)
        *found, present, whole = flat.split([*(part.numel() for part in parts), len(there), 1])
        for parameter, gradient, is_there in zip(parameters, found, present.tolist(), strict=True):
            parameter.grad = gradient.view(parameter.shape).to(parameter.dtype) if is_there else None
        return float(whole)


@contextlib.contextmanager
def _talking() -> Iterator[None]:
    """Turn the error about a process that is gone into a sentence."""
    try:
        yield
    except RuntimeError:
        raise LostProcessError(
            "another process of those that train the model together has ended; give `resume` to go on from the last "
            "epoch"
        ) from None


def current_group() -> Group | None:
    """Return the group that this process trains in; None if it trains alone."""
    return _CURRENT.get()


def draw_rows(draw: Callable[[int], Tensor], size: int) -> Tensor:
    """Return random numbers for the rows of a minibatch, which are the same however many processes share it.

    Args:
        draw: returns random numbers for a number of rows.
        size: the number of rows.
    """
    group = _CURRENT.get()
    return draw(size) if group is None or not group.rows else group.draw(draw)


@contextlib.contextmanager
def training_in(group: Group) -> Iterator[None]:
    """Let `study.fit` train in a group."""
    token = _CURRENT.set(group)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def is_launched() -> bool:
    """Return whether torchrun, or this package, has started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_slurm_task() -> bool:
    """Return whether srun has started this process as one of several tasks."""
    return "SLURM_PROCID" in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1


def join_group(accelerator: str, precision: str, devices: int, nodes: int) -> Group | None:
    """Join the group of processes that torchrun or srun has started.

    Args:
        accelerator: cpu, cuda or auto.
        precision: see `TrainingSettings`.
        devices: the number of processes per machine.
        nodes: the number of machines.

    Returns:
        The group; None if this process is the only one.

    Raises:
        InputError: another number of processes was started.
    """
    asked = devices * nodes
    if is_launched():
        size, local = (int(os.environ[name]) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
        found = local, size // local
    elif asked > 1 and is_slurm_task():
        size = int(os.environ["SLURM_NTASKS"])
        found = size // nodes, nodes
    else:
        return None
    if (asked > 1 and (devices, nodes) != found) or found[0] * found[1] != size:
        raise InputError(
            f"`devices` {devices} and `nodes` {nodes} make {asked} processes, but {found[0]} were started on each of "
            f"{found[1]} machines ({size} in all); start as many, or give other numbers"
        )
    fabric = make_fabric(accelerator, precision, devices=found[0], num_nodes=found[1], strategy="ddp")
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it says that it waits for processes
    try:
        fabric.launch()
    except RuntimeError as error:
        raise InputError(f"the processes cannot reach each other: {str(error).partition(chr(10))[0]}") from None
    return Group(fabric)


def make_fabric(accelerator: str, precision: Any, **options: Any) -> Any:
    """Return Lightning's Fabric; raise InputError if the accelerator is not available."""
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    if accelerator == "auto" and not torch.accelerator.is_available():
        accelerator = "cpu"
    try:
        return Fabric(accelerator=accelerator, precision=precision, **options)
    except (RuntimeError, MisconfigurationException):
        few = " with so many devices" if options.get("strategy") else ""
        raise InputError(
            f"`accelerator` {accelerator} is not available on this machine{few}; give cpu or auto"
        ) from None


def select(batch: Any, rows: slice) -> Any:
    """Return some rows of a minibatch: of tensors and lists, and of tuples and dicts of these."""
    if isinstance(batch, dict):
        return {name: select(part, rows) for name, part in batch.items()}
    if isinstance(batch, tuple):
        parts = [select(part, rows) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    return batch[rows]


def _size(batch: Any) -> int:
    """Return the number of rows of a minibatch."""
    if isinstance(batch, dict):
        batch = tuple(batch.values())
    return _size(batch[0]) if isinstance(batch, tuple) else len(batch)


def _on_cpu(value: Any) -> Any:
    """Return a nested structure with all tensors on the CPU."""
    if isinstance(value, dict):
        return {key: _on_cpu(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_on_cpu(one) for one in value]
    return value.detach().cpu() if isinstance(value, Tensor) else value
