"""Graphs of models: torch.export, both ONNX exporters, torch.jit.trace and torch.compile of every public class.

Every graph is compared with the model at another batch size and, where PyTorch can, at another length. With
EVERY_CASE=1 in the environment all classes are tried, which takes 20 minutes; without it, some.
"""

import os

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal
from torch.utils._pytree import tree_leaves
from zoo import CASES, D, H, Positional, run

from contextual_rnn.seq2seq import ScheduledSampling, constant

EVERY_CASE = bool(os.environ.get("EVERY_CASE"))
GAUSSIAN = [name for name in CASES if "Latent" in name and "Model" in name]  # and heads of full covariances
GAUSSIAN += ["SequenceModel: MixtureHead", "SequenceModel: GaussianHead"]
GAUSSIAN += ["SequenceModel: no start, lengths, end, every step"]
LOOPS = [  # Python loops over time
    *(
        f"ContextualRNN: {core}"
        for core in ("nn.RNNCell", "nn.GRUCell", "nn.LSTMCell", "FastWeightsRNN", "FastWeightsCell")
    ),
    *("MemoryState", "LatentModel: GaussianState, own", "LatentModel: LatentState, own"),
    *("EncoderDecoder: GRU, copy, additive, input feeding", "EncoderDecoder: fast weights, copy, multiplicative"),
]
NOISY = ("FreeState, noise", "GaussianState", "GaussianState, scale of context", "ErrorNoise", "LatentState")
PROJECTED = "ContextualRNN: nn.LSTM, projected"

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's own about its exporters


def cases(*some, without=()):
    names = [name for name in CASES if name not in without]
    return pytest.mark.parametrize("name", names if EVERY_CASE else some)


def dynamic(case):
    """Return the dynamic dimension of every argument, its batch."""
    batch = torch.export.Dim("batch", min=2, max=64)

    def of(layout):
        return {key: of(one) for key, one in layout.items()} if isinstance(layout, dict) else {layout.index("b"): batch}

    return tuple(of(layout) for layout in case.dims)


def assert_same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@cases("LatentModel: LatentState, truth")
def test_an_export_takes_another_batch(name):
    case = CASES[name]
    model = case.model()
    exported = torch.export.export(model, case.arguments(4), dynamic_shapes=dynamic(case)).module()
    others = case.arguments(7)
    assert_same(run(exported, others), run(model, others))


@pytest.mark.parametrize("name", NOISY if EVERY_CASE else ["ErrorNoise"])
def test_an_export_in_training_mode_draws_the_noise_of_the_model(name):
    case = CASES[name]
    model = case.model().train()
    exported = torch.export.export(model, case.arguments(4), dynamic_shapes=dynamic(case)).module()
    others = case.arguments(7)
    assert_same(run(exported, others), run(model, others))
    assert not torch.equal(run(model, others, seed=1)[0], run(model, others, seed=2)[0]) or name == "ErrorNoise"


def test_a_dynamic_length_is_beyond_torch_export():
    time = torch.export.Dim("time", min=2, max=64)
    case = CASES["ContextualRNN: nn.GRU"]
    for model, arguments in (
        (nn.GRU(D, H, batch_first=True), case.arguments(4)[:1]),
        (case.model(), case.arguments(4)),
    ):
        shapes = ({1: time}, *[None] * (len(arguments) - 1))
        with pytest.raises(Exception, match="Constraints violated"):
            torch.export.export(model.eval(), arguments, dynamic_shapes=shapes)


@pytest.mark.parametrize("name", CASES)
def test_a_trace_takes_another_batch_and_length(name):
    case = CASES[name]
    model = Positional(case.model())
    traced = torch.jit.trace(model, case.arguments(4), check_trace=False)
    lengths = (6,) if name in LOOPS else (6, 9, 3)
    for steps in lengths:
        arguments = case.arguments(7, steps)
        assert_same(run(traced, arguments), run(model, arguments))
    if name in LOOPS:
        for steps in (1, 3, 9):
            with pytest.raises(RuntimeError, match=r"Expected . elements in a list"):
                traced(*case.arguments(7, steps))


