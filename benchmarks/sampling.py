"""The rate at which trajectories are sampled, relative to that of a matrix product.

An LSTM of 128 hidden units samples 100,000 trajectories of 25 steps, each from its own sampled h0, on one thread. The
operations counted are those of the LSTM and its output layer, two for a multiply-add. The rate of a large matrix
product is measured in the same run. Times are reported only if trajectories do not depend on the batch size.
"""

import time

import torch
from torch import nn

from benchmarks import provenance
from contextual_rnn import MLP, ChangeHead, ContextState, ContextualRNN, GaussianState, SequenceModel

COUNT, STEPS, UNITS = 100_000, 25, 128
BATCHES = (250, 500, 1000, 2000, 4000)


def model() -> SequenceModel:
    """Return a model of linear cosine decay: the first value is given, and changes are predicted."""
    torch.manual_seed(0)
    core = nn.LSTM(1, UNITS, batch_first=True)
    start = GaussianState(ContextState(core, MLP(2, [50])))
    return SequenceModel(ContextualRNN(core, start), ChangeHead(UNITS, [-1.0], [1.0]), start=False).eval()


def rate_of_products() -> float:
    """Return the operations per second of a large matrix product."""
    large = torch.randn(2048, 2048)
    start = time.perf_counter()
    _ = large @ large
    return 2 * 2048**3 / (time.perf_counter() - start)


def main() -> int:
    """Print the table; the exit code is 1 if trajectories depend on the batch size."""
    torch.set_num_threads(1)
    print(provenance())
    sampled, known, first = model(), torch.randn(1, 2), torch.zeros(1, 1)
    few = [sampled.sample(known, 100, STEPS, first=first, batch_size=size).elements for size in (100, 7)]
    if not torch.allclose(*few, rtol=0, atol=1e-5):
        print("parity    FAILED: trajectories depend on the batch size; no time is reported")
        return 1
    print("parity    trajectories are the same in batches of 100 and of 7, to 1e-5")
    operations = COUNT * (STEPS - 1) * 2 * (4 * UNITS * (UNITS + 1) + UNITS)
    for size in BATCHES:
        rates, times = [rate_of_products()], []
        for _ in range(3):
            start = time.perf_counter()
            for batch in sampled.samples(known, COUNT, STEPS, first=first, batch_size=size):
                del batch  # an application would write the trajectories to a file
            times.append(time.perf_counter() - start)
            rates.append(rate_of_products())
        share = operations / min(times) / max(rates)
        print(
            f"batches of {size:<6} fastest {min(times):6.2f} s, {operations / min(times) / 1e9:6.1f} G operations "
            f"per second, {share:.2f} of {max(rates) / 1e9:.0f} G; target at least 0.7"
        )
    return 0
