"""`score`: the metrics of the targets that trained models write, on pairs that no one trained on."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Sequence
from typing import Literal

from ..._core.counted import counted
from ..._core.files import write_bytes
from ...data.pairs import PairSource, read_pairs
from ...errors import InputError
from ...study.report import FitReport
from .answers import answer
from .data import either
from .metrics import metrics_of, scored_by
from .network import PairNetwork
from .questions import questions
from .search import Search
from .subwords import cut


def score_pairs(
    runs: Sequence[str | os.PathLike[str]],
    *,
    test: PairSource | None = None,
    test_source: str | os.PathLike[str] | None = None,
    test_target: str | os.PathLike[str] | None = None,
    beam: int = 5,
    alpha: float = 0.0,
    coverage: float = 0.0,
    answers: str | os.PathLike[str] | None = None,
    separator: str | None = None,
    header: Literal["present", "absent"] | None = None,
    comment: str | None = None,
    skip_rows: int | None = None,
    encoding: str | None = None,
) -> FitReport:
    """Write the targets of test sources with trained models, and report their errors.

    The table has all test sources, and thirds of them by length. Targets of words or subwords have BLEU and chrF of
    sacrebleu, too, whose signatures are printed.

    Args:
        runs: Run folders that `fit pairs` made, or model files; the predictions of several are averaged.
        test: Pairs in the form of the training pairs.
        test_source: Text file of test sources, in place of `test`.
        test_target: Text file of test targets.
        beam: Width of the beam search; 1 is greedy search.
        alpha: Exponent of the length penalty: the score is the log probability over the length to this power.
        coverage: Weight of the coverage penalty, which lowers the score of a target that leaves parts of its source
            without attention.
        answers: File to write the sources, the targets and the references to, with tabs between them.
        separator: Text between the fields of a line of the test file, as for `fit pairs`; by default, that of the
            training pairs.
        header: Whether the first line of the test file is a header; by default, as for the training pairs.
        comment: Text that starts a line to skip, or none; by default, as for the training pairs.
        skip_rows: Number of lines at the start of the test file that are skipped; by default, that of the training
            pairs.
        encoding: Encoding of the test file; by default, that of the training pairs.

    Returns:
        The report: printing it shows the table, and `rows` has its values.

    Raises:
        InputError: if an argument or a pair is invalid, or the models cannot form an ensemble.

    Example:
        contextual-rnn score pairs runs/en_de --test test.tsv --beam 5 --alpha 1
    """
    search = Search(beam=beam, alpha=alpha, coverage=coverage)
    source = either(test, test_source, test_target, "test")
    if source is None:
        raise InputError("test pairs are missing: give `test`, or `test_source` and `test_target`")
    models = [PairNetwork.load(run) for run in runs]
    search.check_models(models, list(map(str, runs)), has_labels=True)
    settings, units = models[0].settings, models[0].units
    own = {"separator": separator, "header": header, "comment": comment, "skip_rows": skip_rows, "encoding": encoding}
    files = {**settings.options(), "label_separator": models[0].label_separator or "none"}
    files |= {name: value for name, value in own.items() if value is not None}
    read = read_pairs(source, units=units, name="`test`", **files)
    asked = questions(cut(read.pairs, models[0].subwords))
    start = time.process_time()
    found = answer(models, asked, beam, alpha=alpha, coverage=coverage)
    seconds = time.process_time() - start
    if answers is not None:
        write_bytes(pathlib.Path(answers), found.table(units).encode())
    decoded = f"{counted(len(asked), 'source')} {'was' if len(asked) == 1 else 'were'} decoded"
    sentences = [
        f"{decoded} with a beam of {beam} in {seconds:.1f} s of processor time.",
        *(f"Metric: {one}." for one in scored_by([one.references for one in asked], units.target)),
    ]
    rows = {"all": found.metrics(), **found.by_length()}
    return FitReport(sentences, metrics_of(units.target), rows)
