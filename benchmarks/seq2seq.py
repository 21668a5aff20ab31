"""Encoder and decoder: what training costs, beside bare cores and beside the step-by-step loop that tutorials show.

Pairs of 64 sources and targets of 20 symbols, 256 units, cross-entropy, backward, one thread. Each pair of contestants
is timed in turns; the ratio is of the fastest of many and of the medians.

1. teacher forcing without attention against two bare `nn.LSTM` calls with the same embeddings and output layer;
2. teacher forcing with additive attention against a loop over steps: embedding, `nn.LSTM` of one step, attention with
   its keys projected again, output layer;
3. a step of scheduled sampling at .5 against the same decoder fed the truth step by step.

Losses of 1 and 2 are first shown to be equal with the same weights, and 3 to sample half of what is fed.
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
    """Return an encoder and a decoder of one layer and one direction."""
    torch.manual_seed(0)
    reads, writes = nn.LSTM(UNITS, UNITS, batch_first=True), nn.LSTM(UNITS, UNITS, batch_first=True)
    encoder = Encoder(ContextualRNN(reads, ConstantState(reads)), nn.Embedding(SYMBOLS, UNITS))
    bridge = ProjectBridge(reads, writes) if attention else CopyBridge(reads, writes)
    look = AdditiveAttention(UNITS, UNITS, UNITS) if attention else None
    decoder = Decoder(ContextualRNN(writes, bridge), SYMBOLS, nn.Embedding(SYMBOLS, UNITS), look)
    return EncoderDecoder(encoder, decoder, START, END)


def bare(whole: EncoderDecoder, source: Tensor, target: Tensor) -> Tensor:
    """Return the loss by two calls of `nn.LSTM`, the second from the first's final state."""
    encoder, decoder = whole.encoder, whole.decoder
    _, state = encoder.rnn.core(encoder.embedding(source))
    inputs, wanted = whole.framed(target)
    hidden, _ = decoder.rnn.core(decoder.embedding(inputs), state)
    return cross_entropy(decoder.output(hidden).transpose(1, 2), wanted)


def tutorial(whole: EncoderDecoder, source: Tensor, target: Tensor) -> Tensor:
    """Return the loss step by step, keys projected again in each."""
    encoder, decoder = whole.encoder, whole.decoder
    memory, state = encoder.rnn.core(encoder.embedding(source))
    state = tuple(
        part.transpose(0, 1) for part in decoder.rnn.start(len(source), tuple(s.transpose(0, 1) for s in state))
    )
    state = tuple(part.contiguous() for part in state)
    inputs, wanted = whole.framed(target)
    look, loss = decoder.attention, torch.zeros(())
    for step in range(inputs.shape[1]):
        hidden, state = decoder.rnn.core(decoder.embedding(inputs[:, step : step + 1]), state)
        weights = look.score(torch.tanh(look.query(hidden) + look.key(memory))).transpose(1, 2).softmax(2)
        joined = torch.tanh(decoder.join(torch.cat([hidden, weights @ memory], dim=2)))
        loss = loss + cross_entropy(decoder.output(joined[:, 0]), wanted[:, step])
    return loss / inputs.shape[1]


def fed(whole: EncoderDecoder, source: Tensor, target: Tensor, feeding: ScheduledSampling | None) -> Tensor:
    """Return the loss of a decoder that goes step by step, fed the truth or, now and then, its own predictions."""
    state, memory = whole.encode(source)
    inputs, wanted = whole.framed(target)
    outputs = whole.decoder._by_step(inputs, state, memory, feeding, 0).outputs  # forward would do it in one call
    return cross_entropy(outputs.transpose(1, 2), wanted)


def in_turns(contestants: list[Callable[[], Tensor]], rounds: int = 30) -> list[list[float]]:
    """Return the seconds of a loss and its gradients, contestant by contestant."""
    times: list[list[float]] = [[] for _ in contestants]
    for number in range(rounds + 3):
        for place, loss in enumerate(contestants):
            start = time.perf_counter()
            loss().backward()
            if number >= 3:  # the first ones warm up
                times[place].append(time.perf_counter() - start)
    return times


def say(name: str, ours: list[float], theirs: list[float], target: str, *, speed: bool = False) -> None:
    """Print one line: our time over theirs, or, of speed, theirs over ours."""
    a, b = (theirs, ours) if speed else (ours, theirs)
    fastest, median = min(a) / min(b), statistics.median(a) / statistics.median(b)
    print(
        f"{name:<42} {min(ours) * 1e3:7.1f} ms against {min(theirs) * 1e3:7.1f}; "
        f"{fastest:.2f} of the fastest, {median:.2f} of medians; target {target}"
    )


def main() -> int:
    """Print the table; the exit code is 1 where the contestants do not compute the same."""
    torch.set_num_threads(1)
    print(provenance())
    source, target = torch.randint(2, SYMBOLS, (ROWS, STEPS)), torch.randint(2, SYMBOLS, (ROWS, STEPS))
    plain, looking = model(attention=False), model(attention=True)
    pairs = [(plain.loss(source, target), bare(plain, source, target))]
    pairs.append((looking.loss(source, target), tutorial(looking, source, target)))
    if not all(torch.allclose(*pair, rtol=1e-5) for pair in pairs):
        print("parity    FAILED: the losses differ; no figure")
        return 1
    print("parity    the losses of contestants are equal to 1e-5")
    ours, theirs = in_turns([lambda: plain.loss(source, target), lambda: bare(plain, source, target)])
    say("teacher forcing, no attention / bare LSTMs", ours, theirs, "at most 1.1")
    ours, theirs = in_turns([lambda: looking.loss(source, target), lambda: tutorial(looking, source, target)])
    say("loop of tutorials / additive attention", ours, theirs, "at least 2", speed=True)
    half = ScheduledSampling(0.5)
    ours, theirs = in_turns(
        [lambda: fed(looking, source, target, half), lambda: fed(looking, source, target, None)], rounds=15
    )
    say("sampling at .5 / truth step by step", ours, theirs, "at most 2")
    return 0
