"""The command `sample` for a model of texts: texts as a file or on standard output, written as they are drawn."""

from __future__ import annotations

import itertools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from ..._core.counted import counted
from ...data.fields import named_values
from ...data.output import check_files, write_parts
from .model import CHUNK, TextModel


def sample_file(
    run: pathlib.Path,
    out: str | os.PathLike[str],
    *,
    context: Sequence[str] = (),
    n: int = 100,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    prefix: str = "",
    novel: bool = False,
    steps: int | None = None,
    seed: int = 0,
) -> str | Iterator[tuple[str, str | None]]:
    """Write texts with a trained model, and store them in a file as they are drawn.

    Args:
        run: Run folder that `fit texts` made, or a model file.
        out: Table to write, CSV, TSV or Parquet; - writes CSV to standard output.
        context: Values of context columns, as NAME=VALUE; columns that are left out are not known.
        n: Number of texts.
        temperature: 1 samples from the model's distribution; 0 takes the most likely symbols.
        top_k: Draw among the k most likely symbols; by default, among all.
        top_p: Draw among the most likely symbols whose probabilities sum to p.
        prefix: Start of every text.
        novel: Leave out texts that are equal, symbol by symbol, to a training or validation text, and draw others in
            their place.
        steps: Maximum number of symbols, at which a text is cut; by default, twice that of the longest training text.
        seed: Random seed; text i does not depend on `n`.

    Raises:
        InputError: if an argument is invalid, or the file holds no such model.

    Example:
        contextual-rnn sample texts runs/drugs --out drugs.csv --context logp=2.5 qed=0.8 --n 1000
    """
    to_output = str(out) == "-"
    check_files(read={"run": run}, written={"out": None if to_output else out})
    values = named_values(context)
    model = TextModel.load(run)
    drawn = model.texts(
        values, n, temperature=temperature, top_k=top_k, top_p=top_p, prefix=prefix, novel=novel, steps=steps, seed=seed
    )
    counted = Counted(model.settings.text, values, drawn)
    if to_output:
        return _lines(counted, n)
    write_parts(out, counted)
    return f"{counted.report(n)}Texts: {out}"


def _lines(parts: Counted, n: int) -> Iterator[tuple[str, str | None]]:
    """Yield CSV, and at the end what it has, as a remark."""
    written = ""
    for number, part in enumerate(parts):
        if number:
            yield written, None
        written = part.write_csv(include_header=not number).removesuffix("\n")
    yield written, parts.report(n).strip().replace("\n", " ")


class Counted(Iterable[pl.DataFrame]):
    """Frames of texts, which are counted while they are drawn.

    Args:
        column: the name of the column of texts.
        given: the context columns that were given.
        drawn: the texts, each with whether it has ended.
    """

    def __init__(self, column: str, given: dict[str, str], drawn: Iterable[tuple[str, bool]]) -> None:
        self.column, self.given, self.drawn = column, given, iter(drawn)
        self.texts, self.unfinished, self.distinct = 0, 0, set[int]()

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Yield frames of up to `CHUNK` texts; the first one may be empty."""
        first = True
        while (part := list(itertools.islice(self.drawn, CHUNK))) or first:
            texts, first = [text for text, _ in part], False
            self.texts += len(texts)
            self.unfinished += sum(not ended for _, ended in part)
            self.distinct.update(map(hash, texts))
            columns = {self.column: texts, **{name: [value] * len(texts) for name, value in self.given.items()}}
            yield pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))

    def report(self, n: int) -> str:
        """Return what was drawn, where `n` texts were asked for, in lines."""
        lines = [f"{counted(self.texts, 'text')} (`n`), {len(self.distinct)} of them distinct."]
        if self.texts < n:
            lines.append(f"Only {self.texts} of {n} texts are not among the training and validation texts.")
        if self.unfinished:
            lines.append(f"{self.unfinished} of the texts reached the limit of their symbols (`steps`).")
        return "".join(f"{line}\n" for line in lines)
