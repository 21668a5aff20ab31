"""`transcribe`: targets for new sources, line by line."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Iterator, Sequence

from ...data.pairs import join, read_sources
from ...errors import InputError
from ...serialization import load
from .model import PairModel, Target, decode

Line = tuple[str, tuple[str, ...]]


def read_models(runs: Sequence[pathlib.Path]) -> list[PairModel]:
    """Return the models of run folders; several are an ensemble.

    Raises:
        InputError: a folder holds no model of pairs, or one of other symbols or labels than the first.
    """
    models = [load(run / "model.safetensors", PairModel) for run in runs]
    for run, model in zip(runs, models, strict=True):
        if _vocabulary(model) != _vocabulary(models[0]):
            raise InputError(f"{run} knows other symbols or labels than {runs[0]}: an ensemble is trained on one file")
    return models


def _vocabulary(model: PairModel) -> tuple[object, ...]:
    told = model.settings.label if model.labels else ""
    return model.source.symbols, model.target.symbols, model.labels, model.units, told


def check_label(model: PairModel, label: str | None) -> None:
    """Raise InputError where a label is given and none known, or the other way round, or it is not a known one."""
    if label is not None and label not in model.labels:
        known = f"one of {', '.join(model.labels)}" if model.labels else "none: it was trained without labels"
        raise InputError(f"--label {label}: the model knows {known}")
    if label is None and model.labels and model.settings.label != "none":
        raise InputError(f"the model must be told a label: give --label, one of {', '.join(model.labels)}")


def transcribe(
    models: Sequence[PairModel],
    lines: Iterable[bytes],
    name: str,
    *,
    label: str | None,
    beam: int,
    n_best: int,
    alpha: float,
    scores: bool,
    batch_size: int,
    longest: int,
) -> Iterator[tuple[str, str | None]]:
    """Yield, for every line, what is to be written, and what is to be said of it, if anything.

    A written line is the source and its targets, best first, parted by tabs; with `scores` each target is followed by
    its score. An empty line stays empty. Targets that are alike once cut at `longest` are written once.

    Args:
        models: one, or an ensemble.
        lines: sources, as bytes.
        name: of the stream, for what is said.
        label: of all sources.
        beam: width of the search.
        n_best: targets for a source.
        alpha: of the length penalty.
        scores: whether scores are written: the log probability, nats, over length to the power of alpha.
        batch_size: lines that are answered at once.
        longest: the most symbols of a target.
    """
    numbered = enumerate(read_sources(lines, name, models[0].units.source), start=1)
    for batch in _batches(numbered, batch_size):
        asked = [symbols for _, (_, symbols) in batch if symbols]
        labels = [label] * len(asked)
        found = iter(
            decode(models, asked, labels, width=beam, alpha=alpha, n_best=n_best, max_steps=longest + 1)
            if asked
            else ()
        )  # one step more, for the end
        for number, (text, symbols) in batch:
            if not symbols:
                yield "", None
                continue
            written, targets = [text], _unlike(next(found), longest)
            for target in targets:
                shown = join(target.symbols, models[0].units.target)
                written += [shown, *([f"{target.score:.4f}"] if scores else [])]
            yield (
                "\t".join(written),
                _said(f"{name}, line {number}", models[0].source.unknown(symbols), targets, longest),
            )


def _unlike(targets: list[Target], longest: int) -> list[Target]:
    """Return targets cut at `longest`, of those that are then alike the first."""
    found: dict[tuple[str, ...], Target] = {}
    for target in targets:
        cut = target.symbols[:longest]
        found.setdefault(cut, target._replace(symbols=cut))
    return list(found.values())


def _batches(lines: Iterator[tuple[int, Line]], size: int) -> Iterator[list[tuple[int, Line]]]:
    """Yield lines, `size` at a time; those before a bad one are yielded before its error is raised."""
    batch: list[tuple[int, Line]] = []
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


def _said(place: str, unknown: list[str], targets: list[Target], longest: int) -> str | None:
    said = []
    if unknown:
        names = ", ".join(repr(symbol) for symbol in unknown)
        said.append(f"{names} not seen in training; answered all the same")
    cut = [str(number) for number, target in enumerate(targets, start=1) if not target.ended]
    if cut:
        which = "the target" if len(targets) == 1 else f"target {', '.join(cut)}"
        said.append(f"{which} did not end within {longest} symbols and was cut there; --longest takes more")
    return f"{place}: {'; '.join(said)}" if said else None
