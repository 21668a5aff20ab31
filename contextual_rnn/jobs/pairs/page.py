"""The page of a model of pairs: the targets of a typed source, the attention, and what the bridge makes of h0."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
from typing import Any

import torch

from ..._core.state import State, leaves, map_state
from ...data.encoded_pairs import PairBatch, collate
from ...data.pairs import Pair, SourceLine, source_line
from ...errors import InputError
from ...explore.asked import Asked
from ...explore.explored import Explored
from ...explore.page import Call, Page
from ...explore.states import rounded
from ...seq2seq.decoder import Decoded
from ...table_files.encoding import open_text
from .decode import Target, decode
from .model import PairModel
from .search import Search

LONGEST = 300  # symbols of a source, and of a target
EXAMPLES = 20


class PairPage(Page):
    """The page of models that write the target of a source; see `Page`."""

    script, job = "pairs", "Turn texts into texts"

    def __init__(self, explored: Explored) -> None:
        super().__init__(explored)
        self.examples = _examples(explored)
        label = next(iter(explored.first.labels), "") if explored.first.needs_label else ""
        self.first = ("write", {"source": "a", "beam": 2, "label": label})

    def describe(self) -> dict[str, Any]:
        """Return what the browser needs before its first call."""
        first: PairModel = self.explored.first
        example = self.examples[0] if self.examples else "".join(first.source.symbols[:5])
        return {
            **super().describe(),
            "labels": first.labels if first.needs_label else [],
            "separator": first.label_separator,
            "source": example,
            "examples": self.examples,
            "alpha": first.settings.alpha,
        }

    def facts(self, model: Any) -> list[str]:
        """Return sentences on a model: what it reads, and what its h0 is."""
        settings = model.settings
        bridge = {
            "zero": "The decoder's h0 is zero: it does not depend on the source.",
            "project": "The decoder's h0 is a learned projection of the encoder's final state (bridge: project).",
            "concat": "The decoder's h0 joins the encoder's two directions (bridge: concat).",
            "copy": "The decoder's h0 is a copy of the encoder's final state (bridge: copy).",
        }[settings.bridge]
        attention = (
            "It has no attention, so that h0 is all that the decoder knows of the source."
            if settings.attention == "none"
            else f"At every symbol, the decoder also reads the source, by {settings.attention} attention."
        )
        return [
            f"An encoder reads the source ({model.units.source}); a decoder writes the target "
            f"({model.units.target}), symbol by symbol.",
            bridge,
            attention,
            "The target from h0 = 0 is that of the same network; what differs is what h0 changes.",
        ][: 3 if settings.bridge == "zero" else 4]

    def hint(self, model: Any) -> str:
        """Return something to try, in a sentence."""
        attention = "" if model.settings.attention == "none" else " and its attention"
        return f"type a source of your own, and choose a target to see its symbols{attention}."

    def calls(self) -> dict[str, Call]:
        """Return the calls that the browser may make, by name."""
        return {"write": self.write}

    def write(self, asked: Asked) -> dict[str, Any]:
        """Return the best targets of a source, their attention, and the states before and after the bridge."""
        model: PairModel = self.model(asked)
        search, line = self._search(model, asked), self._line(model, asked.text("source", LONGEST))
        if not line.symbols:
            return {"symbols": [], "targets": [], "columns": [], "states": []}
        ((line, targets),) = search.run([model], [line], 1)
        unknown = set(model.source.unknown(line.symbols))
        remark = search.remark(line, targets, model)
        batch = self._batch(model, line, search.label, ())
        found: dict[str, Any] = {
            "symbols": [{"symbol": one, "known": one not in unknown} for one in line.symbols],
            "columns": self._columns(model, line, search.label),
            "targets": [self._target(model, line, search.label, target) for target in targets],
            "states": self._states(model, batch),
            "remarks": [] if remark is None else [remark],
        }
        if asked.flag("zero"):
            options: dict[str, Any] = {"width": search.beam, "alpha": search.alpha, "max_steps": search.longest + 1}
            ((zero,),) = decode([model], [line.symbols], [search.label], from_zero=True, **options)
            found["zero"] = self._target(model, line, search.label, zero, from_zero=True)
        return found

    def _search(self, model: PairModel, asked: Asked) -> Search:
        beam = asked.count("beam", 5, 1, 20)
        label = asked.text("label", LONGEST) or None
        options: dict[str, Any] = {"beam": beam, "n_best": asked.count("n_best", beam, 1, 20)}
        search = Search(label if model.needs_label else None, alpha=asked.number("alpha", 0, 0, 5), **options)
        search.check_models([model], ["the model"])
        return search

    def _line(self, model: PairModel, text: str) -> SourceLine:
        return source_line("the source", text.replace("\n", " ").strip(), model.units.source)

    def _batch(self, model: PairModel, line: SourceLine, label: str | None, target: tuple[str, ...]) -> PairBatch:
        encoded = model.encode([Pair(line.symbols, target, label)])
        return PairBatch(*(part.to(model.device) for part in collate(encoded)))

    def _columns(self, model: PairModel, line: SourceLine, label: str | None) -> list[str]:
        """Return the names of what attention can rest on."""
        first = model.tags(label) if model.needs_label and model.settings.label == "token" else ()
        return [*first, *line.symbols, "end"]

    def _target(
        self, model: PairModel, line: SourceLine, label: str | None, target: Target, from_zero: bool = False
    ) -> dict[str, Any]:
        """Return a target, the probability of each of its symbols, its attention (T, S), and its score from h0 = 0."""
        batch = self._batch(model, line, label, target.symbols)
        inputs, labels = model.pairs.framed(batch.target, batch.target_lengths)
        state, memory = model.pairs.encode(batch.source, batch.source_lengths, model.context(batch.label), sample=False)
        start = map_state(torch.zeros_like, state) if from_zero else state
        decoded: Decoded = model.pairs.decoder(inputs, start, memory)
        other = model.pairs.decoder(inputs, map_state(torch.zeros_like, state), memory)
        logs, from_zero_logs = (
            one.outputs[0].log_softmax(1).gather(1, labels[0].unsqueeze(1))[:, 0] for one in (decoded, other)
        )
        steps = len(target.symbols) + int(target.ended)
        return {
            "text": target.text,
            "symbols": [*target.symbols, *(["end"] if target.ended else [])],
            "score": target.score,
            "ended": target.ended,
            "log_probability": float(logs[:steps].sum()),
            "log_probability_from_zero": float(from_zero_logs[:steps].sum()),
            "probabilities": rounded(logs[:steps].exp(), 3),
            "attention": None if decoded.weights is None else rounded(decoded.weights[0, :steps], 3),
        }

    def _states(self, model: PairModel, batch: PairBatch) -> list[dict[str, Any]]:
        """Return the encoder's final state, and the h0 that the bridge makes of it, part by part."""
        pairs = model.pairs
        encoded = pairs.encoder(batch.source, batch.source_lengths, model.context(batch.label))
        h0 = pairs.decoder.rnn.start(1, encoded.state, sample=False)
        return [*_parts("encoder's final state", encoded.state, 2), *_parts("decoder's h0", h0, 1)]


