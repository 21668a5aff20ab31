"""Cores of any kind: replaced or wrapped after construction, of your own, and what they return."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn

from contextual_rnn import (
    MLP,
    ConstantState,
    ContextState,
    ContextualRNN,
    FastWeightsRNN,
    FixedGaussianHead,
    FreeState,
    SequenceModel,
    Unroll,
)
from contextual_rnn._core.state import leaves

D, H, L = 3, 8, 2
X, CONTEXT = torch.randn(L, 6, D), torch.randn(L, 2)  # B = L, where a wrong layout of states is not an error
CALLS = {
    "whole": {},
    "lengths": {"lengths": [6, 4]},
    "resets": {"resets": torch.tensor([[0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0]])},
}
over_calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
LAYERED = {
    "lstm": lambda: nn.LSTM(D, H, L, batch_first=True),
    "gru, time first": lambda: nn.GRU(D, H, L),
    "lstm, bidirectional": lambda: nn.LSTM(D, H, bidirectional=True, batch_first=True),
}
over_layered = pytest.mark.parametrize("make", LAYERED.values(), ids=LAYERED)


def wrap(core):
    torch.manual_seed(0)
    return ContextualRNN(core, ContextState(core, MLP(2, [5]))).eval()


def run(rnn, call):
    x = X if rnn.batch_first else X.transpose(0, 1)
    output, state = rnn(x, CONTEXT, **call)
    return [output, *leaves(state)]


class Undescribed(nn.Module):
    """A module around a core, with none of its attributes."""

    def __init__(self, core):
        super().__init__()
        self.inner = core

    def forward(self, x, state):
        return self.inner(x, state)


class Described(Undescribed):
    """One that has the attributes of `nn.LSTM` without being one, as Opacus's DPLSTM has."""

    def __init__(self, core):
        super().__init__(core)
        for name in ("num_layers", "hidden_size", "batch_first", "bidirectional"):
            setattr(self, name, getattr(core, name))


REPLACEMENTS = {
    "torch.compile": lambda core: torch.compile(core, backend="eager"),
    "DataParallel": nn.DataParallel,
    "a module around it": Undescribed,
    "a module like it": Described,
}


@over_layered
@over_calls
@pytest.mark.parametrize("replace", REPLACEMENTS.values(), ids=REPLACEMENTS)
def test_a_core_replaced_after_construction_keeps_its_layout(make, call, replace):
    rnn = wrap(make())
    expected = run(rnn, call)
    rnn.core = replace(rnn.core)
    torch.testing.assert_close(run(rnn, call), expected)
    again = copy.deepcopy(rnn)
    torch.testing.assert_close(run(again, call), expected)


@over_calls
@pytest.mark.parametrize(
    ("make", "kind"),
    [(LAYERED["lstm"], nn.LSTM), (LAYERED["gru, time first"], nn.GRU), (lambda: nn.LSTMCell(D, H), nn.LSTMCell)],
)
def test_a_quantised_core_is_close_to_its_core(make, kind, call):
    torch.manual_seed(0)  # how close depends on the weights
    rnn = wrap(make())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(rnn, {kind})
    for found, expected in zip(run(quantised, call), run(rnn, call), strict=True):
        assert (found - expected).abs().max() < 0.01


@over_layered
def test_a_core_wrapped_before_construction_is_known(make):
    core = make()
    rnn = wrap(core)
    wrapped = ContextualRNN(torch.compile(core, backend="eager"), rnn.initial_state).eval()
    torch.testing.assert_close(run(wrapped, {}), run(rnn, {}))


REFUSED = {
    "another size": (lambda core: nn.LSTM(D, 2 * H, L, batch_first=True), r"LSTM with state_shapes=\(\(2, 16\)"),
    "another layout": (lambda core: nn.LSTM(D, H, L), "LSTM with batch_first=False"),
    "other directions": (
        lambda core: Described(nn.LSTM(D, H, 1, batch_first=True, bidirectional=True)),
        "with bidirectional=True",
    ),
    "another size, undescribed": (lambda core: Described(nn.LSTM(D, 2 * H, L, batch_first=True)), "with state_shapes"),
    "a cell": (lambda core: nn.LSTMCell(D, H), r"replaced by a cell, LSTMCell: use Unroll\(cell\)"),
}


