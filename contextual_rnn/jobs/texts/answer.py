"""What an answer to whether the place of the context matters says besides the comparison of likelihoods."""

from __future__ import annotations

from collections.abc import Sequence

from ...study.differences import in_words
from ...study.intervals import FEWEST
from ...study.metric import Row
from .metrics import BITS, BY_TEXT
from .obtained import error_of

NOWHERE = "none"


def further(differences: Sequence[Row], columns: Sequence[str], answer: str = "") -> str:
    """Return sentences that continue an answer: the comparison with no context, and the errors of what was asked for.

    Args:
        differences: of `findings`, the answer's among them.
        columns: the context columns whose values asked for were compared with those obtained.
        answer: what has been said, which is not said again.
    """
    primary = next((row for row in differences if row["family"] == "primary"), None)
    if primary is None:
        return ""
    said = [_errors(differences, primary["a"], primary["b"], columns)]
    if NOWHERE not in (primary["a"], primary["b"]):
        own = [row for row in differences if (row["a"], row["b"]) == (primary["a"], NOWHERE)]
        whole = next((row for row in own if BY_TEXT.items in row), None)
        bits = whole or next((row for row in own if row["metric"] == BITS.key), None)
        if bits is not None:
            sentence = in_words(bits, BY_TEXT, BY_TEXT.items) if whole else in_words(bits, BITS)
            said.append("" if sentence[1:] in answer else sentence)  # there it may begin with "But the"
            said.append(_errors(differences, primary["a"], NOWHERE, columns))
    return "".join(f" {sentence}" for sentence in said if sentence)


def _errors(differences: Sequence[Row], a: str, b: str, columns: Sequence[str]) -> str:
    """Return a sentence with the ratios of the mean absolute errors of two places; empty if there are none."""
    of_pair = {row["metric"]: row for row in differences if (row["a"], row["b"]) == (a, b)}
    rows = {column: of_pair[error_of(column).key] for column in columns if error_of(column).key in of_pair}
    known = {column: row for column, row in rows.items() if row.get("ratio") is not None}
    if not known:
        return ""
    shown = ", ".join(f"{column} {row['ratio']:.3g}{_interval(row)}" for column, row in known.items())
    several = any(row.get("claims", 0) > 1 for row in known.values())
    kind = "simultaneous 95% intervals" if several else "95% intervals"
    enough = all(row["low"] is not None for row in known.values())
    how = f"with {kind}" if enough else f"without intervals, which need {FEWEST} seeds"
    return f"Mean absolute errors of {a} as ratios to those of {b}, {how}: {shown}."


def _interval(row: Row) -> str:
    if row["low"] is None:
        return ""
    low, high = (row.get(f"simultaneous_{end}", row[end]) for end in ("low", "high"))
    return f" ({low:.3g} to {high:.3g})"
