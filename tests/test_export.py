"""Export: files that ONNX Runtime runs as the model, at any batch size and length."""

import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from export_cases import RNNS, Leaky
from tanks import write
from torch import nn

from contextual_rnn import (
    MLP,
    ContextState,
    ContextualRNN,
    FreeState,
    InputError,
    Label,
)
from contextual_rnn.cli import main
from contextual_rnn.export import check, onnx_format
from contextual_rnn.export.check import difference
from contextual_rnn.export.files import graphs_of, write_all
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings

onnx = pytest.importorskip("onnx", reason="pip install 'contextual-rnn[export]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'contextual-rnn[export]'")


EVERY_CASE = bool(os.environ.get("EVERY_CASE"))  # else some of the series, for time
EXAMPLES = Path(__file__).parents[1] / "examples"
SIZES = ((1, 1), (3, 5), (17, 50), (3, 300))


def differences(module, sizes=SIZES, **options):
    """The differences of every graph of a model at every size."""
    found = {}
    for spec in graphs_of(module, **options).specs:
        session = onnx_format.Session(onnx_format.onnx_bytes(spec, {}))
        found |= {(spec.name, *size): difference(spec, session, *size) for size in sizes}
    return found


SOME = ["GRU, named context", "LSTM of 2 layers, joined", "RNN of relu, both directions", "own core"]


@pytest.mark.parametrize("name", RNNS if EVERY_CASE else SOME)
def test_onnx_runtime_runs_any_core_and_initial_state_at_any_size(name):
    make_core, make_state = RNNS[name]
    core = make_core()
    found = differences(ContextualRNN(core, make_state(core)))
    assert max(found.values()) <= 1e-5, found
    assert {graph for graph, *_ in found} == ({""} if getattr(core, "bidirectional", False) else {"", "step"})


