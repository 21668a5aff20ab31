"""Models written whole to one file, weights and configuration, and read back without running code.

The file is safetensors; its header carries the configuration as JSON: for every module its class and the arguments
that build it. Only registered classes are built, so a file can name no code that was not already there.
"""

from __future__ import annotations

import inspect
import json
import os
import pathlib
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model
from torch import nn

from .errors import InputError

_REGISTRY: dict[str, type[nn.Module]] = {}
_RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size")
_ARGUMENTS = {nn.LSTM: _RECURRENT, nn.GRU: _RECURRENT[:-1], nn.RNN: (*_RECURRENT[:-1], "nonlinearity")}

Class = TypeVar("Class", bound=type[nn.Module])


def register(cls: Class) -> Class:
    """Let a class be saved and loaded, by its name; usable as a decorator.

    Its arguments come from its method `config()` if it has one, else from attributes named as the parameters of its
    `__init__`. They may be modules, numbers, text, tuples, lists and dicts of these.

    Raises:
        ValueError: another class is registered by that name.
    """
    known = _REGISTRY.setdefault(cls.__name__, cls)
    if known is not cls and known.__qualname__ != cls.__qualname__:
        raise ValueError(f"a class named {cls.__name__} is registered already: {known.__module__}")
    _REGISTRY[cls.__name__] = cls
    return cls


for _module in (
    *(nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell),
    *(nn.Linear, nn.Identity, nn.Flatten, nn.Dropout, nn.LayerNorm, nn.Embedding, nn.Conv2d, nn.MaxPool2d),
    *(nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus),
):
    register(_module)


def module_config(module: nn.Module) -> dict[str, Any]:
    """Return what builds a module: its class and arguments, as JSON takes them.

    Raises:
        TypeError: its class, or that of a module in it, is not registered.
    """
    name = type(module).__name__
    if isinstance(module, nn.Sequential) and type(module) is nn.Sequential:
        return {"class": "Sequential", "layers": [module_config(layer) for layer in module]}
    if _REGISTRY.get(name) is not type(module):
        raise TypeError(
            f"{name} cannot be saved: decorate it with contextual_rnn.register, and give it a method config() that "
            "returns the arguments of its __init__"
        )
    return {"class": name, "arguments": {key: _encode(value) for key, value in _arguments(module).items()}}


def build(config: dict[str, Any]) -> nn.Module:
    """Build the module that `module_config` described, with fresh weights.

    Raises:
        InputError: it names a class that is not registered.
    """
    if config["class"] == "Sequential":
        return nn.Sequential(*map(build, config["layers"]))
    if config["class"] not in _REGISTRY:
        raise InputError(
            f"the file holds a {config['class']}, a class not known here: import the module that registers it first"
        )
    return _REGISTRY[config["class"]](**{key: _decode(value) for key, value in config["arguments"].items()})


def save(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a module to a safetensors file, whole or not at all. The same weights give the same bytes."""
    path = pathlib.Path(path)
    header = {"class": module_config(module), "dtype": _dtype(module), "training": module.training}
    part = path.with_name(path.name + ".part")
    save_model(module, str(part), metadata={"contextual_rnn": json.dumps(header, sort_keys=True)})
    os.replace(part, path)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a module that `save` wrote, in evaluation mode as `nn.Module.eval` has it.

    Raises:
        InputError: the file is not there, is no such file, or holds a class that is not registered.
    """
    header = read_header(path)
    module = build(header["class"]).to(getattr(torch, header["dtype"]))
    load_model(module, str(path))
    return module.eval()


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the configuration in the header of a model's file; raise InputError if there is none."""
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {error}") from None
    if "contextual_rnn" not in metadata:
        raise InputError(f"{path} holds weights but no configuration: it was not written by contextual_rnn")
    return json.loads(metadata["contextual_rnn"])


def _arguments(module: nn.Module) -> dict[str, Any]:
    config = getattr(module, "config", None)
    if callable(config):
        return config()
    for cls, recurrent in _ARGUMENTS.items():
        if isinstance(module, cls):
            return {name: getattr(module, name) for name in recurrent}
    names = inspect.signature(type(module).__init__).parameters
    arguments = {name: getattr(module, name) for name in names if name in vars(module)}
    if "bias" in names:
        arguments["bias"] = module.bias is not None and module.bias is not False
    return arguments


def _encode(value: Any) -> Any:
    if isinstance(value, nn.Module):
        return {"module": module_config(value)}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item) for item in value]}
    if isinstance(value, list):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        return {"dict": {key: _encode(item) for key, item in value.items()}}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "module" in value:
        return build(value["module"])
    if "tuple" in value:
        return tuple(_decode(item) for item in value["tuple"])
    return {key: _decode(item) for key, item in value["dict"].items()}


def _dtype(module: nn.Module) -> str:
    tensors = [*module.parameters(), *module.buffers()]
    floating = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    return str(floating.pop()).removeprefix("torch.") if len(floating) == 1 else "float32"
