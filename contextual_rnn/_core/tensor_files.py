"""Files of named tensors in the format safetensors, with a header of JSON and a checksum of the whole file.

The header is the only entry of the file's metadata. Its last field, `sha256`, is the SHA-256 of the file in which
the 64 digits of this field are zeros, so a file with any other bit than the one that was written is refused. A file
without the field, such as one of version 0.1, is read unchecked.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

from safetensors import SafetensorError
from safetensors import torch as safetensors_torch
from torch import Tensor

from ..errors import InputError
from .files import parse_json, read_bytes, write_bytes

LARGEST_HEADER = 1 << 25  # bytes of the names, the shapes and the metadata
_DIGITS = 64
_BLANK = b"0" * _DIGITS
_MARK, _END = b'\\"sha256\\": \\"', b'\\"}"'  # around the digits; the header is a text within JSON
# What safetensors raises for a damaged file.
_REFUSALS = (SafetensorError, ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError)


def to_bytes(tensors: dict[str, Tensor], name: str, header: dict[str, Any]) -> bytes:
    """Return the content of a file; the same tensors and header give the same bytes.

    Args:
        tensors: by name; those that share memory are written separately.
        name: of the entry of the metadata.
        header: what JSON can represent.

    Raises:
        ValueError: the header is too large to be read.
    """
    text = json.dumps(header, sort_keys=True)
    text = text[:-1] + (", " if header else "") + f'"sha256": "{_BLANK.decode()}"}}'
    content = safetensors_torch.save(_separate(tensors), {name: text})
    size = _header_size(content)
    if size > LARGEST_HEADER:
        raise ValueError(f"the names and the configuration have {size} bytes; at most {LARGEST_HEADER} can be read")
    start = _seal_start(content)
    digest = hashlib.sha256(content).hexdigest().encode()
    return b"".join((memoryview(content)[:start], digest, memoryview(content)[start + _DIGITS :]))


def _separate(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors on the CPU; of those that share memory, such as tied weights, all but the first are copies."""
    found, places = dict[str, Tensor](), set[int]()
    for key, value in tensors.items():
        one = value.detach().cpu().contiguous()
        place = one.data_ptr()
        found[key] = one.clone() if place in places else one
        places.add(place)
    return found


def write_tensors(
    path: pathlib.Path, tensors: dict[str, Tensor], name: str, header: dict[str, Any], *, synced: bool = True
) -> None:
    """Write a file completely or not at all; raise OSError if the system refuses.

    The arguments are those of `to_bytes` and `replacing`.
    """
    content = to_bytes(tensors, name, header)
    try:
        write_bytes(path, content, synced=synced)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error.strerror or error}") from error


@dataclasses.dataclass(frozen=True)
class TensorFile:
    """A file that `read_tensors` read and checked.

    Attributes:
        path: of the file.
        content: its bytes.
        metadata: of the file.
        shapes: the dtype, as safetensors writes it, and the shape of every tensor, by its name.
        is_sealed: whether the file has a checksum, which was right.
    """

    path: pathlib.Path
    content: bytes
    metadata: dict[str, str]
    shapes: dict[str, tuple[str, tuple[int, ...]]]
    is_sealed: bool

    def header(self, name: str) -> Any:
        """Return the header, without its checksum; raise ValueError if it is not JSON, or KeyError if it is missing."""
        found = parse_json(self.metadata[name], nan=True)
        if self.is_sealed and isinstance(found, dict):
            found.pop("sha256", None)
        return found

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors, which share no memory with the file; raise InputError if the file is damaged."""
        try:
            return safetensors_torch.load(self.content)
        except (*_REFUSALS, ValueError) as error:
            raise _damaged(self.path, error) from None


def read_tensors(path: pathlib.Path) -> TensorFile:
    """Read a file; raise InputError if it is missing, is no regular file, or is damaged.

    No memory is taken for tensors, so that their shapes can be compared first.
    """
    content = read_bytes(path)
    size = _header_size(content)
    if content[:4] == b"PK\x03\x04":  # a zip archive
        raise InputError(
            f"{path} cannot be read as safetensors: it is a zip archive, as torch.save writes it; read weights with "
            "torch.load(..., weights_only=True) and load_state_dict"
        )
    if not 2 <= size <= min(LARGEST_HEADER, len(content) - 8):
        raise InputError(f"{path} is no file of this package, or is damaged at its start")
    try:
        header = parse_json(content[8 : 8 + size].rstrip())
        if not isinstance(header, dict):
            raise ValueError("its header is not a JSON object")
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise ValueError("its metadata are not texts")
        shapes = {name: (str(one["dtype"]), tuple(map(int, one["shape"]))) for name, one in header.items()}
        if sum(one["data_offsets"][1] - one["data_offsets"][0] for one in header.values()) != len(content) - 8 - size:
            raise ValueError("it is cut short or has more bytes than its header says")
        is_sealed = _check_seal(content)
    except (*_REFUSALS, ValueError) as error:
        raise _damaged(path, error) from None
    return TensorFile(path, content, metadata, shapes, is_sealed)


def _damaged(path: pathlib.Path, error: Exception | str) -> InputError:
    return InputError(f"{path} cannot be read as safetensors: {error}; it is damaged, or no file of this package")


def _header_size(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _seal_start(content: bytes) -> int:
    """Return where the digits of the checksum start; 0 if there are none."""
    place = content.rfind(_MARK, 0, 8 + _header_size(content))
    start = place + len(_MARK)
    return start if place >= 0 and content.startswith(_END, start + _DIGITS) else 0


def _check_seal(content: bytes) -> bool:
    """Return whether the file has a checksum; raise ValueError if it is wrong."""
    start = _seal_start(content)
    if not start:
        return False
    digest = hashlib.sha256(memoryview(content)[:start])
    digest.update(_BLANK)
    digest.update(memoryview(content)[start + _DIGITS :])
    if digest.hexdigest().encode() != content[start : start + _DIGITS]:
        raise ValueError("its checksum is wrong, so some of its bytes were changed after it was written")
    return True
