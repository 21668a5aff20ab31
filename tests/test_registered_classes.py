"""A registered class is saved with the arguments it was constructed with, and with what has changed since."""

import copy
import dataclasses
import inspect
import itertools
import json
import pathlib
import pickle
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

import contextual_rnn
from contextual_rnn import (
    MLP,
    ConstantState,
    Context,
    ContextState,
    ContextualRNN,
    FreeState,
    GaussianState,
    InputError,
    Label,
    Quantity,
    load,
    register,
    save,
)
from contextual_rnn._core import module_config
from contextual_rnn.serialization import read_header

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")


@dataclasses.dataclass(frozen=True)
class Sizes:
    hidden: int
    widths: tuple[int, ...] = (2,)


@register
class Every(nn.Module):
    """Takes an argument of every kind, and keeps none but the modules."""

    def __init__(self, first, sizes, /, scale=1.0, *layers, activation=None, **fields):
        super().__init__()
        sizes = sizes if isinstance(sizes, Sizes) else Sizes(**sizes)
        self.first = nn.Linear(first, sizes.hidden)
        self.layers, self.fields = nn.ModuleList(layers), nn.ModuleDict(fields)
        self.act = activation
        self.bias = nn.Parameter(torch.full(sizes.widths, float(scale)))


@register
class Listed(nn.Module):
    """Changes the list that it is given."""

    def __init__(self, widths, end=None):
        super().__init__()
        widths.append(1)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.end = widths[0] if end is None else end
        self.rate = nn.Dropout(0.5)


class Base(nn.Module):
    def __init__(self, size, dropout=0.0):
        super().__init__()
        self.linear = nn.Linear(size, size)
        self.dropout = nn.Dropout(dropout)


@register
class Inherits(Base):
    """Has no `__init__` of its own."""


@register
class Extends(Inherits):
    def __init__(self, half):
        super().__init__(2 * half, dropout=0.25)


class NotRegistered(Inherits):
    pass


@register
class Normed(nn.Module):
    """Parametrises its own layer."""

    def __init__(self, size):
        super().__init__()
        self.linear = parametrizations.weight_norm(nn.Linear(size, size))

    def forward(self, x):
        return self.linear(x)


def again(module, tmp_path):
    save(module, tmp_path / "model")
    loaded = load(tmp_path / "model")
    own, found = module.state_dict(), loaded.state_dict()
    assert set(own) == set(found)
    for name in own:
        assert torch.equal(own[name], found[name]), name
    return loaded


def described(module):
    return module_config.module_config(module)["arguments"]


def every():
    return Every(3, Sizes(4, (2, 3)), np.float64(0.5), nn.ReLU(), nn.Linear(2, 2), activation=nn.Tanh(), b=Label(3))


def test_every_kind_of_argument_is_recorded(tmp_path):
    loaded = again(every(), tmp_path)
    assert [type(layer).__name__ for layer in loaded.layers] == ["ReLU", "Linear"]
    assert isinstance(loaded.act, nn.Tanh)
    assert loaded.fields["b"].count == 3
    header = read_header(tmp_path / "model")["class"]
    assert header["positional"][:3] == [3, {"dict": {"hidden": 4, "widths": {"tuple": [2, 3]}}}, 0.5]
    save(loaded, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


@pytest.mark.parametrize(
    "make", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))], ids=["copy", "pickle"]
)
def test_a_copy_is_described_by_its_own_modules(tmp_path, make):
    original = every()
    copied = make(original)
    copied.layers[1] = nn.Linear(2, 2, bias=False)
    copied.act = None
    loaded = again(copied, tmp_path)
    assert loaded.layers[1].bias is None
    assert loaded.act is None
    assert again(original, tmp_path).layers[1].bias is not None


def test_signatures_stay():
    assert list(inspect.signature(MLP).parameters) == ["in_features", "hidden", "activation"]
    assert inspect.signature(Inherits.__init__) == inspect.signature(Base.__init__)
    with pytest.raises(TypeError, match=r"MLP.__init__\(\) missing 1 required positional argument: 'hidden'"):
        MLP(3)
    assert nn.LSTM.__init__.__module__ == "torch.nn.modules.rnn"
    assert not hasattr(nn.LSTM.__init__, "__wrapped__")


