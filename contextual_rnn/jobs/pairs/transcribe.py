"""`transcribe`: the targets of new sources, from a list or line by line from a stream."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..._core.settings import check_count
from ...data.pairs import SourceLine, read_sources, source_line
from ...data.units import join
from ...errors import InputError
from .decode import Target, decode
from .network import PairNetwork

BATCH = 64  # sources that are decoded at once


@dataclasses.dataclass(frozen=True)
class Search:
    """Options of the search; see `transcribe`. They are checked when an instance is made."""

    label: str | None = None
    beam: int = 5
    n_best: int = 1
    alpha: float = 0.0
    longest: int = 100

    def __post_init__(self) -> None:
        check_count(beam=self.beam, n_best=self.n_best, longest=self.longest)
        if self.n_best > self.beam:
            raise InputError(f"`n_best` must be at most `beam`, {self.beam}; found {self.n_best}")
        if not 0 <= self.alpha < math.inf:
            raise InputError(f"`alpha` must be at least 0 and finite; found {self.alpha}")

    def check_models(self, models: Sequence[PairNetwork], names: Sequence[str]) -> None:
        """Raise InputError unless the models can form an ensemble and `label` fits them."""
        for name, model in zip(names, models, strict=True):
            if _vocabulary(model) != _vocabulary(models[0]):
                raise InputError(
                    f"{name} and {names[0]} cannot form an ensemble: their symbols, labels and `label` setting must "
                    "be equal"
                )
        labels, separator = models[0].labels, models[0].label_separator
        if self.label is not None and (not labels or models[0].unknown_tags(self.label)):
            kind = "labels" if separator is None else f"tags, separated by {separator!r},"
            known = f"has the {kind} {', '.join(labels)}" if labels else "was trained without labels"
            raise InputError(f"`label` {self.label}: the model {known}")
        if self.label is None and models[0].needs_label:
            several = "one" if separator is None else f"one or more, separated by {separator!r},"
            raise InputError(f"the model reads a label: give `label`, {several} of {', '.join(labels)}")

    def run(
        self, models: Sequence[PairNetwork], lines: Iterable[SourceLine], batch_size: int
    ) -> Iterator[tuple[SourceLine, list[Target]]]:
        """Yield every source with its distinct targets, the best first; an empty source has none."""
        for model in models:
            model.eval()
        for batch in _batches(lines, batch_size):
            sources = [line.symbols for line in batch if line.symbols]
            options: dict[str, Any] = {"width": self.beam, "alpha": self.alpha, "n_best": self.n_best}
            steps = self.longest + 1  # for the end
            found = iter(decode(models, sources, [self.label] * len(sources), max_steps=steps, **options))
            for line in batch:
                yield line, self._cut(next(found), models[0]) if line.symbols else []

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
        unknown = model.source.unknown(line.symbols)
        if unknown:
            remarks.append(f"{', '.join(map(repr, unknown))} did not occur in training")
        cut = [str(number) for number, target in enumerate(targets, start=1) if not target.ended]
        if cut:
            which = "the target" if len(targets) == 1 else f"target {', '.join(cut)}"
            remarks.append(f"{which} was cut at {self.longest} symbols; a larger `longest` allows more")
        return f"{line.place}: {'; '.join(remarks)}" if remarks else None


def _vocabulary(model: PairNetwork) -> tuple[object, ...]:
    reads_label_in = model.settings.label if model.labels else ""
    return model.source.symbols, model.target.symbols, model.labels, model.label_separator, model.units, reads_label_in


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


def transcribe(
    models: Sequence[PairNetwork], sources: Iterable[str] | str, *, scores: bool = False, **search: Any
) -> list[str] | list[list[Target]]:
    """Write the targets of sources with an ensemble, which averages the models' probabilities.

    Args:
        models: with the same vocabularies, such as those of several seeds.
        sources: a list of texts, or a single text.
        scores: return targets with their scores, even if `n_best` is 1.
        search: `label`, `beam`, `n_best`, `alpha` and `longest`, as for `PairModel.transcribe`.

    Returns:
        What `PairModel.transcribe` returns.

    Raises:
        InputError: if an argument or a source is invalid, or the models cannot form an ensemble.
    """
    options = Search(**search)
    if not models:
        raise InputError("`models` must hold at least one model")
    options.check_models(models, [f"model {number}" for number in range(len(models))])
    found = []
    for line, targets in options.run(models, _lines_of(sources, models[0]), BATCH):
        found.append(targets)
        remark = options.remark(line, targets, models[0])
        if remark:
            warnings.warn(remark, stacklevel=3)
    if scores or options.n_best > 1:
        return found
    return [targets[0].text if targets else "" for targets in found]


def _lines_of(sources: Iterable[str] | str, model: PairNetwork) -> list[SourceLine]:
    lines = []
    for number, text in enumerate([sources] if isinstance(sources, str) else sources):
        if not isinstance(text, str):
            raise InputError(f"source {number}: expected text, found {text!r}")
        lines.append(source_line(f"source {number}", text, model.units.source))
    return lines


def transcribe_lines(
    runs: Sequence[str | os.PathLike[str]],
    *,
    input: str | os.PathLike[str] = "-",
    label: str | None = None,
    beam: int = 5,
    n_best: int = 1,
    alpha: float = 0.0,
    scores: bool = False,
    longest: int = 100,
    batch_size: int | None = None,
) -> Iterator[tuple[str, str | None]]:
    """Write the targets of new sources, one line each: source, tab, target.

    Args:
        runs: Run folders that `fit pairs` made, or model files; the predictions of several are averaged.
        input: UTF-8 text file with one source per line; - reads standard input.
        label: Label of all sources, for a model that was trained with labels.
        beam: Width of the beam search; 1 is greedy search.
        n_best: Number of targets per source, at most the width of the beam.
        alpha: Exponent of the length penalty: the score is the log probability over the length to this power.
        scores: Write the score of each target after it, separated by a tab.
        longest: Maximum number of symbols in a target.
        batch_size: Number of lines decoded at once; by default, 1 if standard input is a terminal, else 64.

    Returns:
        An iterator of lines, each with a remark about its source or None. An empty line stays empty.

    Raises:
        InputError: if an argument or a line is invalid. The lines before an invalid one are written.

    Example:
        contextual-rnn transcribe runs/spelling --input words.txt --n-best 3 --scores
    """
    search = Search(label, beam, n_best, alpha, longest)
    is_typed = input == "-" and sys.stdin is not None and sys.stdin.isatty()
    size = (1 if is_typed else BATCH) if batch_size is None else batch_size
    check_count(batch_size=size)
    if not runs:
        raise InputError("`runs` must name at least one run folder that `fit pairs` made")
    models = [PairNetwork.load(run) for run in runs]
    search.check_models(models, list(map(str, runs)))
    return _written(models, search, input, scores, size)


def _written(
    models: Sequence[PairNetwork], search: Search, path: str | os.PathLike[str], scores: bool, size: int
) -> Iterator[tuple[str, str | None]]:
    with _opened(path) as stream:
        lines = read_sources(stream, "standard input" if path == "-" else str(path), models[0].units.source)
        for line, targets in search.run(models, lines, size):
            columns = [line.text] if line.symbols else [""]
            for target in targets:
                columns += [target.text, *([f"{target.score:.4f}"] if scores else [])]
            yield "\t".join(columns), search.remark(line, targets, models[0])


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Iterable[bytes]]:
    if path == "-" and sys.stdin is None:
        raise InputError("standard input is closed; give a file of sources as `input`")
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise InputError(f"`input` {path} cannot be read: {error.strerror}") from None
    with file:
        yield file
