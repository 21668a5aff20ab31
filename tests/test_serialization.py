"""Models are written whole to one file, and read back without running code."""

import json
import os
import resource
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from contextual_rnn import (
    MLP,
    ConstantState,
    ContextState,
    ContextualRNN,
    ErrorNoise,
    FreeState,
    GaussianState,
    InitialState,
    InputError,
    load,
    register,
    save,
    serialization,
)
from contextual_rnn._core import files, module_config
from contextual_rnn._core.bounds import build_without_memory
from contextual_rnn._core.state import leaves, state_shapes

CORES = {
    "rnn": lambda: nn.RNN(3, 5, batch_first=True, nonlinearity="relu"),
    "gru": lambda: nn.GRU(3, 5, 2, bias=False, bidirectional=True),
    "lstm": lambda: nn.LSTM(3, 5, 2, proj_size=2, dropout=0.1, batch_first=True),
    "rnn cell": lambda: nn.RNNCell(3, 5, nonlinearity="relu"),
    "gru cell": lambda: nn.GRUCell(3, 5, bias=False),
    "lstm cell": lambda: nn.LSTMCell(3, 5),
}


def shared(core):
    network = MLP(2, [6])
    return GaussianState(ContextState(core, network), scale=network)


KINDS = {
    "constant": lambda core: ConstantState(core, 0.5),
    "free": lambda core: FreeState(core, noise=0.3),
    "context": lambda core: ContextState(core, MLP(2, [6], activation="gelu"), activation=nn.Tanh()),
    "gaussian": lambda core: GaussianState(FreeState(core), scale=0.7),
    "scale by network": lambda core: GaussianState(
        ContextState(core, nn.Sequential(nn.Linear(2, 6, bias=False), nn.LayerNorm(6), nn.ELU(0.5))), MLP(2, [4])
    ),
    "a network shared": shared,
    "error-noise": lambda core: ErrorNoise(GaussianState(ConstantState(core)), rate=0.5, decay=0.7),
}


class OwnCore(nn.Module):
    """A user's own core, registered, with a nested state."""

    def __init__(self, size, inner, scale=1.0):
        super().__init__()
        self.size, self.inner, self.scale = size, inner, scale
        self.state_shapes = ((size,), ((size, 2),))

    def forward(self, x, state):
        h, (memory,) = state
        outputs = []
        for x_t in x.unbind(1):
            h = torch.tanh(self.scale * self.inner(x_t) + h + memory.sum(-1))
            memory = 0.5 * memory + h.unsqueeze(-1)
            outputs.append(h)
        return torch.stack(outputs, dim=1), (h, (memory,))


register(OwnCore)


@register
class OwnStart(InitialState):
    """A user's own initial state."""

    def __init__(self, core, value):
        super().__init__(core)
        self.value = nn.Parameter(torch.full((2,), value))

    def forward(self, batch_size, context=None, *, sample=None, generator=None):
        h, memory = (value.expand(batch_size, *shape) for value, shape in zip(self.value, [(3,), (3, 2)], strict=True))
        return h, (memory,)

    def config(self):
        return {"core": self.shapes, "value": 0.0}


def make(core, kind):
    torch.manual_seed(0)
    rnn = ContextualRNN(core := core(), kind(core))
    for parameter in rnn.parameters():  # no value is the one that it would be built with
        nn.init.normal_(parameter, std=0.3)
    return rnn


def evaluate(rnn):
    torch.manual_seed(1)
    dtype = next(rnn.parameters()).dtype
    x, context = torch.randn(4, 4, 3, dtype=dtype), torch.randn(4, 2, dtype=dtype)
    output, state = rnn.eval()(x, context)
    drawn, _ = rnn(x, context, sample=True, generator=torch.Generator().manual_seed(0))
    return [output, drawn, *leaves(state)]


