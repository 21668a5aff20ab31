"""Export of forecasts, generation and pairs: graphs that agree with the model, and loops in NumPy that find the same."""

import importlib.util

import numpy as np
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
    Label,
    MixtureHead,
    Quantity,
    SequenceModel,
)
from contextual_rnn.data.units import Units
from contextual_rnn.export import onnx_format
from contextual_rnn.export.files import graphs_of
from contextual_rnn.jobs.forecast import ForecastModel, ForecastSettings
from contextual_rnn.jobs.generation import GenerationSettings, SeriesGenerator
from contextual_rnn.jobs.pairs import PairModel, PairSettings

pytest.importorskip("onnx", reason="pip install 'contextual-rnn[export]'")
pytest.importorskip("onnxruntime", reason="pip install 'contextual-rnn[export]'")

SIZES = ((1, 1), (3, 5), (17, 50))
FIELDS = {"a": Quantity(mean=2020.0, deviation=2.0), "b": Label(["x", "y", "z"])}


def assert_graphs_agree(model, graphs, sizes=SIZES):
    found = {}
    for spec in graphs_of(model).specs:
        session = onnx_format.session(onnx_format.onnx_bytes(spec, {}))
        found |= {(spec.name, *size): onnx_format.difference(spec, session, *size) for size in sizes}
    assert max(found.values()) <= 1e-5, found
    assert {graph for graph, *_ in found} == graphs


def program(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("cell", "layers", "bridge", "attention", "others"),
    [
        ("gru", 1, "project", "none", {"inputs": ("u",), "scale": "window"}),
        ("lstm", 2, "concat", "additive", {"context": ("a", "b"), "scale": "global"}),
        ("gru", 2, "copy", "multiplicative", {"inputs": ("u",), "past_inputs": ("v",), "missing": "interpolate"}),
        ("lstm", 1, "zero", "none", {"missing": "hold", "scale": "window", "context": ("a",)}),
        ("gru", 1, "zero", "none", {"inputs": ("u",), "base": "linear", "context": ("a",), "quantiles": (0.1, 0.9)}),
    ],
)
def test_onnx_runtime_forecasts_as_the_model(cell, layers, bridge, attention, others):
    settings = ForecastSettings(
        targets=("y",), past=6, horizon=4, cell=cell, layers=layers, bridge=bridge, attention=attention, hidden=6,
        **{"scale": "global", "base": "last"} | others,
    )  # fmt: skip
    model = ForecastModel(settings, {name: FIELDS[name] for name in settings.context})
    if model.linear is not None:
        torch.nn.init.normal_(model.linear.weight, std=0.1)
    assert_graphs_agree(model, {"", "encoder", "step"}, SIZES[:2])


def test_a_seasonal_forecast_of_a_long_horizon_is_one_loop():
    settings = ForecastSettings(targets=("y", "z"), past=24, horizon=48, base="seasonal", scale="global", hidden=4)
    model = ForecastModel(settings, frequency="1 hour")
    import onnx

    spec = graphs_of(model).specs[0]
    graph = onnx.load_from_string(onnx_format.onnx_bytes(spec, {})).graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("Scan") == 1
    assert len(kinds) < 60
    assert_graphs_agree(model, {"", "encoder", "step"}, SIZES[:1])


HEADS = {
    "mixture, end": lambda: {"head": MixtureHead(6, 2, 3, change=True), "end": True},
    "gaussian, no start": lambda: {"head": GaussianHead(6, 2), "start": False},
    "fixed": lambda: {"head": FixedGaussianHead(6, 2, 0.1), "every_step": nn.Linear(3, 2)},
    "change": lambda: {"head": ChangeHead(6, [-1.0, -1.0], [1.0, 1.0])},
    "category": lambda: {"head": CategoryHead(6, 5), "embedding": nn.Embedding(5, 2), "end": 1},
}


@pytest.mark.parametrize("name", HEADS)
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


@pytest.mark.parametrize(
    ("kind", "missing", "scale"), [("context", "refuse", "global"), ("every-step", "zero", "global"),
                                   ("context", "zero", "step")],
)  # fmt: skip
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
    sample = program(tmp_path / "model-sample.py").sample
    found = sample(str(tmp_path / "model"), 2, {"b": 1}, 20, temperature=0)
    assert [len(one) for one in found] == expected.lengths.tolist()
    np.testing.assert_allclose(found[0], expected.elements[0, : len(found[0])], atol=1e-5)
    drawn = sample(str(tmp_path / "model"), 500, {"b": 1}, 5)
    other = model.trajectories(model._vector({"b": "y"}), 500, 5)
    mean = np.mean([one[0] for one in drawn], axis=0)
    np.testing.assert_allclose(mean, other.elements[:, 0].mean(0), atol=0.4)


PAIRS = [  # cell, layers, bridge, attention, input feeding, label
    ("gru", 1, "project", "none", False, "none"),
    ("lstm", 2, "concat", "additive", True, "h0"),
    ("gru", 2, "copy", "multiplicative", False, "token"),
]


@pytest.mark.filterwarnings("ignore:source")  # some symbols are unknown, and some targets are cut
@pytest.mark.parametrize(("cell", "layers", "bridge", "attention", "feeding", "label"), PAIRS)
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
    assert_graphs_agree(model, {"encoder", "step"}, SIZES[:2])
    model.export(tmp_path / "model.onnx")
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
