"""`Page`: what a job shows of its trained models, as a description and calls that a browser makes with JSON."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable
from typing import Any

import torch

from ..errors import InputError
from ..study.parallel import one_thread
from .asked import Asked
from .explored import Explored

Call = Callable[[Asked], dict[str, Any]]


class Page:
    """The page of a job; a subclass says what it shows.

    Args:
        explored: the trained models, and what is known of their run.

    Attributes:
        script: the name of the script in the folder `static` that draws the page.
        job: in words, for the title.
        first: a quick call, which has the model do everything once; see `prepare`.
    """

    script: str
    job: str
    first: tuple[str, dict[str, Any]]

    def __init__(self, explored: Explored) -> None:
        self.explored = explored
        self.lock = threading.Lock()  # one answer at a time
        for model in explored.models.values():
            model.eval()

    def describe(self) -> dict[str, Any]:
        """Return what the browser needs before its first call."""
        about = {"script": self.script, "job": self.job, "name": self._name(), "verdict": self.explored.verdict}
        facts = {name: [*self.facts(model), f"Try: {self.hint(model)}"] for name, model in self.explored.models.items()}
        return {**about, "models": list(self.explored.models), "facts": facts}

    def _name(self) -> str:
        explored = self.explored
        return explored.name if explored.folder is None else f"Trained model: {explored.name}"

    def facts(self, model: Any) -> list[str]:
        """Return sentences on a model: what it reads, and what its h0 is."""
        raise NotImplementedError

    def hint(self, model: Any) -> str:
        """Return something to try, in a sentence."""
        raise NotImplementedError

    def calls(self) -> dict[str, Call]:
        """Return the calls that the browser may make, by name."""
        raise NotImplementedError

    def answer(self, name: str, asked: Asked) -> dict[str, Any]:
        """Return the result of a call, computed in one thread: the browser needs the other processor.

        Raises:
            InputError: there is no such call, or what it asks is wrong.
        """
        calls = self.calls()
        if name not in calls:
            raise InputError(f"there is no call {name!r}; the calls are {', '.join(calls)}")
        with self.lock, one_thread(), torch.no_grad():
            return calls[name](asked)

    def prepare(self) -> None:
        """Make a first call, so that the compiled loops are loaded when the browser makes its own."""
        name, values = self.first
        with contextlib.suppress(Exception), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.answer(name, Asked(values))

    def model(self, asked: Asked) -> Any:
        """Return the model that a call names; without a name, the first."""
        return self.explored.models[asked.choice("model", list(self.explored.models))]
