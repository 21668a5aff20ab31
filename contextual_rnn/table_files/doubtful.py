"""What may be a mistake in a training table but is read as it is, in sentences."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

ROWS = 10_000  # of each series, which are looked at
LEAST = 10  # distinct numbers beside one that may stand for a missing value
TRUTHS = {"true": "1", "yes": "1", "false": "0", "no": "0"}


def labels_alike(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a sentence for each column with labels that differ only in their form, such as in capitals or blanks.

    Args:
        columns: the labels of each column.
    """
    sentences = []
    for name, labels in columns.items():
        forms = defaultdict(list)
        for label in labels:
            forms[_form(label)].append(label)
        same = next((found for found in forms.values() if len(found) > 1), None)
        if same:
            visible = len({unicodedata.normalize("NFC", label) for label in same}) == len(same)
            listed = ", ".join(map(repr if visible else ascii, same))
            sentences.append(
                f"{listed} are different values of column {name!r}; if they mean the same, spell them alike."
            )
    return sentences


def _form(label: str) -> str:
    text = unicodedata.normalize("NFKC", label).casefold()
    text = "".join(one for one in text if unicodedata.category(one) not in ("Cf", "Zs"))
    return TRUTHS.get(text, re.sub(r"^([+-]?\d+)\.0+$", r"\1", text))


def perhaps_missing(series: Sequence[Any], inputs: Sequence[str], targets: Sequence[str]) -> list[str]:
    """Return a sentence for each input and target column with a number that may stand for a missing value.

    It is a whole number, the smallest or the largest one, stands more than once, and is farther from all others than a
    quarter of their range. Columns of labels and of numbers with an offset are left out.

    Args:
        series: the series of the training table.
        inputs: the names of its input columns.
        targets: the names of its target columns.
    """
    coding, sentences = series[0].coding, []
    for kind, names in (("inputs", inputs), ("targets", targets)):
        rows = np.concatenate([getattr(one, kind)[:ROWS, : len(names)] for one in series])
        for name, column in zip(names, rows.T, strict=True):
            mark = None if name in (*coding.labels, *coding.offsets) else _mark(column[~np.isnan(column)])
            if mark is not None:
                shown, count = f"{mark[0]:.10g}", mark[1]
                sentences.append(
                    f"The number {shown} stands {count} times in column {name!r}, far from all others; if it stands "
                    f"for a missing value, give `missing_values` {shown}."
                )
    return sentences


def _mark(values: np.ndarray) -> tuple[float, int] | None:
    """Return a number that may stand for a missing value, and how often it stands in a column; None without one."""
    if len(values) <= LEAST:
        return None
    for end, nearest in ((values.min(), np.min), (values.max(), np.max)):
        others = values[values != end]
        count = len(values) - len(others)
        if count < 2 or not len(others) or end % 1:
            continue
        if abs(nearest(others) - end) > 0.25 * np.ptp(others) > 0 and len(np.unique(others)) >= LEAST:
            return float(end), count
    return None
