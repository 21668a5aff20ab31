"""Time and memory of a training step of fast weights, beside explicit matrices and `nn.LSTM`.

The step is that of the retrieval model (batch size 128, 11 symbols, an embedding of 100, 50 hidden units, a head on
the last step), from symbols or dense inputs to AdamW over one buffer, on one thread. Models take turns of ten steps.
The floor is the time of the step's operations (two for a multiply-add, without the gradient of the input) at the rate
of a large matrix product, which is measured in the same run. Times are reported only if the logits and gradients of
every form agree with those of the explicit matrices.
"""

import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from benchmarks import provenance
from contextual_rnn import FastWeightsRNN
from contextual_rnn._core.flat_adamw import FlatAdamW
from contextual_rnn.papers.retrieval.data import STEPS, SYMBOLS, Retrievals
from contextual_rnn.papers.retrieval.model import EMBEDDING, HEAD, RetrievalModel

BATCH, HIDDEN, REPEATS, BLOCK = 128, 50, 200, 10
FORMS = ("numba", "attention")
PROBE = "import sys; from benchmarks.fast_weights import probe; print(*probe(sys.argv[1], *map(int, sys.argv[2:])))"


class Embedded(nn.Module):
    """The retrieval model with any core, over embedded or dense inputs."""

    def __init__(self, model: RetrievalModel, core: nn.Module) -> None:
        super().__init__()
        self.embedding, self.core, self.head = model.embedding, core, model.head

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits for symbols (B, T) or dense inputs (B, T, D)."""
        _, state = self.core(x if x.dim() == 3 else self.embedding(x))
        return self.head(state[0].view(len(x), -1))


class Dense(nn.Module):
    """The retrieval model over dense inputs, without the final fast weights."""

    def __init__(self, model: RetrievalModel) -> None:
        super().__init__()
        self.core, self.head = model.core, model.head

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits for dense inputs (B, T, D)."""
        return self.head(self.core.run(linear(x, self.core.weight_ih, self.core.bias), return_fast=False)[1])


def retrieval_model(backend: str) -> RetrievalModel:
    """Return the model with h0 = 0 and a random embedding; the weights are the same for every backend."""
    torch.manual_seed(0)
    model = RetrievalModel("zero", HIDDEN, backend)
    nn.init.normal_(model.embedding.weight)
    return model


def models() -> dict[tuple[str, str], nn.Module]:
    """Return every model by its name and its kind of input."""
    found: dict[tuple[str, str], nn.Module] = {}
    for form in FORMS:
        found[form, "symbols"] = retrieval_model(form)
        found[form, "dense"] = Dense(retrieval_model(form))
    for source in ("symbols", "dense"):
        model = retrieval_model("reference")
        found["matrices", source] = Embedded(model, model.core)
        model = retrieval_model("reference")
        found["nn.LSTM", source] = Embedded(model, nn.LSTM(EMBEDDING, HIDDEN, batch_first=True))
    return found


def agree(model: nn.Module, reference: nn.Module, x: Tensor, answer: Tensor) -> bool:
    """Return whether the logits, and the gradients of the weights that both models have, are the same."""
    gradients, logits = [], []
    for each in (model, reference):
        each.zero_grad()
        logits.append(each(x))
        cross_entropy(logits[-1], answer).backward()
        gradients.append({name: p.grad.clone() for name, p in each.named_parameters() if p.grad is not None})
    names = gradients[0].keys() & gradients[1].keys()
    pairs = [tuple(logits), *((gradients[0][name], gradients[1][name]) for name in names)]
    return len(names) >= 7 and all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in pairs)


def training_step(model: nn.Module, x: Tensor, answer: Tensor) -> Callable[[], None]:
    """Return a function that does one training step."""
    unused = set() if x.dim() == 2 else {"embedding.weight"}
    parameters = [p for name, p in model.named_parameters() if p.requires_grad and name not in unused]
    optimizer = FlatAdamW(parameters, 1e-3)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(x), answer).backward()
        optimizer.step()

    return step


