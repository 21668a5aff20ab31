"""Models of every job, kind of initial state, cell and number of layers, for the benchmark of export."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from contextual_rnn import (
    MLP,
    ConstantState,
    Context,
    ContextState,
    ContextualRNN,
    ErrorNoise,
    FastWeightsRNN,
    FreeState,
    GaussianState,
    JoinedState,
    Label,
    LatentState,
    Quantity,
    gated,
)
from contextual_rnn.data.units import Units
from contextual_rnn.jobs.forecast import ForecastModel, ForecastSettings
from contextual_rnn.jobs.generation import GenerationSettings, SeriesGenerator
from contextual_rnn.jobs.pairs import PairModel, PairSettings
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings
from contextual_rnn.jobs.texts import TextModel, TextSettings
from contextual_rnn.jobs.texts.settings import PLACES
from contextual_rnn.kinds import KINDS, WITHOUT_WINDOW
from contextual_rnn.seq2seq import ATTENTIONS, BRIDGES

Case = tuple[str, Callable[[], Any]]
Settings = dict[str, Any]

CELLS = [(cell, layers) for cell in ("lstm", "gru", "rnn") for layers in (1, 2)] + [("fast-weights", 1)]
UNITS = Units("characters", "characters")
MISSING = ("refuse", "hold", "zero", "interpolate")


def fields(**options: Any) -> dict[str, Any]:
    """Return a quantity and a label."""
    return {"a": Quantity(mean=2020.0, deviation=2.0, **options), "b": Label(["x", "y", "z"], **options)}


def series() -> Iterator[Case]:
    """Yield every kind with every cell; the ways of missing values take turns."""
    for number, (kind, (cell, layers)) in enumerate(itertools.product(KINDS, CELLS)):
        settings: Settings = {"initial_state": kind, "cell": cell, "layers": layers, "missing": MISSING[number % 4]}
        settings |= {"inputs": ("u", "v"), "targets": ("y",), "context": ("a", "b"), "window": 3, "hidden": 5}
        yield f"{kind}, {cell}, {layers}", lambda given=settings: SeriesModel(SeriesSettings(**given), fields())


def generation() -> Iterator[Case]:
    """Yield every kind with every cell."""
    for number, (kind, (cell, layers)) in enumerate(itertools.product(WITHOUT_WINDOW, CELLS)):
        settings: Settings = {"initial_state": kind, "cell": cell, "layers": layers, "missing": MISSING[number % 4]}
        settings |= {"targets": ("y", "z"), "context": ("a", "b"), "hidden": 5}
        yield (
            f"{kind}, {cell}, {layers}",
            lambda given=settings: SeriesGenerator(GenerationSettings(**given), fields()),
        )


def texts() -> Iterator[Case]:
    """Yield every place of the context with every cell."""
    for place, (cell, layers) in itertools.product(PLACES, CELLS):
        settings: Settings = {"context_in": place, "cell": cell, "layers": layers, "text": "t", "context": ("a", "b")}
        settings |= {"hidden": 6, "embedding": 3, "context_hidden": 4}
        yield (
            f"{place}, {cell}, {layers}",
            lambda given=settings: TextModel(TextSettings(**given), list("abc"), fields(unknown=True)),
        )


def forecast() -> Iterator[Case]:
    """Yield every bridge, attention and cell, and every base, scale and way of missing values; lengths take turns."""
    of_windows = itertools.cycle([(1, 1), (5, 5), (50, 20), (300, 50)])
    parts = [
        *({"bridge": bridge, "attention": attention} for bridge, attention in itertools.product(BRIDGES, ATTENTIONS)),
        *(
            {"base": base, "scale": scale, "missing": missing, "quantiles": (0.1, 0.9)}
            for base, scale, missing in itertools.product(("last", "linear"), ("global", "window"), MISSING)
        ),
    ]
    for part, cell, layers in itertools.product(parts, ("lstm", "gru"), (1, 2)):
        past, horizon = next(of_windows)
        settings: Settings = {"scale": "global", "base": "last", "cell": cell, "layers": layers, "hidden": 6}
        settings |= {"targets": ("y",), "inputs": ("u",), "past_inputs": ("v",), "context": ("a", "b")} | part
        settings |= {"past": past, "horizon": horizon}
        name = ", ".join(map(str, part.values()))
        yield (
            f"{name}, {cell}, {layers}, {past} to {horizon}",
            lambda given=settings: ForecastModel(ForecastSettings(**given), fields()),
        )


def pairs() -> Iterator[Case]:
    """Yield every bridge, attention, cell and place of the label; encoders have both directions."""
    feedings = {attention: (False,) if attention == "none" else (False, True) for attention in ATTENTIONS}
    for bridge, attention, cell, layers in itertools.product(BRIDGES, ATTENTIONS, ("lstm", "gru"), (1, 2)):
        for feeding, label in itertools.product(feedings[attention], ("none", "token", "h0")):
            settings: Settings = {"bridge": bridge, "attention": attention, "cell": cell, "layers": layers}
            settings |= {"input_feeding": feeding, "label": label, "hidden": 6, "embedding": 4}
            labels = ["de", "en"] if label != "none" else []
            name = f"{bridge}, {attention}{', input feeding' if feeding else ''}, {cell}, {layers}, label {label}"
            yield (
                name,
                lambda given=settings, labels=labels: PairModel(
                    PairSettings(**given), list("abc"), list("xyz"), UNITS, labels
                ),
            )


STATES: dict[str, Callable[[nn.Module], Any]] = {
    "constant": ConstantState,
    "free": FreeState,
    "error noise": lambda core: ErrorNoise(FreeState(core)),
    "context": lambda core: ContextState(core, nn.Sequential(Context(**fields()), MLP(4, [7])), activation=nn.Tanh()),
    "gaussian": lambda core: GaussianState(ContextState(core, nn.Embedding(5, 3))),
    "joined": lambda core: JoinedState(ContextState(core, MLP(2, [5])), FreeState(core)),
    "latent": lambda core: LatentState(GaussianState(ContextState((3,), MLP(2, [4]))), ContextState(core, MLP(3, [4]))),
}


def library() -> Iterator[Case]:
    """Yield a `ContextualRNN` of every core with every initial state."""
    cores: dict[str, Callable[[], nn.Module]] = {}
    for layers, both in itertools.product((1, 2), (False, True)):
        some: Settings = {"num_layers": layers, "bidirectional": both, "batch_first": True}
        of_core = f"{layers}{', both directions' if both else ''}"
        for module in (nn.LSTM, nn.GRU, nn.RNN, gated.LSTM, gated.GRU):
            name = f"{module.__module__.split('.')[0]} {module.__name__}, {of_core}"
            cores[name] = lambda module=module, some=some: module(4, 6, **some)  # type: ignore[misc]
        if not both:
            cores[f"projected LSTM, {of_core}"] = lambda some=some: nn.LSTM(4, 6, proj_size=3, **some)  # type: ignore[misc]
    cores |= {module.__name__: lambda module=module: module(4, 6) for module in (nn.LSTMCell, nn.GRUCell, nn.RNNCell)}  # type: ignore[misc]
    cores["fast weights"] = lambda: FastWeightsRNN(4, 6, backend="reference")
    for (core, make_core), (state, make_state) in itertools.product(cores.items(), STATES.items()):
        yield f"{core}, {state}", lambda core=make_core, state=make_state: _rnn(core(), state)


def _rnn(core: nn.Module, make_state: Callable[[nn.Module], Any]) -> ContextualRNN:
    return ContextualRNN(core, make_state(core))


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    one.__name__: one for one in (series, generation, texts, forecast, pairs, library)
}
