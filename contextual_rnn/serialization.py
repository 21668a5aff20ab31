"""Save a model, weights and configuration, to one file, and load it without running code.

The file is a safetensors file; its header contains the configuration as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from typing import Any, Self

import torch
from torch import Tensor, nn

from ._core.bounds import bounded, build_without_memory
from ._core.module_config import build, module_config, registered
from ._core.rebuild import differences, first_names, named_tensors, tie
from ._core.tensor_files import TensorFile, read_tensors, to_bytes, write_tensors
from .errors import InputError
from .export.files import Exported, Format, Graphs, export

MODEL = "model.safetensors"  # the name of the model's file in the folder of a run
_ENTRY = "contextual_rnn"  # of the metadata of a file, which has the header
_FIELDS = {"class", "dtype", "ties", "requires_grad", "extra"}  # of the header

# The errors that a class may raise when it is built with the arguments in a file.
_REFUSALS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16)
}

_FLOATS = ("F64", "F32", "F16", "BF16")  # the same in a file


def save(module: nn.Module, path: str | os.PathLike[str], extra: dict[str, Any] | None = None) -> None:
    """Save a module to a safetensors file, completely or not at all. The same weights give the same bytes.

    The file contains the class of the module and the arguments that build it, its parameters and persistent buffers,
    which of these are the same tensor, and `requires_grad`. A module that `load` could not restore is refused before
    anything is written.

    Args:
        module: the module. Its class and the classes of its submodules must be registered with `register`.
        path: the file.
        extra: any data that JSON can represent, stored in the header;
            `contextual_rnn.serialization.read_header(path)["extra"]` returns it.

    Raises:
        TypeError: a class is not registered, or JSON cannot represent `extra` or an argument of an `__init__`.
        ValueError: the module was changed after construction in a way that its arguments do not describe: a layer was
            added or removed, a hook, weight norm or another parametrisation applied, or an attribute changed that
            disagrees with the tensors.
        OSError: the system refuses to write the file.
    """
    write_tensors(pathlib.Path(path), *_content(module, extra))


def identity(module: nn.Module) -> str:
    """Return the SHA-256 of the names and values of a module's tensors."""
    return hashlib.sha256(to_bytes(_tensors(module), _ENTRY, {})).hexdigest()


def _content(module: nn.Module, extra: dict[str, Any] | None) -> tuple[dict[str, Tensor], str, dict[str, Any]]:
    """Return the tensors of a module's file, and the name and the content of its header."""
    config = module_config(module)
    header: dict[str, Any] = {"class": config, "dtype": _dtype(module), **differences(module, config)}
    if extra is not None:
        header["extra"] = extra
    try:
        json.dumps(header)
    except (TypeError, ValueError) as error:
        raise TypeError(f"extra cannot be saved: {error}") from error
    # Only one entry, because safetensors writes several in no fixed order.
    return _tensors(module), _ENTRY, header


def load(path: str | os.PathLike[str], kind: type[nn.Module] | None = None) -> Any:
    """Load a module that `save` wrote, in evaluation mode (see `nn.Module.eval`). No code in the file is run.

    The shapes of the module's tensors are compared with those in the file before memory is taken for them.

    Args:
        path: the file, or the folder of a run, which contains a file model.safetensors.
        kind: the expected class; None accepts every registered class.

    Raises:
        InputError: the file does not exist, was not written by `save`, or contains a class that is not registered or
            not the expected one.
    """
    file = _read(path)
    header = _header(file)
    try:
        found = header["class"]["class"]
        if kind is not None and not issubclass(registered(found) or nn.Module, kind):
            purpose = getattr(registered(found), "purpose", None)  # of the model of a job, and its command
            if purpose and hasattr(kind, "purpose"):
                raise InputError(f"{path} holds a model that {purpose}")
            raise InputError(f"{path} contains a {found}; expected a {kind.__name__}")
        module = _built(file, header)
        for name, value in header.get("requires_grad", {}).items():
            named_tensors(module)[name].requires_grad_(value)
    except InputError:
        raise
    except _REFUSALS as error:
        raise InputError(f"no model can be built from the configuration in {path}: {error!r}") from error
    return module.eval()


def _built(file: TensorFile, header: dict[str, Any]) -> nn.Module:
    """Return the module of a file, with the file's tensors."""
    ties, count = header.get("ties", {}), len(file.shapes) + len(header.get("ties", {}))
    planned = build_without_memory(header["class"], file.path, count)
    if planned is not None:
        _tie(planned, ties)
        _check_shapes(planned, file)
    with bounded(count):
        module = build(header["class"], file.path).to(_DTYPES[header["dtype"]])
    _tie(module, ties)
    _check_shapes(module, file)
    tensors = file.tensors()
    for name, tensor in _tensors(module).items():
        tensor.data = tensors[name]
    return module


