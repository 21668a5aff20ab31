"""Model files of version 0.1, whose columns lie in a file of their own, `columns.json`, in the run folder."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from .context import Field, Label, Quantity, Vector


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
    beside = pathlib.Path(path).parent / "columns.json"
    counts = {name: arguments.get(name, 0) for name in ("inputs", "targets", "context")}
    if beside.is_file():
        kept = json.loads(beside.read_text(encoding="utf-8"))
        fields = {name: _field(field) for name, field in kept["fields"].items()}
    else:
        kept = {name: [f"{name[:-1]}_{i + 1}" for i in range(counts[name])] for name in ("inputs", "targets")}
        kept |= {"context": ["context"] if counts["context"] else [], "series": None}
        fields = {"context": Vector(counts["context"])} if counts["context"] else {}
    columns = {name: tuple(kept[name]) for name in ("inputs", "targets", "context")} | {"series": kept["series"]}
    return {"settings": {**arguments["config"], **columns}, "fields": fields}


def _field(kept: dict[str, Any]) -> Field:
    if "labels" in kept:
        return Label(kept["labels"])
    mean, scale = kept["mean"], kept["scale"]
    return Quantity(mean - scale, mean + scale, extrapolate=True)