def test_cores_are_native_operators_whose_number_does_not_grow_with_time(tmp_path):
    core = nn.LSTM(4, 6, 2, batch_first=True)
    ContextualRNN(core, FreeState(core)).export(tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("LSTM") == 2
    assert not {"Loop", "Scan"} & set(kinds)
    read = {name for node in graph.node for name in node.input}
    assert {one.name for one in graph.initializer} <= read  # no weights that only the other graph reads
    assert len(kinds) < 50
    assert [dim.dim_param for dim in graph.input[0].type.tensor_type.shape.dim] == ["batch", "time", ""]
    assert [one.name for one in graph.output] == ["output", "h_n", "c_n"]


def test_a_network_that_does_not_say_what_it_reads_needs_an_example(tmp_path):
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.out_features = nn.Conv1d(2, 3, 3), 3

        def forward(self, signal):
            return self.convolution(signal).mean(2)

    core = nn.GRU(4, 6, batch_first=True)
    rnn = ContextualRNN(core, ContextState(core, Reader()))
    with pytest.raises(InputError, match="give an example of a context as `context`"):
        rnn.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
    assert max(differences(rnn, context=torch.zeros(2, 2, 8)).values()) <= 1e-5


def test_a_core_that_reads_ahead_is_refused_in_a_sentence(tmp_path):
    core = Leaky()
    core.causal = False
    with pytest.raises(InputError, match="a Leaky cannot be exported: it does not state that it is `causal`"):
        ContextualRNN(core, FreeState(core)).export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_differs_from_the_model_is_not_left_behind(tmp_path, monkeypatch):
    core = nn.GRU(4, 6, batch_first=True)
    monkeypatch.setattr(check, "TOLERANCE", 0.0)
    with pytest.raises(InputError, match="differs from the model by"):
        ContextualRNN(core, FreeState(core)).export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_files_are_written_all_or_none_and_replace_nothing(tmp_path, monkeypatch):
    first, second, mine = (tmp_path / name for name in ("a.onnx", "b.onnx", "mine"))
    mine.write_text("mine")
    second.symlink_to(tmp_path / "nowhere")
    (tmp_path / "a.onnx.part").symlink_to(mine)  # whoever knows the name of a temporary file gains nothing
    with pytest.raises(InputError, match=r"b\.onnx exists already; give another `out`"):
        write_all({first: b"1", second: b"2"})
    assert {path.name for path in tmp_path.iterdir()} == {"b.onnx", "a.onnx.part", "mine"}
    second.unlink()

    def without_hard_links(*paths):
        raise OSError(1, "Operation not permitted")

    for folder, link in (("with", os.link), ("without", without_hard_links)):
        monkeypatch.setattr(os, "link", link)
        (tmp_path / folder).mkdir()
        write_all({tmp_path / folder / "a": b"1", tmp_path / folder / "b": b"2"})
        assert {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} == {"a": b"1", "b": b"2"}
        with pytest.raises(InputError, match="b exists already"):
            write_all({tmp_path / folder / "c": b"1", tmp_path / folder / "b": b"3"})
        assert {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()} == {"a": b"1", "b": b"2"}
    assert mine.read_text() == "mine"


def test_a_full_disk_leaves_no_file(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # of a file; SIGXFSZ is ignored by Python
    try:
        with pytest.raises(OSError, match="File too large"):
            write_all({tmp_path / "small.onnx": b"1", tmp_path / "large.onnx": bytes(2000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_equal_targets_of_a_window_have_no_spread_in_the_graph_either():
    settings = SeriesSettings(inputs=("u",), targets=("y",), window=3, hidden=3, scale="window", initial_state="zero")
    spec = graphs_of(SeriesModel(settings)).specs[0]  # whose `usual` spread is 0
    session = onnx_format.Session(onnx_format.onnx_bytes(spec, {}))
    inputs = list(spec.examples(spec.sizes(200, 5), 1))
    place = [one.name for one in spec.inputs].index("window_targets")
    inputs[place] = torch.linspace(0.1, 9.9, 200).reshape(-1, 1, 1).repeat(1, 3, 1)  # their mean is rounded
    torch.testing.assert_close(torch.from_numpy(session(inputs)[0]), spec.module(*inputs)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["estimated", "context+estimated"])
def test_an_estimated_state_is_refused_in_a_sentence(kind, tmp_path):
    settings = SeriesSettings(inputs=("u",), targets=("y",), window=3, initial_state=kind)
    with pytest.raises(InputError, match="is fitted to every window by least squares, which no graph does"):
        SeriesModel(settings).export(tmp_path / "model.onnx")


@pytest.fixture
def saved(tmp_path):
    settings = SeriesSettings(inputs=("u",), targets=("y",), context=("start",), window=2, hidden=4)
    model = SeriesModel(settings, {"start": Label(["low", "high"])}).eval()
    model.save(tmp_path / "run.safetensors")
    return model


def test_the_command_writes_files_that_predict_a_table(saved, tmp_path, capsys):
    main(["export", str(tmp_path / "run.safetensors"), "--out", str(tmp_path / "tank.onnx")])
    assert "largest difference from the model" in capsys.readouterr().out
    assert {path.name for path in tmp_path.glob("*.onnx")} == {"tank.onnx", "tank-continue.onnx", "tank-step.onnx"}
    table = write(tmp_path / "table.csv", 1, 20, start=lambda _: "high")
    expected = saved.predict(table).frame["y_predicted"].to_numpy()
    found = alone(EXAMPLES / "streaming.py", tmp_path / "tank.onnx", "start=high", inputs=Path(table).read_text())
    torch.testing.assert_close(torch.tensor(found["y"]), torch.tensor(expected), rtol=0, atol=1e-5)


ABSENT = ("torch", "contextual_rnn", "onnx", "polars", "scipy")


def alone(program, *arguments, inputs):
    """Run a program where packages other than numpy and onnxruntime are absent, and read the table that it prints."""
    code = f"import runpy, sys; sys.modules.update(dict.fromkeys({ABSENT})); del sys.argv[0]; "
    command = [sys.executable, "-c", code + "runpy.run_path(sys.argv[0], run_name='__main__')", program, *arguments]
    done = subprocess.run([*map(str, command)], input=inputs, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return pl.read_csv(io.StringIO(done.stdout))


def test_weights_of_8_bits_are_smaller_and_their_cost_is_measured(tmp_path):
    found = {}
    for name in ("LSTM", "GRU"):
        core = getattr(nn, name)(4, 64, batch_first=True)
        rnn = ContextualRNN(core, ContextState(core, MLP(2, [5])))
        found[name] = rnn.export(tmp_path / f"{name}.onnx", int8=True)
        assert 1e-5 < found[name].files[0].difference < 0.05
        assert onnx.load(tmp_path / f"{name}.onnx").metadata_props[0].key == "contextual_rnn"
    assert "Weights of the graph of the model: 8 bits: 3 Gemm, 1 LSTM; float32: none." in str(found["LSTM"])
    assert "Weights of the graph step: 8 bits: none; float32: 1 GRU." in str(found["GRU"])
    assert found["LSTM"].files[1].size < 4 * 64 * 68 * 2 < found["GRU"].files[1].size


def test_bad_use_of_the_command_is_one_sentence_and_overwrites_nothing(saved, tmp_path, capsys, monkeypatch):
    run, out = str(tmp_path / "run.safetensors"), tmp_path / "model.onnx"
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "model-step.onnx").write_text("mine")

    def refused(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(["export", *map(str, arguments)])
        assert stopped.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        return lines[0]

    assert "without a file model.safetensors" in refused(tmp_path / "unfinished", "--out", out)
    assert "model-step.onnx exists already; give another --out" in refused(run, "--out", out)
    assert "--out must end in .onnx" in refused(run, "--out", tmp_path / "model.pt")
    assert "--int8 needs --format onnx" in refused(run, "--out", tmp_path / "a.pt2", "--format", "torch", "--int8")
    (tmp_path / "model-step.pt2").write_text("mine")
    pt2 = refused(run, "--out", tmp_path / "model.pt2", "--format", "torch")
    assert "model-step.pt2 exists already; give another --out" in pt2
    assert "there is no folder" in refused(run, "--out", tmp_path / "none" / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "run pip install 'contextual-rnn[export]'" in refused(run, "--out", tmp_path / "other.onnx")
    assert (tmp_path / "model-step.onnx").read_text() == "mine"
    assert {path.name for path in tmp_path.glob("*.*")} == {"run.safetensors", "model-step.onnx", "model-step.pt2"}
