"""`compare`: whether it matters where a model of texts reads the context, and by how much."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar

from ..._core.settings import takes_settings
from ...data.table import Source
from ...errors import InputError
from ...study.comparison import Comparison, train_kinds
from ...study.differences import findings
from .baselines import baselines
from .batches import Encoded
from .data import TextData
from .metrics import BITS, BY_TEXT, METRICS
from .settings import PLACES, TextSettings
from .train import Training

QUESTIONS = {
    ("h0", "every-step"): "Reading the context in h0, rather than at every step",
    ("h0", "none"): "Reading the context in h0, rather than nowhere",
    ("both", "h0"): "Reading the context at every step besides h0",
    ("every-step", "none"): "Reading the context at every step, rather than nowhere",
}
PRIMARY = tuple(QUESTIONS)  # the answer's comparison: the first that was made


class TextComparison(Comparison):
    """The results of a comparison of places where the context is read; see `Comparison`."""

    heading: ClassVar[str] = "context in"


@takes_settings(TextSettings)
def compare(
    train: Source,
    test: Source,
    *,
    context_in: Sequence[str] = PLACES,
    seeds: int = 5,
    validation: Source | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    jobs: int | None = None,
    **options: Any,
) -> TextComparison:
    """Train the same model of texts with the context in h0, at every step, in both and nowhere, and compare them.

    Settings with several values are chosen for each place in the same way, on validation texts. The table shows the
    bits per symbol of the test texts.

    Args:
        train: Training table with one row per text: a CSV, TSV or Parquet file; in Python, also a data frame.
        test: Table to report metrics on; nothing is chosen on it.
        context_in: Places to compare: the initial state (h0), every input (every-step), both, or none.
        seeds: Number of seeds, counted from 0; with fewer than 5, no difference is claimed.
        validation: Table to choose the epoch and the settings on; by default, a tenth of the training texts is held
            out.
        out: Run folder to create; by default, nothing is kept on disk.
        resume: Continue in a folder that already holds this run, and skip what is finished.
        jobs: Number of processes; by default, one per processor.

    Returns:
        The answer, the tables and the figures.

    Raises:
        InputError: if a table or a setting is invalid, or there is no context column.

    Example:
        contextual-rnn compare texts --train a.csv --test b.csv --text name --context language --out runs/places
    """
    variants = [
        values["context_in"] for values, _ in TextSettings.variants({**_one_each(options), "context_in": context_in})
    ]
    if not options.get("context"):
        raise InputError("`context` is required: the comparison is of places where the model reads it")
    candidates = {place: TextSettings.candidates({**options, "context_in": place}) for place in variants}
    data = TextData.read(train, validation, test, candidates[variants[0]][0])
    with train_kinds(Training(data), candidates, seeds=seeds, out=out, resume=resume, jobs=jobs) as trained:
        training, tested = (Encoded.of(part, data.symbols) for part in (data.training, data.test))
        found = baselines(training, tested, 1 + len(data.symbols))
        simple = {name: {BITS.key: float(bits.mean())} for name, bits in found.items()}
        pairs = [(a, b, meaning) for (a, b), meaning in QUESTIONS.items() if a in variants and b in variants]
        if len(variants) > 1 and not pairs:
            a, b = variants[:2]
            pairs = [(a, b, f"Reading the context: {a}, rather than {b}")]
        return TextComparison(
            **findings(trained.runs, pairs, METRICS, BY_TEXT, simple, "the place of the context", PRIMARY),
            **trained.fields(),
            report={"baselines": simple, "chosen": trained.chosen()},
            note=" ".join([*data.remarks, "Lower is better."]),
        ).keep(trained)


def _one_each(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with one value each, of which the first is taken, to check the places to compare."""
    return TextSettings.candidates(options)[0].to_json()