def test_subclasses_record_their_own_arguments(tmp_path):
    assert described(Inherits(3)) == {"size": 3, "dropout": 0.0}
    assert described(Extends(2)) == {"half": 2}
    assert again(Extends(2), tmp_path).linear.in_features == 4
    with pytest.raises(TypeError, match="NotRegistered cannot be saved: decorate it with"):
        save(NotRegistered(2), tmp_path / "model")


def test_arguments_are_those_of_the_call(tmp_path):
    widths = [3, 2]
    module = Listed(widths)
    widths.append(7)
    assert described(module) == {"widths": [3, 2], "end": 3}
    again(module, tmp_path)


def test_what_is_exchanged_is_saved_as_it_is_now(tmp_path):
    core = nn.GRU(2, 4, batch_first=True)
    rnn = ContextualRNN(core, GaussianState(ContextState(core, MLP(3, [5]), activation=nn.Tanh()), MLP(3, [6])))
    rnn.core = nn.RNN(2, 4, batch_first=True)
    rnn.initial_state.network = MLP(3, [6], "tanh")
    rnn.initial_state.base.activation = None
    assert not hasattr(rnn.initial_state.base, "core")
    loaded = again(rnn, tmp_path)
    assert isinstance(loaded.core, nn.RNN)
    assert isinstance(loaded.initial_state.network[1], nn.Tanh)
    assert loaded.initial_state.base.activation is None
    dropping = Inherits(2)
    dropping.dropout.p = 0.75
    assert again(dropping, tmp_path).dropout.p == 0.75
    free = FreeState((3,))
    free.noise = 0.5
    assert again(free, tmp_path).noise == 0.5
    rnn.initial_state.base = None
    del rnn.core
    with pytest.raises(ValueError, match="the submodule core of ContextualRNN has been removed"):
        save(rnn, tmp_path / "model")


def test_a_module_that_is_not_kept_is_refused(tmp_path):
    @register
    class Hides(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.hidden = [inner]

    with pytest.raises(TypeError, match=r"Hides\.inner cannot be saved: .*found a Linear that is not a submodule"):
        save(Hides(nn.Linear(2, 2)), tmp_path / "model")


def test_config_wins_over_what_is_recorded(tmp_path):
    state = ConstantState((2,), torch.tensor([1.0, 2.0]))
    assert described(state) == {"core": {"tuple": [2]}}
    assert torch.equal(again(state, tmp_path)(1), torch.tensor([[1.0, 2.0]]))


def tied():
    m = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    m[1].weight = m[0].weight
    return m


def test_ties_and_frozen_parameters_come_back(tmp_path):
    m = tied()
    m[0].weight.requires_grad_(False)
    loaded = again(m, tmp_path)
    assert loaded[1].weight is loaded[0].weight
    assert not loaded[0].weight.requires_grad
    core = nn.GRU(2, 4, batch_first=True)
    rnn = ContextualRNN(core, FreeState(core))
    core.requires_grad_(False)
    loaded = again(rnn, tmp_path)
    assert {name for name, p in loaded.named_parameters() if p.requires_grad} == {"initial_state.variable.0"}
    before = set(read_header(tmp_path / "model"))
    core.requires_grad_(True)
    save(rnn, tmp_path / "model")
    assert before - set(read_header(tmp_path / "model")) == {"requires_grad"}


def test_ties_of_lstm_layers_run_as_before(tmp_path):
    core = nn.LSTM(4, 4, num_layers=2, batch_first=True)
    core.weight_hh_l1 = core.weight_hh_l0
    loaded = again(core, tmp_path)
    assert loaded.weight_hh_l1 is loaded.weight_hh_l0
    x = torch.randn(2, 3, 4)
    assert torch.equal(loaded(x)[0], core(x)[0])


def test_layers_keep_their_names(tmp_path):
    named = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), act=nn.ReLU()))
    assert list(again(named, tmp_path)._modules) == ["first", "act"]


