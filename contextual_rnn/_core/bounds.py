"""Build a module from a file without taking more memory or time than the tensors in the file need."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from ..errors import InputError
from .module_config import MOST_MODULES, build

SPARE = 1000  # tensors that a module may have while it is built, besides those that it has in the end


@contextlib.contextmanager
def at_most(tensors: int, modules: int) -> Iterator[None]:
    """Raise InputError as soon as this thread has registered more parameters, buffers or submodules than these."""
    thread, left = threading.get_ident(), {"tensors": tensors, "modules": modules}

    def count(kind: str) -> None:
        if threading.get_ident() == thread:
            left[kind] -= 1
            if left[kind] < 0:
                raise InputError(f"the configuration builds more {kind} than the file has")

    def tensor_registered(module: nn.Module, name: str, tensor: Any) -> None:
        count("tensors")

    def module_registered(module: nn.Module, name: str, child: Any) -> None:
        count("modules")

    hooks = [
        torch_module.register_module_parameter_registration_hook(tensor_registered),
        torch_module.register_module_buffer_registration_hook(tensor_registered),
        torch_module.register_module_module_registration_hook(module_registered),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def build_without_memory(config: dict[str, Any], path: Any, tensors: int) -> nn.Module | None:
    """Build the module of a file on the device `meta`, whose tensors take no memory.

    Args:
        config: the description.
        path: of the file.
        tensors: the number of tensors in the file, those with several names counted by name.

    Returns:
        The module; None if its class reads the values of tensors while it is built, which this device has not.

    Raises:
        InputError: the module has more tensors than the file, or very many submodules.
    """
    try:
        with bounded(tensors), torch.random.fork_rng(devices=[]), warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            return build(config, path)
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):
            raise
        return None


def bounded(tensors: int) -> contextlib.AbstractContextManager[None]:
    """Return a context in which no module is built that is much larger than a file with this number of tensors."""
    return at_most(4 * tensors + SPARE, 4 * tensors + MOST_MODULES)