@pytest.mark.parametrize(("replace", "message"), REFUSED.values(), ids=REFUSED)
def test_a_core_replaced_by_one_of_another_contract_is_refused(replace, message):
    rnn = wrap(LAYERED["lstm"]())
    rnn.core = replace(rnn.core)
    with pytest.raises(ValueError, match=message):
        run(rnn, {})


def test_data_parallel_around_a_core_of_layered_states_is_refused_for_several_devices():
    rnn = wrap(LAYERED["lstm"]())
    rnn.core = nn.DataParallel(rnn.core)
    rnn.core.device_ids = [0, 1]
    with pytest.raises(ValueError, match="wrap the whole model instead of its core"):
        run(rnn, {})


@pytest.mark.parametrize("make", [LAYERED["lstm"], lambda: nn.LSTMCell(D, H), lambda: FastWeightsRNN(D, H)])
def test_copies_and_pickles_compute_the_same(make):
    rnn = wrap(make())
    expected = run(rnn, {})
    torch.testing.assert_close(run(copy.deepcopy(rnn), {}), expected, rtol=0, atol=0)
    torch.testing.assert_close(run(pickle.loads(pickle.dumps(rnn)), {}), expected, rtol=0, atol=0)


def test_modules_that_are_no_core_are_refused_and_told_about_layouts():
    with pytest.raises(TypeError, match=r"no attribute state_shapes.*must swap the first two dimensions"):
        ContextualRNN(Undescribed(nn.LSTM(D, H)), ConstantState((1, H)))
    with pytest.raises(TypeError, match="the core is the class LSTM; give an instance of it"):
        ContextualRNN(nn.LSTM, ConstantState((1, H)))
    with pytest.raises(TypeError, match="must be an InitialState; found MLP"):
        ContextualRNN(nn.GRU(D, H), MLP(2, [5]))


class Shifted(nn.LSTM):
    """An LSTM whose outputs are 1 more."""

    def forward(self, x, hx=None):
        output, state = super().forward(x, hx)
        return output + 1, state


@over_calls
def test_an_overridden_forward_is_what_runs(call):
    core = Shifted(D, H, L, batch_first=True)
    rnn = wrap(core)
    plain = nn.LSTM(D, H, L, batch_first=True)
    plain.load_state_dict(core.state_dict())
    found, expected = run(rnn, call), run(ContextualRNN(plain, rnn.initial_state).eval(), call)
    inside = torch.arange(6).expand(2, 6) < torch.tensor(call.get("lengths", [6, 6])).unsqueeze(1)
    torch.testing.assert_close(found[0], expected[0] + inside.unsqueeze(2).float())
    torch.testing.assert_close(found[1:], expected[1:])


class Both(nn.Module):
    """Two GRUs, one of which reads the sequence backwards."""

    state_shapes, bidirectional = ((H,), (H,)), True

    def __init__(self, batch_first=True):
        super().__init__()
        self.batch_first = batch_first
        self.f, self.b = (nn.GRU(D, H, batch_first=batch_first) for _ in "fb")

    def forward(self, x, state):
        time = 1 if self.batch_first else 0
        y, f = self.f(x, state[0][None])
        z, b = self.b(x.flip(time), state[1][None])
        return torch.cat([y, z.flip(time)], 2), (f[0], b[0])


class Centred(nn.Module):
    """A GRU whose inputs are centred over time; it does not say that it is causal."""

    state_shapes = (H,)

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(D, H, batch_first=True)

    def forward(self, x, state):
        output, last = self.gru(x - x.mean(1, keepdim=True), state[None])
        return output, last[0]


