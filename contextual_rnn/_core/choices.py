"""Check arguments that must be one of a few names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

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
    if value in choices:
        return
    nearest = difflib.get_close_matches(str(value).casefold(), choices, 1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise InputError(f"{argument} must be one of {', '.join(choices)}; found {value!r}{hint}")