def assert_equal(one, other):
    for a, b in zip(evaluate(one), evaluate(other), strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


@pytest.mark.parametrize("core", CORES.values(), ids=CORES)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_loaded_computes_what_was_saved(tmp_path, core, kind, dtype):
    rnn = make(core, kind).to(dtype)
    x = torch.randn(4, 4, 3, dtype=dtype)
    rnn(x, torch.randn(4, 2, dtype=dtype))[0].square().sum().backward()  # fills the buffers of ErrorNoise
    rnn.save(tmp_path / "model.safetensors")
    loaded = ContextualRNN.load(tmp_path / "model.safetensors")
    assert not loaded.training
    assert_equal(rnn, loaded)
    assert [name for name, _ in rnn.named_parameters()] == [name for name, _ in loaded.named_parameters()]


def test_constants_given_as_tensors_come_back(tmp_path):
    core = nn.LSTM(3, 5, batch_first=True)
    rnn = ContextualRNN(core, ConstantState(core, (torch.randn(1, 5), torch.randn(1, 5))))
    rnn.save(tmp_path / "model")
    assert_equal(rnn, load(tmp_path / "model"))


def test_every_tensor_keeps_its_dtype(tmp_path):
    core = nn.LSTM(3, 5, batch_first=True)
    rnn = ContextualRNN(core, FreeState(core))
    rnn.core.double()
    nn.init.normal_(rnn.core.weight_ih_l0)
    rnn.save(tmp_path / "model")
    for (name, tensor), loaded in zip(rnn.named_parameters(), load(tmp_path / "model").parameters(), strict=True):
        assert torch.equal(tensor, loaded), name
        assert tensor.dtype == loaded.dtype, name


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_same_weights_give_the_same_bytes(tmp_path, kind):
    files = []
    for number in range(3):
        path = tmp_path / str(number)
        make(CORES["lstm"], kind).train(number == 1).save(path)
        files.append(path.read_bytes())
    load(tmp_path / "0").save(tmp_path / "again")
    assert {*files, (tmp_path / "again").read_bytes()} == {files[0]}


def test_a_loaded_model_learns_on_without_touching_its_file(tmp_path):
    make(CORES["gru"], KINDS["free"]).save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    loaded = load(tmp_path / "model").train()
    loaded(torch.randn(4, 4, 3))[0].sum().backward()
    torch.optim.SGD(loaded.parameters(), lr=1.0).step()
    assert (tmp_path / "model").read_bytes() == before


def test_a_network_shared_is_shared_again(tmp_path):
    make(CORES["lstm"], shared).save(tmp_path / "model")
    initial_state = load(tmp_path / "model").initial_state
    assert initial_state.network is initial_state.base.network


def test_users_own_classes_come_back(tmp_path):
    core = OwnCore(3, nn.Linear(3, 3), scale=0.5)
    rnn = ContextualRNN(core, GaussianState(OwnStart(core, 0.5)))
    rnn.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert type(loaded.core) is OwnCore
    assert state_shapes(loaded.core) == core.state_shapes
    assert_equal(rnn, loaded)


def test_any_module_of_registered_classes_can_be_saved(tmp_path):
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    save(network, tmp_path / "model")
    x = torch.randn(2, 1, 4, 4)
    assert torch.equal(load(tmp_path / "model")(x), network(x))


def test_what_is_not_a_contextual_rnn_is_not_loaded_as_one(tmp_path):
    save(nn.Linear(2, 3), tmp_path / "model")
    with pytest.raises(InputError, match="contains a Linear; expected a ContextualRNN"):
        ContextualRNN.load(tmp_path / "model")


class Unregistered(nn.Module):
    out_features = 2


def test_a_class_that_is_not_registered_is_refused_when_saved(tmp_path):
    core = nn.GRU(3, 5)
    with pytest.raises(TypeError, match=r"Unregistered cannot be saved: decorate it with contextual_rnn\.register"):
        ContextualRNN(core, ContextState(core, Unregistered())).save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_class_that_is_not_registered_is_refused_when_loaded(tmp_path, monkeypatch):
    save(OwnCore(3, nn.Identity()), tmp_path / "model")
    monkeypatch.delitem(module_config._REGISTRY, "OwnCore")
    with pytest.raises(
        InputError, match="contains a OwnCore, which is not registered: import the module that registers it"
    ):
        load(tmp_path / "model")


def test_two_classes_of_one_name_are_refused():
    other = type("OwnCore", (nn.Module,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="a class named OwnCore is already registered"):
        register(other)
    assert register(OwnCore) is OwnCore
    with pytest.raises(ValueError, match="a class named Sequential is already registered"):
        register(type("Sequential", (nn.Module,), {}))


def test_arguments_that_would_be_lost_are_refused(tmp_path, monkeypatch):
    class Forgetful(nn.Module):
        def __init__(self, size, scale=2.0):
            super().__init__()
            self.size, self._scale = size, scale

    monkeypatch.setitem(module_config._REGISTRY, "Forgetful", Forgetful)
    with pytest.raises(TypeError, match="Forgetful cannot be saved: it has no attribute scale"):
        save(Forgetful(3), tmp_path / "model")


@pytest.mark.parametrize("value", [torch.zeros(2), {1: 2}, {3}], ids=["tensor", "number as key", "set"])
def test_arguments_that_are_no_json_are_refused(tmp_path, value):
    with pytest.raises(TypeError, match=r"OwnCore\.scale cannot be saved: .*, found a (Tensor|dict|set)"):
        save(OwnCore(3, nn.Identity(), scale=value), tmp_path / "model")


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    torch.save({"weights": Trap()}, tmp_path / "model")
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        load(tmp_path / "model")
    assert not (tmp_path / "sprung").exists()


def test_weights_without_a_configuration_are_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "model")
    with pytest.raises(InputError, match="contains weights but no configuration"):
        load(tmp_path / "model")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        load(tmp_path / "model")
    with pytest.raises(OSError, match="cannot be written"):
        save(nn.Linear(2, 3), tmp_path / "no folder" / "model")


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_save_that_breaks_off_leaves_the_old_file(tmp_path, monkeypatch, fails):
    path = tmp_path / "model"
    save(nn.Linear(2, 3), path)
    before = path.read_bytes()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, fails, stop)
    with pytest.raises(KeyboardInterrupt):
        save(nn.Linear(4, 5), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("written") / "model"
    make(CORES["lstm"], KINDS["context"]).save(path)
    return path


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_refused(written, content):
    path = written.with_name("random")
    path.write_bytes(content)
    with pytest.raises(InputError):
        load(path)


@settings(max_examples=100, deadline=None)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_refused(written, share):
    content = written.read_bytes()
    path = written.with_name("short")
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError):
        load(path)