@pytest.mark.parametrize("name", NOISY)
def test_a_trace_in_training_mode_draws_the_noise_of_the_model(name):
    case = CASES[name]
    model = Positional(case.model().train())
    traced = torch.jit.trace(model, case.arguments(4), check_trace=False)
    arguments = case.arguments(7, 9)
    assert_same(run(traced, arguments), run(model, arguments))


def test_a_traced_loop_over_time_is_of_one_length_in_torch_too():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(D, H)

        def forward(self, x):
            h = x.new_zeros(x.shape[0], H)
            for step in x.unbind(1):
                h = self.cell(step, h)
            return h

    traced = torch.jit.trace(Loop(), torch.randn(4, 6, D))
    with pytest.raises(RuntimeError, match=r"Expected . elements in a list"):
        traced(torch.randn(4, 9, D))


def test_scheduled_sampling_is_not_traced():
    model = CASES["EncoderDecoder: project, none"].model()
    source, inputs = CASES["EncoderDecoder: project, none"].arguments(4)

    class Fed(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, source, inputs):
            feeding = ScheduledSampling(constant(0.5))
            return self.model(source, inputs, feeding=feeding, training_step=1).outputs

    with pytest.raises(ValueError, match=r"torch.jit.trace cannot record scheduled sampling"):
        torch.jit.trace(Fed(), (source, inputs))


def onnx_session(path):
    runtime = pytest.importorskip("onnxruntime", reason="pip install 'contextual-rnn[compatibility]'")
    return runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def onnx_outputs(session, arguments):
    names, values = [one.name for one in session.get_inputs()], [one.numpy() for one in tree_leaves(arguments)]
    if len(names) < len(values):  # an argument that is not used is no input of the graph
        values = [values[int(name.removeprefix("input_"))] for name in names]
    given = dict(zip(names, values, strict=True))
    return [torch.as_tensor(one) for one in session.run(None, given)]


def named_axes(case):
    layouts = [one for layout in case.dims for one in (layout.values() if isinstance(layout, dict) else [layout])]
    return {
        f"input_{number}": {
            place: "batch" if letter == "b" else f"time_{number}" for place, letter in enumerate(layout)
        }
        for number, layout in enumerate(layouts)
    }


@pytest.mark.parametrize("name", [name for name in CASES if name not in (*GAUSSIAN, PROJECTED)])
def test_the_old_onnx_exporter_takes_another_batch_and_length(name, tmp_path):
    pytest.importorskip("onnx", reason="pip install 'contextual-rnn[compatibility]'")
    case = CASES[name]
    model, axes, path = Positional(case.model()), named_axes(case), tmp_path / "model.onnx"
    # The last of the arguments, {}, has no meaning: a dict in its place would be taken for keyword arguments.
    arguments = (*case.arguments(4), {})
    torch.onnx.export(model, arguments, path, dynamo=False, input_names=list(axes), dynamic_axes=axes)
    session = onnx_session(path)
    for steps in (6,) if name in LOOPS else (6, 9, 3):
        others = case.arguments(7, steps)
        assert_same(onnx_outputs(session, others), run(model, others))
    for steps in (3, 9) if name in LOOPS else ():
        with pytest.raises(Exception, match="Split"):
            onnx_outputs(session, case.arguments(7, steps))


class FullCovariance(nn.Module):
    def forward(self, x):
        return MultivariateNormal(x, scale_tril=torch.diag_embed(x.exp()), validate_args=False).log_prob(x)


def test_the_old_onnx_exporter_has_no_full_covariance_of_torch(tmp_path):
    pytest.importorskip("onnx", reason="pip install 'contextual-rnn[compatibility]'")
    case = CASES["SequenceModel: GaussianHead"]
    for model, arguments in ((FullCovariance(), (torch.randn(4, 3),)), (case.model(), case.arguments(4))):
        with pytest.raises(torch.onnx.errors.UnsupportedOperatorError, match="diag_embed"):
            torch.onnx.export(model, arguments, tmp_path / "model.onnx", dynamo=False)


