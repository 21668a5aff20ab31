"""The calls of a page's script: JSON in, JSON out; an error is one sentence."""

from __future__ import annotations

import json
import math
import sys
import warnings
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ..errors import InputError
from .asked import Asked
from .page import Page
from .server import body_of


class Calls:
    """The answers to the calls of a page's script.

    Args:
        page: what is asked.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.description: dict[str, Any] = page.describe()

    async def describe(self, request: Request) -> Response:
        """Return the description of the page."""
        return _json(self.description)

    async def answer(self, request: Request) -> Response:
        """Return the result of a call, or one sentence with status 400 if what it asks is wrong."""
        name = request.path_params["name"]
        try:
            asked = Asked(_parsed(await body_of(request)))
            return _json(await run_in_threadpool(self._run, name, asked))
        except InputError as error:
            return _json({"error": str(error).replace("`", "")}, 400)
        except Exception as error:  # the page shows one sentence, the terminal what to report
            print(f"the call {name!r} failed: {error!r}", file=sys.stderr)
            return _json({"error": f"the model could not answer: {error}"}, 500)

    def _run(self, name: str, asked: Asked) -> dict[str, Any]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = self.page.answer(name, asked)
        said = [str(one.message).replace("`", "") for one in caught if issubclass(one.category, UserWarning)]
        return {**found, "remarks": [*found.get("remarks", []), *dict.fromkeys(said)]}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("the request is not JSON") from None


def _json(value: Any, status: int = 200) -> Response:
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value))
    return Response(text, status, media_type="application/json")


def _finite(value: Any) -> Any:
    """Return a value with None for numbers that are not finite, which JSON cannot hold."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    return [_finite(one) for one in value] if isinstance(value, (list, tuple)) else value
