"""Export of forecasts, generation, texts and pairs: graphs that agree with the model, and loops in NumPy that find the same."""

import importlib.util
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from contextual_rnn import (
    CategoryHead,
    ChangeHead,
    Context,
    ContextState,
    ContextualRNN,
    FixedGaussianHead,
    FreeState,
    GaussianHead,
    InputError,
    Label,
    MixtureHead,
    Quantity,
    SequenceModel,
)
from contextual_rnn.data.units import UNITS, Units, join, pattern_of, split
from contextual_rnn.export import onnx_format
from contextual_rnn.export.check import difference
from contextual_rnn.export.files import graphs_of, path_of
from contextual_rnn.export.programs import symbols
from contextual_rnn.jobs.forecast import ForecastModel, ForecastSettings
from contextual_rnn.jobs.generation import GenerationSettings, SeriesGenerator
from contextual_rnn.jobs.pairs import PairModel, PairSettings
from contextual_rnn.jobs.texts import TextModel, TextSettings

pytest.importorskip("onnx", reason="pip install 'contextual-rnn[export]'")
pytest.importorskip("onnxruntime", reason="pip install 'contextual-rnn[export]'")

EVERY_CASE = bool(os.environ.get("EVERY_CASE"))  # else some, for time
SIZES = ((1, 1), (3, 5), (17, 50))
FIELDS = {"a": Quantity(mean=2020.0, deviation=2.0), "b": Label(["x", "y", "z"])}


def assert_graphs_agree(model, graphs, sizes=SIZES):
    found = {}
    for spec in graphs_of(model).specs:
        session = onnx_format.Session(onnx_format.onnx_bytes(spec, {}))
        found |= {(spec.name, *size): difference(spec, session, *size) for size in sizes}
    assert max(found.values()) <= 1e-5, found
    assert {graph for graph, *_ in found} == graphs


def exported(model, path, graphs, sizes=SIZES[:2]):
    """Export a model, and compare its files with it at more sizes."""
    model.export(path)
    specs = graphs_of(model).specs
    assert {spec.name for spec in specs} == graphs
    for spec in specs:
        session = onnx_format.Session(path_of(path, spec.name).read_bytes())
        assert max(difference(spec, session, *size) for size in sizes) <= 1e-5
    return path


