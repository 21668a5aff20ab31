"""Generate series with an exported model; it needs numpy and onnxruntime alone."""

import numpy as np
import onnxruntime


def sample(
    path: str, n: int, context: dict | None = None, steps: int = 100, temperature: float = 1.0, seed: int = 0
) -> list[np.ndarray]:
    """Return n series, each (T, D), of one context.

    Args:
        path: what the files' names begin with, such as `model` for model-start.onnx and model-step.onnx.
        n: the number of series.
        context: the value of every context input; of a label, its place among the labels.
        steps: the largest number of steps of a series.
        temperature: 1 draws from the model's distribution; 0 takes the mean of the most likely component.
        seed: of the random numbers.
    """
    start, step = (onnxruntime.InferenceSession(f"{path}-{part}.onnx") for part in ("start", "step"))
    wanted, random = {one.name for one in step.get_inputs()}, np.random.default_rng(seed)
    known = {name: np.repeat(np.asarray([value]), n, axis=0) for name, value in (context or {}).items()}
    names = [one.name for one in start.get_outputs()]
    found = dict(zip(names, start.run(None, {"rows": np.zeros(n, np.int64)} | known), strict=True))
    elements, lengths, running = [], np.full(n, steps), np.ones(n, bool)
    for t in range(steps):
        elements.append(draw(found, temperature, random))
        ends = running & (found["end"] > (random.random(n) if temperature else 0.5))
        lengths[ends], running = t + 1, running & ~ends
        if not running.any():
            break
        state = {name.removesuffix("_n"): value for name, value in found.items() if name.endswith("_n")}
        fed = {"last": elements[-1]} | state | {name: value for name, value in known.items() if name in wanted}
        found = dict(zip([one.name for one in step.get_outputs()], step.run(None, fed), strict=True))
    series = np.stack(elements, axis=1)
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
