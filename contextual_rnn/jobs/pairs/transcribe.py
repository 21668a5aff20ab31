"""`transcribe`: the targets of new sources, from a list or line by line from a stream."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..._core.counted import counted
from ..._core.settings import check_count
from ...data.output import check_files
from ...data.pairs import Pair, SourceLine, read_sources, source_line
from ...errors import InputError
from ...table_files.encoding import check_encoding, open_text
from ...table_files.open import reading
from .decode import Target
from .network import PairNetwork
from .search import Search

BATCH = 64  # sources that are decoded at once
FIRST = 6  # sources whose attention a figure shows


def transcribe(
    models: Sequence[PairNetwork], sources: Iterable[str] | str, *, scores: bool = False, **search: Any
) -> list[str] | list[list[Target]]:
    """Write the targets of sources with an ensemble, which averages the models' probabilities.

    Args:
        models: with the same vocabularies, such as those of several seeds.
        sources: a list of texts, or a single text.
        scores: return targets with their scores, even if `n_best` is 1.
        search: `label`, or a list of one for each source, `beam`, `n_best`, `alpha`, `coverage` and `longest`, as for
            `PairModel.transcribe`.

    Returns:
        What `PairModel.transcribe` returns.

    Raises:
        InputError: if an argument or a source is invalid, or the models cannot form an ensemble.
    """
    found = [targets for _, targets in search_targets(models, sources, **search)]
    if scores or search.get("n_best", 1) > 1:
        return found
    return [targets[0].text if targets else "" for targets in found]


def search_targets(
    models: Sequence[PairNetwork],
    sources: Iterable[str] | str,
    *,
    label: str | Sequence[str] | None = None,
    **search: Any,
) -> list[tuple[SourceLine, list[Target]]]:
    """Return every source with its targets, the best first; the arguments are those of `transcribe`."""
    single, several = (label, None) if label is None or isinstance(label, str) else (None, list(label))
    options = Search(label=single, **search)
    if not models:
        raise InputError("`models` must hold at least one model")
    options.check_models(models, [f"model {number}" for number in range(len(models))], several is not None)
    found = []
    for line, targets in options.run(models, _lines_of(sources, several, models[0]), BATCH):
        found.append((line._replace(label=options.label if line.label is None else line.label), targets))
        remark = options.remark(line, targets, models[0])
        if remark:
            warnings.warn(remark, stacklevel=4)
    return found


def _lines_of(sources: Iterable[str] | str, labels: list[str] | None, model: PairNetwork) -> list[SourceLine]:
    texts = [sources] if isinstance(sources, str) else list(sources)
    if labels is not None and len(labels) != len(texts):
        counts = f"{counted(len(labels), 'label')} for {counted(len(texts), 'source')}"
        raise InputError(f"`label` has {counts}; give one for each, or one text")
    lines = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"source {number}: expected text, found {text!r}")
        label = None if labels is None else labels[number]
        lines.append(source_line(f"source {number}", text, model.units.source, label))
    return lines


def transcribe_lines(
    runs: Sequence[str | os.PathLike[str]],
    *,
    input: str | os.PathLike[str] = "-",
    label: str | None = None,
    label_column: int | None = None,
    comment: str | None = None,
    encoding: str = "utf-8",
    beam: int = 5,
    n_best: int = 1,
    alpha: float = 0.0,
    coverage: float = 0.0,
    scores: bool = False,
    longest: int = 100,
    batch_size: int | None = None,
    figure: str | os.PathLike[str] | None = None,
) -> Iterator[tuple[str, str | None]]:
    """Write the targets of new sources, one line each: source, tab, target.

    Args:
        runs: Run folders that `fit pairs` made, or model files; the predictions of several are averaged.
        input: Text file with one source per line, also gzipped (.gz); - reads standard input.
        label: Label of all sources, for a model that was trained with labels.
        label_column: Number, 1 or 2, of the field of a line that is the label of its source; a tab is between both.
        comment: Text that starts a line that is read as an empty one, such as #.
        encoding: Encoding of the sources, such as latin-1.
        beam: Width of the beam search; 1 is greedy search.
        n_best: Number of targets per source, at most the width of the beam.
        alpha: Exponent of the length penalty: the score is the log probability over the length to this power.
        coverage: Weight of the coverage penalty, which lowers the score of a target that leaves parts of its source
            without attention.
        scores: Write the score of each target after it, separated by a tab.
        longest: Maximum number of symbols in a target.
        batch_size: Number of lines decoded at once; by default, 1 if standard input is a terminal, else 64.
        figure: PNG file of the attention weights of the first six sources and their targets, of one run; an SVG is
            written next to it.

    Returns:
        An iterator of lines, each with a remark about its source or None. An empty line stays empty.

    Raises:
        InputError: if an argument or a line is invalid. The lines before an invalid one are written.

    Example:
        contextual-rnn transcribe runs/spelling --input words.txt --n-best 3 --scores
    """
    search = Search(label, beam, n_best, alpha, longest, coverage)
    is_typed = input == "-" and sys.stdin is not None and sys.stdin.isatty()
    size = (1 if is_typed else BATCH) if batch_size is None else batch_size
    check_count(batch_size=size)
    check_encoding(encoding)
    if label_column not in (None, 1, 2):
        raise InputError(f"`label_column` must be 1 or 2, the fields of a line; found {label_column}")
    if label_column is not None and label is not None:
        raise InputError("`label` and `label_column` cannot be given together")
    if comment == "":
        raise InputError("`comment` must not be empty")
    if not runs:
        raise InputError("`runs` must name at least one run folder that `fit pairs` made")
    models = [PairNetwork.load(run) for run in runs]
    search.check_models(models, list(map(str, runs)), label_column is not None)
    form: dict[str, Any] = {"encoding": encoding, "label_column": label_column, "comment": comment}
    written = _written(models, search, input, scores, size, form)
    if figure is None:
        return (line for line, _ in written)
    check_figure(figure, models, input)
    return _with_figure(written, models[0], pathlib.Path(figure))


def check_figure(figure: str | os.PathLike[str], models: Sequence[PairNetwork], input: str | os.PathLike[str]) -> None:
    """Raise InputError unless the attention of a single model can be drawn to a file."""
    from .figures import check_attention

    if pathlib.Path(figure).suffix != ".png":
        raise InputError(f"`figure` must end in .png; found {figure}")
    if len(models) > 1:
        raise InputError(f"`figure` shows the attention of one model; give one run, not {len(models)}")
    drawing = pathlib.Path(figure).with_suffix(".svg")
    check_files(read={"input": None if input == "-" else input}, written={"figure": figure, "figure as SVG": drawing})
    check_attention(models[0])


def _with_figure(
    written: Iterable[tuple[tuple[str, str | None], Pair | None]], model: PairNetwork, path: pathlib.Path
) -> Iterator[tuple[str, str | None]]:
    """Yield lines with their remarks, and at the end draw the attention of the first pairs to a file."""
    from ...study.figures import write_figure
    from .figures import draw_attention

    first: list[Pair] = []
    for line, pair in written:
        if pair is not None and len(first) < FIRST:
            first.append(pair)
        yield line
    if first:
        write_figure(draw_attention(model, first), path.parent, path.stem)


def _written(
    models: Sequence[PairNetwork],
    search: Search,
    path: str | os.PathLike[str],
    scores: bool,
    size: int,
    form: dict[str, Any],
) -> Iterator[tuple[tuple[str, str | None], Pair | None]]:
    """Yield every line with its remark, and the pair of its source and its best target; None for an empty line."""
    with _opened(path) as stream:
        lines = read_sources(stream, "standard input" if path == "-" else str(path), models[0].units.source, **form)
        for line, targets in search.run(models, lines, size):
            columns = [line.text] if line.symbols else [""]
            for target in targets:
                columns += [target.text, *([f"{target.score:.4f}"] if scores else [])]
            label = search.label if line.label is None else line.label
            pair = Pair(line.symbols, targets[0].symbols, label) if targets else None
            yield ("\t".join(columns), search.remark(line, targets, models[0])), pair


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Iterable[bytes]]:
    if path == "-" and sys.stdin is None:
        raise InputError("standard input is closed; give a file of sources as `input`")
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open_text(pathlib.Path(path))
    except OSError as error:
        raise InputError(f"`input` {path} cannot be read: {error.strerror}") from None
    with file, reading(pathlib.Path(path)):
        yield file
