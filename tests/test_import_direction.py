"""Imports point one way, and importing the library loads nothing that only the command line needs."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

import contextual_rnn

# Low to high: a module imports from lower layers, and from its own package. `__init__` is the library's public face.
LAYERS = (
    ("errors",),
    ("_core",),
    ("mlp", "initial_state", "fast_weights", "gated", "serialization"),
    ("recurrent", "context", "heads", "memory_state", "posterior"),
    ("sequence_model", "seq2seq"),
    ("latent",),
    ("__init__",),
    ("study", "data"),
    ("jobs", "papers"),
    ("cli",),
    ("__main__",),
)
RANKS = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

ROOT = "contextual_rnn"
NOT_FOR_IMPORT = ("matplotlib", "polars", "lightning_fabric", "lightning", "numba", "joblib", "scipy", "tyro", "triton")


def sources():
    """The text of every module by its dotted name; a package's is that of its `__init__`, which keeps that last part."""
    folder = pathlib.Path(contextual_rnn.__file__).parent
    names = {path: ".".join(path.relative_to(folder.parent).with_suffix("").parts) for path in folder.rglob("*.py")}
    return {name: path.read_text(encoding="utf-8") for path, name in names.items()}


def imported(module, text, modules):
    """The modules of the library that one imports, anywhere in it: a function's own imports count as well."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(existing(alias.name, modules) for alias in node.names if alias.name.split(".")[0] == ROOT)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            base += node.module.split(".") if node.module else []
            if base[0] == ROOT:
                found.update(existing(".".join([*base, alias.name]), modules) for alias in node.names)
    return found


def existing(name, modules):
    """The module that a dotted name is, or that a name in a module belongs to."""
    while name:
        for candidate in (name, f"{name}.__init__"):
            if candidate in modules:
                return candidate
        name = name.rpartition(".")[0]
    raise AssertionError("an import from the library leads to none of its modules")


def part(module):
    """The file or package right under the root that a module is or is in."""
    return module.split(".")[1]


def violations(modules):
    """A sentence for every module without a rank and every import that points the wrong way."""
    found = [
        f"{module} has no rank: give {part(module)!r} a place in LAYERS at the top of tests/test_import_direction.py"
        for module in modules
        if part(module) not in RANKS
    ]
    for module, text in modules.items():
        for target in imported(module, text, modules):
            own, other = part(module), part(target)
            if own != other and RANKS.get(other, -1) >= RANKS.get(own, len(LAYERS)):
                found.append(f"{module} imports {target}, and {other!r} does not rank below {own!r}")
    return found


def in_order(modules):
    """The modules so that each follows those it imports; raises CycleError where some import each other in a circle."""
    graph = {module: imported(module, text, modules) for module, text in modules.items()}
    return list(graphlib.TopologicalSorter(graph).static_order())


def test_every_import_points_to_a_lower_layer():
    assert violations(sources()) == []


def test_no_modules_import_each_other_in_a_circle():
    modules = sources()
    assert set(in_order(modules)) == set(modules)


@pytest.mark.parametrize(
    ("module", "text", "words"),
    [
        ("mlp", "from .latent import MLP", "contextual_rnn.mlp imports contextual_rnn.latent"),
        ("mlp", "from . import latent", "contextual_rnn.mlp imports contextual_rnn.latent"),
        ("mlp", "import contextual_rnn.latent", "contextual_rnn.mlp imports contextual_rnn.latent"),
        ("mlp", "from contextual_rnn import MLP", "contextual_rnn.mlp imports contextual_rnn.__init__"),
        ("mlp", "def late():\n    from .latent import MLP", "contextual_rnn.mlp imports contextual_rnn.latent"),
        ("data.series", "from ..study.fit import fit", "contextual_rnn.data.series imports contextual_rnn.study"),
        ("data.__init__", "from ..jobs import lcd", "contextual_rnn.data.__init__ imports contextual_rnn.jobs"),
        ("__init__", "from .data.series import Series", "contextual_rnn.__init__ imports contextual_rnn.data.series"),
        ("novelty", "", "contextual_rnn.novelty has no rank: give 'novelty' a place in LAYERS"),
    ],
)
def test_a_wrong_import_is_found(module, text, words):
    names = ("__init__", "latent", "data.__init__", "data.series", "study.__init__", "study.fit", "jobs.__init__")
    modules = {f"{ROOT}.{name}": "" for name in names} | {f"{ROOT}.{module}": text}
    (sentence,) = violations(modules)
    assert words in sentence


def test_imports_that_point_down_or_to_a_sibling_are_right():
    modules = {
        f"{ROOT}.errors": "import torch",
        f"{ROOT}.study.__init__": "",
        f"{ROOT}.study.fit": "from ..errors import InputError\nfrom .checkpoint import Checkpoint",
        f"{ROOT}.study.checkpoint": "from contextual_rnn.errors import InputError",
    }
    assert violations(modules) == []
    order = in_order(modules)
    assert order.index(f"{ROOT}.study.checkpoint") < order.index(f"{ROOT}.study.fit")


def test_a_circle_of_siblings_is_found():
    modules = {f"{ROOT}.data.__init__": "", f"{ROOT}.data.a": "from .b import x", f"{ROOT}.data.b": "from . import a"}
    assert violations(modules) == []
    with pytest.raises(graphlib.CycleError):
        in_order(modules)


def test_importing_the_library_loads_nothing_that_torch_does_not_need():
    code = (
        "import sys, torch; before = set(sys.modules); import contextual_rnn; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert ROOT in loaded
    assert not set(loaded) & set(NOT_FOR_IMPORT)