def seconds(step: Callable[[], object]) -> float:
    """Return the duration of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def floor(rate: float) -> float:
    """Return the seconds of the operations of a step from symbols, at `rate` operations per second."""
    pairs = BATCH * STEPS * (STEPS + 1) / 2
    recurrence = 3 * BATCH * STEPS * HIDDEN * HIDDEN + (2 + 4) * pairs * HIDDEN  # forward, backward, weights
    table = 3 * len(SYMBOLS) * EMBEDDING * HIDDEN
    head = 3 * BATCH * HEAD * (HIDDEN + len(SYMBOLS))
    return 2 * (recurrence + table + head) / rate


def probe(form: str, batch: int, steps: int, hidden: int) -> tuple[float, float]:
    """Return the rise of the peak memory by a training step in MB, and the fastest time of three in seconds."""
    torch.set_num_threads(1)
    core = FastWeightsRNN(8, hidden, backend=form)
    FastWeightsRNN(8, hidden, backend=form)(torch.randn(1, 2, 8))[
        0
    ].sum().backward()  # compiles the kernels, if there are any
    x = torch.randn(batch, steps, 8)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the peak, which the imports caused
    before = _memory("VmRSS")

    def step() -> None:
        core.zero_grad()
        core(x)[0].square().mean().backward()

    times = [seconds(step) for _ in range(3 if form != "reference" else 1)]
    return _memory("VmHWM") - before, min(times)


def _memory(field: str) -> float:
    """Return a field of the status of this process, in MB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def probed(form: str, *shape: int) -> tuple[float, float]:
    """Return the result of `probe` in a new process."""
    arguments = [sys.executable, "-c", PROBE, form, *map(str, shape)]
    megabytes, took = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    return float(megabytes), float(took)


def main() -> int:
    """Print the table; the exit code is 1 if the forms disagree."""
    torch.set_num_threads(1)
    print(provenance())
    retrievals = Retrievals.draw(BATCH, seed=0)
    torch.manual_seed(0)
    inputs = {"symbols": retrievals.symbols, "dense": torch.randn(BATCH, STEPS, EMBEDDING)}
    everyone = models()
    for form in FORMS:
        for source, x in inputs.items():
            if not agree(everyone[form, source], everyone["matrices", source], x, retrievals.answer):
                print(f"parity    FAILED: {form} from {source} differs from the explicit matrices; no time is reported")
                return 1
    print("parity    logits and gradients of every form agree with the explicit matrices")
    steps = {key: training_step(model, inputs[key[1]], retrievals.answer) for key, model in everyone.items()}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    large, rates = torch.randn(1024, 1024), []
    for repeat in range(-1, REPEATS // BLOCK):
        for key, step in steps.items():
            step()  # loads its data into the cache, as in training, where no other model runs in between
            took = [seconds(step) for _ in range(BLOCK)]
            times[key] += took if repeat >= 0 else []
        rates.append(2 * 1024**3 / seconds(lambda: large @ large))
    report(times, max(rates))
    return 0


def report(times: dict[tuple[str, str], list[float]], rate: float) -> None:
    """Print every time, and then the ratios and their targets."""
    best = {key: min(values) for key, values in times.items()}
    middle = {key: statistics.median(values) for key, values in times.items()}
    for name, source in times:
        key = (name, source)
        print(f"{name:<10}from {source:<8} fastest {1e3 * best[key]:7.3f} ms, median {1e3 * middle[key]:7.3f} ms")
    ours = ("numba", "symbols")
    rows = [
        ("matrices / ours, from symbols", ("matrices", "symbols"), ours, "at least 10"),
        ("matrices / ours, from dense", ("matrices", "dense"), ("numba", "dense"), "at least 7"),
        ("ours / nn.LSTM, from symbols", ours, ("nn.LSTM", "symbols"), "at most 0.3"),
    ]
    for what, a, b, target in rows:
        ratios = f"{best[a] / best[b]:.3g} of the fastest, {middle[a] / middle[b]:.3g} of medians"
        print(f"{what:<32} {ratios}; target {target}")
    least = floor(rate)
    print(
        f"{'ours / floor':<32} {best[ours] / least:.3g}; target at most 2.5; the floor is {1e3 * least:.3f} ms at "
        f"{rate / 1e9:.0f} G operations per second"
    )
    wide = {form: probed(form, 64, 128, 256)[0] for form in ("reference", "numba", "attention")}
    for form in FORMS:
        print(
            f"{'peak memory, ' + form:<32} {wide[form] / wide['reference']:.3f} of the matrices' "
            f"{wide['reference']:.0f} MB, at B = 64, T = 128, H = 256; target at most 0.1"
        )
    for form in FORMS:
        (little, short), (much, long) = (probed(form, 64, steps, 64) for steps in (64, 1024))
        print(
            f"{'growth, ' + form:<32} time {long / short / 16:.2f}, memory {much / little / 16:.2f} times linear, "
            "from T = 64 to 1024 at B = 64, H = 64; target at most 1.15"
        )
