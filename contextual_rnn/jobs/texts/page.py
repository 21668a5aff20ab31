"""The page of a model of texts: texts for a context, each symbol with its probability, and the map of h0."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..._core.extras import is_installed
from ..._core.noise import TrajectorySeeds
from ..._core.state import State
from ...data.units import join
from ...errors import InputError
from ...explore.asked import Asked
from ...explore.contexts import context_facts, drawn_as, made_up_contexts
from ...explore.controls import controls
from ...explore.explored import Explored
from ...explore.page import Call, Page
from ...explore.states import MOST, Plane, rounded, zeros
from ...sequence_model import select_batch
from .batches import END
from .draw import Sampling, draw
from .model import TextModel

ALTERNATIVES = 6  # symbols beside the one that was drawn
MOST_TEXTS = 30
MOST_SYMBOLS = 500
PLACES = {
    "h0": "The model reads {it} in its initial state h0, and nowhere else.",
    "both": "The model reads {it} in its initial state h0, and at every symbol.",
    "every-step": "The model reads {it} at every symbol; h0 is zero, whatever is known.",
    "none": "The model does not read {it}; h0 is zero.",
}


class TextPage(Page):
    """The page of models of texts; see `Page`."""

    script, job = "texts", "Write texts"
    first = ("write", {"n": 1, "steps": 2})

    def __init__(self, explored: Explored) -> None:
        super().__init__(explored)
        self.contexts = made_up_contexts(explored.first.fields, MOST)
        self.planes = {name: self._plane(model) for name, model in explored.models.items()}
        self.draws = explored.first.settings.unit == "smiles" and is_installed("rdkit")

    def describe(self) -> dict[str, Any]:
        """Return what the browser needs before its first call."""
        first: TextModel = self.explored.first
        whose = drawn_as(first.fields, MOST)
        maps = {
            name: plane and {**plane.described(), "contexts": self.contexts, "whose": whose}
            for name, plane in self.planes.items()
        }
        longest = min(2 * first.usual_length, MOST_SYMBOLS)
        found = {"fields": controls(first.fields), "maps": maps, "longest": longest, "molecules": self.draws}
        return {**super().describe(), **found}

    def facts(self, model: Any) -> list[str]:
        """Return sentences on a model: what it reads, and what its h0 is."""
        names = model.settings.context
        return [
            context_facts(names, "text"),
            PLACES[model.settings.context_in].format(it="them" if names[1:] else "it")
            if names
            else "Its initial state h0 is zero.",
            "Every symbol is drawn given the symbols before it and the hidden state, which begins as h0.",
            "Texts from h0 = 0 are written by the same network with the same random numbers: h0 makes the difference.",
        ]

    def hint(self, model: Any) -> str:
        """Return something to try, in a sentence."""
        first = "change a value and keep the seed, and " if model.settings.context else ""
        return f"{first}choose a symbol to see what else was likely."

    def calls(self) -> dict[str, Call]:
        """Return the calls that the browser may make, by name."""
        return {"write": self.write}

    def write(self, asked: Asked) -> dict[str, Any]:
        """Return texts with the probability of every symbol; also from h0 = 0, if `zero` is true."""
        model: TextModel = self.model(asked)
        values = model.values(asked.object("context"))
        n, place = asked.count("n", 8, 1, MOST_TEXTS), asked.numbers("place", 2)
        features = model.features(model.columns([values] * n))
        how = Sampling(asked.number("temperature", 1, 0, 5), top_p=asked.number("top_p", 1, 0.01, 1))
        start = model.prefix_numbers(asked.text("prefix", 200))
        options: dict[str, Any] = {
            "how": how,
            "seed": asked.seed(),
            "start": start,
            "steps": asked.count("steps", 100, 1, MOST_SYMBOLS),
        }
        plane = self.planes[asked.choice("model", list(self.explored.models))]
        state = None
        if place is not None:
            if plane is None:
                raise InputError("h0 is the same for all contexts, so that there is no map to start from")
            state = plane.state(place, next(model.parameters()))
        from_zero = asked.flag("zero")
        zero = zeros(model.sequences.rnn)
        others = [zero] if from_zero else []
        found: dict[str, Any] = {"texts": self._texts(model, features, n, state, others, **options)}
        if plane is not None:
            found["here"] = place or plane.place_of(model.sequences.rnn.start(1, _first(features), sample=False))
        if from_zero:
            found["zero"] = self._texts(model, features, n, zero, [state], **options)
        return found

    def _texts(
        self,
        model: TextModel,
        features: Tensor | None,
        n: int,
        state: State | None,
        others: list[State | None],
        how: Sampling,
        seed: int,
        start: list[int],
        steps: int,
    ) -> list[dict[str, Any]]:
        """Return texts that start from a state, with their nats from it and from each of the other states."""
        most = max(1 + steps, len(start) + 1)
        numbers, ended = draw(model.sequences, features, n, most, how, TrajectorySeeds(seed), start, state)
        lengths = [int((row != END).sum()) + int(end) for row, end in zip(numbers, ended, strict=True)]
        rows = [row[:length] for row, length in zip(numbers, lengths, strict=True)]
        probabilities = self._probabilities(model, rows, features, state)
        elsewhere = [self._probabilities(model, rows, features, other) for other in others]
        return [
            {
                **self._text(model, row.tolist(), bool(end), probabilities[place, : len(row)], how, len(start)),
                "nats_of_others": [_nats(logits[place, : len(row)], row) for logits in elsewhere],
            }
            for place, (row, end) in enumerate(zip(rows, ended, strict=True))
        ]

    def _probabilities(
        self, model: TextModel, rows: list[Tensor], features: Tensor | None, state: State | None
    ) -> Tensor:
        """Return the logits of every symbol of texts, given those before it, (N, T, K)."""
        given = state if state is None else select_batch(state, 0, len(rows), len(rows))
        output, _ = model.sequences.teacher_forced(pad_sequence(rows, batch_first=True), features, given)
        logits = model.sequences.head(output).logits
        logits[:, 0, END] = -torch.inf  # no text is empty
        return logits

    def _text(
        self, model: TextModel, numbers: list[int], ended: bool, logits: Tensor, how: Sampling, given: int
    ) -> dict[str, Any]:
        names = ["end", *model.symbols]
        chances = (logits / (how.temperature or 1)).softmax(1)
        of_drawn = chances.gather(1, torch.tensor(numbers).unsqueeze(1))[:, 0]
        likely = chances.topk(min(ALTERNATIVES, chances.shape[1]), dim=1)
        text = join([names[number] for number in numbers if number != END], model.settings.unit)
        return {
            "text": text,
            "symbols": [names[number] for number in numbers],
            "probabilities": rounded(of_drawn, 3),
            "alternatives": [
                [[names[number], chance] for number, chance in zip(places, row, strict=True)]
                for places, row in zip(likely.indices.tolist(), rounded(likely.values, 3), strict=True)
            ],
            "given": given,
            "ended": ended,
            "nats": _nats(logits, torch.tensor(numbers)),
            **(self._molecule(text, model) if self.draws else {}),
        }

    def _molecule(self, text: str, model: TextModel) -> dict[str, Any]:
        """Return the structural formula of a molecule and those of its properties that are context columns."""
        from .molecules.formula import formula
        from .molecules.properties import properties

        found = properties(text) or {}
        known = {name: found[name] for name in model.settings.context if name in found}
        return {"formula": formula(text), "properties": known}

    def _plane(self, model: TextModel) -> Plane | None:
        if not self.contexts or model.settings.context_in not in ("h0", "both"):
            return None
        with torch.no_grad():
            features = model.features(model.columns([model.values(one) for one in self.contexts]))
        return Plane.of(model.sequences.rnn, features, len(self.contexts))


def _nats(logits: Tensor, numbers: Tensor) -> float:
    """Return the negative log probability of symbols (T,), whose logits are (T, K)."""
    return -float(logits.log_softmax(1).gather(1, numbers.unsqueeze(1)).sum())


def _first(features: Tensor | None) -> Tensor | None:
    return None if features is None else features[:1]
