"""The configuration of a module: its class and the arguments that build it, as data for JSON.

Only registered classes are built, so a file cannot make other code run.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pathlib
import pkgutil
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from ..errors import InputError
from .recorded import Unsupported, plain, record_arguments, recorded_arguments

_REGISTRY: dict[str, type[nn.Module]] = {}
_RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size")
_ARGUMENTS = {nn.LSTM: _RECURRENT, nn.GRU: _RECURRENT[:-1], nn.RNN: (*_RECURRENT[:-1], "nonlinearity")}
_ROOT = __name__.split(".")[0]
MOST_MODULES = 20_000
_LATE = ("jobs", "papers")  # packages whose models are registered when a file names them

Class = TypeVar("Class", bound=type[nn.Module])


@overload
def register(cls: Class, *, formerly: tuple[str, ...] = ()) -> Class: ...
@overload
def register(*, formerly: tuple[str, ...] = ()) -> Callable[[Class], Class]: ...
def register(cls: Any = None, *, formerly: tuple[str, ...] = ()) -> Any:
    """Register a class, so that it can be saved and loaded by its name; a decorator, with or without arguments.

    The arguments of every later call of `__init__` are recorded and saved in files. They may be modules, numbers,
    strings, dataclasses, and tuples, lists and dicts of these. A file describes a module as it is when it is saved:

    - A module argument is described as it is at that time, even if it was replaced after construction. A recurrent core
      that is not stored as a submodule is described by the shapes of its state.
    - An argument that is also an attribute of the same name is described by the attribute.
    - A class with a method `config()` is described by the dict of arguments that this method returns.

    A class may have a classmethod `upgrade(arguments, path)`, which converts the arguments in older files. `load` calls
    it with the arguments in a file and the path of that file, and builds the module with the arguments that it returns.

    Args:
        cls: the class, a subclass of `nn.Module`.
        formerly: former names of the class; files with these names are loaded as this class.

    Raises:
        ValueError: another class is registered by one of these names.
    """
    if cls is None:
        return lambda decorated: register(decorated, formerly=formerly)
    names = (cls.__name__, *formerly)
    for name in names:
        known = _REGISTRY.get(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(f"a class named {name} is already registered: {known.__module__}")
    record_arguments(cls)
    _REGISTRY.update(dict.fromkeys(names, cls))
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
    """Return the configuration that builds a module: its class and arguments, as data for JSON.

    A module that occurs twice, such as one network for the mean and the scale, is described once.

    Raises:
        TypeError: its class, or that of a submodule, is not registered, or an argument is not known or cannot be
            represented in JSON.
        ValueError: a submodule that was an argument has been removed, or has a parametrisation.
    """
    return _describe(module, {})


def registered(name: str) -> type[nn.Module] | None:
    """Return the class that is registered by a current or former name; None if there is none.

    If the name is not known, the modules of this package that register models are imported first.
    """
    if name not in _REGISTRY:
        for late in _late_modules():
            importlib.import_module(late)
    return _REGISTRY.get(name)


def build(config: dict[str, Any], path: pathlib.Path | None = None) -> nn.Module:
    """Build the module that `module_config` described, with fresh weights.

    Args:
        config: the description.
        path: the file that contains it, passed to the classmethod `upgrade` of a class; None calls no `upgrade`.

    Raises:
        InputError: the description names a class that is not registered, or has more than `MOST_MODULES` modules; one
            that occurs at several places counts at each of them, as it does in `module.apply`.
    """
    return _Builder(path).build(config)


def _late_modules() -> Iterator[str]:
    """Yield the names of the modules `model` and `*_model` in every job and paper, and of single-module papers."""
    for package in _LATE:
        for name, is_package in _modules_in(f"{_ROOT}.{package}"):
            if not is_package:
                yield name
                continue
            inner = [module for module, _ in _modules_in(name)]
            yield from (module for module in inner if module.endswith((".model", "_model")))


def _modules_in(package: str) -> Iterator[tuple[str, bool]]:
    """Yield the name of each module in a package, and whether it is a package itself, without importing it."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    for module in pkgutil.iter_modules(places or [], f"{package}."):
        yield module.name, module.ispkg


def _describe(module: nn.Module, numbers: dict[nn.Module, int]) -> dict[str, Any]:
    """Return the configuration; `numbers` counts the modules in the order in which `_build` completes them."""
    module = compiled_from(module)
    if module in numbers:
        return {"shared": numbers[module]}
    name = _registered_name(module)
    config: dict[str, Any] = {"class": name}
    if type(module).__init__ is nn.Sequential.__init__:
        layers = module._modules
        config["layers"] = [_describe(layer, numbers) for layer in layers.values() if layer is not None]
        if list(layers) != [str(number) for number in range(len(layers))]:
            config["names"] = list(layers)
    else:
        positional, named = _arguments(module)
        if positional:
            config["positional"] = [_encode(value, f"{name}'s *args", numbers) for value in positional]
        config["arguments"] = {key: _encode(value, f"{name}.{key}", numbers) for key, value in sorted(named.items())}
    numbers[module] = len(numbers)
    return config


