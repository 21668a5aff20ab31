"""The GPUs of this machine, shared out among the runs that are trained side by side."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from contextvars import ContextVar

import torch

from ..errors import InputError

_OWN: ContextVar[int] = ContextVar("gpu", default=0)


def own_gpu() -> int:
    """Return the number of the GPU that the present run trains on."""
    return _OWN.get()


def gpus_for(accelerator: str, devices: int | None) -> int:
    """Return how many GPUs runs can be shared out among; 0 if they train on the CPU.

    Args:
        accelerator: cpu, cuda or auto.
        devices: how many to take; None takes all.

    Raises:
        InputError: the machine has fewer GPUs.
    """
    found = 0 if accelerator == "cpu" else torch.cuda.device_count()
    if devices is not None and devices > max(found, 1):
        available = f"{found} GPU is" if found == 1 else f"{found} GPUs are"
        raise InputError(f"`devices` {devices}: {available} available with `accelerator` {accelerator}; give fewer")
    return found if devices is None else min(found, devices)


@contextlib.contextmanager
def taking_gpu(folder: pathlib.Path, gpus: int, jobs: int) -> Iterator[int]:
    """Take a GPU for a run. It is one that no other run uses, as long as there are no more runs than GPUs.

    With more runs side by side, each GPU gets the same number of them. Locks are given back when a process ends,
    however it ends.

    Args:
        folder: a folder for the locks, which all processes have in common.
        gpus: the number of GPUs; with 0, nothing is taken.
        jobs: the number of runs side by side.
    """
    if not gpus:
        yield 0
        return
    from filelock import FileLock, Timeout

    for place in range(gpus * -(-jobs // gpus)):
        lock = FileLock(folder / f"gpu-{place % gpus}-{place // gpus}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        token = _OWN.set(place % gpus)
        try:
            yield place % gpus
            return
        finally:
            _OWN.reset(token)
            lock.release()
    yield 0  # more runs than were announced
