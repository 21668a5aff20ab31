"""One small model of every public class, for the tests of the tools that models are used with.

Every entry is a model and a function from a number of rows and of steps to its arguments.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from contextual_rnn import (
    MLP,
    CategoryHead,
    ChangeHead,
    ConstantState,
    Context,
    ContextState,
    ContextualRNN,
    Element,
    ErrorNoise,
    FastWeightsCell,
    FastWeightsRNN,
    FixedGaussianHead,
    FreeState,
    GaussianHead,
    GaussianState,
    Image,
    JoinedState,
    Label,
    LatentModel,
    LatentState,
    MemoryState,
    MixtureHead,
    Posterior,
    Quantity,
    SequenceModel,
    Summary,
    Unroll,
    Vector,
    Window,
    memory_shapes,
    state_shapes,
)
from contextual_rnn.seq2seq import (
    BRIDGES,
    Decoder,
    Encoder,
    EncoderDecoder,
    make_attention,
    make_bridge,
)

D, H, C = 3, 8, 2  # features of a step, hidden units, numbers of a context


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, and a function from a number of rows and of steps to its arguments."""

    make: Callable[[], nn.Module]
    draw: Callable[[int, int], tuple]
    time: bool = True  # whether the arguments have a time dimension
    dims: tuple[Any, ...] = ()  # of every argument, whether its first two dimensions are (batch, time): "bt", or "b"

    def model(self) -> nn.Module:
        """Return the model, of the same weights in every call, in evaluation mode."""
        torch.manual_seed(0)
        return self.make().eval()

    def arguments(self, rows: int, steps: int = 6) -> tuple:
        """Return arguments, the same ones in every call."""
        torch.manual_seed(100 * rows + steps)
        return self.draw(rows, steps)


class Own(nn.Module):
    """A core of a user, which says of itself what is needed."""

    state_shapes, causal = (H,), True

    def __init__(self) -> None:
        super().__init__()
        self.core = nn.GRU(D, H, batch_first=True)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        output, state = self.core(x, state.unsqueeze(0))
        return output, state.squeeze(0)


CORES: dict[str, Callable[[], nn.Module]] = {
    "nn.RNN": lambda: nn.RNN(D, H, batch_first=True),
    "nn.GRU": lambda: nn.GRU(D, H, batch_first=True),
    "nn.LSTM": lambda: nn.LSTM(D, H, batch_first=True),
    "nn.LSTM, 2 layers, bidirectional": lambda: nn.LSTM(D, H, 2, batch_first=True, bidirectional=True),
    "nn.LSTM, time first": lambda: nn.LSTM(D, H),
    "nn.LSTM, projected": lambda: nn.LSTM(D, H, batch_first=True, proj_size=5),
    "nn.RNNCell": lambda: nn.RNNCell(D, H),
    "nn.GRUCell": lambda: nn.GRUCell(D, H),
    "nn.LSTMCell": lambda: nn.LSTMCell(D, H),
    "FastWeightsRNN": lambda: FastWeightsRNN(D, H),
    "FastWeightsCell": lambda: Unroll(FastWeightsCell(D, H)),
    "own core": Own,
}


def rnn(core: nn.Module, state: Callable[[nn.Module], nn.Module] | None = None) -> ContextualRNN:
    return ContextualRNN(core, ContextState(core, MLP(C, [5])) if state is None else state(core))


def latent(core: nn.Module) -> LatentState:
    return LatentState(GaussianState(ContextState((2,), MLP(C, [5]))), ContextState(core, MLP(2, [5])))


STATES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "ConstantState": ConstantState,
    "FreeState": FreeState,
    "FreeState, noise": lambda core: FreeState(core, noise=0.1),
    "ContextState": lambda core: ContextState(core, MLP(C, [5])),
    "GaussianState": lambda core: GaussianState(ContextState(core, MLP(C, [5]))),
    "GaussianState, scale of context": lambda core: GaussianState(ContextState(core, MLP(C, [5])), MLP(C, [5])),
    "ErrorNoise": lambda core: ErrorNoise(ContextState(core, MLP(C, [5]))),
    "LatentState": latent,
    "JoinedState, items": lambda core: JoinedState(
        ContextState(state_shapes(core)[0], MLP(C, [5])), ConstantState(state_shapes(core)[1])
    ),
    "JoinedState, mask": lambda core: JoinedState(ContextState(core, MLP(C, [5])), FreeState(core), mask=[True]),
}

