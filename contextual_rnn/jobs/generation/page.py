"""The page of a generator: trajectories for a context, and a map of h0 on which others can be started."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..._core.noise import TrajectorySeeds
from ..._core.state import State, map_state
from ...context import Label
from ...data.series import Series, context_of, read_series
from ...errors import InputError
from ...explore.asked import Asked
from ...explore.contexts import context_facts, drawn_as, made_up_contexts, meaning_of
from ...explore.controls import controls
from ...explore.explored import Explored
from ...explore.page import Call, Page
from ...explore.states import MOST, Plane, rounded
from ...kinds import Kind
from ...sequence_model import Samples
from .frames import context_vector, context_vectors
from .model import SeriesGenerator

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)  # the quantiles of the bands
NEAREST = 3  # training series beside the samples
MOST_STEPS = 1000


class GenerationPage(Page):
    """The page of models that generate series; see `Page`."""

    script, job = "generation", "Generate series"

    def __init__(self, explored: Explored) -> None:
        super().__init__(explored)
        first: SeriesGenerator = explored.first
        self.first = ("sample", {"n": 1, "steps": 2, "context": (made_up_contexts(first.fields, 1) or [{}])[0]})
        table, self.remark = explored.table("train")
        self.series: list[Series] = []
        if table is not None:
            self.series = read_series(table, first.settings, coding=first.coding)
        names = first.settings.context if self.series else ()
        self.vectors = context_of(self.series, first.fields, names)
        self.planes: dict[str, tuple[Plane | None, list[dict[str, Any]]]] = {}
        for name, model in explored.models.items():
            self.planes[name] = self._plane(model)

    def describe(self) -> dict[str, Any]:
        """Return what the browser needs before its first call."""
        first: SeriesGenerator = self.explored.first
        lengths = [len(one) for one in self.series]
        steps = min(int(np.median(lengths)) if lengths else 100, MOST_STEPS)
        return {
            **super().describe(),
            "fields": controls(first.fields),
            "targets": list(first.settings.targets),
            "steps": {"value": max(steps, 2), "most": MOST_STEPS},
            "training": self.remark,
            "maps": {name: self._map(name) for name in self.explored.models},
        }

    def facts(self, model: Any) -> list[str]:
        """Return sentences on a model: what it reads, and what its h0 is."""
        kind = model.settings.kind
        return [
            context_facts(model.settings.context, "series"),
            f"Its initial state h0 is {meaning_of(kind)}. {_read_at(kind)}",
            "Every step is drawn given the step before and the hidden state, which begins as h0.",
            "The line from h0 = 0 is the median of series of the same network and random numbers that start from zero.",
        ]

    def hint(self, model: Any) -> str:
        """Return something to try, in a sentence."""
        labels = all(isinstance(field, Label) for field in model.fields.values())
        first = "choose another label and keep the seed" if labels else "move a value past the training range"
        return f"{first}, or click the map far from its points."

    def calls(self) -> dict[str, Call]:
        """Return the calls that the browser may make, by name."""
        return {"sample": self.sample}

    def sample(self, asked: Asked) -> dict[str, Any]:
        """Return trajectories, their bands, and the training series of the nearest context.

        The same trajectories from h0 = 0 are returned too, if `zero` is true; they have the same random numbers.
        """
        model: SeriesGenerator = self.model(asked)
        context, place = self._context(model, asked), asked.numbers("place", 2)
        plane, _ = self.planes[asked.choice("model", list(self.explored.models))]
        n, steps = asked.count("n", 100, 1, 500), asked.count("steps", 100, 1, MOST_STEPS)
        state: State | None = None
        if place is not None:
            if plane is None:
                raise InputError("h0 is the same for all contexts, so that there is no map to start from")
            state = plane.state(place, next(model.parameters()))
        drawn, from_zero = self._drawn(model, context, n, steps, state, asked)
        found = {**self._shown(model, drawn), "nearest": [] if place else self._nearest(model, context)}
        if plane is not None:
            found["here"] = place or plane.place_of(model.sequences.rnn.start(1, context, sample=False))
        if from_zero is not None:
            found["zero"] = self._bands(model, from_zero)
        return found

    def _drawn(
        self, model: SeriesGenerator, context: Tensor, n: int, steps: int, state: State | None, asked: Asked
    ) -> tuple[Samples, Samples | None]:
        """Return the samples, and those from h0 = 0 with the same random numbers if they are asked for."""
        temperature, seeds = asked.number("temperature", 1, 0, 5), TrajectorySeeds(asked.seed())
        options: dict[str, Any] = {"temperature": temperature, "seed": seeds}
        if not asked.flag("zero"):
            return model.trajectories(context, n, steps, state=state, **options), None
        rnn = model.sequences.rnn
        if state is None:
            state = rnn.start(n, context.expand(n, -1), sample=temperature > 0, generator=seeds)
        both = map_state(
            lambda own: torch.cat([own.expand(n, *own.shape[1:]), own.new_zeros(n, *own.shape[1:])]), state
        )
        options["seed"] = dataclasses.replace(seeds, groups=2)
        found = model.trajectories(context, 2 * n, steps, state=both, **options)
        own, zero = (Samples(*(part[rows] for part in found)) for rows in (slice(n), slice(n, None)))
        return own, zero

    def _context(self, model: SeriesGenerator, asked: Asked) -> Tensor:
        return context_vector(asked.object("context"), model.settings, model.fields).to(model.device)

    def _shown(self, model: SeriesGenerator, drawn: Samples) -> dict[str, Any]:
        """Return trajectories by target, (Y, n, T) with None after their ends, and their bands."""
        values = _ended(drawn)
        columns = [
            rounded(model.coding.restored(target, values[:, :, place]))
            for place, target in enumerate(model.settings.targets)
        ]
        lengths = drawn.lengths.tolist()
        cut = [[row[:length] for row, length in zip(rows, lengths, strict=True)] for rows in columns]
        ended = sum(length < drawn.elements.shape[1] for length in lengths)
        return {"trajectories": cut, "bands": self._bands(model, drawn), "ended": ended}

    def _bands(self, model: SeriesGenerator, drawn: Samples) -> list[list[list[float]]]:
        """Return the quantiles of every target, (Y, levels, T), of the steps that a tenth of the series reach."""
        reached = (torch.arange(drawn.elements.shape[1]) < drawn.lengths.cpu().unsqueeze(1)).double().mean(0)
        values = torch.from_numpy(_ended(drawn)[:, : int((reached >= 0.1).sum())])
        found = values.nanquantile(values.new_tensor(LEVELS), dim=0).numpy()  # (levels, T, Y)
        return [
            rounded(model.coding.restored(target, found[:, :, place]))
            for place, target in enumerate(model.settings.targets)
        ]

    def _nearest(self, model: SeriesGenerator, context: Tensor) -> list[dict[str, Any]]:
        """Return the training series whose contexts are nearest, in the units that the model reads."""
        if not self.series:
            return []
        distance = (self.vectors - context.cpu()).square().sum(1).sqrt()
        rows = distance.argsort(stable=True)[:NEAREST].tolist()
        return [
            {
                "name": self.series[row].name,
                "context": self.series[row].context,
                "distance": float(distance[row]),
                "targets": [
                    rounded(model.coding.restored(target, self.series[row].targets[:MOST_STEPS, place]))
                    for place, target in enumerate(model.settings.targets)
                ],
            }
            for row in rows
        ]

    def _plane(self, model: SeriesGenerator) -> tuple[Plane | None, list[dict[str, Any]]]:
        """Return the plane of the h0 of training contexts, or of made-up ones without them, and these contexts."""
        if not model.settings.context:
            return None, []
        rows = np.linspace(0, len(self.series) - 1, min(len(self.series), MOST)).round().astype(int).tolist()
        contexts: list[dict[str, Any]] = [dict(self.series[row].context) for row in rows]
        vectors = self.vectors[rows]
        if not rows:
            contexts = made_up_contexts(model.fields, MOST)
            vectors = context_vectors(contexts, model.fields)
        return Plane.of(model.sequences.rnn, vectors.to(model.device), len(vectors)), contexts

    def _map(self, name: str) -> dict[str, Any] | None:
        plane, contexts = self.planes[name]
        if plane is None:
            return None
        whose = "the context of a training series" if self.series else drawn_as(self.explored.first.fields, MOST)
        return {**plane.described(), "contexts": contexts, "whose": whose}


def _read_at(kind: Kind) -> str:
    """Return where the network reads the context, in a sentence."""
    if kind.name == "every-step":
        return "The network reads the context at every step."
    if kind.needs_context:
        return "The network reads the context in h0 alone, and not at the steps."
    return "The network does not read the context."


def _ended(drawn: Samples) -> np.ndarray:
    """Return the elements (n, T, Y) with NaN after the end of each series."""
    past = torch.arange(drawn.elements.shape[1]) >= drawn.lengths.cpu().unsqueeze(1)
    return drawn.elements.cpu().masked_fill(past.unsqueeze(2), torch.nan).numpy()
