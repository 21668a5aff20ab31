"""Record the arguments that a module is constructed with, so that it can be described in a file.

A record contains no modules and no tensors. For a module, it stores the path of the submodule; for a recurrent core
that is not a submodule, it stores the shapes of its state. So a record can be copied and pickled with its module.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from .state import state_shapes

_RECORD = "_recorded_arguments"
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclasses.dataclass(frozen=True)
class Submodule:
    """An argument that is a module, represented by the path of the submodule."""

    path: str


@dataclasses.dataclass(frozen=True)
class Unsupported:
    """An argument that cannot be saved, represented by its description, such as the name of its type."""

    kind: str


@dataclasses.dataclass(frozen=True)
class Record:
    """The arguments of one call of `__init__`.

    Attributes:
        positional: the arguments that can be passed by position only, such as those of `*args`.
        named: all other arguments by name, defaults included.
        attributes: the names of the arguments whose value is read from the attribute of the same name when needed.
    """

    positional: list[Any]
    named: dict[str, Any]
    attributes: frozenset[str]


def record_arguments(cls: type[nn.Module]) -> None:
    """Make `cls.__init__` record its arguments; classes of PyTorch, and those that record already, stay unchanged."""
    definer = _definer(cls)
    if definer.__module__.startswith("torch.") or hasattr(vars(definer)["__init__"], _RECORD):
        return
    inherited = definer is not cls

    def initialise(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        super(cls, self).__init__(*args, **kwargs)

    recording = _recording(cls, functools.wraps(cls.__init__)(initialise) if inherited else cls.__init__)
    setattr(recording, _RECORD, True)
    type.__setattr__(cls, "__init__", recording)


def recorded_arguments(module: nn.Module) -> tuple[list[Any], dict[str, Any]] | None:
    """Return the arguments that build a module as it is now, positional and named; None if none were recorded.

    If a submodule, or an attribute with the name of an argument, has been replaced, the new value is returned.

    Raises:
        ValueError: a submodule that was an argument has been removed.
    """
    record = vars(module).get(_RECORD)
    if record is None:
        return None
    named = {
        name: _attribute(module, name) if name in record.attributes else _resolve(value, module)
        for name, value in record.named.items()
    }
    return [_resolve(value, module) for value in record.positional], named


def plain(value: Any) -> Any:
    """Copy numbers, strings, None, and lists, tuples and dicts of these; a dataclass becomes a dict.

    Modules are returned unchanged, and anything else becomes `Unsupported`.
    """
    if value is None or isinstance(value, (bool, int, float, str, nn.Module, Submodule, Unsupported)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, (tuple, list)):
        return (tuple if isinstance(value, tuple) else list)(plain(item) for item in value)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    return Unsupported(type(value).__name__)


def is_plain(value: Any) -> bool:
    """Return whether `value`, a result of `plain`, contains no module and nothing unsupported."""
    if isinstance(value, (nn.Module, Submodule, Unsupported)):
        return False
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return all(map(is_plain, items))


def same(value: Any, other: Any) -> bool:
    """Return whether two plain values are equal in a file; NaN equals NaN."""
    return json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)


def _definer(cls: type) -> type:
    return next(base for base in cls.__mro__ if "__init__" in vars(base))


def _recording(cls: type[nn.Module], initialise: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(initialise)

    @functools.wraps(initialise)
    def recording(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        if _definer(type(self)) is not cls:  # a subclass with its own __init__, which calls this one
            return initialise(self, *args, **kwargs)
        arguments = _bind(signature, self, args, kwargs)
        if arguments is None:
            return initialise(self, *args, **kwargs)  # raises the TypeError of a wrong call
        positional, named = _split(signature, arguments)  # before __init__, which may modify a list
        initialise(self, *args, **kwargs)
        named = {name: _without_modules(value, self, name) for name, value in named.items()}
        attributes = frozenset(name for name, value in named.items() if _is_kept(self, name, value))
        vars(self)[_RECORD] = Record([_without_modules(value, self) for value in positional], named, attributes)
        return None

    return recording


def _bind(signature: inspect.Signature, self: Any, args: Any, kwargs: Any) -> dict[str, Any] | None:
    """Return all arguments by name, defaults included; None if the call does not fit the signature."""
    try:
        bound = signature.bind(self, *args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    return bound.arguments


def _split(signature: inspect.Signature, arguments: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that must be passed by position, and the others by name."""
    parameters = list(signature.parameters.values())[1:]
    several = next((one.name for one in parameters if one.kind is one.VAR_POSITIONAL), None)
    by_position = several is not None and bool(arguments[several])
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in parameters:
        value = plain(arguments[parameter.name])
        if parameter.kind is parameter.VAR_POSITIONAL:
            positional += value
        elif parameter.kind is parameter.VAR_KEYWORD:
            named |= value
        elif parameter.kind is parameter.POSITIONAL_ONLY or (
            by_position and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ):
            positional.append(value)
        else:
            named[parameter.name] = value
    return positional, named


def _without_modules(value: Any, owner: nn.Module, name: str = "") -> Any:
    """Replace each module in an argument by its path, or by the state shapes of a core that is not a submodule."""
    if isinstance(value, nn.Module):
        if owner._modules.get(name) is value:
            return Submodule(name)
        paths = [path for path, module in owner.named_modules() if module is value and path]
        if paths:
            return Submodule(min(paths, key=lambda path: path.count(".")))
        try:
            return plain(state_shapes(value))
        except TypeError:
            return Unsupported(f"{type(value).__name__} that is not a submodule")
    if isinstance(value, (tuple, list)):
        return (tuple if isinstance(value, tuple) else list)(_without_modules(item, owner) for item in value)
    if isinstance(value, dict):
        return {key: _without_modules(item, owner) for key, item in value.items()}
    return value


def _is_kept(module: nn.Module, name: str, value: Any) -> bool:
    """Return whether the attribute of an argument's name is that argument, or replaces it.

    An attribute replaces the argument None, and an argument that cannot be saved.
    """
    if name not in vars(module) and name not in module._modules:
        return False
    attribute = _attribute(module, name)
    if not is_plain(attribute):
        return False
    if value is None or isinstance(value, Unsupported):
        return True
    return is_plain(value) and (attribute == value or same(attribute, value))


def _attribute(module: nn.Module, name: str) -> Any:
    """Return the attribute of a name, as `plain` returns it; a dropout layer is replaced by its probability."""
    value = vars(module)[name] if name in vars(module) else module._modules.get(name)
    return plain(value.p if isinstance(value, _DROPOUTS) else value)


def _resolve(value: Any, owner: nn.Module) -> Any:
    if isinstance(value, Submodule):
        module: nn.Module | None = owner
        for name in value.path.split("."):
            if module is None or name not in module._modules:
                raise ValueError(f"the submodule {value.path} of {type(owner).__name__} has been removed")
            module = module._modules[name]
        return module
    if isinstance(value, (tuple, list)):
        return (tuple if isinstance(value, tuple) else list)(_resolve(item, owner) for item in value)
    if isinstance(value, dict):
        return {key: _resolve(item, owner) for key, item in value.items()}
    return value
