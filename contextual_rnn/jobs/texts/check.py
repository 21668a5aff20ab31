"""Functions of a text that a user gives, called in another process, so that a failure costs no more than a value."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any

from ..._core.choices import nearest
from ...errors import InputError

IMPORTING = 60.0  # seconds that the import of the functions may take
MOST_HANGS = 10  # texts at which a function may exceed its time, before it is no longer called
HANGS, PRINTED = "hangs", "printed"  # kinds of failure
PLACE = re.compile(r"(?:(?P<column>[^=:]+)=)?(?P<function>[^=:\s]+:[^=:\s]+)")


@dataclasses.dataclass(frozen=True)
class Check:
    """A function of a text.

    Attributes:
        function: its place, such as `package.module:function`.
        column: the context column that its value is compared with; None if its value is compared with nothing.
    """

    function: str
    column: str | None

    @classmethod
    def parse(cls, text: str, quantities: Sequence[str], context: Sequence[str]) -> Check:
        """Read `[COLUMN=]package.module:function`.

        Without a column, it is the context column of the function's name.

        Args:
            text: what to read.
            quantities: the context columns of numbers.
            context: all context columns.

        Raises:
            InputError: the text is not of that form, or the column is not one of numbers.
        """
        found = PLACE.fullmatch(text)
        if found is None:
            raise InputError(
                f"`check` must be package.module:function, or COLUMN=package.module:function; found {text!r}"
            )
        column, function = found["column"], found["function"]
        if column is not None and column not in quantities:
            if column in context:
                raise InputError(f"`check` {text}: the context column {column!r} has labels, not numbers")
            raise InputError(f"`check` {text}: there is no context column {column!r}{nearest(column, context)}")
        name = re.split("[:.]", function)[-1]
        if column is None and name in quantities:
            column = name
        return cls(function, column)

    @classmethod
    def parse_all(cls, texts: Sequence[str], quantities: Sequence[str], context: Sequence[str]) -> list[Check]:
        """Read several functions. The only one without a column gets the column of numbers, if there is a single one.

        Raises:
            InputError: as `parse` does, or two functions have the same column.
        """
        found = [cls.parse(text, quantities, context) for text in texts]
        columns = [one.column for one in found if one.column]
        twice = [column for column in columns if columns.count(column) > 1]
        if twice:
            raise InputError(f"`check`: two functions are compared with the context column {twice[0]!r}")
        if len(quantities) == 1 and len(found) == 1 and not columns:
            return [cls(found[0].function, quantities[0])]
        return found


def in_words(checks: Sequence[Check]) -> str:
    """Return a sentence that says which context column the value of each function is compared with."""
    said = [f"{one.function} with {'no column' if one.column is None else repr(one.column)}" for one in checks]
    hint = "; COLUMN= before a function names one" if any(one.column is None for one in checks) else ""
    return f"Values are compared with context columns: {', '.join(said)}{hint}."


class Checker:
    """A process that calls functions of texts; a `with` block ends it.

    Args:
        functions: their places, such as `package.module:function`; the working directory is on the path.
        timeout: seconds that a call may take.

    Attributes:
        problems: for each function and kind of failure, what it did, the first text, and the number of texts.

    Raises:
        InputError: a function cannot be imported.
    """

    def __init__(self, functions: Sequence[str], timeout: float) -> None:
        self.functions, self.timeout = list(functions), timeout
        self.problems: dict[tuple[int, str], tuple[str, str, int]] = {}
        self._start()

    def __enter__(self) -> Checker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # what was not sent is lost with the process
            self.process.stdin.close()

    def values(self, texts: Sequence[str]) -> list[list[float | None] | None]:
        """Return the value of every text for each function: a number, or None if the text is not valid.

        A text for which a function fails is not valid. Of a function that takes too long for `MOST_HANGS` texts, no
        value is returned.
        """
        found: list[list[float | None] | None] = [[] for _ in self.functions]
        hangs = [0] * len(self.functions)
        for text in texts:
            for number, values in enumerate(found):
                if values is None:
                    continue
                answer = self._call(number, text)
                values.append(answer.get("value"))
                hangs[number] += answer.get("kind") == HANGS
                if hangs[number] == MOST_HANGS:
                    found[number] = None
        return found

    def sentences(self) -> list[str]:
        """Return a sentence for each kind of failure of each function."""
        told = []
        for (number, kind), (what, text, count) in self.problems.items():
            of = f"the text {text!r}" + (f" and {count - 1} others" if count > 1 else "")
            rest = "; what it prints is left out" if kind == PRINTED else "; these texts count as not valid"
            if kind == HANGS and count >= MOST_HANGS:
                rest = "; it was not called for the other texts, and its values are left out"
            told.append(f"`check` {self.functions[number]} {what} for {of}{rest}.")
        return told

    def _call(self, number: int, text: str) -> dict[str, Any]:
        try:
            self._send([number, text])
            answer: dict[str, Any] | None = self.answers.get(timeout=self.timeout)
        except queue.Empty:
            self._restart()
            answer = {"kind": HANGS, "error": f"took more than {self.timeout:g} s"}
        except OSError:  # the process has ended before it could read
            answer = None
        if answer is None:
            self._restart()
            answer = {"kind": "end", "error": "ended its process"}
        if answer.get("printed"):
            self._note(number, PRINTED, f"printed {answer['printed']!r}", text)
        if "error" in answer:
            self._note(number, answer["kind"], answer["error"], text)
        return answer

    def _note(self, number: int, kind: str, what: str, text: str) -> None:
        first, at, count = self.problems.get((number, kind), (what, text, 0))
        self.problems[number, kind] = first, at, count + 1

    def _start(self) -> None:
        worker = pathlib.Path(__file__).with_name("check_worker.py")
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        self.answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.reader = threading.Thread(target=_read, args=(self.process.stdout, self.answers), daemon=True)
        self.reader.start()
        try:
            self._send({"functions": self.functions, "path": [os.getcwd(), *sys.path]})
            answer = self.answers.get(timeout=IMPORTING)
        except queue.Empty:
            self.close()
            raise InputError(f"`check`: the functions cannot be imported within {IMPORTING:g} s") from None
        except OSError:
            answer = None
        if answer is None or "error" in answer:
            self.close()
            raise InputError(answer["error"] if answer else "`check`: the process ended while it imported functions")

    def _send(self, request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()

    def _restart(self) -> None:
        self.close()
        self._start()


def _read(stream: IO[str], answers: queue.Queue[dict[str, Any] | None]) -> None:
    """Put the answers of a process in a queue, and None at its end."""
    with stream, contextlib.suppress(ValueError):  # the process may end in the middle of a line
        for line in stream:
            answers.put(json.loads(line))
    answers.put(None)
