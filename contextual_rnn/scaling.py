"""Models that standardise the input and target columns of a table, and answer in the columns' own units."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ._core.files import read_json
from .coding import one_hot_columns
from .context import Field, Label, Quantity, Vector
from .errors import InputError
from .serialization import SavedModel


class StandardisedColumns(SavedModel):
    """A module with the mean and standard deviation of every input and target column, as buffers."""

    input_mean: Tensor
    input_scale: Tensor
    target_mean: Tensor
    target_scale: Tensor
    read_inputs: Tensor | None  # (U,), 0 for an indicator of missing values that never varied in training
    read_indicators: Tensor | None  # (Y,), likewise of the targets

    @classmethod
    def upgrade(cls, arguments: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
        """Return the arguments of a file of today or of version 0.1."""
        return upgrade_columns(arguments, path)

    scaled_inputs: int | None = None  # the first columns of inputs are standardised; None is all
    fills: bool = False  # whether inputs may be NaN, which stands for the mean
    label_counts: Mapping[int, int] = MappingProxyType({})  # the number of labels of each input column of labels

    def add_scales(self, inputs: int | None, targets: int) -> None:
        """Register the buffers, (U,) and (Y,): means of 0 and scales of 1 until `standardise` sets them."""
        for name, size in (("input", inputs), ("target", targets)):
            if size is not None:
                self.register_buffer(f"{name}_mean", torch.zeros(size))
                self.register_buffer(f"{name}_scale", torch.ones(size))
        self.register_buffer("read_inputs", None, persistent=False)
        self.register_buffer("read_indicators", None, persistent=False)

    def leave_out_indicators(self, inputs: Tensor | None, targets: Tensor | None) -> None:
        """Read as 0 those indicators that never varied in training; see `Coding.trained_indicators`.

        Args:
            inputs: (F,), 0 for an indicator to leave out, of the first F inputs, whose indicators follow them.
            targets: (Y,), likewise.
        """
        if inputs is not None:
            rest = len(self.input_mean) - 2 * len(inputs)
            mask = torch.cat([torch.ones(len(inputs)), inputs, torch.ones(rest)])
            self.read_inputs = mask
        if targets is not None:
            self.read_indicators = targets

    def add_fields(self, fields: dict[str, Field], names: Sequence[str]) -> None:
        """Keep a field for every context column, in the order of the columns.

        Raises:
            ValueError: a column has no field.
        """
        missing = [name for name in names if name not in fields]
        if missing:
            raise ValueError(f"the context column {missing[0]!r} has no field, such as Label or Quantity")
        self.field_names = tuple(names)
        self.context_fields = nn.ModuleList(fields[name] for name in names)

    @property
    def fields(self) -> dict[str, Field]:
        """The field of every context column."""
        return dict(zip(self.field_names, self.context_fields, strict=True))  # type: ignore[arg-type]

    def standardise(self, records: Sequence[Any]) -> None:
        """Set means and scales to those of training records, which have `inputs` (T, U) and `targets` (T, Y).

        Missing values are left out. The scale of a constant column is 1. Inputs after the first `scaled_inputs` keep a
        mean of 0 and a scale of 1, and so do columns of labels.
        """
        for name, size in (("input", self.scaled_inputs), ("target", None)):
            if hasattr(self, f"{name}_mean"):
                columns = torch.cat([getattr(record, f"{name}s")[:, :size] for record in records])
                mean, scale = mean_and_scale(columns)
                getattr(self, f"{name}_mean")[:size].copy_(mean)
                getattr(self, f"{name}_scale")[:size].copy_(scale)
        for place in self.label_counts:
            self.input_mean[place], self.input_scale[place] = 0, 1

    def standardised_inputs(self, inputs: Tensor) -> Tensor:
        """Return inputs (..., U) in deviations from their means; if the model fills missing values, NaN becomes 0.

        A column of n labels becomes a one-hot vector, so the result has n - 1 columns more. The linear map that reads
        it gives each label a vector of its own, as an embedding does: W onehot(i) is the column i of W.
        """
        found = (inputs - self.input_mean) / self.input_scale
        found = torch.where(found.isnan(), 0, found) if self.fills else found
        found = found if self.read_inputs is None else found * self.read_inputs
        return one_hot_columns(found, inputs, self.label_counts)

    def standardised_targets(self, read: Tensor, level: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Return targets (..., Y), or filled targets and their indicators (..., 2Y), in deviations from their means.

        Indicators stay as they are. NaN in filled targets, which stands for the mean, becomes 0.

        Args:
            read: the targets.
            level: their mean and scale; None takes those of the training table.
        """
        size, (mean, scale) = len(self.target_mean), level or (self.target_mean, self.target_scale)
        found = (read[..., :size] - mean) / scale
        if read.shape[-1] == size:
            return found
        return torch.cat([torch.where(found.isnan(), 0, found), self.indicators(read)], dim=-1)

    def indicators(self, read: Tensor) -> Tensor:
        """Return the indicators of filled targets (..., 2Y), as the model reads them, (..., Y)."""
        found = read[..., len(self.target_mean) :]
        return found if self.read_indicators is None else found * self.read_indicators

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.target_mean.device

    def error_scale(self) -> Tensor:
        """Return the unit of errors (Y,): 1 for a single target, the standard deviation of each of several targets."""
        scale = self.target_scale.cpu()
        return scale if len(scale) > 1 else torch.ones(1)


