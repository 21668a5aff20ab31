"""The graphs of a `SequenceModel`: predictions from true elements, the start, and one step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .._core.state import fill, leaves, shape_leaves
from .context_inputs import ContextInputs, networks_of
from .field_columns import FieldColumns
from .graph_spec import GraphSpec, Input
from .rnn_graphs import STATE_NAMES, next_names, state_inputs

if TYPE_CHECKING:
    from ..sequence_model import SequenceModel

RESERVED = (
    *("x", "rows", "last", "prediction", "logits", "means", "factors", "mean", "end", "number", "number_n"),
    *STATE_NAMES,
)


@dataclasses.dataclass(frozen=True)
class Scale:
    """The scale of a job's elements: their mean and standard deviation.

    Attributes:
        mean: (D,); (S, D) if each of the first S steps has its own, and later ones that of step S.
        deviation: likewise.
        filled: whether the model reads indicators of filled elements, too; no generated element is filled.
    """

    mean: Tensor
    deviation: Tensor
    filled: bool = False

    @property
    def by_step(self) -> bool:
        """Whether steps have scales of their own."""
        return self.mean.dim() == 2

    def at(self, steps: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the mean and the deviation at the numbers of steps (N,), (N, D) each; (D,) if all are the same."""
        if steps is None or not self.by_step:
            return self.mean, self.deviation
        places = steps.clamp(0, len(self.mean) - 1)
        return self.mean.index_select(0, places), self.deviation.index_select(0, places)


class SequenceGraph(nn.Module):
    """Predict elements: from true ones, from the start, or from the one before.

    Args:
        model: the model.
        context: makes the context of its inputs.
        scale: of the elements; None if the model reads them as they are.
    """

    def __init__(self, model: SequenceModel, context: ContextInputs | FieldColumns, scale: Scale | None) -> None:
        super().__init__()
        self.model, self.context, self.scale = model, context, scale

    def known(self, values: Sequence[Tensor], rows: Tensor) -> Any:
        """Return the context."""
        if isinstance(self.context, FieldColumns):
            return self.context.vector(values, rows.new_zeros((rows.shape[0], 0), dtype=torch.float32))
        return self.context.context(values)

    def elements(self, x: Tensor, steps: Tensor | None = None) -> Tensor:
        """Return elements of steps (N,), counted from 0, as the model reads them."""
        if self.scale is None:
            return x
        mean, deviation = self.scale.at(steps)
        return (x - mean) / deviation

    def predictions(self, hidden: Tensor, last: Tensor, steps: Tensor | None = None) -> list[Tensor]:
        """Return the tensors of the head, in the unit of the elements of steps (N,), and the probability of the end."""
        found = self.model.head.tensors(hidden, last)
        if self.scale is not None:
            mean, deviation = (part.unsqueeze(-2) for part in self.scale.at(steps))
            found["means"] = found["means"] * deviation + mean
            found["factors"] = found["factors"] * deviation.unsqueeze(-1)
        end = [] if self.model.flag is None else [self.model.flag(hidden).squeeze(-1).sigmoid()]
        return [*found.values(), *end]

    def names(self) -> list[str]:
        """Return the names of the predictions."""
        like = next(self.model.parameters())
        hidden = like.new_zeros(1, self.model._hidden_width())
        is_category = self.model.head.is_category
        last = torch.zeros(1, dtype=torch.long) if is_category else like.new_zeros(1, self.model.head.size)
        return [*self.model.head.tensors(hidden, last), *([] if self.model.flag is None else ["end"])]


class TeacherForced(SequenceGraph):
    """Predict every element of sequences from the true elements before it."""

    def forward(self, x: Tensor, *known: Tensor) -> tuple[Tensor, ...]:
        """Return the predictions of all steps."""
        steps = torch.arange(x.shape[1]) if self.scale is not None and self.scale.by_step else None
        output, last = self.model.teacher_forced(self.elements(x, steps), self.known(known, x))
        first = 0 if self.model.start is not None else 1
        return tuple(self.predictions(output, last, None if steps is None else steps[first:]))


