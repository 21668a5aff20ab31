"""Models of every job, kind of initial state, cell and number of layers, for the benchmark of export."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
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
    """Yield every kind with every cell; the ways of missing values and the scales take turns."""
    for number, (kind, (cell, layers)) in enumerate(itertools.product(KINDS, CELLS)):
        settings: Settings = {"initial_state": kind, "cell": cell, "layers": layers, "missing": MISSING[number % 4]}
        settings |= {"inputs": ("u", "v"), "targets": ("y",), "context": ("a", "b"), "window": 3, "hidden": 5}
        settings |= {"scale": ("global", "window")[number // 4 % 2]}
        yield f"{kind}, {cell}, {layers}", partial(_series, settings)


def generation() -> Iterator[Case]:
    """Yield every kind with every cell; no generator interpolates."""
    for number, (kind, (cell, layers)) in enumerate(itertools.product(WITHOUT_WINDOW, CELLS)):
        settings: Settings = {"initial_state": kind, "cell": cell, "layers": layers, "missing": MISSING[number % 3]}
        settings |= {"targets": ("y", "z"), "context": ("a", "b"), "hidden": 5}
        yield (
            f"{kind}, {cell}, {layers}",
            partial(_generation, settings),
        )


def texts() -> Iterator[Case]:
    """Yield every place of the context with every cell."""
    for place, (cell, layers) in itertools.product(PLACES, CELLS):
        settings: Settings = {"context_in": place, "cell": cell, "layers": layers, "text": "t", "context": ("a", "b")}
        settings |= {"hidden": 6, "embedding": 3, "context_hidden": 4}
        yield (
            f"{place}, {cell}, {layers}",
            partial(_texts, settings),
        )


def forecast() -> Iterator[Case]:
    """Yield every bridge, attention and cell, and every base, scale and way of missing values; lengths take turns."""
    of_windows = itertools.cycle([(1, 1), (5, 5), (50, 20), (300, 50)])
    parts: list[Settings] = [
        *({"bridge": bridge, "attention": attention} for bridge, attention in itertools.product(BRIDGES, ATTENTIONS)),
        *(
            {"base": base, "scale": scale, "missing": missing, "quantiles": (0.1, 0.9)}
            for base, scale, missing in itertools.product(("last", "linear", "seasonal"), ("global", "window"), MISSING)
        ),
    ]
    for part, cell, layers in itertools.product(parts, ("lstm", "gru"), (1, 2)):
        past, horizon = next(of_windows)
        if part.get("base") == "seasonal":
            past = max(past, 24)  # hours of a day
        settings: Settings = {"scale": "global", "base": "last", "cell": cell, "layers": layers, "hidden": 6}
        settings |= {"targets": ("y",), "inputs": ("u",), "past_inputs": ("v",), "context": ("a", "b")} | part
        settings |= {"past": past, "horizon": horizon}
        name = ", ".join(map(str, part.values()))
        yield (
            f"{name}, {cell}, {layers}, {past} to {horizon}",
            partial(_forecast, settings),
        )


def pairs() -> Iterator[Case]:
    """Yield every bridge, attention, cell and place of the label; encoders have both directions."""
    feedings = {attention: (False,) if attention == "none" else (False, True) for attention in ATTENTIONS}
    for bridge, attention, cell, layers in itertools.product(BRIDGES, ATTENTIONS, ("lstm", "gru"), (1, 2)):
        for feeding, label in itertools.product(feedings[attention], ("none", "token", "h0")):
            settings: Settings = {"bridge": bridge, "attention": attention, "cell": cell, "layers": layers}
            settings |= {"input_feeding": feeding, "label": label, "hidden": 6, "embedding": 4}
            name = f"{bridge}, {attention}{', input feeding' if feeding else ''}, {cell}, {layers}, label {label}"
            yield (
                name,
                partial(_pairs, settings),
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
            cores[name] = partial(module, 4, 6, **some)
        if not both:
            cores[f"projected LSTM, {of_core}"] = partial(nn.LSTM, 4, 6, proj_size=3, **some)
    cores |= {module.__name__: partial(module, 4, 6) for module in (nn.LSTMCell, nn.GRUCell, nn.RNNCell)}
    cores["fast weights"] = lambda: FastWeightsRNN(4, 6, backend="reference")
    for (core, make_core), (state, make_state) in itertools.product(cores.items(), STATES.items()):
        if state != "joined" or "LSTM" in core or core == "fast weights":  # whose states have two tensors
            yield f"{core}, {state}", partial(_rnn, make_core, make_state)


def _rnn(make_core: Callable[[], nn.Module], make_state: Callable[[nn.Module], Any]) -> ContextualRNN:
    core = make_core()
    return ContextualRNN(core, make_state(core))


def _series(settings: Settings) -> SeriesModel:
    return SeriesModel(SeriesSettings(**settings), fields())


def _generation(settings: Settings) -> SeriesGenerator:
    return SeriesGenerator(GenerationSettings(**settings), fields())


def _texts(settings: Settings) -> TextModel:
    return TextModel(TextSettings(**settings), list("abc"), fields(unknown=True))


def _forecast(settings: Settings) -> ForecastModel:
    return ForecastModel(ForecastSettings(**settings), fields(), frequency="1 hour")


def _pairs(settings: Settings) -> PairModel:
    labels = ["de", "en"] if settings["label"] != "none" else []
    return PairModel(PairSettings(**settings), list("abc"), list("xyz"), UNITS, labels)


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    one.__name__: one for one in (series, generation, texts, forecast, pairs, library)
}
