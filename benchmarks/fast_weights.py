"""What a training step of fast weights takes: time beside explicit matrices, `nn.LSTM` and the floor; memory; growth.

The step is that of the retrieval model (batch 128, 11 symbols, embedding 100, 50 units, head on the last step), from
symbols or from dense input to fused Adam, one thread, every model in turn for ten
steps. The floor is its operations, two a
multiply-add, no gradient to the input, at the rate of a large matrix product measured in the same run. Outputs and
gradients of every form must agree with the explicit matrices first, else no figure is given.
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
from contextual_rnn.papers.retrieval.data import STEPS, SYMBOLS, Retrievals
from contextual_rnn.papers.retrieval.model import EMBEDDING, HEAD, RetrievalModel

BATCH, HIDDEN, REPEATS, BLOCK = 128, 50, 200, 10
FORMS = ("numba", "attention")
PROBE = "import sys; from benchmarks.fast_weights import probe; print(*probe(sys.argv[1], *map(int, sys.argv[2:])))"


class Embedded(nn.Module):
    """The retrieval model with any core, over embedded or dense input, projected step by step."""

    def __init__(self, model: RetrievalModel, core: nn.Module) -> None:
        super().__init__()
        self.embedding, self.core, self.head = model.embedding, core, model.head

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits for symbols (B, T) or dense input (B, T, D)."""
        _, state = self.core(x if x.dim() == 3 else self.embedding(x))
        return self.head(state[0].view(len(x), -1))


class Dense(nn.Module):
    """The retrieval model from dense input, without the final fast weights."""

    def __init__(self, model: RetrievalModel) -> None:
        super().__init__()
        self.core, self.head = model.core, model.head

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits for dense input (B, T, D)."""
        return self.head(self.core.run(linear(x, self.core.weight_ih, self.core.bias), return_fast=False)[1])


def retrieval_model(backend: str) -> RetrievalModel:
    """Return the model of h0 = 0, with an embedding that is not zero, the same whatever the backend."""
    torch.manual_seed(0)
    model = RetrievalModel("zero", HIDDEN, backend)
    nn.init.normal_(model.embedding.weight)
    return model


def models() -> dict[tuple[str, str], nn.Module]:
    """Return every model by its name and what it starts from."""
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
    """Whether the logits, and the gradients of all weights that both have, are the same."""
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
    """Return a function that takes one training step."""
    unused = set() if x.dim() == 2 else {"embedding.weight"}
    parameters = [p for name, p in model.named_parameters() if p.requires_grad and name not in unused]
    optimizer = torch.optim.Adam(parameters, 1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(model(x), answer).backward()
        optimizer.step()

    return step


def seconds(step: Callable[[], object]) -> float:
    """Return how long one call took."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def floor(rate: float) -> float:
    """Return the seconds that the operations of a step from symbols take at `rate` operations a second."""
    pairs = BATCH * STEPS * (STEPS + 1) / 2
    recurrence = 3 * BATCH * STEPS * HIDDEN * HIDDEN + (2 + 4) * pairs * HIDDEN  # forward, backward, weights
    table = 3 * len(SYMBOLS) * EMBEDDING * HIDDEN
    head = 3 * BATCH * HEAD * (HIDDEN + len(SYMBOLS))
    return 2 * (recurrence + table + head) / rate


def probe(form: str, batch: int, steps: int, hidden: int) -> tuple[float, float]:
    """Return the growth of this process's peak memory in MB by a training step, and the best time of three, seconds."""
    torch.set_num_threads(1)
    core = FastWeightsRNN(8, hidden, backend=form)
    FastWeightsRNN(8, hidden, backend=form)(torch.randn(1, 2, 8))[0].sum().backward()  # compiles, where it does
    x = torch.randn(batch, steps, 8)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # Linux forgets the peak so far, which importing made
    before = _memory("VmRSS")

    def step() -> None:
        core.zero_grad()
        core(x)[0].square().mean().backward()

    times = [seconds(step) for _ in range(3 if form != "reference" else 1)]
    return _memory("VmHWM") - before, min(times)


def _memory(field: str) -> float:
    """Return a figure of this process, in MB."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def probed(form: str, *shape: int) -> tuple[float, float]:
    """Return `probe`'s answer from a fresh process."""
    arguments = [sys.executable, "-c", PROBE, form, *map(str, shape)]
    megabytes, took = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.split()
    return float(megabytes), float(took)


def main() -> int:
    """Print the table; the exit code is 1 where the forms do not agree."""
    torch.set_num_threads(1)
    print(provenance())
    retrievals = Retrievals.draw(BATCH, seed=0)
    torch.manual_seed(0)
    inputs = {"symbols": retrievals.symbols, "dense": torch.randn(BATCH, STEPS, EMBEDDING)}
    everyone = models()
    for form in FORMS:
        for source, x in inputs.items():
            if not agree(everyone[form, source], everyone["matrices", source], x, retrievals.answer):
                print(f"parity    FAILED: {form} from {source} differs from the explicit matrices; no figure")
                return 1
    print("parity    logits and gradients of every form agree with the explicit matrices")
    steps = {key: training_step(model, inputs[key[1]], retrievals.answer) for key, model in everyone.items()}
    times: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    large, rates = torch.randn(1024, 1024), []
    for repeat in range(-1, REPEATS // BLOCK):
        for key, step in steps.items():
            step()  # brings its own data back into the cache, as in training, where no other model runs in between
            took = [seconds(step) for _ in range(BLOCK)]
            times[key] += took if repeat >= 0 else []
        rates.append(2 * 1024**3 / seconds(lambda: large @ large))
    report(times, max(rates))
    return 0


def report(times: dict[tuple[str, str], list[float]], rate: float) -> None:
    """Print every time, then the ratios beside their targets."""
    best = {key: min(values) for key, values in times.items()}
    middle = {key: statistics.median(values) for key, values in times.items()}
    for name, source in times:
        key = (name, source)
        print(f"{name:<10}from {source:<8} fastest {1e3 * best[key]:7.3f} ms, median {1e3 * middle[key]:7.3f} ms")
    ours = ("numba", "symbols")
    rows = [
        ("matrices / ours, from symbols", ("matrices", "symbols"), ours, "at least 10"),
        ("matrices / ours, from dense", ("matrices", "dense"), ("numba", "dense"), "at least 7"),
        ("ours / nn.LSTM, from symbols", ours, ("nn.LSTM", "symbols"), "at most .3"),
    ]
    for what, a, b, target in rows:
        ratios = f"{best[a] / best[b]:.3g} of the fastest, {middle[a] / middle[b]:.3g} of medians"
        print(f"{what:<32} {ratios}; target {target}")
    least = floor(rate)
    print(
        f"{'ours / floor':<32} {best[ours] / least:.3g}; target at most 2.5; the floor is {1e3 * least:.3f} ms at "
        f"{rate / 1e9:.0f} G operations a second"
    )
    wide = {form: probed(form, 64, 128, 256)[0] for form in ("reference", "numba", "attention")}
    for form in FORMS:
        print(
            f"{'peak memory, ' + form:<32} {wide[form] / wide['reference']:.3f} of the matrices' "
            f"{wide['reference']:.0f} MB, at B = 64, T = 128, H = 256; target at most .1"
        )
    for form in FORMS:
        (little, short), (much, long) = (probed(form, 64, steps, 64) for steps in (64, 1024))
        print(
            f"{'growth, ' + form:<32} time {long / short / 16:.2f}, memory {much / little / 16:.2f} times linear, "
            "from T = 64 to 1024 at B = 64, H = 64; target at most 1.15"
        )
