"""The graphs of a model of series, which `export` writes: from the start, from a state, and one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..._core.state import fill, leaves
from ...data.series import input_width, target_width
from ...errors import InputError
from ...export.field_columns import FieldColumns
from ...export.files import Graphs
from ...export.graph_spec import GraphSpec, Input
from ...export.rnn_graphs import STATE_NAMES, next_names, state_inputs

if TYPE_CHECKING:
    from .model import SeriesModel

RESERVED = ("inputs", "window_targets", "lengths", "predicted", "joined", "joined_n", *STATE_NAMES)


class FromStart(nn.Module):
    """Simulate series from what is known at their start."""

    def __init__(self, model: SeriesModel, columns: FieldColumns) -> None:
        super().__init__()
        self.model, self.columns = model, columns

    def forward(self, inputs: Tensor, lengths: Tensor, *known: Tensor) -> tuple[Tensor, ...]:
        """Return the predictions after the window, and the tensors of the last state."""
        opening, *context = known if self.model.settings.window else (inputs[:, :0, :0], *known)
        predicted, (state, joined) = self.model(inputs, opening, self.columns.vector(context, inputs), lengths)
        return predicted, *leaves(state), *([joined] if joined.shape[1] else [])


class FromState(nn.Module):
    """Simulate series from a state on, for many steps (B, T, U) or one (B, U)."""

    def __init__(self, model: SeriesModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Return the predictions, and the tensors of the state after them; `rest` may begin with lengths."""
        single = inputs.dim() == 2
        lengths, state = (None, list(rest)) if single else (rest[0], list(rest[1:]))
        joined = state.pop() if self.model.carried_size else inputs.new_zeros(inputs.shape[0], 0)
        before = fill(self.model.rnn.state_shapes, iter(state)), joined
        predicted, (after, joined) = self.model.carry_on(inputs.unsqueeze(1) if single else inputs, before, lengths)
        kept = [joined] if self.model.carried_size else []
        return predicted[:, 0] if single else predicted, *leaves(after), *kept


def series_graphs(model: SeriesModel) -> Graphs:
    """Return the graphs of a model of series.

    Raises:
        InputError: the initial state is fitted to every window, or `scale` is series, which no graph does.
    """
    settings = model.settings
    if settings.kind.is_estimated:
        raise InputError(
            f"initial state {settings.kind.name!r} is fitted to every window by least squares, which no graph does; "
            "export a model of another kind"
        )
    if model.scales is not None:
        raise InputError(
            "`scale` series keeps a scale for each series by its name, which no graph reads; train with another `scale`"
        )
    window, width = settings.window, input_width(settings)
    state = state_inputs(model.rnn.core, model.rnn.state_shapes)
    if model.carried_size:
        about = "what is joined to every input" + ", and the scale of the targets" * (settings.scale != "global")
        state.append(Input("joined", ("batch", model.carried_size), about=about))
    columns = FieldColumns(model.fields, RESERVED)
    of_row = "the number of steps of each row"
    inputs = Input("inputs", ("batch", "time", width), about="in their own units; labels as positions")
    lengths = Input("lengths", ("batch",), "length", of_row, least=window + 1)
    opening = Input("window_targets", ("batch", window, target_width(settings)), about="the targets of the window")
    outputs = ["predicted", *next_names([one.name for one in state])]
    whole = [inputs, lengths, *([opening] if window else []), *columns.inputs]
    then = [inputs, Input("lengths", ("batch",), "length", of_row), *state]
    step = [Input("inputs", ("batch", width)), *state]
    specs = [
        GraphSpec("", FromStart(model, columns), whole, outputs, {"time": window + 1}, "series from their start"),
        GraphSpec("continue", FromState(model), then, outputs, about="series from a state on"),
        GraphSpec("step", FromState(model), step, outputs, about="one step from a state"),
    ]
    described: dict[str, Any] = {
        "job": "series",
        "input_columns": list(settings.inputs),
        "target_columns": list(settings.targets),
    }
    described |= {"input_labels": model.coding.labels, "offsets": model.coding.offsets}
    described |= {"labels": columns.labels, "context": columns.names}
    return Graphs(specs, {**described, "window": window, "missing": settings.missing})