FIELDS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Any]]] = {
    "Label": (lambda: Label(4), lambda rows: torch.randint(4, (rows,))),
    "Label, learned, unknown": (lambda: Label(4, size=3, unknown=True), lambda rows: torch.randint(-1, 4, (rows,))),
    "Quantity": (lambda: Quantity(0, 1), torch.rand),
    "Quantity, unknown": (
        lambda: Quantity(0, 1, unknown=True),
        lambda rows: torch.rand(rows).masked_fill(torch.arange(rows) == 1, torch.nan),
    ),
    "Quantity, standardised": (lambda: Quantity(mean=2.0, deviation=3.0), torch.randn),
    "Vector": (lambda: Vector(3), lambda rows: torch.randn(rows, 3)),
    "Window": (lambda: Window(2, 3), lambda rows: torch.randn(rows, 2, 3)),
    "Element": (lambda: Element(3), lambda rows: torch.randn(rows, 3)),
    "Image": (lambda: Image(1, 4, 4, down=2), lambda rows: torch.randn(rows, 1, 4, 4)),
    "Summary": (
        lambda: Summary(rnn(nn.GRU(D, H, batch_first=True), FreeState), H, "mean", unknown=True),
        lambda rows: torch.randn(rows, 5, D),
    ),
}


def steps(rows: int, steps: int) -> Tensor:
    return torch.randn(rows, steps, D)


def context(rows: int) -> Tensor:
    return torch.randn(rows, C)


