"""The command `explore`: a page that shows what the initial state of a trained model does."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

from ._core.extras import require
from .explore.explorable import Explorable
from .explore.explored import open_run
from .explore.page import Page


def explore_run(
    run: pathlib.Path,
    *,
    data: str | os.PathLike[str] | None = None,
    port: int = 0,
    browser: bool = False,
) -> Iterator[tuple[str, None]]:
    """Show what the initial state of a trained model does, on a page that only this machine can open.

    Stop it with Ctrl-C.

    Args:
        run: Run folder that `fit` or `compare` made, or a model file.
        data: Table to show, instead of those that the run was made with.
        port: Port of the page on the loopback interface; 0 takes a free one.
        browser: Open the page in the browser.

    Returns:
        Where the page is.

    Raises:
        InputError: if there is no such run, it is not finished, or the port is taken.

    Example:
        contextual-rnn explore runs/tank --port 8000
    """
    require("explore", "A page to explore a model")
    explored = open_run(run, Explorable, data)
    page = type(explored.first).page(explored)
    return _served(page, port, browser)


def _served(page: Page, port: int, browser: bool) -> Iterator[tuple[str, None]]:
    from .explore.server import serve

    with serve(page, port, browser=browser) as running:
        yield f"{running} Ctrl-C ends it.", None
        running.wait()


COMMANDS = {"explore": explore_run}
