"""Export as programs of torch.export: any batch size and length, without this library."""

import os

import pytest
from export_cases import RNNS

from contextual_rnn import ContextualRNN
from contextual_rnn.export.check import difference
from contextual_rnn.export.files import graphs_of
from contextual_rnn.export.torch_format import Loaded, torch_bytes

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
