"""Fast weights: every form equals the explicit matrices, in outputs, final state and every gradient."""

import importlib
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from contextual_rnn import (
    ContextState,
    ContextualRNN,
    FastWeightsCell,
    FastWeightsRNN,
    FreeState,
    MemoryState,
    Unroll,
    load,
    memory_shapes,
)
from contextual_rnn.fast_weights import attention, backend
from contextual_rnn.fast_weights.operation import fast_weights
from contextual_rnn.fast_weights.recurrence import Recurrence
from contextual_rnn.fast_weights.reference import reference

numba_kernels = pytest.importorskip("contextual_rnn.fast_weights.numba_kernels", reason="Numba is not installed")
KERNELS = {"attention": attention, "numba": numba_kernels}


@st.composite
def recurrences(draw):
    return Recurrence(
        inner_steps=draw(st.integers(1, 3)),
        decay=draw(st.sampled_from([0.5, 0.95, 1.0])),
        rate=draw(st.sampled_from([0.1, 0.5])),
        write=draw(st.sampled_from(["final", "preliminary"])),
        activation=draw(st.sampled_from(["relu", "tanh"])),
        layer_norm=draw(st.booleans()),
        epsilon=draw(st.sampled_from([1e-12, 1e-5, 0.1])),
    )


def arguments(shape, recurrence, *, with_fast, with_gain, seed=0, dtype=torch.float64):
    """Random inputs, states and weights; small where no norm keeps the recurrence from running away."""
    rows, steps, units = shape
    generator = torch.Generator().manual_seed(seed)
    size = 1.0 if recurrence.layer_norm else 0.2

    def random(*shape):
        return (size * torch.randn(*shape, generator=generator, dtype=dtype)).requires_grad_()

    norm = [random(units), random(units)] if with_gain and recurrence.layer_norm else [None, None]
    fast = random(rows, units, units) if with_fast else None
    return [random(rows, steps, units), random(units, units), random(rows, units), fast, *norm]


def results(run, given, wanted):
    """What a form returns, and the gradient of every input through the results that are wanted."""
    found = run(*given)
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(part.shape, generator=generator, dtype=part.dtype).to(part.device) for part in found]
    loss = sum((part * weight).sum() for part, weight, use in zip(found, weights, wanted, strict=True) if use)
    inputs = [tensor for tensor in given if tensor is not None]
    return [*found, *torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)]


@pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
@settings(max_examples=60, deadline=None)
@given(
    recurrence=recurrences(),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 6)),
    chunk=st.sampled_from([None, 1, 2, 5]),
    with_fast=st.booleans(),
    with_gain=st.booleans(),
    wanted=st.sampled_from([w for w in itertools.product([True, False], repeat=3) if any(w)]),
    seed=st.integers(0, 99),
)
def test_every_form_equals_the_matrices(kernels, recurrence, shape, chunk, with_fast, with_gain, wanted, seed):
    if recurrence.layer_norm and (shape[2] == 1 or recurrence.epsilon < 1e-5):
        recurrence = Recurrence(**{**vars(recurrence), "epsilon": 0.1})  # one unit, or dead ones, have no variance
    given = arguments(shape, recurrence, with_fast=with_fast, with_gain=with_gain, seed=seed)
    right = results(lambda *a: reference(*a, recurrence), given, wanted)
    found = results(lambda *a: fast_weights(*a, recurrence, kernels=kernels, chunk=chunk), given, wanted)
    for a, b in zip(found, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("write", ["final", "preliminary"])
@pytest.mark.parametrize("form", ["reference", *KERNELS])
def test_gradients_are_those_of_finite_differences(form, write):
    recurrence = Recurrence(inner_steps=2, write=write, activation="tanh")
    given = arguments((2, 4, 3), recurrence, with_fast=True, with_gain=True)
    run = reference if form == "reference" else lambda *a: fast_weights(*a, kernels=KERNELS[form], chunk=3)
    assert torch.autograd.gradcheck(lambda *a: run(*a, recurrence), given)


@pytest.mark.parametrize("write", ["final", "preliminary"])
def test_single_precision_at_the_size_of_the_retrieval_model(write):
    recurrence = Recurrence(write=write)
    given = arguments((128, 11, 50), recurrence, with_fast=True, with_gain=True, dtype=torch.float32)
    right = results(lambda *a: reference(*a, recurrence), given, (True, True, True))
    for kernels in KERNELS.values():
        found = results(lambda *a, k=kernels: fast_weights(*a, recurrence, kernels=k), given, (True, True, True))
        for a, b in zip(found, right, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.detach().abs().max().item())


def test_a_long_sequence_keeps_no_matrix_for_each_step():
    recurrence = Recurrence()
    rows, steps, units = 2, 200, 16
    given = arguments((rows, steps, units), recurrence, with_fast=False, with_gain=False)
    kept = 0

    def count(tensor):
        nonlocal kept
        kept += tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        fast_weights(*given, recurrence, kernels=attention)
    assert kept < rows * steps * units * 8


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("write", ["final", "preliminary"])
def test_the_cell_takes_the_steps_of_the_whole_pass(batch_first, write):
    core = FastWeightsRNN(3, 5, inner_steps=2, write=write, batch_first=batch_first)
    cell = FastWeightsCell(3, 5, inner_steps=2, write=write)
    cell.load_state_dict(core.state_dict())
    x, h, A = torch.randn(4, 6, 3), torch.randn(4, 5), torch.randn(4, 5, 5)
    output, state = core(x if batch_first else x.transpose(0, 1), (h, A))
    right, right_state = Unroll(cell)(x, (h, A))
    torch.testing.assert_close(output if batch_first else output.transpose(0, 1), right, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, right_state, rtol=1e-4, atol=1e-5)


def test_carrying_on_is_running_on():
    core = FastWeightsRNN(3, 5)
    x = torch.randn(2, 9, 3)
    whole, whole_state = core(x)
    first, state = core(x[:, :4])
    second, state = core(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, whole_state, rtol=1e-4, atol=1e-5)


def test_padded_rows_in_a_contextual_rnn_are_those_run_alone():
    core = FastWeightsRNN(3, 5)
    rnn = ContextualRNN(core, ContextState(core, nn.Linear(2, 4)))
    x, context, lengths = torch.randn(3, 7, 3), torch.randn(3, 2), [7, 2, 0]
    output, (h, A) = rnn(x, context, lengths=lengths)
    for row, length in enumerate(lengths[:2]):
        alone, (h_alone, A_alone) = rnn(x[row : row + 1, :length], context[row : row + 1])
        torch.testing.assert_close(output[row, :length], alone[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close((h[row], A[row]), (h_alone[0], A_alone[0]), rtol=1e-4, atol=1e-5)
    assert not output[2].any()


def test_gradients_reach_the_networks_of_h0_and_of_the_memories():
    core = FastWeightsRNN(3, 5)
    rnn = ContextualRNN(core, MemoryState(core, ContextState(memory_shapes(core, 2), nn.Linear(2, 4))))
    rnn(torch.randn(3, 7, 3), torch.randn(3, 2))[0].sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in rnn.parameters())


def test_memories_are_what_past_hidden_states_would_have_left():
    core = FastWeightsRNN(3, 5, decay=0.8, rate=0.3)
    base = FreeState(memory_shapes(core, 3))
    with torch.no_grad():
        for variable in base.variable:
            variable.normal_()
    h, A = MemoryState(core, base)(2)
    right = torch.zeros(5, 5)
    for memory in base.variable[1]:
        right = 0.8 * right + 0.3 * torch.outer(memory, memory)
    torch.testing.assert_close(A, right.expand(2, 5, 5))
    torch.testing.assert_close(h, base.variable[0].expand(2, 5))


def test_memories_are_for_fast_weights_alone():
    with pytest.raises(ValueError, match="the core must have fast weights"):
        memory_shapes(nn.LSTM(3, 5), 2)
    core = FastWeightsRNN(3, 5)
    with pytest.raises(ValueError, match=r"expected memory_shapes\(core, memories\)"):
        MemoryState(core, FreeState(nn.LSTM(3, 5)))


@pytest.mark.parametrize("layer_norm", [True, False])
def test_saved_and_loaded_it_computes_the_same(tmp_path, layer_norm):
    core = FastWeightsRNN(3, 5, inner_steps=2, write="preliminary", layer_norm=layer_norm, epsilon=1e-12)
    rnn = ContextualRNN(core, MemoryState(core, FreeState(memory_shapes(core, 2))))
    rnn.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert again.core.recurrence == core.recurrence
    x = torch.randn(2, 4, 3)
    torch.testing.assert_close(again(x), rnn(x), rtol=0, atol=0)


def test_the_attention_is_what_each_step_adds_of_the_earlier():
    torch.manual_seed(0)
    core = FastWeightsRNN(3, 5, layer_norm=False, activation="tanh", rate=0.1).double()
    x, state = torch.randn(2, 6, 3).double(), (torch.randn(2, 5).double(), torch.zeros(2, 5, 5).double())
    output, _, scores = core(x, state, return_attention=True)
    assert scores.shape == (2, 1, 6, 6)
    written = torch.cat([state[0].unsqueeze(1), output[:, :-1]], dim=1)
    z = x @ core.weight_ih.T + core.bias + written @ core.weight_hh.T
    torch.testing.assert_close(torch.tanh(z + scores[:, 0] @ written), output)
    assert not scores.triu(1).any()


@pytest.mark.parametrize("name", [*KERNELS, "reference"])
def test_what_is_no_number_is_not_hidden(name):
    core = FastWeightsRNN(3, 5, backend=name)
    x = torch.randn(2, 4, 3)
    x[0, 1] = torch.nan
    output, _ = core(x)
    assert output[0, 1:].isnan().all()
    assert not output[1].isnan().any()


def test_other_types_run_as_attention():
    core = FastWeightsRNN(3, 5).to(torch.bfloat16)
    x = torch.randn(2, 4, 3).to(torch.bfloat16)
    output, (_, A) = core(x)
    assert output.dtype == A.dtype == torch.bfloat16
    with pytest.raises(ValueError, match="supports float32 and float64 on the CPU; found"):
        FastWeightsRNN(3, 5, backend="numba").to(torch.bfloat16)(x)


def test_without_numba_the_attention_runs_and_says_nothing(monkeypatch):
    monkeypatch.setattr(backend, "_compiled", lambda name: None)
    assert backend.choose("auto", torch.zeros(1)) is attention
    for name, extra in (("numba", "fast"), ("triton", "gpu")):
        with pytest.raises(ImportError, match=rf"pip install 'contextual-rnn\[{extra}\]'"):
            backend.choose(name, torch.zeros(1))


def test_bad_arguments_get_one_sentence():
    with pytest.raises(ValueError, match="inner_steps must be at least 1; found 0"):
        FastWeightsRNN(3, 5, inner_steps=0)
    with pytest.raises(ValueError, match="write must be one of final, preliminary; found 'first'"):
        FastWeightsRNN(3, 5, write="first")
    with pytest.raises(ValueError, match="the last of size 3; found shape"):
        FastWeightsRNN(3, 5)(torch.zeros(2, 4, 2))
    with pytest.raises(ValueError, match="at least one time step"):
        FastWeightsRNN(3, 5)(torch.zeros(2, 0, 3))
    with pytest.raises(ValueError, match="backend must be one of"):
        FastWeightsRNN(3, 5, backend="cuda")


@pytest.mark.parametrize("name", ["auto", *KERNELS, "reference"])
def test_symbols_are_projected_as_their_embeddings_are(name):
    core = FastWeightsRNN(3, 5, backend=name)
    table, symbols = torch.randn(7, 3, requires_grad=True), torch.randint(7, (4, 6))
    inputs = [table, core.weight_ih, core.bias]
    weights = torch.randn(4, 6, 5)
    found = core.project(table, symbols)
    right = torch.nn.functional.linear(table[symbols], core.weight_ih, core.bias)
    torch.testing.assert_close(found, right)
    gradients = [torch.autograd.grad((part * weights).sum(), inputs) for part in (found, right)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)
    with pytest.raises(IndexError):
        core.project(table, symbols + 4)


@pytest.mark.parametrize("name", KERNELS)
def test_a_second_derivative_is_refused_not_wrong(name):
    core, x = FastWeightsRNN(3, 5, backend=name), torch.randn(2, 4, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="need backend='reference'"):
        torch.autograd.grad(core(x)[0].sum(), x, create_graph=True)
    core.backend = "reference"
    (gradient,) = torch.autograd.grad(core(x)[0].sum(), x, create_graph=True)
    gradient.sum().backward()
    assert x.grad.any()


@pytest.mark.parametrize("shapes", [((3, 4), (1, 4, 4)), ((3, 4), (2, 4, 4)), ((3, 4), (3, 8, 8)), ((4,), (3, 4, 4))])
def test_a_state_of_other_shapes_is_refused_before_anything_reads_past_its_end(shapes):
    state = tuple(torch.zeros(shape) + 1 for shape in shapes)
    with pytest.raises(ValueError, match="the state has shape"):
        FastWeightsRNN(3, 4)(torch.randn(3, 5, 3), state)
    with pytest.raises(ValueError, match="the state has shape"):
        FastWeightsCell(3, 4)(torch.randn(3, 3), state)


def test_a_package_that_cannot_be_imported_is_said_and_done_without(monkeypatch):
    def refuse(name, package):
        raise ImportError("Numba needs NumPy 2.2 or less")

    backend._compiled.cache_clear()
    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.warns(RuntimeWarning, match=r"numba is installed but cannot be imported: .* NumPy 2.2 or less"):
        found = FastWeightsRNN(3, 4)(torch.randn(3, 5, 3))[0]
    assert found.isfinite().all()
    monkeypatch.undo()
    backend._compiled.cache_clear()


@pytest.mark.parametrize("backend", ["auto", "attention", "reference"])
def test_forward_under_autocast_and_backward_outside_it(backend):
    torch.manual_seed(0)
    core, x = FastWeightsRNN(3, 4, backend=backend), torch.randn(2, 5, 3)
    state = torch.randn(2, 4), torch.randn(2, 4, 4)
    gradients = []
    for enabled in (False, True):
        core.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            output, _ = core(x, state)
        output.float().square().sum().backward()
        gradients.append(core.weight_hh.grad.clone())
    torch.testing.assert_close(*gradients, rtol=0.1, atol=0.05)