LSTM = {"class": "LSTM", "arguments": {"input_size": 1, "hidden_size": 2}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=4) | st.sampled_from(["LSTM", "Linear", "MLP"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["class", "arguments", "layers", "module", "tuple", "dict", "shared", "hidden"]), inner
        )
    ),
)


@settings(max_examples=200, deadline=None)
@given(configuration=JSON, dtype=st.sampled_from(["float32", "save", None]))
def test_a_configuration_that_builds_nothing_is_refused(written, configuration, dtype):
    path = written.with_name("odd")
    header = json.dumps({"class": configuration, "dtype": dtype})
    save_file({"a": torch.zeros(1)}, path, metadata={"contextual_rnn": header})
    with pytest.raises(InputError):
        load(path)


@pytest.mark.parametrize("header", ["", "no json", "[]", "{}", "3", json.dumps({"class": LSTM})])
def test_a_header_that_is_none_is_refused(tmp_path, header):
    save_file({"a": torch.zeros(1)}, tmp_path / "model", metadata={"contextual_rnn": header})
    with pytest.raises(InputError):
        load(tmp_path / "model")


NESTED = '{"class": "Sequential", "arguments": {"layers": [' * 900 + "]}}" * 900
BUILDS_NOTHING = {
    "a list without end": "[" * 200_000,
    "layers in layers": f'{{"class": {NESTED}, "dtype": "float32"}}',
    "padding past the rows": {
        "class": "Embedding",
        "arguments": {"num_embeddings": 3, "embedding_dim": 2, "padding_idx": 7},
    },
    "no units": {"class": "FastWeightsRNN", "arguments": {"input_size": 3, "hidden_size": 0}},
}


