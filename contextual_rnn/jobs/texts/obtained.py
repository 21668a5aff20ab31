"""What models write for the context of test texts: valid texts, and the values asked for beside those obtained."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...context import Quantity
from ...data.units import join
from ...study.intervals import mean_interval
from ...study.metric import CORRELATION, SHARE, Metric, Row
from .check import Check, Checker
from .data import Texts
from .draw import Sampling
from .model import TextModel

VALID_TEXTS = "valid_texts"  # the key of their number
FEWEST_TEXTS = 20  # with fewer, the 95% interval of a correlation of 0 is wider than -0.44 to 0.44
TOO_FEW = (
    f"No correlation is given for fewer than {FEWEST_TEXTS} valid texts: chance alone makes it 0.44 or -0.44 then."
)


def _share(key: str, name: str) -> Metric:
    return Metric(key, name, "%", "difference", higher_is_better=True, bounds=SHARE)


VALID = _share("valid", "share of valid texts")
DISTINCT = _share("distinct", "share of distinct texts among valid ones")
NEW = _share("new", "share of new texts among valid ones")
NEW_IN_WORDS = "A text is new if it is equal, symbol by symbol, to none of the training and validation texts."


def error_of(column: str) -> Metric:
    """Return the metric of the difference between the value asked for and the one obtained."""
    return Metric(f"error_{column}", f"mean absolute error of {column}")


def correlation_of(column: str) -> Metric:
    """Return the metric of the correlation between the value asked for and the one obtained."""
    name = f"correlation of {column}"
    return Metric(f"correlation_{column}", name, "", "difference", higher_is_better=True, bounds=CORRELATION)


def within_of(column: str) -> Metric:
    """Return the metric of how often the value obtained is within the tolerance."""
    return _share(f"within_{column}", f"{column} within the tolerance")


def count_of(column: str) -> str:
    """Return the key of the number of valid texts for which a value was asked."""
    return f"texts_{column}"


@dataclasses.dataclass(frozen=True)
class Written:
    """The texts that a model wrote, one for the context of each test text.

    Attributes:
        texts: what was written.
        valid: (N,) whether every function has a value for the text.
        new: (N,) whether the text is, symbol by symbol, none of the training and validation texts.
        asked: for each column that is checked, (N,) the values asked for, NaN where none is known.
        got: for each column that is checked, (N,) the values obtained, NaN where the text is not valid.
    """

    texts: list[str]
    valid: np.ndarray
    new: np.ndarray
    asked: dict[str, np.ndarray]
    got: dict[str, np.ndarray]

    @classmethod
    def by(cls, model: TextModel, test: Texts, checks: Sequence[Check], checker: Checker, seed: int) -> Written:
        """Have a model write a text for the context of each test text, and call the functions."""
        rows = [dict(zip(test.context, values, strict=True)) for values in zip(*test.context.values(), strict=True)]
        drawn = [symbols for symbols, _ in model.draw(rows, Sampling(), seed=seed)]
        texts = [join(symbols, model.settings.unit) for symbols in drawn]
        found = [np.array(values, float) if values else None for values in checker.values(texts)]
        valid = np.ones(len(texts), dtype=bool)
        for values in found:
            valid &= True if values is None else np.isfinite(values)
        got = {
            one.column: values
            for one, values in zip(checks, found, strict=True)
            if one.column is not None and values is not None
        }
        asked = {column: np.array(test.context[column], float) for column in got}
        return cls(texts, valid, np.array([not model.is_seen(symbols) for symbols in drawn]), asked, got)

    def metrics(self, tolerances: Mapping[str, float]) -> dict[str, float | None]:
        """Return every metric; None where no text allows to compute it.

        Args:
            tolerances: for each column, the largest difference that is within the tolerance.
        """
        count = int(self.valid.sum())
        distinct = len({text for text, valid in zip(self.texts, self.valid, strict=True) if valid})
        found: dict[str, float | None] = {VALID.key: 100 * count / len(self.valid), VALID_TEXTS: count}
        found[DISTINCT.key] = 100 * distinct / count if count else None
        found[NEW.key] = 100 * float(self.new[self.valid].mean()) if count else None
        for column, got in self.got.items():
            asked = self.asked[column]
            both = self.valid & np.isfinite(asked)
            errors = np.abs(got - asked)[both]
            found[count_of(column)] = len(errors)
            found[error_of(column).key] = float(errors.mean()) if len(errors) else None
            found[correlation_of(column).key] = correlation(asked[both], got[both])
            within = errors <= tolerances[column]
            found[within_of(column).key] = 100 * float(within.mean()) if len(errors) else None
        return found

    def deciles(self) -> list[Row]:
        """Return a row for each column that is checked and each tenth of the values asked for."""
        rows = []
        for column, got in self.got.items():
            asked = self.asked[column]
            for number, (low, high, members) in enumerate(tenths(asked), start=1):
                kept = members & self.valid
                rows.append(
                    {
                        **{"column": column, "decile": number, "from": low, "to": high, "texts": int(members.sum())},
                        "valid": 100 * float(self.valid[members].mean()),
                        "asked": float(asked[members].mean()),
                        "obtained": float(got[kept].mean()) if kept.any() else None,
                        "error": float(np.abs(got - asked)[kept].mean()) if kept.any() else None,
                    }
                )
        return rows

    def columns(self) -> dict[str, Any]:
        """Return the columns of a table of the texts."""
        values = {f"{name} {column}": found[column] for column in self.got for name, found in self._both()}
        return {"text": self.texts, "valid": self.valid, "new": self.new, **values}

    def _both(self) -> tuple[tuple[str, dict[str, np.ndarray]], ...]:
        return ("asked", self.asked), ("obtained", self.got)


def tenths(asked: np.ndarray) -> list[tuple[float, float, np.ndarray]]:
    """Return the least and the largest value of each tenth of the known values, and its members (N,).

    Equal values are in the same tenth, so that there may be fewer than ten.
    """
    known = np.sort(asked[np.isfinite(asked)])
    if not len(known):
        return []
    edges = np.unique(known[[math.ceil(part * len(known) / 10) - 1 for part in range(1, 10)]])
    place = np.where(np.isfinite(asked), np.searchsorted(edges, asked), -1)
    parts = [place == number for number in range(len(edges) + 1)]
    return [(float(asked[part].min()), float(asked[part].max()), part) for part in parts if part.any()]


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Return Pearson's correlation of two columns; None if one does not vary, or has fewer than `FEWEST_TEXTS`."""
    if len(a) < FEWEST_TEXTS or not a.std() or not b.std():
        return None
    return float(np.corrcoef(a, b)[0, 1])


