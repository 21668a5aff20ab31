"""Export as programs of torch.export, which PyTorch runs at any batch size and length."""

import json
import os

import pytest
import torch
from export_cases import RNNS
from torch import nn

from contextual_rnn import ContextualRNN, FreeState, InputError, Label
from contextual_rnn.cli import main
from contextual_rnn.export.check import difference
from contextual_rnn.export.files import graphs_of
from contextual_rnn.export.torch_format import Loaded, torch_bytes
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings

EVERY_CASE = bool(os.environ.get("EVERY_CASE"))  # else some, for time
SIZES = ((1, 1), (3, 5), (17, 50), (3, 300))
SOME = ["LSTM of 2 layers, joined", "RNN of relu, both directions", "own core"]


@pytest.mark.parametrize("name", RNNS if EVERY_CASE else SOME)
def test_a_program_runs_any_core_and_initial_state_at_any_size(name):
    make_core, make_state = RNNS[name]
    core = make_core()
    found = {}
    for spec in graphs_of(ContextualRNN(core, make_state(core))).specs:
        program = Loaded(torch_bytes(spec, {}))
        found |= {(spec.name, *size): difference(spec, program, *size) for size in SIZES}
    assert max(found.values()) <= 1e-5, found


@pytest.mark.parametrize("kind", ["context", "every-step"] if EVERY_CASE else ["context"])
def test_the_command_writes_programs_of_a_job_that_pytorch_alone_runs(kind, tmp_path, capsys):
    settings = SeriesSettings(
        inputs=("u",), targets=("y",), context=("start",), window=2, hidden=4, cell="lstm", initial_state=kind
    )
    model = SeriesModel(settings, {"start": Label(["low", "high"])}).eval()
    model.save(tmp_path / "run.safetensors")
    main(["export", str(tmp_path / "run.safetensors"), "--out", str(tmp_path / "tank.pt2"), "--format", "torch"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Batch size and time are dynamic." in said
    assert "The graph of the model has a limit that torch.export sets: inputs.size()[1] >= 4." in said
    metadata = {"contextual_rnn.json": ""}
    program = torch.export.load(tmp_path / "tank.pt2", extra_files=metadata)
    assert json.loads(metadata["contextual_rnn.json"])["labels"] == {"start": ["low", "high"]}
    assert "contextual_rnn" not in str(program.graph)
    step = torch.export.load(tmp_path / "tank-step.pt2").module()
    u, y, start = torch.rand(2, 40, 1), torch.rand(2, 2, 1), torch.tensor([0, 1])
    expected, *_ = program.module()(u, torch.tensor([40, 40]), y, start)
    first, *state = program.module()(u[:, :30], torch.tensor([30, 30]), y, start)
    rest = []
    for one in u[:, 30:].unbind(1):
        predicted, *state = step(one, *state)
        rest.append(predicted)
    torch.testing.assert_close(torch.cat([first, torch.stack(rest, 1)], 1), expected, rtol=0, atol=1e-5)
    assert {path.name for path in tmp_path.glob("*")} == {
        "run.safetensors", "tank.pt2", "tank-continue.pt2", "tank-step.pt2"
    }  # fmt: skip


def test_a_core_that_torch_export_refuses_is_refused_in_a_sentence(tmp_path):
    class Halting(nn.Module):
        causal, input_size, state_shapes = True, 4, (5,)

        def forward(self, x, state):
            state = state + 1 if bool(x.sum() > 0) else state
            return state.unsqueeze(1).expand(-1, x.shape[1], -1), state

    core = Halting()
    for end, format in ((".onnx", "onnx"), (".pt2", "torch")):
        with pytest.raises(InputError, match=r"^the model cannot be exported, since torch\.export refuses it: "):
            ContextualRNN(core, FreeState(core)).export(tmp_path / f"model{end}", format=format)
    assert not list(tmp_path.iterdir())
