"""`Explorable`: the method `explore` of the models of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.table import Source

if TYPE_CHECKING:
    from .explored import Explored
    from .page import Page
    from .server import Running


class Explorable:
    """A model with a page that shows what its initial state does."""

    @classmethod
    def page(cls, explored: Explored) -> Page:
        """Return the page of models of this class."""
        raise NotImplementedError

    def explore(self, port: int = 0, *, data: Source | None = None, browser: bool = False) -> Running:
        """Serve a page on the loopback interface that shows what the initial state does.

        The page is served in the background until the result's `close` is called or Python ends; the result's `wait`
        waits for an interrupt, which a script needs.

        Args:
            port: of the page; 0 takes a free one.
            data: a table to show: the path of a file, or a data frame.
            browser: whether the page is opened in the browser.

        Returns:
            What runs, with its `url`.

        Raises:
            InputError: the extra `explore` is missing, the port is taken, or the table is wrong.
        """
        from .explored import Explored
        from .server import serve

        explored = Explored({"model": self}, f"a {type(self).__name__}", data=data)
        return serve(self.page(explored), port, browser=browser)
