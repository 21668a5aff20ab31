"""`predict`: run a trained model of series freely over new inputs, from the start or from where another run ended."""

from __future__ import annotations

import itertools
import json
import pathlib
from collections.abc import Iterator

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..._core.state import State, check_state, fill, leaves, map_state
from ...data.series import read_series
from ...data.table import free_name, write_table
from ...errors import InputError
from ...serialization import load
from .data import read_columns, records
from .model import SeriesModel
from .train import Record, root_mean, simulate

WHOLE = "the whole table"  # the name of the one state of a table that has no column of series


def predict(
    run: pathlib.Path,
    inputs: str,
    out: str,
    *,
    start: str | None = None,
    end: str | None = None,
) -> str:
    """Predict the targets of a table of inputs, write them to `out`, and return what was done in words.

    Args:
        run: the run folder of `fit series`, or of one run of `compare series`.
        inputs: a table with the input columns, and the targets of the first k steps where the model has a window of k.
        out: the table to write: series, step (0 is a series' first row in `inputs`), and a column for every target.
        start: a file of states to start from, which `end` of an earlier call wrote; then no window is read.
        end: where to write the states that the series ended in.

    Raises:
        InputError: a file is wrong, or `start` holds no state of one of the series, or a state of another model.
    """
    _check_files(inputs, out, end)
    model = load(run / "model.safetensors", SeriesModel)
    columns, context = read_columns(run)
    window = 0 if start else model.settings.window
    series = read_series(inputs, columns, known_targets=window, min_length=window + 1)
    table = records(series, context)
    keys = [record.name if columns.series else WHOLE for record in table]
    states = _read_states(start, model) if start else {}
    runs = list(_carry_on(model, table, keys, states) if start else simulate(model, table))
    predictions = [np.asarray(predicted) for _, predicted, _ in runs]
    names = [record.name for record, predicted in zip(table, predictions, strict=True) for _ in predicted]
    steps = [np.arange(window, window + len(predicted)) for predicted in predictions]
    values = np.concatenate(predictions)
    series_column = free_name(columns.series or "series", columns.targets)
    step_column = free_name("step", (*columns.targets, series_column))
    write_table(
        out,
        {
            series_column: names,
            step_column: np.concatenate(steps),
            **{target: values[:, column] for column, target in enumerate(columns.targets)},
        },
    )
    if end:  # with the states of the series that this table has not, for a later day
        ended = dict(zip(keys, (state for _, _, state in runs), strict=True))
        _write_states(end, states | ended)
    return f"{len(values)} steps of {len(table)} series were written to {out}{_error(runs, window, columns.targets)}."


def _check_files(inputs: str, out: str, end: str | None) -> None:
    """Raise InputError before anything runs, where a file would be lost or cannot be written."""
    if pathlib.Path(out).resolve() == pathlib.Path(inputs).resolve():
        raise InputError(f"--out {out} is the table of inputs; give another name, to lose nothing")
    if end and pathlib.Path(end).resolve() in (pathlib.Path(inputs).resolve(), pathlib.Path(out).resolve()):
        raise InputError(f"--end {end} is one of the tables; give another name for the file of states")
    for name, path in (("--out", out), ("--end", end)):
        if path and not pathlib.Path(path).parent.is_dir():
            raise InputError(f"{name} {path}: there is no folder {pathlib.Path(path).parent}")


def _error(runs: list[tuple[Record, Tensor, State]], window: int, targets: tuple[str, ...]) -> str:
    if any(bool(torch.isnan(record.targets[window:]).any()) for record, _, _ in runs):
        return ""
    squares = [(predicted - record.targets[window:]).square() for record, predicted, _ in runs]
    errors = [
        f"{root_mean([square[:, place] for square in squares]):.4g} of {name}" for place, name in enumerate(targets)
    ]
    return f"; the root mean squared error, in the target's unit, is {', '.join(errors)}"


def _carry_on(
    model: SeriesModel, table: list[Record], keys: list[str], states: dict[str, State]
) -> Iterator[tuple[Record, Tensor, State]]:
    for record, key in zip(table, keys, strict=True):
        if key not in states:
            known = ", ".join(list(states)[:10])
            raise InputError(f"the file of states has none for series {key!r}; it has {known}")
        with torch.no_grad():
            length = torch.tensor([len(record)])
            predicted, state = model.carry_on(record.inputs.unsqueeze(0), states[key], length)
        yield record, predicted[0], state


def _write_states(path: str, states: dict[str, State]) -> None:
    first, *others = states.values()
    together = map_state(lambda *rows: torch.cat(rows), first, *others)
    tensors = {str(index): leaf.contiguous() for index, leaf in enumerate(leaves(together))}
    part = pathlib.Path(f"{path}.part")
    try:
        save_file(tensors, str(part), metadata={"series": json.dumps(list(states))})
        part.replace(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be written: {error}") from None


def _read_states(path: str, model: SeriesModel) -> dict[str, State]:
    joined = model.vector_size if model.settings.initial_state == "every-step" else 0
    shapes = (model.rnn.state_shapes, (joined,))
    try:
        with safe_open(path, framework="pt") as file:
            names = json.loads((file.metadata() or {})["series"])
            together = fill(shapes, (file.get_tensor(str(index)) for index in itertools.count()))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file of states") from None
    except (SafetensorError, KeyError, OSError):
        raise InputError(f"{path} is no file of states that predict wrote for this kind of model") from None
    try:
        check_state(together, shapes, len(names))
    except ValueError as error:
        raise InputError(f"{path} is of another model: {error}") from None
    return {name: map_state(lambda leaf, row=row: leaf[row : row + 1], together) for row, name in enumerate(names)}