class Start(SequenceGraph):
    """Start sequences of a context: the state, and the prediction of the first element if its input is learned."""

    def forward(self, rows: Tensor, *known: Tensor) -> tuple[Tensor, ...]:
        """Return the prediction of the first element, and the tensors of the state."""
        size, context = rows.shape[0], self.known(known, rows)
        state = self.model.rnn.start(size, context, sample=False)
        if self.model.start is None:
            return tuple(leaves(state))
        inputs, control = self.model.start.expand(size, -1), self.model.control(context)
        inputs = inputs if control is None else torch.cat([inputs, control], dim=1)
        output, state = self.model.rnn(inputs.unsqueeze(1), state=state)
        last = rows if self.model.head.is_category else inputs.new_zeros(size, self.model.head.size)
        if self.scale is None or not self.scale.by_step:
            return *self.predictions(output[:, 0], last), *leaves(state)
        step = torch.zeros_like(rows)
        return *self.predictions(output[:, 0], last, step), *leaves(state), step + 1


class Step(SequenceGraph):
    """Predict the next element from the last one and the state."""

    def forward(self, last: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """Return the prediction, and the tensors of the next state."""
        count = len(list(shape_leaves(self.model.rnn.state_shapes)))
        state, known = rest[:count], rest[count:]
        by_step = self.scale is not None and self.scale.by_step
        step, known = (known[0], known[1:]) if by_step else (None, known)
        element = self.elements(last, None if step is None else step - 1)
        inputs = self.model.inputs(element)
        if known:
            control: Any = self.model.control(self.known(known, last))
            inputs = torch.cat([inputs, control], dim=1)
        output, after = self.model.rnn(inputs.unsqueeze(1), state=fill(self.model.rnn.state_shapes, iter(state)))
        counted = [] if step is None else [step + 1]
        return *self.predictions(output[:, 0], element, step), *leaves(after), *counted


def sequence_graphs(model: SequenceModel, context: Any = None) -> tuple[list[GraphSpec], dict[str, list[str]]]:
    """Return the graphs of a `SequenceModel`, and the names of the labels of its context."""
    networks = [*networks_of(model.rnn.initial_state), *([] if model.every_step is None else [model.every_step])]
    known = ContextInputs(networks, context, RESERVED)
    return _specs(model, known, None), known.labels


def generator_graphs(model: SequenceModel, columns: FieldColumns, scale: Scale | None) -> list[GraphSpec]:
    """Return the graphs of a job's model, whose context is made of columns of a table."""
    return _specs(model, columns, scale)


def _specs(model: SequenceModel, known: ContextInputs | FieldColumns, scale: Scale | None) -> list[GraphSpec]:
    state = state_inputs(model.rnn.core, model.rnn.state_shapes)
    if scale is not None and scale.by_step:
        about, most = "the number of elements before the one that is predicted", len(scale.mean) + 2
        state.append(Input("number", ("batch",), "category", about, most))
    names = next_names([one.name for one in state])
    dims: tuple[int, ...] = () if model.head.is_category else (model.head.size,)
    embedding = getattr(model.embedding, "num_embeddings", model.head.size)
    kind: dict[str, Any] = {"kind": "category", "categories": embedding} if model.head.is_category else {}
    x, last = Input("x", ("batch", "time", *dims), **kind), Input("last", ("batch", *dims), **kind)
    rows = Input("rows", ("batch",), "category", "any numbers; how many there are is the number of sequences")
    whole, start, step = (make(model, known, scale) for make in (TeacherForced, Start, Step))
    predicted = whole.names()
    control = known.inputs if model.every_step is not None else []
    least = {"time": 1 if model.start is not None else 2}
    about = "predictions of every element from the true ones before it"
    first = predicted if model.start is not None else []
    return [
        GraphSpec("", whole, [x, *known.inputs], predicted, least, about),
        GraphSpec("start", start, [rows, *known.inputs], [*first, *names], about="the start of sequences of a context"),
        GraphSpec("step", step, [last, *state, *control], [*predicted, *names], about="one step from a state"),
    ]