@pytest.mark.parametrize(
    "make", [Both, lambda: Both(batch_first=False), Centred], ids=["both", "time first", "centred"]
)
def test_rows_and_episodes_of_a_core_that_is_not_causal_are_run_whole(make):
    core = make()
    rnn = ContextualRNN(core, FreeState(core))
    for variable in rnn.initial_state.variable:
        nn.init.normal_(variable)

    def call(x, **options):
        output, state = rnn(x if rnn.batch_first else x.transpose(0, 1), **options)
        return output if rnn.batch_first else output.transpose(0, 1), list(leaves(state))

    x = torch.randn(4, 6, D)
    output, last = call(x, lengths=[4, 6, 0, 4])
    for row, length in enumerate([4, 6, 0, 4]):
        if length:
            alone, state = call(x[row : row + 1, :length])
            torch.testing.assert_close(output[row, :length], alone[0])
            torch.testing.assert_close([leaf[row] for leaf in last], [leaf[0] for leaf in state])
        assert not output[row, length:].any()
    resets = torch.zeros(4, 6)
    resets[0, 2] = resets[1, 5] = 1
    output, last = call(x, resets=resets)
    parts = torch.cat([call(x[:1, :2])[0], call(x[:1, 2:])[0]], 1)
    torch.testing.assert_close(output[0], parts[0])
    torch.testing.assert_close(output[1, 5:], call(x[1:2, 5:])[0][0])
    torch.testing.assert_close([leaf[0] for leaf in last], [leaf[0] for leaf in call(x[:1, 2:])[1]])


class Counting(nn.Module):
    """A core that counts its calls."""

    state_shapes = (H,)

    def __init__(self, causal):
        super().__init__()
        self.gru, self.calls = nn.GRU(D, H, batch_first=True), 0
        if causal:
            self.causal = True

    def forward(self, x, state):
        self.calls += 1
        output, last = self.gru(x, state[None])
        return output, last[0]


def test_a_causal_core_is_called_by_segments_of_time_and_any_other_by_length():
    torch.manual_seed(0)
    causal, other = Counting(True), Counting(False)
    other.load_state_dict(causal.state_dict())
    x, lengths = torch.randn(4, 9, D), [9, 3, 3, 9]
    found = [ContextualRNN(core, FreeState(core))(x, lengths=lengths) for core in (causal, other)]
    torch.testing.assert_close(found[0], found[1])
    assert causal.calls == 2  # steps 0 to 2 of four rows, then 3 to 8 of two
    assert other.calls == 2  # two rows of 3 steps, two of 9
    x, lengths = torch.randn(3, 5, D), [5, 5, 5]
    resets = torch.tensor([[0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]])
    found = [ContextualRNN(core, FreeState(core))(x, lengths=lengths, resets=resets) for core in (causal, other)]
    torch.testing.assert_close(found[0], found[1])
    assert FastWeightsRNN(D, H).causal
    assert Unroll(nn.GRUCell(D, H)).causal


class Returning(nn.Module):
    """A core that returns whatever it is told to."""

    def __init__(self, result, shapes=((H,), (H,))):
        super().__init__()
        self.result, self.state_shapes = result, shapes

    def forward(self, x, state):
        return self.result


OUTPUT, LEAF = torch.zeros(2, 6, H), torch.zeros(2, H)
RETURNED = {
    "an output alone": (OUTPUT, r"returned a Tensor; a core returns \(output, state\)"),
    "three items": ((OUTPUT, LEAF, LEAF), r"returned 3 items; a core returns \(output, state\)"),
    "the last output": ((OUTPUT[:, -1], (LEAF, LEAF)), r"output of shape \(2, 8\); expected \(batch, time, features\)"),
    "outputs of another layout": ((OUTPUT.transpose(0, 1), (LEAF, LEAF)), r"shape \(6, 2, 8\); expected"),
    "a state of one tensor": (
        (OUTPUT, LEAF),
        r"Returning returned has shape \(2, 8\); expected \(\(2, 8\), \(2, 8\)\)",
    ),
    "a state of layers": ((OUTPUT, (LEAF[None], LEAF[None])), r"has shape \(\(1, 2, 8\), \(1, 2, 8\)\); expected"),
}


