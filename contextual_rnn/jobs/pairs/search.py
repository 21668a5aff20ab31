"""The options of a search, and the targets that it finds for a stream of sources."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..._core.counted import counted
from ..._core.settings import check_count
from ...data.pairs import SourceLine
from ...data.pairs.enclosing import without_marks
from ...data.units import join, symbol_name
from ...errors import InputError
from .decode import Target, decode
from .network import PairNetwork


@dataclasses.dataclass(frozen=True)
class Search:
    """Options of the search; see `transcribe`. They are checked when an instance is made."""

    label: str | None = None
    beam: int = 5
    n_best: int = 1
    alpha: float = 0.0
    longest: int = 100
    coverage: float = 0.0

    def __post_init__(self) -> None:
        check_count(beam=self.beam, n_best=self.n_best, longest=self.longest)
        if self.n_best > self.beam:
            raise InputError(f"`n_best` must be at most `beam`, {self.beam}; found {self.n_best}")
        if not 0 <= self.alpha < math.inf:
            raise InputError(f"`alpha` must be at least 0 and finite; found {self.alpha}")
        if not 0 <= self.coverage < math.inf:
            raise InputError(f"`coverage` must be at least 0 and finite; found {self.coverage}")
        if self.coverage and self.beam == 1:
            raise InputError("`coverage` ranks the targets of a beam: give a `beam` of at least 2")

    def check_models(self, models: Sequence[PairNetwork], names: Sequence[str], has_labels: bool = False) -> None:
        """Raise InputError unless the models can form an ensemble, and `label` fits them or every source has one."""
        for name, model in zip(names, models, strict=True):
            if _vocabulary(model) != _vocabulary(models[0]):
                raise InputError(
                    f"{name} and {names[0]} cannot form an ensemble: their symbols, labels and `label` setting must "
                    "be equal"
                )
            if self.coverage and model.settings.attention == "none":
                raise InputError(f"`coverage` is a sum of attention weights, and {name} has no attention")
        if self.label is not None:
            _check_label("`label`", self.label, models[0])
        elif models[0].needs_label and not has_labels:
            separator = models[0].label_separator
            several = "one" if separator is None else f"one or more, separated by {separator!r},"
            raise InputError(f"the model reads a label: give `label`, {several} of {', '.join(models[0].labels)}")

    def run(
        self, models: Sequence[PairNetwork], lines: Iterable[SourceLine], batch_size: int
    ) -> Iterator[tuple[SourceLine, list[Target]]]:
        """Yield every source with its distinct targets, the best first; an empty source has none."""
        for model in models:
            model.eval()
        for batch in _batches((self._prepared(line, models[0]) for line in lines), batch_size):
            sources = [line.symbols for line in batch if line.symbols]
            labels = [self.label if line.label is None else line.label for line in batch if line.symbols]
            options: dict[str, Any] = {
                "width": self.beam,
                "alpha": self.alpha,
                "coverage": self.coverage,
                "n_best": self.n_best,
            }
            steps = self.longest + 1  # for the end
            found = iter(decode(models, sources, labels, max_steps=steps, **options))
            for line in batch:
                yield line, self._cut(next(found), models[0]) if line.symbols else []

    def _prepared(self, line: SourceLine, model: PairNetwork) -> SourceLine:
        """Return a line with its label, and without slashes or brackets around the source that the model never saw.

        Its symbols are those that the model reads.

        Raises:
            InputError: the model does not know the label, or the source is too long.
        """
        if line.label is not None:
            _check_label(f"{line.place}: the label", line.label, model)
        inner = without_marks(line.text) if model.units.source != "smiles" else None
        if inner is None or any(line.text.strip()[0] in symbol for symbol in model.source.symbols):
            return line._replace(symbols=model.split_source(line.place, line.text)) if line.symbols else line
        return line._replace(symbols=model.split_source(line.place, inner), was_enclosed=True)

    def _cut(self, targets: list[Target], model: PairNetwork) -> list[Target]:
        """Truncate targets to the largest length, and drop those that become equal to an earlier one."""
        different: dict[tuple[str, ...], Target] = {}
        for target in targets:
            symbols = target.symbols[: self.longest]
            text = join(symbols, model.units.target)
            different.setdefault(symbols, target._replace(text=text, symbols=symbols))
        return list(different.values())

    def remark(self, line: SourceLine, targets: list[Target], model: PairNetwork) -> str | None:
        """Return a remark on unknown symbols and truncated targets; None if there are none."""
        remarks = []
        if line.was_enclosed:
            remarks.append("the slashes or brackets around it were removed")
        unknown = model.source.unknown(line.symbols)
        if unknown:
            remarks.append(f"{', '.join(map(repr, unknown))} did not occur in training")
        cut = [str(number) for number, target in enumerate(targets, start=1) if not target.ended]
        if cut:
            length = counted(self.longest, symbol_name(model.units.target))
            which = "the target" if len(targets) == 1 else f"target {', '.join(cut)}"
            remarks.append(f"{which} was cut at {length}; a larger `longest` allows more")
        return f"{line.place}: {'; '.join(remarks)}" if remarks else None


def _check_label(what: str, label: str, model: PairNetwork) -> None:
    """Raise InputError, about `what`, if the model does not know a label or one of its tags."""
    if not model.labels:
        raise InputError(f"{what} {label}: the model was trained without labels; leave `label` out")
    if model.unknown_tags(label) or not model.tags(label):
        kind = f"tags, separated by {model.label_separator!r}," if model.label_separator else "labels"
        raise InputError(f"{what} {label}: the model has the {kind} {', '.join(model.labels)}")


def _vocabulary(model: PairNetwork) -> tuple[object, ...]:
    reads_label_in = model.settings.label if model.labels else ""
    vocabulary = model.source.symbols, model.target.symbols, model.subwords
    return *vocabulary, model.labels, model.label_separator, model.units, reads_label_in


def _batches(lines: Iterable[SourceLine], size: int) -> Iterator[list[SourceLine]]:
    """Yield lines, `size` at a time; those before a bad line are yielded before its error is raised."""
    batch: list[SourceLine] = []
    try:
        for line in lines:
            batch.append(line)
            if len(batch) == size:
                yield batch
                batch = []
    except InputError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