@pytest.mark.filterwarnings("ignore:`torch.jit.script")
def test_a_compiled_core_is_saved_as_the_core(tmp_path):
    core = nn.GRU(2, 4, batch_first=True)
    rnn = ContextualRNN(core, FreeState(core))
    rnn.core = torch.compile(core, backend="eager")
    save(rnn, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert type(loaded.core) is nn.GRU
    assert torch.equal(loaded.core.weight_hh_l0, core.weight_hh_l0)


def appended(module, layer):
    module.append(layer)
    return module


def attribute(module, name, value):
    setattr(module, name, value)
    return module


def with_hook(module):
    module.register_forward_hook(lambda _, __, output: output + 1)
    return module


def in_model(change):
    core = nn.LSTM(2, 3, batch_first=True)
    state = ContextState(core, MLP(2, [4]))
    change(state)
    return ContextualRNN(core, state)


def untied():
    m = SelfTied(3)
    m.second.weight = nn.Parameter(torch.zeros(3, 3))
    return m


@register
class SelfTied(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.first, self.second = nn.Linear(size, size), nn.Linear(size, size)
        self.second.weight = self.first.weight


REFUSED = {
    "weight norm": (lambda: weight_norm(nn.Linear(2, 3)), "weight_g was added .* weight_norm, .* remove it first"),
    "weight norm of a core": (lambda: weight_norm(nn.GRU(2, 3), "weight_hh_l0"), "weight_hh_l0_g was added"),
    "spectral norm": (lambda: spectral_norm(nn.Linear(2, 3)), "weight_orig was added"),
    "parametrised": (
        lambda: parametrizations.weight_norm(nn.Linear(2, 3)),
        "a Linear with a parametrisation cannot be",
    ),
    "pruned": (lambda: prune.l1_unstructured(nn.Linear(2, 3), "weight", 1), "weight_orig was added"),
    "MLP with a layer more": (lambda: appended(MLP(2, [3]), nn.Linear(3, 3)), "the Linear '2' cannot be saved"),
    "width": (lambda: in_model(lambda state: attribute(state, "features", 7)), r"has shape \(3, 4\), but .* \(3, 7\)"),
    "width of a Linear": (lambda: attribute(nn.Linear(2, 3), "out_features", 4), r"shape \(3, 2\), but"),
    "labels": (lambda: attribute(Label(3), "count", 2), "count cannot be saved: it is 2, but .* 3, and it is not"),
    "no network": (lambda: in_model(lambda state: delattr(state, "network")), "submodule network of ContextState has"),
    "hook": (lambda: nn.Sequential(nn.Linear(2, 2), with_hook(nn.Tanh())), "the Tanh '1' has a forward hook"),
    "untied": (untied, "second.weight cannot be saved: the module's arguments make it the same tensor as first.weight"),
    "parallel": (lambda: nn.DataParallel(nn.Linear(2, 2)), "save the wrapped module, its attribute module"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_load_would_lose_is_refused_before_anything_is_written(tmp_path, what):
    make, said = REFUSED[what]
    with pytest.raises(ValueError, match=said):
        save(make(), tmp_path / "model")
    assert not list(tmp_path.iterdir())


@register
class Counting(nn.Module):
    def __init__(self, size, name):
        super().__init__()
        self.linear, self.name = nn.Linear(size, size), name
        setattr(self, name, 0)

    def forward(self, x):
        setattr(self, self.name, getattr(self, self.name) + 1)
        return self.linear(x)


def test_a_counter_is_left_out_where_its_name_says_that_it_is_private(tmp_path):
    x = torch.zeros(1, 3)
    for name in ("calls", "_calls"):
        module = Counting(3, name)
        expected = module(x)
        if name == "calls":
            with pytest.raises(ValueError, match="begin its name with an underscore"):
                save(module, tmp_path / "model")
        else:
            save(module, tmp_path / "model")
            assert torch.equal(load(tmp_path / "model")(x), expected)


def test_what_is_removed_or_a_class_applies_itself_can_be_saved(tmp_path):
    linear = parametrizations.weight_norm(nn.Linear(2, 3))
    parametrize.remove_parametrizations(linear, "weight")
    again(linear, tmp_path)
    again(SelfTied(3), tmp_path)
    normed = Normed(3)
    x = torch.randn(2, 3)
    assert torch.equal(again(normed, tmp_path)(x), normed(x))


def test_saving_draws_no_random_number(tmp_path):
    module = MLP(2, [3])
    before = torch.get_rng_state()
    save(module, tmp_path / "model")
    assert torch.equal(before, torch.get_rng_state())


def test_extra_is_stored_in_the_header(tmp_path):
    save(MLP(2, [3]), tmp_path / "model", extra={"columns": ["y"], "scale": 0.1})
    assert read_header(tmp_path / "model")["extra"] == {"columns": ["y"], "scale": 0.1}
    load(tmp_path / "model")
    with pytest.raises(TypeError, match="extra cannot be saved: Object of type set"):
        save(MLP(2, [3]), tmp_path / "other", extra={"columns": {1}})
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_the_folder_of_a_run_is_loaded(tmp_path):
    with pytest.raises(InputError, match=r"is a folder without a file model\.safetensors: give"):
        load(tmp_path)
    save(MLP(2, [3]), tmp_path / "model.safetensors")
    assert isinstance(load(tmp_path), MLP)
    assert read_header(str(tmp_path))["class"]["class"] == "MLP"


def test_a_renamed_class_reads_its_old_files_and_converts_their_arguments(tmp_path):
    @register(formerly=("OldScale",))
    class NewScale(nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(float(factor)))

        @classmethod
        def upgrade(cls, arguments, path):
            assert isinstance(path, pathlib.Path)
            return {"factor": arguments["percent"] / 100} if "percent" in arguments else arguments

    header = {"class": {"class": "OldScale", "arguments": {"percent": 50}}, "dtype": "float32"}
    save_file({"factor": torch.tensor(3.0)}, tmp_path / "model", metadata={"contextual_rnn": json.dumps(header)})
    loaded = load(tmp_path / "model", NewScale)
    assert torch.equal(loaded.factor, torch.tensor(3.0))
    assert described(loaded) == {"factor": 0.5}
    save(loaded, tmp_path / "model")
    assert read_header(tmp_path / "model")["class"]["class"] == "NewScale"
    assert isinstance(load(tmp_path / "model"), NewScale)
    with pytest.raises(ValueError, match="a class named Label is already registered"):
        register(NewScale, formerly=("Label",))


def test_our_own_models_load_without_another_import(tmp_path):
    from contextual_rnn.papers.retrieval.model import RetrievalRNN

    save(RetrievalRNN("lstm", 4), tmp_path / "model.safetensors")
    code = f"import contextual_rnn; print(type(contextual_rnn.load({str(tmp_path)!r})).__name__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "RetrievalRNN\n"


def test_every_model_of_jobs_and_papers_is_found():
    """A class that registers itself is in a module whose name says that it holds a model."""
    package = pathlib.Path(contextual_rnn.__file__).parent
    late = set(module_config._late_modules())
    for path in [*package.glob("jobs/**/*.py"), *package.glob("papers/**/*.py")]:
        if "@register" in path.read_text(encoding="utf-8"):
            assert ".".join(path.relative_to(package.parent).with_suffix("").parts) in late, path


def test_contexts_of_before_still_load(tmp_path):
    """Files of version 0.1 hold low and high for a standardised quantity, and these argument names."""
    unknown = {"drop": 0.0, "unknown": False}
    fields = {
        "a": {"class": "Quantity", "arguments": {"extrapolate": True, "high": 3.0, "low": 1.0, **unknown}},
        "b": {"class": "Label", "arguments": {"labels": ["x", "y"], "size": None, **unknown}},
    }
    arguments = {name: {"module": field} for name, field in fields.items()}
    header = {"class": {"class": "Context", "arguments": arguments}, "dtype": "float32"}
    save_file({}, tmp_path / "model", metadata={"contextual_rnn": json.dumps(header)})
    context = load(tmp_path / "model", Context)
    assert isinstance(context.fields[0], Quantity)
    assert context({"a": torch.tensor([2.0, 4.0]), "b": ["y", "x"]}).tolist() == [[0, 0, 1], [2, 1, 0]]
