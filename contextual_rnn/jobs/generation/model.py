"""A model that generates series from their context, one step from the step before.

    h_0 = initial state,  h_t = f(h_{t-1}, y_{t-1}),  y_t ~ y_{t-1} + mixture of Gaussians(h_t)

After every step, a Bernoulli flag says whether the series ends.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ..._core.records import Record
from ..._core.settings import check_count, check_seed
from ...coding import Coding
from ...context import Field
from ...cores import make_core
from ...data.frame import FrameColumns, make_frame
from ...data.missing import REFUSE
from ...data.series import context_width, target_width
from ...errors import InputError
from ...explore.explorable import Explorable
from ...explore.explored import Explored
from ...explore.page import Page
from ...export.field_columns import FieldColumns
from ...export.files import Graphs, program
from ...export.sequence_graphs import RESERVED, Scale, generator_graphs
from ...heads import MixtureHead
from ...initial_state import ContextState
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ...scaling import StandardisedColumns
from ...sequence_model import Samples, SequenceModel
from ...study.restored import Restored
from .frames import context_vector, sampled_columns
from .scale import scale_of_steps
from .settings import GenerationSettings


@register
class Indicated(nn.Module):
    """Append to targets the indicators of filled ones: 1 where a target is not known.

    Args:
        targets: Y.
        complete: the places of those targets whose indicator is always 0, as no value is missing in training.
    """

    def __init__(self, targets: int, complete: Sequence[int] = ()) -> None:
        super().__init__()
        self.targets, self.out_features = targets, 2 * targets
        self.varies = [float(place not in complete) for place in range(targets)]

    def forward(self, x: Tensor, known: Tensor | None = None) -> Tensor:
        """Return (..., 2Y) for targets (..., Y), all of which are known by default."""
        missing = torch.zeros_like(x) if known is None else (~known).to(x) * x.new_tensor(self.varies)
        return torch.cat([x, missing], dim=-1)


@register
class SeriesGenerator(Restored, StandardisedColumns, Explorable):
    """A sequence model of standardised targets with an end flag.

    Args:
        settings: the model's columns, sizes and kind of initial state.
        fields: a field for every context column, which turns its values into numbers.
        scaled_steps: S, with `scale` step: the number of steps that have a scale of their own; later ones take that of
            the last.
        coding: how the cells of the training table became numbers.

    Attributes:
        step_mean: (S, Y), with `scale` step only.
        step_scale: (S, Y), likewise.
        backend: the kind of data frame that `sample` returns, as narwhals names it: that of the training table of
            `fit`, and polars for a model that was fitted on a file or loaded.
    """

    purpose = "generates series; use `sample`"

    backend: Any = "polars"

    step_mean: Tensor
    step_scale: Tensor

    def __init__(
        self,
        settings: GenerationSettings | dict[str, Any],
        fields: dict[str, Field] | None = None,
        scaled_steps: int = 0,
        coding: Coding | dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.coding = Coding.of(coding)
        given = settings if isinstance(settings, GenerationSettings) else GenerationSettings.from_json(settings)
        self.settings = given
        self.add_fields(fields or {}, given.context)
        targets, context = len(given.targets), context_width(self.fields)
        is_joined = given.kind.name == "every-step"
        complete = [place for place, name in enumerate(given.targets) if name in self.coding.complete]
        read = None if given.missing == REFUSE else Indicated(targets, complete)
        core = make_core(given.cell, target_width(given) + is_joined * context, given.hidden, given.layers)

        def make_context_state() -> ContextState:
            return ContextState(core, MLP(context, [given.context_hidden]), activation=nn.Tanh())

        rnn = ContextualRNN(core, given.kind.build(core, make_context_state))
        head = MixtureHead(given.hidden, targets, given.components, change=True, floor=0.01)
        self.sequences = SequenceModel(rnn, head, read, every_step=nn.Identity() if is_joined else None, end=True)
        self.add_scales(None, targets)
        if given.scale == "step":
            self.register_buffer("step_mean", torch.zeros(scaled_steps, targets))
            self.register_buffer("step_scale", torch.ones(scaled_steps, targets))

    @classmethod
    def upgrade(cls, arguments: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
        """Convert constructor arguments saved by version 0.1; return current ones unchanged."""
        upgraded = super().upgrade(arguments, path)
        settings = {name: value for name, value in upgraded["settings"].items() if name not in ("inputs", "window")}
        return {**upgraded, "settings": settings}

    def standardise(self, records: Sequence[Record]) -> None:
        """Set the scales to those of training records; see `StandardisedColumns.standardise`."""
        super().standardise(records)
        if self.settings.scale == "step":
            for kept, found in zip(
                (self.step_mean, self.step_scale), scale_of_steps(records, len(self.step_mean)), strict=True
            ):
                kept.copy_(found)

    def level(self, steps: int) -> tuple[Tensor, Tensor]:
        """Return the mean and the scale of the targets of T steps, (T, Y) each; (Y,) if all steps have the same."""
        if self.settings.scale != "step":
            return self.target_mean, self.target_scale
        places = torch.arange(steps, device=self.step_mean.device).clamp(max=len(self.step_mean) - 1)
        return self.step_mean[places], self.step_scale[places]

    def losses(self, targets: Tensor, context: Tensor, lengths: Tensor, filled: Tensor | None = None) -> Tensor:
        """Return the negative log-likelihood of every step, with its end flag, in nats.

        Args:
            targets: (B, T, Y), in their own units, padded; NaN where a target is missing.
            context: (B, C), the context vector of each series.
            lengths: (B,), the number of steps of each series.
            filled: (B, T, 2Y), the targets as the model reads them, if missing ones are filled.

        Returns:
            (B, T), 0 after the end of a series. Where a target is missing, that of the end flag alone.
        """
        inside = torch.arange(targets.shape[1], device=targets.device) < lengths.unsqueeze(1)
        mean, scale = self.level(targets.shape[1])
        volume = scale.log().sum(-1)  # (T,) or ()
        if filled is None:
            losses = self.sequences.losses((targets - mean) / scale, context, lengths)
            return torch.where(inside, losses + volume, 0)
        read, known = self.standardised_targets(filled, (mean, scale))[..., : targets.shape[2]], ~targets.isnan()
        losses = self.sequences.losses(read, context, lengths, known)
        return torch.where(inside, losses + known.all(2) * volume, 0)

    def graphs(self) -> Graphs:
        """Return what `export` writes: graphs in the targets' units, and a program that samples."""
        columns = FieldColumns(self.fields, RESERVED)
        level = (self.target_mean, self.target_scale)
        if self.settings.scale == "step":
            level = (self.step_mean, self.step_scale)
        scale = Scale(*level, self.settings.missing != REFUSE)
        specs = generator_graphs(self.sequences, columns, scale)
        described: dict[str, Any] = {
            "job": "generation",
            "target_columns": list(self.settings.targets),
            "labels": columns.labels,
        }
        described["offsets"] = self.coding.offsets
        described["context"] = columns.names
        return Graphs(specs, described, {"-sample.py": program("sample")})

    @classmethod
    def page(cls, explored: Explored) -> Page:
        """Return the page of generators; see `explore`."""
        from .page import GenerationPage

        return GenerationPage(explored)

    def trajectories(self, context: Tensor, n: int, steps: int, **options: Any) -> Samples:
        """Generate series as tensors, in the targets' units.

        Args:
            context: (n, C), or (1, C) for n series with the same context vector.
            n: the number of series.
            steps: the largest number of steps of a series.
            options: those of `SequenceModel.sample`, such as `temperature` and `seed`.

        Returns:
            The elements (n, steps, Y), 0 after the end of a series, and the lengths (n,).
        """
        found = self.sequences.sample(context, n, steps, **options)
        inside = torch.arange(steps, device=found.lengths.device) < found.lengths.unsqueeze(1)
        mean, scale = self.level(steps)
        elements = found.elements * scale + mean
        return Samples(torch.where(inside.unsqueeze(2), elements, 0), found.lengths)

    def sample(
        self,
        context: dict[str, Any] | None = None,
        n: int = 100,
        steps: int = 1000,
        temperature: float = 1.0,
        seed: int = 0,
        like: Any = None,
    ) -> Any:
        """Generate series of one context.

        Args:
            context: the value of every context column, such as `{"digit": 7}`.
            n: the number of series.
            steps: the largest number of steps of a series.
            temperature: 1 samples from the model's distribution; 0 takes its mode.
            seed: random seed; series i does not depend on `n`.
            like: a data frame whose kind the result takes; None takes the kind of `backend`.

        Returns:
            A data frame with one row per step: the series column (`sample-0` and so on), `step` (from 0), the targets
            in their own units, and the context columns.

        Raises:
            InputError: a context column is missing, unknown, or has an invalid value; `n`,
                `steps`, `temperature` or `seed` is out of range; `like` is no data frame.
        """
        check_count(n=n, steps=steps)
        check_seed(seed)
        if not 0 <= temperature < math.inf:
            raise InputError(f"`temperature` must be at least 0 and finite; found {temperature}")
        backend = self.backend if like is None else FrameColumns(like, "`like`").frame.implementation
        known = context or {}
        found = self.trajectories(self._vector(known), n, steps, temperature=temperature, seed=seed)
        return make_frame(sampled_columns(found, known, self.settings, self.coding), backend)

    def plot_samples(
        self,
        context: dict[str, Any] | None = None,
        n: int = 200,
        steps: int = 100,
        seed: int = 0,
        temperature: float = 1.0,
    ) -> Any:
        """Draw the median and the 50% and 90% bands of series generated for one context, one panel per target.

        Each series ends at its end flag, or after `steps` steps. Steps that fewer than a tenth of the series reach are
        not drawn.

        Args:
            context: the value of every context column.
            n: the number of series.
            steps: the largest number of steps of a series.
            seed: random seed.
            temperature: as in `sample`.
        """
        from .figures import plot_samples

        known = context or {}
        drawn = self.trajectories(self._vector(known), n, steps, seed=seed, temperature=temperature)
        return plot_samples(Samples(drawn.elements.cpu(), drawn.lengths.cpu()), self.settings, known, self.coding)

    def _vector(self, context: dict[str, Any]) -> Tensor:
        return context_vector(context, self.settings, self.fields).to(self.device)