def sequences(head: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: SequenceModel(rnn(CORES["nn.LSTM"]()), head())


def categories() -> SequenceModel:
    core = nn.GRU(4, H, batch_first=True)
    return SequenceModel(rnn(core), CategoryHead(H, 7), nn.Embedding(7, 4), end=0)


def lengths_and_end() -> SequenceModel:
    model = rnn(nn.LSTM(D + 2, H, batch_first=True))
    return SequenceModel(model, GaussianHead(H, D), start=False, end=True, every_step=nn.Linear(C, 2))


HEADS: dict[str, Callable[[], nn.Module]] = {
    "ChangeHead": lambda: ChangeHead(H, [-1.0] * D, [1.0] * D),
    "MixtureHead": lambda: MixtureHead(H, D, 2),
    "GaussianHead": lambda: GaussianHead(H, D, change=True),
    "FixedGaussianHead": lambda: FixedGaussianHead(H, D, 0.5),
}


def latent_model(state: str, feed: str) -> Callable[[], nn.Module]:
    def make() -> LatentModel:
        core = nn.GRU(D, H, batch_first=True)
        made = STATES[state](core)
        shapes = made.prior.shapes if isinstance(made, LatentState) else core
        model = SequenceModel(ContextualRNN(core, made), GaussianHead(H, D))
        return LatentModel(model, Posterior(shapes, D, 6), feed)

    return make


def encoder_decoder(bridge: str, attention: str, core: type = nn.LSTM, **options: Any) -> Callable[[], nn.Module]:
    def make() -> EncoderDecoder:
        reads = core(4, H, batch_first=True, bidirectional=True) if core is not FastWeightsRNN else core(4, H)
        width = H if core is FastWeightsRNN else 2 * H
        fed = H if options.get("input_feeding") else 0
        writes = core(4 + fed, H) if core is FastWeightsRNN else core(4 + fed, H, batch_first=True)
        encoder = Encoder(ContextualRNN(reads, FreeState(reads)), nn.Embedding(9, 4))
        start = make_bridge(bridge, reads, writes)
        chosen = make_attention(attention, H, width, 5)
        decoder = Decoder(ContextualRNN(writes, start), 9, nn.Embedding(9, 4), chosen, **options)
        return EncoderDecoder(encoder, decoder)

    return make


def pairs(rows: int, steps: int) -> tuple[Tensor, Tensor]:
    return torch.randint(2, 9, (rows, steps)), torch.randint(2, 9, (rows, steps + 1))


def _time_first(rows: int, steps: int) -> tuple[Tensor, Tensor]:
    return torch.randn(steps, rows, D), context(rows)


def _core_cases() -> dict[str, Case]:
    found = {}
    for name, core in CORES.items():
        draw = _time_first if "time first" in name else lambda r, t: (steps(r, t), context(r))
        dims = ("tb" if "time first" in name else "bt", "b")
        found[f"ContextualRNN: {name}"] = Case(lambda core=core: rnn(core()), draw, dims=dims)
    return found


def _state_cases() -> dict[str, Case]:
    found = {
        name: Case(lambda s=state: rnn(CORES["nn.LSTM"](), s), lambda r, t: (steps(r, t), context(r)), dims=("bt", "b"))
        for name, state in STATES.items()
    }

    def memory() -> ContextualRNN:
        core = FastWeightsRNN(D, H)
        return ContextualRNN(core, MemoryState(core, ContextState(memory_shapes(core, 2), MLP(C, [5]))))

    return found | {"MemoryState": Case(memory, lambda r, t: (steps(r, t), context(r)), dims=("bt", "b"))}


def _context_cases() -> dict[str, Case]:
    found = {}
    for name, (field, draw) in FIELDS.items():

        def make(field: Any = field) -> ContextualRNN:
            core = CORES["nn.LSTM"]()
            return ContextualRNN(core, ContextState(core, field()))

        found[f"field {name}"] = Case(make, lambda r, t, draw=draw: (steps(r, t), draw(r)), dims=("bt", "b"))
    keys = ("Label", "Quantity, unknown", "Vector")

    def all_of_them() -> ContextualRNN:
        core = CORES["nn.LSTM"]()
        fields = Context(a=FIELDS[keys[0]][0](), b=FIELDS[keys[1]][0](), c=FIELDS[keys[2]][0]())
        return ContextualRNN(core, ContextState(core, nn.Sequential(fields, MLP(fields.out_features, [5]))))

    def dictionary(rows: int, t: int) -> tuple:
        return steps(rows, t), {name: FIELDS[key][1](rows) for name, key in zip("abc", keys, strict=True)}

    return found | {"Context": Case(all_of_them, dictionary, dims=("bt", {"a": "b", "b": "b", "c": "b"}))}


def _sequence_cases() -> dict[str, Case]:
    draw = lambda r, t: (steps(r, t), context(r))  # noqa: E731
    found = {f"SequenceModel: {name}": Case(sequences(head), draw, dims=("bt", "b")) for name, head in HEADS.items()}
    found["SequenceModel: CategoryHead"] = Case(
        categories, lambda r, t: (torch.randint(7, (r, t)), context(r)), dims=("bt", "b")
    )
    found["SequenceModel: no start, lengths, end, every step"] = Case(
        lengths_and_end, lambda r, t: (steps(r, t), context(r), torch.randint(2, t + 1, (r,))), dims=("bt", "b", "b")
    )
    for state in ("GaussianState", "LatentState"):
        for feed in ("own", "truth"):
            found[f"LatentModel: {state}, {feed}"] = Case(latent_model(state, feed), draw, dims=("bt", "b"))
    return found


def _pair_cases() -> dict[str, Case]:
    made = {f"{bridge}, none": encoder_decoder(bridge, "none") for bridge in BRIDGES}
    made |= {
        f"project, {attention}": encoder_decoder("project", attention) for attention in ("additive", "multiplicative")
    }
    made["GRU, copy, additive, input feeding"] = encoder_decoder("copy", "additive", nn.GRU, input_feeding=True)
    made["fast weights, copy, multiplicative"] = encoder_decoder("copy", "multiplicative", FastWeightsRNN)
    return {f"EncoderDecoder: {name}": Case(make, pairs, dims=("bt", "bt")) for name, make in made.items()}


CASES: dict[str, Case] = _core_cases() | _state_cases() | _context_cases() | _sequence_cases() | _pair_cases()


def run(model: Callable[..., Any], arguments: tuple, seed: int = 1) -> list[Tensor]:
    """Return all tensors that a call returns; a model that draws noise draws the same in every call."""
    torch.manual_seed(seed)
    return [leaf for leaf in tree_leaves(model(*arguments)) if isinstance(leaf, Tensor)]


class Positional(nn.Module):
    """Calls a model with positional arguments, and returns all tensors: what torch.onnx and torch.jit.trace need."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.train(model.training)

    def forward(self, *arguments: Any) -> tuple[Tensor, ...]:
        return tuple(leaf for leaf in tree_leaves(self.model(*arguments)) if isinstance(leaf, Tensor))
