"""Compare a module with the one that its configuration builds, so that nothing is lost by saving and loading it."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from .module_config import build, compiled_from
from .recorded import is_plain, plain, same

_PARAMETRISED = (
    "weight_norm, spectral_norm, a parametrisation or pruning cannot be saved unless the __init__ of a registered "
    "class applies it: remove it first"
)


def differences(module: nn.Module, config: dict[str, Any]) -> dict[str, Any]:
    """Return the differences from `build(config)` that a file can record: tied tensors and `requires_grad`.

    Returns:
        A dict with `"ties"`, which maps the name of a tied tensor to the first name of the same tensor, and
        `"requires_grad"`, which maps the name of a tensor to its value; empty entries are left out.

    Raises:
        ValueError: the module has been changed in a way that a file cannot record.
    """
    rebuilt = _build_quietly(config)
    own, other = modules_by_name(module), modules_by_name(rebuilt)
    _check_modules(own, other)
    tensors, built = named_tensors(module), named_tensors(rebuilt)
    _check_tensors(tensors, built)
    for name in own:
        _check_hooks(name, own[name], other[name])
        _check_attributes(name, own[name], other[name])
    found: dict[str, Any] = {"ties": _new_ties(tensors, built)}
    found["requires_grad"] = {
        name: tensor.requires_grad
        for name, tensor in tensors.items()
        if name not in found["ties"] and tensor.requires_grad != built[name].requires_grad
    }
    return {key: value for key, value in found.items() if value}


def modules_by_name(module: nn.Module) -> dict[str, nn.Module]:
    """Return the module and all its submodules by name; a module that occurs twice has both names.

    A module that `torch.compile` returned is replaced by its original.
    """
    module = compiled_from(module)
    found = {"": module}
    for name, child in module._modules.items():
        for inner, one in modules_by_name(child).items() if child is not None else ():
            found[f"{name}.{inner}" if inner else name] = one
    return found


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and persistent buffers by name; a tensor that occurs twice has both names.

    Raises:
        ValueError: the state of a module contains anything other than tensors, such as from `get_extra_state`.
    """
    state = module.state_dict(keep_vars=True)
    strange = next((name for name, tensor in state.items() if not isinstance(tensor, Tensor)), None)
    if strange is not None:
        raise ValueError(f"{strange} cannot be saved: it is not a tensor")
    return {name.replace("_orig_mod.", ""): tensor for name, tensor in state.items()}


def tie(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Set the parameter or buffer of a name to `tensor`; raise KeyError if there is none of that name."""
    path, _, last = name.rpartition(".")
    owner = module.get_submodule(path)
    held = owner._parameters if last in owner._parameters else owner._buffers
    if last not in held:
        raise KeyError(name)
    setattr(owner, last, tensor)


def first_names(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Return, for the name of every tensor, the first name of that tensor."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in tensors.items()}


def _build_quietly(config: dict[str, Any]) -> nn.Module:
    """Build the module on the CPU, without warnings and without changing the global random generator."""
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings(), torch.device("cpu"):
            warnings.simplefilter("ignore")
            return build(config)
    except Exception as error:
        name = config["class"]
        raise ValueError(f"this {name} cannot be saved: it cannot be rebuilt from its arguments: {error}") from error


def _check_modules(own: dict[str, nn.Module], other: dict[str, nn.Module]) -> None:
    for name, module in own.items():
        if name not in other:
            raise ValueError(
                f"the {type(module).__name__} {name!r} cannot be saved: it was added after construction, and the "
                "arguments of its owner do not build it"
            )
        if type(module).__qualname__ != type(other[name]).__qualname__:
            raise ValueError(
                f"{name!r} cannot be saved: it is a {type(module).__name__}, but the arguments of its owner build a "
                f"{type(other[name]).__name__}"
            )
    lost = next((name for name in other if name not in own), None)
    if lost is not None:
        raise ValueError(f"the module cannot be saved: {lost!r} was removed, but the arguments of its owner build it")


def _check_tensors(own: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name in [*own, *other]:
        if name not in own or name not in other:
            how = "removed" if name in other else "added"
            raise ValueError(f"the tensor {name} was {how} after construction; {_PARAMETRISED}")
        if own[name].shape != other[name].shape:
            raise ValueError(
                f"{name} cannot be saved: it has shape {tuple(own[name].shape)}, but the module's arguments and "
                f"attributes give {tuple(other[name].shape)}"
            )


def _new_ties(own: dict[str, Tensor], other: dict[str, Tensor]) -> dict[str, str]:
    """Return the ties of the module that the rebuilt module does not have."""
    built, found = first_names(other), first_names(own)
    untied = next((name for name in built if built[name] != name and found[name] == name), None)
    if untied is not None:
        raise ValueError(f"{untied} cannot be saved: the module's arguments make it the same tensor as {built[untied]}")
    return {name: first for name, first in found.items() if first != name and first != built[name]}


def _check_hooks(name: str, own: nn.Module, other: nn.Module) -> None:
    for kind in ("_forward_hooks", "_forward_pre_hooks"):
        if len(getattr(own, kind)) != len(getattr(other, kind)):
            raise ValueError(
                f"the {type(own).__name__} {name!r} has a forward hook, which is not saved and can change its output: "
                "remove the hook before saving"
            )


def _check_attributes(name: str, own: nn.Module, other: nn.Module) -> None:
    """Compare the public attributes of both modules that are numbers, strings or nested containers of them."""
    for key, value in vars(own).items():
        if key.startswith("_") or key == "training" or key not in vars(other):
            continue
        value, built = plain(value), plain(vars(other)[key])
        if is_plain(value) and is_plain(built) and not same(value, built):
            where = f"{name}.{key}" if name else key
            raise ValueError(
                f"{where} cannot be saved: it is {value!r}, but the module's arguments give {built!r}, and it is not "
                "an argument itself; if the outputs do not depend on it, begin its name with an underscore"
            )
