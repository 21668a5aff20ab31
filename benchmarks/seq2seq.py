"""Training time of the encoder-decoder, relative to bare cores and to the loop over steps of many tutorials.

Batches of 64 sources and targets of 20 symbols, 256 hidden units, cross-entropy and its gradients, one thread. Both
sides of a comparison are timed in turn; the ratios are those of the fastest repetitions and of the medians.

1. Teacher forcing without attention, and two bare `nn.LSTM` calls with the same embeddings and output layer.
2. Teacher forcing with additive attention, and a loop over steps: embedding, `nn.LSTM` of one step, attention whose
   keys are projected again, output layer.
3. Scheduled sampling with probability 0.5, and the same decoder that is fed the truth step by step.

Times are reported only if the losses in 1 and in 2 are equal for the same weights.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks import provenance
from contextual_rnn import ConstantState, ContextualRNN
from contextual_rnn.seq2seq import (
    AdditiveAttention,
    CopyBridge,
    Decoder,
    Encoder,
    EncoderDecoder,
    ProjectBridge,
    ScheduledSampling,
)

ROWS, STEPS, UNITS, SYMBOLS = 64, 20, 256, 40
START, END = 0, 1


def model(attention: bool) -> EncoderDecoder:
    """Return an encoder-decoder of one layer and one direction."""
    torch.manual_seed(0)
    reads, writes = nn.LSTM(UNITS, UNITS, batch_first=True), nn.LSTM(UNITS, UNITS, batch_first=True)
    encoder = Encoder(ContextualRNN(reads, ConstantState(reads)), nn.Embedding(SYMBOLS, UNITS))
    bridge = ProjectBridge(reads, writes) if attention else CopyBridge(reads, writes)
    scores = AdditiveAttention(UNITS, UNITS, UNITS) if attention else None
    decoder = Decoder(ContextualRNN(writes, bridge), SYMBOLS, nn.Embedding(SYMBOLS, UNITS), scores)
    return EncoderDecoder(encoder, decoder, START, END)


def bare(whole: EncoderDecoder, source: Tensor, target: Tensor) -> Tensor:
    """Return the loss from two calls of `nn.LSTM`; the second starts from the final state of the first."""
    encoder, decoder = whole.encoder, whole.decoder
    _, state = encoder.rnn.core(encoder.embedding(source))
    inputs, wanted = whole.framed(target)
    hidden, _ = decoder.rnn.core(decoder.embedding(inputs), state)
    return cross_entropy(decoder.output(hidden).transpose(1, 2), wanted)


def tutorial(whole: EncoderDecoder, source: Tensor, target: Tensor) -> Tensor:
    """Return the loss from a loop over steps that projects the keys again in each step."""
    encoder, decoder = whole.encoder, whole.decoder
    memory, state = encoder.rnn.core(encoder.embedding(source))
    state = tuple(
        part.transpose(0, 1) for part in decoder.rnn.start(len(source), tuple(s.transpose(0, 1) for s in state))
    )
    state = tuple(part.contiguous() for part in state)
    inputs, wanted = whole.framed(target)
    attention, loss = decoder.attention, torch.zeros(())
    for step in range(inputs.shape[1]):
        hidden, state = decoder.rnn.core(decoder.embedding(inputs[:, step : step + 1]), state)
        weights = (
            attention.score(torch.tanh(attention.query(hidden) + attention.key(memory))).transpose(1, 2).softmax(2)
        )
        joined = torch.tanh(decoder.join(torch.cat([hidden, weights @ memory], dim=2)))
        loss = loss + cross_entropy(decoder.output(joined[:, 0]), wanted[:, step])
    return loss / inputs.shape[1]


def step_by_step(whole: EncoderDecoder, source: Tensor, target: Tensor) -> Tensor:
    """Return the loss of a decoder that is fed the truth, one call per step; `forward` would need only one call."""
    state, memory = whole.encode(source)
    inputs, wanted = whole.framed(target)
    outputs = []
    for element in inputs.unbind(dim=1):
        decoded = whole.decoder.step(element, state, memory)
        state = decoded.state
        outputs.append(decoded.outputs)
    return cross_entropy(torch.cat(outputs, dim=1).transpose(1, 2), wanted)


def in_turns(sides: list[Callable[[], Tensor]], rounds: int = 30) -> list[list[float]]:
    """Return the seconds of a loss and its gradients, for each side of a comparison."""
    times: list[list[float]] = [[] for _ in sides]
    for number in range(rounds + 3):
        for place, loss in enumerate(sides):
            start = time.perf_counter()
            loss().backward()
            if number >= 3:  # the first rounds warm up
                times[place].append(time.perf_counter() - start)
    return times


def report(name: str, ours: list[float], theirs: list[float], target: str, *, speed: bool = False) -> None:
    """Print the ratio of our time to theirs, or of theirs to ours if `speed` is true."""
    a, b = (theirs, ours) if speed else (ours, theirs)
    fastest, median = min(a) / min(b), statistics.median(a) / statistics.median(b)
    print(
        f"{name:<42} {min(ours) * 1e3:7.1f} ms against {min(theirs) * 1e3:7.1f}; "
        f"{fastest:.2f} of the fastest, {median:.2f} of medians; target {target}"
    )


def main() -> int:
    """Print the table; the exit code is 1 if both sides of a comparison compute different losses."""
    torch.set_num_threads(1)
    print(provenance())
    source, target = torch.randint(2, SYMBOLS, (ROWS, STEPS)), torch.randint(2, SYMBOLS, (ROWS, STEPS))
    plain, attending = model(attention=False), model(attention=True)
    pairs = [(plain.loss(source, target), bare(plain, source, target))]
    pairs.append((attending.loss(source, target), tutorial(attending, source, target)))
    if not all(torch.allclose(*pair, rtol=1e-5) for pair in pairs):
        print("parity    FAILED: the losses differ; no time is reported")
        return 1
    print("parity    the losses of both sides are equal to 1e-5")
    ours, theirs = in_turns([lambda: plain.loss(source, target), lambda: bare(plain, source, target)])
    report("teacher forcing, no attention / bare LSTMs", ours, theirs, "at most 1.1")
    ours, theirs = in_turns([lambda: attending.loss(source, target), lambda: tutorial(attending, source, target)])
    report("loop of tutorials / additive attention", ours, theirs, "at least 2", speed=True)
    half = ScheduledSampling(0.5)
    ours, theirs = in_turns(
        [
            lambda: attending.loss(source, target, feeding=half, training_step=0),
            lambda: step_by_step(attending, source, target),
        ],
        rounds=15,
    )
    report("sampling at 0.5 / truth step by step", ours, theirs, "at most 2")
    return 0
