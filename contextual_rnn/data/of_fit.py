"""Errors of tables that a trained model reads: their advice names no setting that only `fit` takes."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Collection, Iterator

from .._core.choices import listed
from ..errors import InputError
from .columns import ColumnSettings


def of_fit(message: str, arguments: Collection[str], written: Callable[[str], str] = "`{}`".format) -> str:
    """Return a message without the advice to change settings of tables, which a trained model keeps.

    Args:
        message: of an error, with settings in backticks; its parts after semicolons are advice. A setting before "of
            `fit`" stays.
        arguments: the names that the call takes.
        written: how the result writes the name of a setting.
    """
    known = {"window", *(field.name for field in dataclasses.fields(ColumnSettings))} - set(arguments)
    named = [name for name in dict.fromkeys(re.findall(r"`(\w+)`(?! of `fit`)", message)) if name in known]
    if not named:
        return message
    shown = list(map(written, named))
    for name, setting in zip(named, shown, strict=True):
        message = message.replace(f"`{name}`", setting)
    what, *advice = message.split("; ")
    kept = [one for one in advice if not any(setting in one for setting in shown)]
    end = f"change this table, or `fit` another model with {listed(shown)} (a model reads every table as it was fitted)"
    return "; ".join([what, *kept, end])


@contextlib.contextmanager
def read_by_a_model(*arguments: str) -> Iterator[None]:
    """Give errors of tables the advice that suits a call of a trained model, which takes `arguments`."""
    try:
        yield
    except InputError as error:
        raise InputError(of_fit(str(error), arguments)) from None