@pytest.mark.parametrize(("result", "message"), RETURNED.values(), ids=RETURNED)
def test_what_a_core_returns_is_checked(result, message):
    core = Returning(result)
    with pytest.raises(ValueError, match=message):
        ContextualRNN(core, FreeState(core))(X)


CELL_RETURNED = {
    "a pair (h, c)": (
        (LEAF, LEAF),
        r"a cell returns \(output, state\).*has shape \(2, 8\); expected \(\(2, 8\), \(2, 8",
    ),
    "a state alone": (LEAF, r"returned a Tensor; a cell returns \(output, state\)"),
    "another batch": ((LEAF[:1], (LEAF, LEAF)), r"output of shape \(1, 8\); expected \(2, H\)"),
}


@pytest.mark.parametrize(("result", "message"), CELL_RETURNED.values(), ids=CELL_RETURNED)
def test_what_a_cell_returns_is_checked(result, message):
    core = Unroll(Returning(result))
    with pytest.raises(ValueError, match=message):
        ContextualRNN(core, FreeState(core))(X)


def test_a_subclass_of_a_cell_may_return_more_only_in_its_own_shape():
    class Odd(nn.GRUCell):
        def forward(self, x, state):
            return super().forward(x, state)[:1]

    with pytest.raises(ValueError, match=r"state that Odd returned has shape \(1, 8\); expected \(2, 8\)"):
        ContextualRNN(Odd(D, H), FreeState((H,)))(X)


AUTOCAST = {
    **LAYERED,
    "lstm cell": lambda: nn.LSTMCell(D, H),
    "gru cell": lambda: nn.GRUCell(D, H),
    "fast weights": lambda: FastWeightsRNN(D, H),
    "own": lambda: Both(),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", AUTOCAST.values(), ids=AUTOCAST)
@over_calls
def test_autocast_and_states_carried_out_of_it(make, dtype, call):
    torch.manual_seed(0)  # how close depends on the weights
    rnn = wrap(make())
    x = X if rnn.batch_first else X.transpose(0, 1)
    output, state = rnn(x, CONTEXT, **call)
    with torch.autocast("cpu", dtype):
        mixed, carried = rnn(x, CONTEXT, **call)
        inside, _ = rnn(x, state=carried)
    outside, _ = rnn(x, state=carried)
    right, _ = rnn(x, state=state)
    for found, expected in ((mixed, output), (inside, right), (outside, right)):
        torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)
    assert outside.dtype == torch.float32


@pytest.mark.parametrize("make", [LAYERED["lstm"], lambda: nn.LSTMCell(D, H)])
def test_a_state_of_a_wider_dtype_is_refused_by_its_name(make):
    rnn = wrap(make())
    _, state = rnn(X, CONTEXT)
    narrow = tuple(leaf.bfloat16() for leaf in state)
    torch.testing.assert_close(rnn(X, state=narrow), rnn(X, state=tuple(leaf.float() for leaf in narrow)))
    with pytest.raises(ValueError, match=r"state has dtype torch.float64; expected torch.float32, the dtype of the"):
        rnn(X, state=tuple(leaf.double() for leaf in state))


def test_sampling_runs_the_core_as_training_does():
    core = Shifted(2, H, batch_first=True)
    model = SequenceModel(ContextualRNN(core, ConstantState(core)), FixedGaussianHead(H, 2, 0.1)).eval()
    hidden, last = model.teacher_forced(torch.zeros(1, 1, 2))
    found = model.sample(n=1, steps=1, temperature=0).elements[0, 0]
    torch.testing.assert_close(found, model.head(hidden, last).mean[0, 0])
