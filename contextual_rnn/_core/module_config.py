"""The configuration of a module: its class and the arguments that build it, as JSON takes them.

Only registered classes are built, so that a file can name no code that was not already there.
"""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from torch import nn

from ..errors import InputError

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
    known = _REGISTRY.get(cls.__name__, cls)
    if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(f"a class named {cls.__name__} is registered already: {known.__module__}")
    _REGISTRY[cls.__name__] = cls
    return cls


for _module in (
    *(nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell),
    *(
        nn.Sequential,
        nn.Linear,
        nn.Identity,
        nn.Flatten,
        nn.Dropout,
        nn.LayerNorm,
        nn.Embedding,
        nn.Conv2d,
        nn.MaxPool2d,
    ),
    *(nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.ELU, nn.LeakyReLU, nn.Softplus),
):
    register(_module)


def module_config(module: nn.Module) -> dict[str, Any]:
    """Return what builds a module: its class and arguments, as JSON takes them.

    A module that stands in it twice, such as a network that gives the mean and the scale, is built once.

    Raises:
        TypeError: its class, or that of a module in it, is not registered, or an argument is not known or no JSON.
    """
    return _describe(module, {})


def registered(name: str) -> type[nn.Module] | None:
    """Return the class that is registered by a name; None where there is none."""
    return _REGISTRY.get(name)


def build(config: dict[str, Any]) -> nn.Module:
    """Build the module that `module_config` described, with fresh weights.

    Raises:
        InputError: it names a class that is not registered.
    """
    return _build(config, [])


def _describe(module: nn.Module, numbers: dict[nn.Module, int]) -> dict[str, Any]:
    """Return the config; `numbers` counts the modules in the order in which `_build` finishes them."""
    if module in numbers:
        return {"shared": numbers[module]}
    name = type(module).__name__
    if _REGISTRY.get(name) is not type(module):
        raise TypeError(
            f"{name} cannot be saved: decorate it with contextual_rnn.register, and give it a method config() that "
            "returns the arguments of its __init__"
        )
    config: dict[str, Any] = {"class": name}
    if isinstance(module, nn.Sequential) and name == "Sequential":
        config["layers"] = [_describe(layer, numbers) for layer in module]
    else:
        arguments = sorted(_arguments(module).items())
        config["arguments"] = {key: _encode(value, f"{name}.{key}", numbers) for key, value in arguments}
    numbers[module] = len(numbers)
    return config


def _build(config: dict[str, Any], built: list[nn.Module]) -> nn.Module:
    if "shared" in config:
        return built[config["shared"]]
    name = config["class"]
    if name not in _REGISTRY:
        raise InputError(f"the file holds a {name}, a class not known here: import the module that registers it first")
    if name == "Sequential":
        module: nn.Module = nn.Sequential(*(_build(layer, built) for layer in config["layers"]))
    else:
        arguments = sorted(config["arguments"].items())
        module = _REGISTRY[name](**{key: _decode(value, built) for key, value in arguments})
    built.append(module)
    return module


def _arguments(module: nn.Module) -> dict[str, Any]:
    """Return what `__init__` was called with: from config(), else from the attributes of the same names."""
    config = getattr(module, "config", None)
    if callable(config):
        return config()
    initialise = type(module).__init__
    for cls, names in _ARGUMENTS.items():
        if initialise is vars(cls)["__init__"]:
            return {name: getattr(module, name) for name in names}
    kept = {**module._modules, **vars(module)}
    if "bias" in module._parameters:
        kept["bias"] = module._parameters["bias"] is not None
    parameters = [] if initialise is nn.Module.__init__ else list(inspect.signature(initialise).parameters)[1:]
    lost = [name for name in parameters if name not in kept]
    if lost and not type(module).__module__.startswith("torch."):  # torch keeps all but device and dtype
        raise TypeError(
            f"{type(module).__name__} cannot be saved: it keeps no attribute {lost[0]}, an argument of its __init__; "
            "give it a method config() that returns them all"
        )
    return {name: kept[name] for name in parameters if name in kept}


def _encode(value: Any, where: str, numbers: dict[nn.Module, int]) -> Any:
    if isinstance(value, nn.Module):
        return {"module": _describe(value, numbers)}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, where, numbers) for item in value]}
    if isinstance(value, list):
        return [_encode(item, where, numbers) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encode(item, where, numbers) for key, item in sorted(value.items())}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{where} cannot be saved: a {type(value).__name__} where a module, number, text, tuple, list or dict with "
        "text for keys is right"
    )


def _decode(value: Any, built: list[nn.Module]) -> Any:
    if isinstance(value, list):
        return [_decode(item, built) for item in value]
    if not isinstance(value, dict):
        return value
    if "module" in value:
        return _build(value["module"], built)
    if "tuple" in value:
        return tuple(_decode(item, built) for item in value["tuple"])
    return {key: _decode(item, built) for key, item in sorted(value["dict"].items())}