def _parts(whose: str, state: State, directions: int) -> list[dict[str, Any]]:
    """Return the values of every leaf (1, L, H) of a state, layer by layer and direction by direction."""
    parts, tensors = [], list(leaves(state))
    for leaf, letter in zip(tensors, ("h", "c"), strict=False):
        for place, values in enumerate(leaf[0]):
            layer = f", layer {place // directions + 1}" if len(leaf[0]) > directions else ""
            direction = f", {('forward', 'backward')[place % 2]}" if directions == 2 else ""
            parts.append({"name": f"{whose}: {letter}{layer}{direction}", "values": rounded(values, 3)})
    return parts


def _examples(explored: Explored) -> list[str]:
    """Return sources of a text file of the run, if it is where it was."""
    files = explored.config.get("files") or {}
    for role in ("test", "validation", "train"):
        listed = files.get(role)
        for name in listed if isinstance(listed, list) else [listed]:
            path = pathlib.Path(str(name).rpartition("=")[2])
            if name and path.suffix in (".tsv", ".txt", ".dict") and path.is_file():
                with contextlib.suppress(OSError, InputError, UnicodeError), open_text(path) as file:
                    lines = [line.decode().rstrip("\r\n").split("\t")[0] for line in itertools.islice(file, EXAMPLES)]
                    return [line for line in dict.fromkeys(lines) if line and len(line) <= LONGEST]
    return []