def program(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FORECASTS = [
    ("gru", 1, "zero", "none", {"inputs": ("u",), "base": "linear", "context": ("a",), "quantiles": (0.1, 0.9)}),
    ("lstm", 2, "concat", "additive", {"context": ("a", "b"), "scale": "window", "quantiles": (0.5,)}),
    ("gru", 2, "copy", "multiplicative", {"inputs": ("u",), "past_inputs": ("v",), "missing": "interpolate"}),
    ("gru", 1, "project", "none", {"inputs": ("u",), "scale": "window"}),
    ("lstm", 1, "zero", "none", {"missing": "hold", "scale": "window", "context": ("a",)}),
]


@pytest.mark.parametrize(
    ("cell", "layers", "bridge", "attention", "others"), FORECASTS if EVERY_CASE else FORECASTS[:2]
)
def test_onnx_runtime_forecasts_as_the_model(cell, layers, bridge, attention, others):
    settings = ForecastSettings(
        targets=("y",), past=6, horizon=4, cell=cell, layers=layers, bridge=bridge, attention=attention, hidden=6,
        **{"scale": "global", "base": "last"} | others,
    )  # fmt: skip
    model = ForecastModel(settings, {name: FIELDS[name] for name in settings.context})
    if model.linear is not None:
        nn.init.normal_(model.linear.weight, std=0.1)
    if settings.quantiles:
        nn.init.normal_(model.offsets)
    assert_graphs_agree(model, {"", "encoder", "step"}, SIZES[:2])


def test_a_seasonal_forecast_of_a_long_horizon_is_one_loop():
    settings = ForecastSettings(targets=("y", "z"), past=24, horizon=30, base="seasonal", scale="global", hidden=4)
    model = ForecastModel(settings, frequency="1 hour")
    import onnx

    spec = graphs_of(model).specs[0]
    content = onnx_format.onnx_bytes(spec, {})
    graph = onnx.load_from_string(content).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("Scan") == 1
    assert len(kinds) < 60
    session = onnx_format.Session(content)
    assert max(difference(spec, session, *size) for size in SIZES[:2]) <= 1e-5


HEADS = {
    "mixture, end": lambda: {"head": MixtureHead(6, 2, 3, change=True), "end": True},
    "gaussian, no start": lambda: {"head": GaussianHead(6, 2), "start": False},
    "fixed": lambda: {"head": FixedGaussianHead(6, 2, 0.1), "every_step": nn.Linear(3, 2)},
    "change": lambda: {"head": ChangeHead(6, [-1.0, -1.0], [1.0, 1.0])},
    "category": lambda: {"head": CategoryHead(6, 5), "embedding": nn.Embedding(5, 2), "end": 1},
}


@pytest.mark.parametrize("name", HEADS if EVERY_CASE else ["mixture, end", "change"])
def test_onnx_runtime_predicts_elements_as_the_model(name):
    arguments = HEADS[name]()
    core = nn.LSTM(4, 6, batch_first=True) if "every_step" in arguments else nn.GRU(2, 6, batch_first=True)
    state = ContextState(core, nn.Linear(3, 4)) if name != "change" else FreeState(core)
    assert_graphs_agree(SequenceModel(ContextualRNN(core, state), **arguments), {"", "start", "step"})


def test_a_named_context_of_a_sequence_model_is_its_inputs():
    core, context = nn.GRU(2, 6, batch_first=True), Context(digit=Label(["a", "b"]), period=Quantity(0.5, 4.5))
    model = SequenceModel(ContextualRNN(core, ContextState(core, context)), MixtureHead(6, 2, 3))
    graphs = graphs_of(model)
    assert [one.name for one in graphs.specs[1].inputs] == ["rows", "digit", "period"]
    assert graphs.metadata["labels"] == {"digit": ["a", "b"]}


GENERATORS = [("context", "zero", "step"), ("every-step", "zero", "global"), ("context", "refuse", "global")]


@pytest.mark.parametrize(("kind", "missing", "scale"), GENERATORS if EVERY_CASE else GENERATORS[:1])
def test_the_program_beside_a_generator_finds_its_modes(kind, missing, scale, tmp_path):
    settings = GenerationSettings(
        targets=("y", "z"), context=("b",), hidden=6, initial_state=kind, missing=missing, scale=scale
    )
    model = SeriesGenerator(settings, {"b": FIELDS["b"]}, 4).eval()
    if scale == "step":
        model.step_mean.copy_(torch.arange(8.0).view(4, 2))
        model.step_scale.copy_(torch.arange(1.0, 9).view(4, 2) / 4)
    model.target_mean.copy_(torch.tensor([3.0, -1.0]))
    model.target_scale.copy_(torch.tensor([2.0, 0.5]))
    nn.init.constant_(model.sequences.flag.bias, -3.0)
    model.export(tmp_path / "model.onnx")
    expected = model.trajectories(model._vector({"b": "y"}), 2, 20, temperature=0)
    generator = program(tmp_path / "model-sample.py").Model(str(tmp_path / "model"))
    found = generator.sample(2, {"b": "y"}, 20, temperature=0)
    assert [len(one) for one in found] == expected.lengths.tolist()
    np.testing.assert_allclose(found[0], expected.elements[0, : len(found[0])], atol=1e-5)
    drawn = generator.sample(500, {"b": "y"}, 5)
    other = model.trajectories(model._vector({"b": "y"}), 500, 5)
    mean = np.mean([one[0] for one in drawn], axis=0)
    np.testing.assert_allclose(mean, other.elements[:, 0].mean(0), atol=0.4)
    with pytest.raises(ValueError, match="b has no label 'q'; it has x, y, z"):
        generator.sample(1, {"b": "q"})
    with pytest.raises(ValueError, match="give every context column of the model, and no other: b"):
        generator.sample(1)


TEXTS = [  # where the context is read, unit, cell, context columns
    ("h0", "characters", "lstm", ("b", "logits")),
    ("both", "words", "gru", ("a", "b")),
    ("every-step", "smiles", "rnn", ("h",)),
    ("none", "bytes", "fast-weights", ("a",)),
]
TEXTS = TEXTS if EVERY_CASE else TEXTS[:2]
SYMBOLS = {
    "characters": list("abc"), "words": ["so", "?", "yes"], "smiles": ["C", "Cl", "[OH]"], "bytes": ["61", "c3", "a9"],
}  # fmt: skip
SENTENCES = {"characters": "abca", "words": "so? yes", "smiles": "ClC[OH]", "bytes": "aéa"}


@pytest.mark.parametrize(("place", "unit", "cell", "columns"), TEXTS)
def test_the_program_beside_a_model_of_texts_writes_and_scores_as_the_model(place, unit, cell, columns, tmp_path):
    known = {
        "a": Quantity(mean=3.0, deviation=2.0, unknown=True), "b": Label(["x", "y"], unknown=True),
        "logits": Label(["1", "2"], unknown=True), "h": Quantity(mean=0.0, deviation=1.0, unknown=True),
    }  # fmt: skip
    settings = TextSettings(
        text="t", context=columns, unit=unit, context_in=place, cell=cell, hidden=6, embedding=3, context_hidden=4
    )
    torch.manual_seed(1)
    model = TextModel(settings, SYMBOLS[unit], {name: known[name] for name in columns}, usual_length=10).eval()
    nn.init.normal_(model.sequences.head.linear.weight, std=2.0)
    exported(model, tmp_path / "model.onnx", {"", "start", "step"})
    found = program(tmp_path / "model-sample.py").Model(str(tmp_path / "model"))
    value = {"b": "y", "logits": "2"}.get(columns[-1], 0.5)
    for context in ({}, {columns[-1]: value} if place != "none" else {}):
        expected = model.sample(context, 2, temperature=0, steps=12)["t"].to_list()
        assert found.sample(2, context, 0, steps=12) == expected
        row = pl.DataFrame({"t": [SENTENCES[unit]], **{name: [context.get(name)] for name in columns}})
        score = found.score(SENTENCES[unit], context)
        assert score == pytest.approx(model.score(row)["log_likelihood"][0], abs=1e-5)
    texts = found.sample(50, {}, prefix=SENTENCES[unit], steps=5, top_k=2, seed=1)
    assert len(set(texts)) > 1
    assert all(text.startswith(join(split(SENTENCES[unit], unit), unit)) for text in texts)
    first = model.sample({}, 400, steps=1)["t"].to_list()
    shares = [np.mean([text == SYMBOLS[unit][0] for text in some]) for some in (first, found.sample(400, {}, steps=1))]
    if unit != "bytes":
        assert shares[0] == pytest.approx(shares[1], abs=0.15)


def test_the_program_beside_a_model_of_texts_refuses_in_a_sentence(tmp_path):
    settings = TextSettings(text="t", context=("b",), unit="graphemes", hidden=4)
    TextModel(settings, ["a", "b"], {"b": Label(["x", "y"], unknown=True)}).export(tmp_path / "model.onnx")
    found = program(tmp_path / "model-sample.py").Model(str(tmp_path / "model"))
    with pytest.raises(ValueError, match="n must be at least 1; found 0"):
        found.sample(0)  # ONNX Runtime would end the process
    with pytest.raises(ValueError, match="the model has no context column 'c'; it has b"):
        found.sample(1, {"c": 1})
    with pytest.raises(ValueError, match="b has no label 'z'; it has x, y"):
        found.sample(1, {"b": "z"})
    with pytest.raises(ValueError, match="graphemes cannot be split by this program: that needs the package regex"):
        found.score("ab")
    with pytest.raises(ValueError, match="the model does not know the symbol 'z'"):
        found.score(["z"])
    assert found.score(["a", "b"]) < 0
    shared = program(Path(symbols.__file__))
    with pytest.raises(ValueError, match="subwords cannot be split by this program: that needs the package sentencep"):
        shared.split("ab", "subwords")
    assert shared.join(["\u2581a", "b", "\u2581c"], "subwords") == "ab c"


@pytest.mark.parametrize("unit", [*(unit for unit in UNITS if unit != "subwords"), "re:[a-z]+|."])
def test_the_programs_split_and_join_as_the_library(unit):
    for text in ("  \u201cSo, e\u0301tude?\u201d it's a-b ", "C(=O)Cl"):
        try:
            expected = list(split(text, unit))
        except InputError:
            with pytest.raises(ValueError, match="no symbol"):
                symbols.split(text, unit, pattern_of(unit))
            continue
        if unit != "graphemes":
            assert symbols.split(text, unit, pattern_of(unit)) == expected
        assert symbols.join(expected, unit) == join(expected, unit)


PAIRS = [  # cell, layers, bridge, attention, input feeding, label
    ("gru", 1, "project", "none", False, "none"),
    ("lstm", 2, "concat", "additive", True, "h0"),
    ("gru", 2, "copy", "multiplicative", False, "token"),
]


@pytest.mark.filterwarnings("ignore:source")  # some symbols are unknown, and some targets are cut
@pytest.mark.parametrize(
    ("cell", "layers", "bridge", "attention", "feeding", "label"), PAIRS if EVERY_CASE else PAIRS[1:2]
)
def test_the_program_beside_a_model_of_pairs_finds_the_same_targets(
    cell, layers, bridge, attention, feeding, label, tmp_path
):
    settings = PairSettings(
        cell=cell, layers=layers, bridge=bridge, attention=attention, input_feeding=feeding, hidden=8, embedding=5,
        label=label,
    )  # fmt: skip
    labels = ["de", "en"] if label != "none" else []
    torch.manual_seed(3)
    model = PairModel(settings, list("abc"), list("xyz"), Units("characters", "characters"), labels).eval()
    nn.init.normal_(model.pairs.decoder.output.weight, std=2.0)
    exported(model, tmp_path / "model.onnx", {"encoder", "step"})
    found = program(tmp_path / "model-search.py").Model(str(tmp_path / "model"))
    of_label = "en" if labels else None
    for source in ("abc", "ca", "bbdba"):  # d is unknown
        for width in (1, 4):
            ours = model.transcribe([source], label=of_label, beam=width, n_best=width, longest=12)[0]
            ours = ours if width > 1 else [ours]
            theirs = found.beam(list(source), of_label, width, 12)
            texts = [getattr(one, "text", one) for one in ours]
            assert ["".join(symbols) for symbols, _ in theirs][: len(texts)] == texts
            if width > 1:
                np.testing.assert_allclose([score for _, score in theirs], [one.score for one in ours], atol=1e-5)
