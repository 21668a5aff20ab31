"""Write the graphs of a model to files: all of them, checked, or none."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from torch import nn

from .._core.files import write_new
from ..context import Label
from ..errors import InputError
from .check import check, largest_difference
from .graph_spec import GraphSpec

Format = Literal["onnx", "torch"]
SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}

Module = TypeVar("Module", bound=nn.Module)


@dataclasses.dataclass
class ExportedFile:
    """A file that was written.

    Attributes:
        path: of the file.
        about: what its graph computes.
        inputs: the names of its inputs.
        outputs: the names of its outputs.
        difference: the largest difference from the model, relative to the largest output if that is over 1.
        size: in bytes.
    """

    path: pathlib.Path
    about: str
    inputs: list[str]
    outputs: list[str]
    difference: float
    size: int

    def __str__(self) -> str:
        """Return the path, the names of inputs and outputs, the size and the difference."""
        return (
            f"{self.path}: {self.about}\n  inputs:  {', '.join(self.inputs)}\n  outputs: {', '.join(self.outputs)}\n"
            f"  {self.size / 1024:.0f} KiB; largest difference from the model: {self.difference:.1g}"
        )


@dataclasses.dataclass
class Exported:
    """The files of an exported model. Printing it lists them.

    Attributes:
        files: the graphs.
        remarks: sentences on limits of the files.
    """

    files: list[ExportedFile]
    remarks: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        """Return a paragraph per file, and the remarks."""
        return "\n".join([*map(str, self.files), *self.remarks])


def frozen(module: Module) -> Module:
    """Return a copy of a model for a graph: on the CPU, in float32 and in evaluation mode.

    Its labels are read as their places among the names, since a graph reads no texts.
    """
    copied = copy.deepcopy(module).to("cpu").float().eval()
    for field in copied.modules():
        if isinstance(field, Label):
            field.names = None
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    return copied


@dataclasses.dataclass
class Graphs:
    """What a model exports.

    Attributes:
        specs: its graphs, the main one first.
        metadata: what the files say about the model, which JSON can hold.
        scripts: texts of further files, by the ends of their names.
        remarks: sentences on limits of the graphs.
    """

    specs: list[GraphSpec]
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    scripts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    remarks: list[str] = dataclasses.field(default_factory=list)


def export(
    module: Any, out: str | os.PathLike[str], *, format: Format = "onnx", int8: bool = False, **options: Any
) -> Exported:
    """Write the graphs of a model to files, after a check of every one.

    Args:
        module: a model with a method `graphs(**options)`, which returns `Graphs`.
        out: the path of the main graph's file; the files of the others have the names of the graphs at their ends.
        format: of the files: onnx (`.onnx`), or torch (`.pt2`), a program of `torch.export`.
        int8: whether ONNX Runtime quantises weights to 8 bits, with scales that it computes from every input. The
            difference of these files from the model is measured, and has no limit.
        options: the arguments of `graphs`.

    Raises:
        InputError: a file exists, the extra `export` is missing, or a graph cannot be made or differs from the model.
    """
    path = _checked(out, format, int8)
    graphs = graphs_of(module, **options)
    metadata = {"class": type(module).__name__, "version": version(), **graphs.metadata}
    paths = [path_of(path, spec.name) for spec in graphs.specs]
    scripts = graphs.scripts if format == "onnx" else {}
    texts = {path.with_name(f"{path.stem}{end}"): text for end, text in scripts.items()}
    for one in (*paths, *texts):
        if one.exists():
            raise InputError(f"{one} exists already; give another `out`")
    contents: dict[pathlib.Path, bytes] = {}
    found, remarks = [], list(graphs.remarks)
    for spec, one in zip(graphs.specs, paths, strict=True):
        contents[one], difference, more = _content(spec, metadata, format, int8)
        remarks += more
        names = [each.name for each in spec.inputs]
        found.append(ExportedFile(one, spec.about, names, list(spec.outputs), difference, len(contents[one])))
    write_all({**contents, **{one: text.encode() for one, text in texts.items()}})
    return Exported(found, list(dict.fromkeys(remarks)))


def graphs_of(module: Any, **options: Any) -> Graphs:
    """Return the graphs of a copy of a model; the options are those of its method `graphs`."""
    return frozen(module).graphs(**options)


def program(name: str) -> str:
    """Return the text of a program in the folder `programs`, which needs NumPy and ONNX Runtime alone.

    The program is one file: the functions of `programs/symbols.py` take the place of their import.
    """
    folder = pathlib.Path(__file__).parent / "programs"
    text, shared = ((folder / f"{part}.py").read_text(encoding="utf-8") for part in (name, "symbols"))
    before, found, after = text.partition("from contextual_rnn.export.programs.symbols import join, split\n")
    if not found:
        return text
    return before.rstrip() + "\n" + shared.partition("\n\n")[2] + after  # without the docstring of the module


def version() -> str:
    """Return the version of the library."""
    return importlib.import_module(__name__.split(".")[0]).__version__


def _content(spec: GraphSpec, metadata: dict[str, Any], format: Format, int8: bool) -> tuple[bytes, float, list[str]]:
    """Return the content of a graph's file, its difference from the model, and remarks."""
    if format == "torch":
        from . import torch_format

        content = torch_format.torch_bytes(spec, metadata)
        return content, *torch_format.check_program(spec, content)
    from . import onnx_format

    content = onnx_format.onnx_bytes(spec, metadata)
    found = check(spec, onnx_format.Session(content), "ONNX Runtime")
    if not int8:
        return content, found, []
    from .int8 import quantised

    content, remark = quantised(content)
    found = largest_difference(spec, onnx_format.Session(content))
    return content, found, [f"Weights of the graph {spec.name or 'of the model'}: {remark}."]


def _checked(out: str | os.PathLike[str], format: Format, int8: bool) -> pathlib.Path:
    path = pathlib.Path(out)
    if format not in SUFFIXES:
        raise InputError(f"`format` must be one of {', '.join(SUFFIXES)}; found {format!r}")
    if path.suffix != SUFFIXES[format]:
        raise InputError(f"`out` must end in {SUFFIXES[format]} for `format` {format}; found {path}")
    if int8 and format != "onnx":
        raise InputError("`int8` needs `format` onnx, since ONNX Runtime quantises the weights")
    if not path.parent.is_dir():
        raise InputError(f"`out` {path}: there is no folder {path.parent}")
    if format == "onnx":
        from .onnx_format import require_onnx

        require_onnx()
    return path


def path_of(path: pathlib.Path, name: str) -> pathlib.Path:
    """Return the path of a graph's file: `model-step.onnx` for the graph `step` of `model.onnx`."""
    return path.with_name(f"{path.stem}-{name}{path.suffix}") if name else path


def write_all(contents: Mapping[pathlib.Path, bytes]) -> None:
    """Write files, all or none; raise InputError if one of them exists, and OSError if the system refuses.

    Not even a file that has come into being since the check is replaced.
    """
    written: list[pathlib.Path] = []
    try:
        for path, content in contents.items():
            try:
                write_new(path, content)
            except FileExistsError:
                raise InputError(f"{path} exists already; give another `out`") from None
            written.append(path)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