def tolerances(model: TextModel, columns: Sequence[str], share: float) -> dict[str, float]:
    """Return a share of the standard deviation of the training values, for each column."""
    fields = model.fields
    return {name: share * (field.deviation or 1.0) for name in columns if isinstance(field := fields[name], Quantity)}


def tolerance_in_words(share: float) -> str:
    """Return a sentence that says what the tolerance of the tables is."""
    return f"The tolerance is {share:g} standard deviations of the column in the training table."


def mean_deciles(by_run: Mapping[str, Sequence[list[Row]]]) -> list[Row]:
    """Return the rows of `Written.deciles`, with means over seeds and their 95% intervals.

    Args:
        by_run: for each kind of model, the rows of each seed.
    """
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for kind, seeds in by_run.items():
        for row in (row for rows in seeds for row in rows):
            groups.setdefault((kind, row["column"], row["decile"]), []).append(row)
    return [_mean_decile(kind, several) for (kind, *_), several in groups.items()]


def _mean_decile(kind: str, several: list[Row]) -> Row:
    row = {"context_in": kind, **several[0]}
    for name in ("valid", "obtained", "error"):
        values = [one[name] for one in several if one[name] is not None]
        bounds = VALID.bounds if name == "valid" else None
        row[name] = dataclasses.asdict(mean_interval(values, bounds)) if values else None
    return row


def with_progress(names: Sequence[str]) -> Any:
    """Return the names; a bar shows how many are done, if standard error is a terminal."""
    from tqdm.auto import tqdm

    return tqdm(names, desc="checks", unit="model", disable=None, file=sys.stderr)
