"""The server of a page: starlette and uvicorn on the loopback interface, for the page's own scripts alone."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import threading
import webbrowser
from typing import Any

from .._core.extras import require
from .._core.settings import check_count
from ..errors import InputError
from .page import Page

HOST = "127.0.0.1"
NAMES = (HOST, "localhost", "[::1]")
LARGEST = 1 << 20  # bytes of a request
STATIC = pathlib.Path(__file__).parent / "static"
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


class Running:
    """A page that is being served. It ends with `close`, or at the end of a `with` block.

    Attributes:
        url: of the page.
    """

    def __init__(self, server: Any, listening: socket.socket, page: Page) -> None:
        self.url = f"http://{HOST}:{listening.getsockname()[1]}"
        self._server = server
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        self._thread.start()
        self._prepared = threading.Thread(target=page.prepare, daemon=True)
        self._prepared.start()

    def wait(self) -> None:
        """Serve until an interrupt, such as Ctrl-C."""
        with contextlib.suppress(KeyboardInterrupt):
            while self._thread.is_alive():
                self._thread.join(1)
        self.close()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(10)
        self._prepared.join(10)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __str__(self) -> str:
        """Return where the page is."""
        return f"The page is at {self.url}, on this machine only."

    __repr__ = __str__


def serve(page: Page, port: int = 0, *, browser: bool = False) -> Running:
    """Serve a page in a thread.

    Args:
        page: to serve.
        port: on the loopback interface; 0 takes a free one.
        browser: whether to open the page in the browser.

    Raises:
        InputError: the extra `explore` is missing, or the port is taken or not allowed.
    """
    require("explore", "A page to explore a model")
    check_count(least=0, port=port)
    import uvicorn

    listening = _listen(port)
    app = make_app(page, listening.getsockname()[1])
    quiet: Any = {"log_config": None, "log_level": "critical", "access_log": False}
    config = uvicorn.Config(app, **quiet, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    running = Running(uvicorn.Server(config), listening, page)
    if browser:
        webbrowser.open(running.url)
    return running


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        why = error.strerror if isinstance(error, OSError) else "a port is at most 65535"
        raise InputError(f"`port` {port} cannot be used ({why}); give another one, or 0 for a free one") from None
    return listening


def make_app(page: Page, port: int) -> Any:
    """Return the ASGI application of a page, which answers requests that name it by a loopback name and the port."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.responses import FileResponse, JSONResponse
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    from .calls import Calls

    calls = Calls(page)

    async def index(request: Any) -> Any:
        return FileResponse(STATIC / "index.html")

    async def refused(request: Any, error: Any) -> Any:
        return JSONResponse({"error": f"{request.url.path}: {error.detail}"}, error.status_code)

    routes = [
        Route("/", index),
        Route("/api/page", calls.describe),
        Route("/api/{name}", calls.answer, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=routes, exception_handlers={HTTPException: refused}), port)


class Guard:
    """Refuse requests of other hosts and origins, and add the headers that keep the page to itself.

    A page of another site could reach the loopback interface, also through a name of its own that leads there (DNS
    rebinding); its requests have another Host or Origin.

    Args:
        app: the ASGI application behind it.
        port: of the server.
    """

    def __init__(self, app: Any, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in NAMES}
        self.origins = {f"http://{host}" for host in self.hosts}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        from starlette.responses import JSONResponse

        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        why = self.refusal(headers)
        app = self.app if why is None else JSONResponse({"error": why}, 403)
        await app(scope, receive, with_headers)

    def refusal(self, headers: dict[str, str]) -> str | None:
        """Return why a request with these headers is refused; None if it is not."""
        if headers.get("host") not in self.hosts:
            return "the page answers requests to 127.0.0.1 or localhost with its port only"
        if headers.get("origin") not in (None, *self.origins):
            return "the page answers requests of its own origin only"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "the page answers requests of its own origin only"
        return None


async def body_of(request: Any) -> bytes:
    """Return the body of a request.

    Raises:
        InputError: it is not JSON by its type, or is too large.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InputError("the request must have the content type application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise InputError(f"the request must have at most {LARGEST} bytes")
    return body