def mean_and_scale(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation (1 for a constant column) of the columns of (N, F), both (F,).

    NaN is left out; a column of NaN alone has mean 0 and deviation 1.
    """
    if not values.shape[1]:
        return values.new_zeros(0), values.new_ones(0)
    scale, mean = std_mean(values)
    return mean, torch.where(scale > 0, scale, torch.ones_like(scale))


def std_mean(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the standard deviation and the mean of the columns of (N, F), (F,) each; NaN is left out.

    A column of NaN alone has both 0.
    """
    missing = values.isnan()
    if not bool(missing.any()):
        scale, mean = torch.std_mean(values, dim=0, correction=0)
        return scale, mean
    count = (~missing).sum(0).clamp(min=1)
    mean = values.nan_to_num(0).sum(0) / count
    return ((values - mean).nan_to_num(0).square().sum(0) / count).sqrt(), mean


def error_unit(targets: Sequence[str]) -> str:
    """Return the unit of errors in words."""
    return "the unit of the target" if len(targets) == 1 else "standard deviations of each target"


def unit_of_errors(targets: Sequence[str]) -> str:
    """Return the unit of errors as the label of an axis has it."""
    return f"unit of {targets[0]}" if len(targets) == 1 else "standard deviations"


def in_own_units(targets: Sequence[str], table: str, errors: Tensor) -> list[str]:
    """Return a sentence with the RMSE of every target in its own unit, if there are several.

    Args:
        targets: the names of the targets.
        table: what the errors are of, in words.
        errors: (Y,).
    """
    if len(targets) == 1:
        return []
    shown = ", ".join(f"{error:.4g} ({name})" for name, error in zip(targets, errors.tolist(), strict=True))
    return [f"In the unit of each target, the RMSE of the model on the {table} is {shown}."]


def upgrade_columns(arguments: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the arguments of a model of columns, from those that version 0.1 saved.

    Args:
        arguments: `{"config": settings of the model, "inputs": U, "targets": Y, "context": C}`, the last three being
            numbers of columns; arguments of today are returned as they are.
        path: of the model file. The columns are called `input_1`, `target_1` and so on if no `columns.json` lies beside
            it.
    """
    if "config" not in arguments:
        return arguments
    file, names = pathlib.Path(path), ("inputs", "targets", "context")
    counts = {name: arguments.get(name, 0) for name in names}
    if file.exists() and sum(counts.values()) > file.stat().st_size:
        raise InputError(f"{path} says that its model has {sum(counts.values())} columns, more than the file has bytes")
    beside = file.parent / "columns.json"
    if beside.exists():
        columns, fields = _columns_in(beside)
    else:
        columns = {name: tuple(f"{name[:-1]}_{i + 1}" for i in range(counts[name])) for name in names[:2]}
        columns |= {"context": ("context",) if counts["context"] else (), "series": None}
        fields = {"context": Vector(counts["context"])} if counts["context"] else {}
    return {"settings": {**arguments["config"], **columns}, "fields": fields}


def _columns_in(file: pathlib.Path) -> tuple[dict[str, Any], dict[str, Field]]:
    """Return the names of the columns, and the fields, in a file of version 0.1."""
    kept = read_json(file)
    try:
        columns = {name: _texts(kept[name]) for name in ("inputs", "targets", "context")}
        fields = {name: _field(field) for name, field in kept["fields"].items()}
        return columns | {"series": kept["series"]}, fields
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{file} does not have the columns of a model ({error!r}); give the file that version 0.1 wrote"
        ) from None


def _texts(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise TypeError("the columns must be lists of names")
    return tuple(names)


def _field(kept: dict[str, Any]) -> Field:
    if "labels" in kept:
        return Label(kept["labels"])
    mean, scale = kept["mean"], kept["scale"]
    return Quantity(mean - scale, mean + scale, extrapolate=True)