def _tie(module: nn.Module, ties: dict[str, str]) -> None:
    """Make tensors the same as others, by their names."""
    for name, first in ties.items():
        tie(module, name, named_tensors(module)[first])


def read_header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the configuration in the header of a model's file, or of the model's file in the folder of a run.

    Its entry `"extra"` is the `extra` that `save` was called with. Raise InputError if there is no such header.
    """
    return _header(_read(path))


def _header(file: TensorFile) -> dict[str, Any]:
    if _ENTRY not in file.metadata:
        raise InputError(f"{file.path} contains weights but no configuration: it was not written by contextual_rnn")
    try:
        header = file.header(_ENTRY)
    except ValueError as error:
        raise InputError(f"the configuration in {file.path} is not valid JSON: {error}") from None
    if not isinstance(header, dict):
        raise InputError(f"the configuration in {file.path} is not a JSON object")
    unknown = next((name for name in header if name not in _FIELDS), None)
    if unknown is not None:
        raise InputError(f"the configuration in {file.path} has an unknown field {unknown!r}")
    return header


def _read(path: str | os.PathLike[str]) -> TensorFile:
    """Read a model's file; `path` may be the folder of a run."""
    file = _model_file(path)
    try:
        return read_tensors(file)
    except InputError as error:
        if file.suffix == pathlib.Path(MODEL).suffix or not file.is_file():
            raise
        raise InputError(f"{error}; give the folder that `fit` wrote, or the file {MODEL} in it") from None


def _model_file(path: str | os.PathLike[str]) -> pathlib.Path:
    """Return the path of a model's file; `path` may be the folder of a run."""
    path = pathlib.Path(path)
    if not path.is_dir():
        return path
    if not (path / MODEL).is_file():
        inside = sorted(path.glob(f"runs/*/{MODEL}"))
        if inside:
            count = f"{len(inside)} models" if len(inside) > 1 else "a model"
            raise InputError(
                f"{path} is the folder of a comparison, with {count} inside: give the folder of one, such as "
                f"{inside[0].parent}"
            )
        raise InputError(f"{path} is a folder without a file {MODEL}: give a model's file, or the folder of a run")
    return path / MODEL


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the tensors to save by name; a tensor with two names is saved under the first."""
    tensors = named_tensors(module)
    return {name: tensors[name] for name, first in first_names(tensors).items() if name == first}


def _check_shapes(module: nn.Module, file: TensorFile) -> None:
    """Raise InputError unless the tensors of a module have the names and shapes of those in a file."""
    wanted = {name: tuple(tensor.shape) for name, tensor in _tensors(module).items()}
    found = {name: shape for name, (_, shape) in file.shapes.items()}
    if wanted != found:
        unlike = min(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
        raise InputError(
            f"{unlike} has shape {found.get(unlike)} in the file; its configuration expects {wanted.get(unlike)}"
        )
    for name, tensor in _tensors(module).items():
        dtype = file.shapes[name][0]
        if tensor.is_floating_point() != (dtype in _FLOATS):
            raise InputError(f"{name} has dtype {dtype} in the file; its configuration expects {tensor.dtype}")


def _dtype(module: nn.Module) -> str:
    tensors = [*module.parameters(), *module.buffers()]
    floating = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    return str(floating.pop()).removeprefix("torch.") if len(floating) == 1 else "float32"


class SavedModel(nn.Module):
    """A model with the verbs `save` and `load`.

    Attributes:
        report: what `fit` found; None for a model that was loaded from a file.
    """

    report: Any = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file, which `load` reads."""
        save(self, path)

    def export(self, out: str | os.PathLike[str], *, format: Format = "onnx", int8: bool = False) -> Exported:
        """Write the model to files that run without this library; see `export.files.export`.

        Args:
            out: the path of the main file; other graphs are written next to it, such as `model-step.onnx`.
            format: of the files: onnx (`.onnx`), or torch (`.pt2`), a program of `torch.export`.
            int8: whether ONNX files have weights of 8 bits.
        """
        return export(self, out, format=format, int8=int8)

    def graphs(self) -> Graphs:
        """Return what `export` writes."""
        raise InputError(f"a {type(self).__name__} cannot be exported yet")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote, or that of a run folder of `fit`, in evaluation mode."""
        return load(path, cls)
