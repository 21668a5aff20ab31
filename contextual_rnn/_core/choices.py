"""Check arguments that must be one of a few names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from ..errors import InputError


def check_choice(value: object, choices: Sequence[str], argument: str) -> None:
    """Raise InputError, with the choices and the nearest choice, unless `value` is one of them.

    Args:
        value: the value that the caller passed.
        choices: the allowed names.
        argument: the name of the argument, for the message.

    Raises:
        InputError: `value` is not one of `choices`.
    """
    if value not in choices:
        hint = nearest(str(value), choices)
        raise InputError(f"{argument} must be one of {', '.join(choices)}; found {value!r}{hint}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean ...?" with the known name most like `name`, in any case of letters; or nothing."""
    folded = {one.casefold(): one for one in known}
    found = difflib.get_close_matches(name.casefold(), folded, 1)
    return f"; did you mean {folded[found[0]]!r}?" if found else ""


def listed(names: Sequence[str]) -> str:
    """Return names as a list in words: `a`, `a and b`, or `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
