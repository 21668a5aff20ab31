"""Generate series with an exported model; it needs numpy and onnxruntime alone.

Run `python model-sample.py 5 digit=7` for a table of five series of a context.
"""

import json
import pathlib
import sys
from typing import Any

import numpy as np
import onnxruntime


class Model:
    """An exported model of generation.

    Args:
        path: what the files' names begin with, such as `model` for model-start.onnx and model-step.onnx.
    """

    def __init__(self, path: str) -> None:
        self.start, self.step = (onnxruntime.InferenceSession(f"{path}-{part}.onnx") for part in ("start", "step"))
        self.about: dict[str, Any] = json.loads(self.start.get_modelmeta().custom_metadata_map["contextual_rnn"])

    def context(self, values: dict[str, Any], n: int) -> dict[str, np.ndarray]:
        """Return the context inputs for n series: labels by name, quantities in their own units."""
        if n < 1:
            raise ValueError(f"n must be at least 1; found {n}")
        if set(values) != set(self.about["context"]):
            wanted = ", ".join(self.about["context"]) or "none"
            raise ValueError(f"give every context column of the model, and no other: {wanted}")
        found = {}
        for name, value in values.items():
            labels = self.about["labels"].get(name)
            if labels is not None and str(value) not in labels:
                raise ValueError(f"{name} has no label {value!r}; it has {', '.join(labels)}")
            found[self.about["context"][name]] = np.full(
                n, float(value) if labels is None else labels.index(str(value))
            )
        return found

    def sample(
        self,
        n: int = 1,
        context: dict[str, Any] | None = None,
        steps: int = 1000,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> list[np.ndarray]:
        """Return n series, each (T, D), of one context; the arguments are those of the command `sample`."""
        known, random = self.context(context or {}, n), np.random.default_rng(seed)
        found = _run(self.start, {"rows": np.zeros(n, np.int64)} | known)
        elements, lengths, running = [], np.full(n, steps), np.ones(n, bool)
        for t in range(steps):
            elements.append(draw(found, temperature, random))
            ends = running & (found["end"] > (random.random(n) if temperature else 0.5))
            lengths[ends], running = t + 1, running & ~ends
            if not running.any():
                break
            state = {name.removesuffix("_n"): value for name, value in found.items() if name.endswith("_n")}
            found = _run(self.step, {"last": elements[-1]} | state | known)
        offsets = [self.about["offsets"].get(name, 0) for name in self.about["target_columns"]]
        series = np.stack(elements, axis=1) + offsets
        return [one[:length] for one, length in zip(series, lengths, strict=True)]


def draw(found: dict[str, np.ndarray], temperature: float, random: np.random.Generator) -> np.ndarray:
    """Return an element (n, D) of the predicted mixtures of Gaussians."""
    logits, means, factors = found["logits"], found["means"], found["factors"]
    rows = np.arange(len(logits))
    if not temperature:
        return means[rows, logits.argmax(1)]
    gumbel = random.gumbel(size=logits.shape)  # the largest logit + Gumbel noise is a draw of a category
    chosen = (logits / temperature + gumbel).argmax(1)
    noise = random.standard_normal(means[:, 0].shape) * temperature**0.5
    return (means[rows, chosen] + (factors[rows, chosen] @ noise[..., None])[..., 0]).astype(np.float32)


def _run(session: onnxruntime.InferenceSession, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    wanted = {one.name for one in session.get_inputs()}
    fed = {name: value for name, value in given.items() if name in wanted}
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, fed), strict=True))


if __name__ == "__main__":
    model = Model(str(pathlib.Path(__file__)).removesuffix("-sample.py"))
    count, *values = sys.argv[1:] or ["1"]
    print("series", "step", *model.about["target_columns"], sep=",")
    for number, one in enumerate(model.sample(int(count), dict(value.split("=", 1) for value in values))):
        for step, row in enumerate(one):
            print(f"sample-{number}", step, *row, sep=",")