@pytest.mark.parametrize("what", BUILDS_NOTHING)
def test_arguments_that_no_module_takes_are_refused(tmp_path, what):
    given = BUILDS_NOTHING[what]
    header = given if isinstance(given, str) else json.dumps({"class": given, "dtype": "float32"})
    save_file({"a": torch.zeros(1)}, tmp_path / "model", metadata={"contextual_rnn": header})
    with pytest.raises(InputError, match="configuration"):
        load(tmp_path / "model")


def test_weights_of_another_shape_are_refused_by_name(tmp_path):
    save(nn.Linear(2, 3), tmp_path / "model")
    header = serialization.read_header(tmp_path / "model")
    weights = {"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}
    save_file(weights, tmp_path / "model", metadata={"contextual_rnn": json.dumps(header)})
    with pytest.raises(InputError, match=r"weight has shape \(3, 4\) in the file; its configuration expects \(3, 2\)"):
        load(tmp_path / "model")


def crafted(path, configuration, tensors=None, **header):
    """Write a file as version 0.1 does, without a checksum."""
    text = json.dumps({"class": configuration, "dtype": "float32", **header})
    save_file(tensors or {"a": torch.zeros(1)}, path, metadata={"contextual_rnn": text})
    return path


def nested(levels):
    module = {"class": "Sequential", "layers": [{"class": "ReLU", "arguments": {}}]}
    for number in range(levels):
        module = {"class": "Sequential", "layers": [module, {"shared": number + 1}]}
    return module


def linear(inputs, outputs):
    return {"class": "Linear", "arguments": {"in_features": inputs, "out_features": outputs}}


HUGE = {
    "modules doubled by sharing": nested(39),
    "layers of a core": {"class": "LSTM", "arguments": {"input_size": 1, "hidden_size": 1, "num_layers": 30_000}},
    "units of a layer": linear(10**6, 10**6),
    "layers of a network": {"class": "MLP", "arguments": {"in_features": 2, "hidden": [3] * 100_000}},
    "targets of version 0.1": {
        "class": "SeriesModel",
        "arguments": {"config": {"dict": {}}, "inputs": 1, "targets": 10**7, "context": 0},
    },
}


@pytest.mark.parametrize("what", HUGE)
def test_a_small_file_takes_little_memory_and_time(tmp_path, what):
    crafted(tmp_path / "model", HUGE[what])
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(InputError):
        load(tmp_path / "model")
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "model")
    with pytest.raises(InputError, match="is a pipe or a device; give the name of a regular file"):
        load(tmp_path / "model")


@settings(max_examples=200, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(written, place, bit):
    content = bytearray(written.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    path = written.with_name("flipped")
    path.write_bytes(content)
    with pytest.raises(InputError):
        load(path)


def test_tensors_of_another_kind_are_refused(tmp_path):
    weights = {"weight": torch.zeros(3, 2, dtype=torch.int64), "bias": torch.zeros(3)}
    with pytest.raises(InputError, match=r"weight has dtype I64 in the file; its configuration expects torch.float32"):
        load(crafted(tmp_path / "model", linear(2, 3), weights))


def test_an_unknown_field_of_the_header_is_refused(tmp_path):
    weights = {"weight": torch.zeros(3, 2), "bias": torch.zeros(3)}
    load(crafted(tmp_path / "model", linear(2, 3), weights))
    with pytest.raises(InputError, match=r"the configuration in .* has an unknown field 'sha257'"):
        load(crafted(tmp_path / "model", linear(2, 3), weights, sha257=""))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_library_builds_without_memory(tmp_path, kind):
    make(CORES["lstm"], kind).save(tmp_path / "model")
    header = serialization.read_header(tmp_path / "model")
    module = build_without_memory(header["class"], tmp_path / "model", 100)
    assert {tensor.device.type for tensor in module.state_dict().values()} == {"meta"}


def test_a_file_of_torch_is_named_as_such(tmp_path):
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"weights.pt .* as torch.save writes it; .* load_state_dict"):
        load(tmp_path / "weights.pt")