def test_the_old_onnx_exporter_has_no_projections(tmp_path):
    pytest.importorskip("onnx", reason="pip install 'contextual-rnn[compatibility]'")
    bare, case = nn.LSTM(D, H, batch_first=True, proj_size=5).eval(), CASES[PROJECTED]
    for model, arguments in ((bare, case.arguments(4)[:1]), (Positional(case.model()), case.arguments(4))):
        with pytest.raises(torch.onnx.errors.SymbolicValueError, match="projections"):
            torch.onnx.export(model, arguments, tmp_path / "model.onnx", dynamo=False)


@cases("Context", without=[*GAUSSIAN, PROJECTED])
def test_the_new_onnx_exporter_takes_another_batch(name, tmp_path):
    pytest.importorskip("onnxscript", reason="pip install 'contextual-rnn[compatibility]'")
    case, path = CASES[name], tmp_path / "model.onnx"
    model, shapes = case.model(), dynamic(case)
    if isinstance(case.dims[1], dict):  # the exporter takes dicts by keyword alone
        (x, context), (of_x, of_context) = case.arguments(4), shapes
        options = {"kwargs": {"context": context}, "dynamic_shapes": {"x": of_x, "context": of_context}}
        torch.onnx.export(model, (x,), path, dynamo=True, verbose=False, **options)
    else:
        model = Positional(model)
        torch.onnx.export(model, case.arguments(4), path, dynamo=True, dynamic_shapes=(shapes,), verbose=False)
    others = case.arguments(7)
    assert_same(onnx_outputs(onnx_session(path), others), run(model, others))


@pytest.mark.skipif(not EVERY_CASE, reason="takes 10 seconds: EVERY_CASE=1 runs it")
@pytest.mark.parametrize("name", ["SequenceModel: GaussianHead", PROJECTED])
def test_what_the_new_onnx_exporter_cannot_of_torch_itself(name, tmp_path):
    pytest.importorskip("onnxscript", reason="pip install 'contextual-rnn[compatibility]'")
    case, path = CASES[name], tmp_path / "model.onnx"
    state = torch.zeros(1, 4, 5), torch.zeros(1, 4, H)
    bare = FullCovariance() if "Gaussian" in name else nn.LSTM(D, H, batch_first=True, proj_size=5).eval()
    inputs = (torch.randn(4, 3),) if "Gaussian" in name else (case.arguments(4)[0], state)
    for model, arguments in ((bare, inputs), (Positional(case.model()), case.arguments(4))):
        with pytest.raises(Exception, match=r"Failed to convert|initial_c"):  # noqa: PT012
            torch.onnx.export(model, arguments, path, dynamo=True, verbose=False)
            onnx_outputs(onnx_session(path), arguments)


def gradients(function, model, arguments):
    model.zero_grad()
    outputs = run(function, arguments)
    sum(one.square().mean() for one in outputs if one.requires_grad).backward()
    return [*outputs, *(torch.zeros(()) if one.grad is None else one.grad for one in model.parameters())]


@cases("SequenceModel: FixedGaussianHead")
def test_a_compiled_model_has_the_outputs_and_gradients_of_the_model(name):
    case = CASES[name]
    model = case.model()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager")
    for rows in (4, 7):
        assert_same(gradients(compiled, model, case.arguments(rows)), gradients(model, model, case.arguments(rows)))


@pytest.mark.skipif(not EVERY_CASE, reason="takes a minute: EVERY_CASE=1 runs it")
def test_inductor_compiles_a_whole_sequence_model():
    case = CASES["SequenceModel: FixedGaussianHead"]
    model = case.model()
    torch._dynamo.reset()
    compiled = torch.compile(model)
    for rows in (4, 7):
        assert_same(gradients(compiled, model, case.arguments(rows)), gradients(model, model, case.arguments(rows)))
