"""Write and score texts with an exported model; it needs numpy and onnxruntime alone.

Run `python model-sample.py 5 language=Greek` for five texts of a context.
"""

import json
import pathlib
import sys
from typing import Any

import numpy as np
import onnxruntime

from contextual_rnn.export.programs.symbols import join, split

END = 0


class Model:
    """An exported model of texts.

    Args:
        path: what the files' names begin with, such as `model` for model.onnx, model-start.onnx and model-step.onnx.
    """

    def __init__(self, path: str) -> None:
        files = (f"{path}.onnx", f"{path}-start.onnx", f"{path}-step.onnx")
        self.whole, self.start, self.step = map(onnxruntime.InferenceSession, files)
        self.about: dict[str, Any] = json.loads(self.start.get_modelmeta().custom_metadata_map["contextual_rnn"])
        self.symbols: list[str] = self.about["symbols"]

    def numbers(self, text: str | list[str]) -> list[int]:
        """Return the numbers of the symbols of a text, or of symbols that are split already."""
        found = split(text, self.about["unit"], self.about["pattern"]) if isinstance(text, str) else text
        for symbol in found:
            if symbol not in self.symbols:
                raise ValueError(f"the model does not know the symbol {symbol!r}")
        return [self.symbols.index(symbol) + 1 for symbol in found]

    def context(self, values: dict[str, Any], n: int) -> dict[str, np.ndarray]:
        """Return the context inputs for n texts: labels by name, quantities in their units; others are not known."""
        if n < 1:
            raise ValueError(f"n must be at least 1; found {n}")
        for name in values:
            if name not in self.about["context"]:
                raise ValueError(
                    f"the model has no context column {name!r}; it has {', '.join(self.about['context']) or 'none'}"
                )
        found: dict[str, np.ndarray] = {}
        for name, given in self.about["context"].items():
            value, labels = values.get(name), self.about["labels"].get(name)
            if labels is None:
                found[given] = np.full(n, np.nan if value is None else float(value))
            elif value is not None and str(value) not in labels:
                raise ValueError(f"{name} has no label {value!r}; it has {', '.join(labels)}")
            else:
                found[given] = np.full(n, -1 if value is None else labels.index(str(value)))
        return found

    def sample(
        self,
        n: int = 1,
        context: dict[str, Any] | None = None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        prefix: str | list[str] = "",
        steps: int | None = None,
        seed: int = 0,
    ) -> list[str]:
        """Return n texts of one context; the arguments are those of the command `sample texts`."""
        known, random, start = self.context(context or {}, n), np.random.default_rng(seed), self.numbers(prefix)
        found = _run(self.start, {"rows": np.zeros(n, np.int64)} | known)
        running, drawn = np.ones(n, bool), list[np.ndarray]()
        for at in range(max(1 + (steps or 2 * self.about["usual_length"]), len(start) + 1)):
            if at < len(start):
                numbers = np.full(n, start[at])
            else:
                if not at:
                    found["logits"][:, END] = -np.inf  # no text is empty
                numbers = np.where(running, draw(found["logits"], temperature, top_k, top_p, random), END)
                running = running & (numbers != END)
            drawn.append(numbers)
            if not running.any():
                break
            state = {name.removesuffix("_n"): value for name, value in found.items() if name.endswith("_n")}
            found = _run(self.step, {"last": numbers} | state | known)
        rows = np.stack(drawn, axis=1).tolist()
        return [join([self.symbols[one - 1] for one in row if one != END], self.about["unit"]) for row in rows]

    def score(self, text: str | list[str], context: dict[str, Any] | None = None) -> float:
        """Return the log-likelihood of a text and its end in nats."""
        numbers = np.array([*self.numbers(text), END])
        logits = _run(self.whole, {"x": numbers[None]} | self.context(context or {}, 1))["logits"][0].astype(float)
        shifted = logits - logits.max(1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return float(log_probs[np.arange(len(numbers)), numbers].sum())


def draw(
    logits: np.ndarray, temperature: float, top_k: int | None, top_p: float, random: np.random.Generator
) -> np.ndarray:
    """Return a category for every row of logits (N, K)."""
    if not temperature:
        return logits.argmax(1)
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[1]:
        logits = np.where(logits < np.sort(logits, axis=1)[:, -top_k, None], -np.inf, logits)
    if top_p < 1:
        order = np.argsort(-logits, axis=1, kind="stable")
        chances = np.take_along_axis(np.exp(logits - logits.max(1, keepdims=True)), order, axis=1)
        chances /= chances.sum(1, keepdims=True)
        out = np.zeros(logits.shape, bool)
        np.put_along_axis(out, order, chances.cumsum(1) - chances >= top_p, axis=1)
        logits = np.where(out, -np.inf, logits)
    return (logits + random.gumbel(size=logits.shape)).argmax(1)  # the largest logit + Gumbel noise is a draw


def _run(session: onnxruntime.InferenceSession, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    wanted = {one.name for one in session.get_inputs()}
    fed = {name: value for name, value in given.items() if name in wanted}
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, fed), strict=True))


if __name__ == "__main__":
    model = Model(str(pathlib.Path(__file__)).removesuffix("-sample.py"))
    count, *values = sys.argv[1:] or ["1"]
    print(*model.sample(int(count), dict(value.split("=", 1) for value in values)), sep="\n")
