"""The process that calls functions of texts: run as a script, it answers one line of JSON for each line it reads.

It imports nothing of this package, so that it starts fast. Whatever the functions print goes to a temporary file, since
the answers have the standard output.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import math
import numbers
import os
import sys
import tempfile
from collections.abc import Callable
from typing import IO, Any

SHOWN = 200  # characters that are kept of what a function prints


def main() -> None:
    """Import the functions that the first line names, and call one for each further line."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with tempfile.TemporaryFile() as sink, open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        first = json.loads(requests.readline())
        sys.path[:] = first["path"]
        functions = []
        for place in first["functions"]:
            try:
                functions.append(find(place))
            except BaseException as error:
                _write(answers, {"error": f"`check` {place} cannot be imported: {described(error)}"})
                return
        _said(sink)
        _write(answers, {})
        for line in requests:
            number, text = json.loads(line)
            _write(answers, {**called(functions[number], text), "printed": _said(sink)})


def find(place: str) -> Callable[[str], Any]:
    """Return the function of `package.module:function`."""
    module, _, name = place.partition(":")
    found = functools.reduce(getattr, name.split("."), importlib.import_module(module))
    if not callable(found):
        raise TypeError(f"{name} is no function")
    return found


def called(function: Callable[[str], Any], text: str) -> dict[str, Any]:
    """Return the `value` of a function, a number or None; or the `error` that it made, and of which `kind` it is."""
    try:
        value = function(text)
        if value is None:
            return {"value": None}
        if isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value):
            return {"value": float(value)}
        what = f"{value!r:.{SHOWN}}"
        return {"kind": "result", "error": f"returned {what}, which is neither a finite number nor None,"}
    except BaseException as error:
        return {"kind": type(error).__name__, "error": f"raised {described(error)}"}


def described(error: BaseException) -> str:
    """Return an error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".removesuffix(": ").split())[:SHOWN]


def _write(file: IO[str], answer: dict[str, Any]) -> None:
    file.write(json.dumps(answer) + "\n")
    file.flush()


def _said(sink: IO[bytes]) -> str:
    """Return the start of what was printed since the last call."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    if not os.fstat(sink.fileno()).st_size:
        return ""
    sink.seek(0)
    text = sink.read(SHOWN).decode("utf-8", "replace")
    sink.seek(0)
    sink.truncate()
    return " ".join(text.split()) or "blank lines"


if __name__ == "__main__":
    main()