def compiled_from(module: nn.Module) -> nn.Module:
    """Return the original of a module that `torch.compile` returned; any other module is returned unchanged."""
    return module._modules["_orig_mod"] or module if type(module).__name__ == "OptimizedModule" else module


def _registered_name(module: nn.Module) -> str:
    cls = type(module)
    if _REGISTRY.get(cls.__name__) is cls:
        return cls.__name__
    if is_parametrized(module):
        raise ValueError(
            f"a {cls.__mro__[1].__name__} with a parametrisation cannot be saved: remove it with "
            "torch.nn.utils.parametrize.remove_parametrizations, or apply it in the __init__ of a registered class"
        )
    if isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        raise ValueError(f"a {cls.__name__} cannot be saved: save the wrapped module, its attribute module")
    name = f"{cls.__module__}.{cls.__name__}" if cls.__name__ in _REGISTRY else cls.__name__
    raise TypeError(f"{name} cannot be saved: decorate it with contextual_rnn.register")


class _Builder:
    """Builds modules from their descriptions.

    Args:
        path: see `build`.
    """

    def __init__(self, path: pathlib.Path | None) -> None:
        self.path = path
        self.built: list[nn.Module] = []  # in the order in which they are completed
        self.counts: list[int] = []  # of the modules in each of them, along every path
        self.count = 0  # of the modules that the description of the one at work has so far

    def build(self, config: dict[str, Any]) -> nn.Module:
        """Return the module of a description."""
        if "shared" in config:
            self._add(self.counts[config["shared"]])
            return self.built[config["shared"]]
        name, before = config["class"], self.count
        cls = registered(name)
        if cls is None:
            raise InputError(
                f"the file contains a {name}, which is not registered: import the module that registers it"
            )
        self._add(1)
        if "layers" in config:
            layers = [self.build(layer) for layer in config["layers"]]
            names = config.get("names", [str(number) for number in range(len(layers))])
            module = cls(OrderedDict(zip(names, layers, strict=True)))
        else:
            positional = [self._decode(value) for value in config.get("positional", ())]
            named = {key: self._decode(value) for key, value in sorted(config["arguments"].items())}
            upgrade = getattr(cls, "upgrade", None)
            module = cls(*positional, **(named if upgrade is None or self.path is None else upgrade(named, self.path)))
        self.built.append(module)
        self.counts.append(self.count - before)
        return module

    def _add(self, count: int) -> None:
        self.count += count
        if self.count > MOST_MODULES:
            raise InputError(f"the configuration has more than {MOST_MODULES} modules")

    def _decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "module" in value:
            return self.build(value["module"])
        if "tuple" in value:
            return tuple(self._decode(item) for item in value["tuple"])
        return {key: self._decode(item) for key, item in sorted(value["dict"].items())}


def _arguments(module: nn.Module) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments that rebuild a module: from config(), from the record, or from attributes of their names."""
    config = getattr(module, "config", None)
    if callable(config):
        return [], config()
    return recorded_arguments(module) or ([], _from_attributes(module))


def _from_attributes(module: nn.Module) -> dict[str, Any]:
    initialise = type(module).__init__
    for cls, names in _ARGUMENTS.items():
        if initialise is vars(cls)["__init__"]:
            return {name: getattr(module, name) for name in names}
    kept = {**module._modules, **vars(module)}
    if "bias" in module._parameters:
        kept["bias"] = module._parameters["bias"] is not None
    parameters = [] if initialise is nn.Module.__init__ else list(inspect.signature(initialise).parameters)[1:]
    lost = [name for name in parameters if name not in kept]
    if lost and not type(module).__module__.startswith("torch."):  # torch stores all but device and dtype
        raise TypeError(
            f"{type(module).__name__} cannot be saved: it has no attribute {lost[0]}, an argument of its __init__; "
            "register the class before creating the module, or give it a method config() that returns all arguments"
        )
    return {name: kept[name] for name in parameters if name in kept}


def _encode(value: Any, where: str, numbers: dict[nn.Module, int]) -> Any:
    if isinstance(value, nn.Module):
        return {"module": _describe(value, numbers)}
    value = plain(value)
    if isinstance(value, Unsupported):
        raise TypeError(
            f"{where} cannot be saved: expected a module, number, string, tuple, list or dict with string keys, found "
            f"a {value.kind}"
        )
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, where, numbers) for item in value]}
    if isinstance(value, list):
        return [_encode(item, where, numbers) for item in value]
    if isinstance(value, dict):
        return {"dict": {key: _encode(item, where, numbers) for key, item in sorted(value.items())}}
    return value
