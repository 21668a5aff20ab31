"""End a program by SIGTERM or SIGHUP as Ctrl-C does, so that its temporary files and its workers end with it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has no SIGHUP


class Stopped(KeyboardInterrupt):
    """The process was told to end.

    Attributes:
        code: the exit code, 128 plus the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.code = 128 + number


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` in this block at the first SIGTERM or SIGHUP; a second one ends the process at once.

    A signal that the process ignores or handles already stays as it is, and so does every signal in a thread that is
    not the main one, where Python sets no handlers.
    """

    def stop(number: int, frame: Any) -> None:
        for one in caught:
            signal.signal(one, signal.SIG_DFL)
        raise Stopped(number)

    is_main = threading.current_thread() is threading.main_thread()
    caught = [one for one in SIGNALS if is_main and signal.getsignal(one) is signal.SIG_DFL]
    for one in caught:
        signal.signal(one, stop)
    try:
        yield
    finally:
        for one in caught:
            signal.signal(one, signal.SIG_DFL)
