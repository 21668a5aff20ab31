"""Imports point one way: the library, `study`, `data`, one job or paper, the command line. Nothing loads what it need not."""

import ast
import graphlib
import pathlib
import re
import subprocess
import sys

import pytest

import contextual_rnn

# Low to high: a module imports from lower layers, and from its own room. `__init__` is the library's public face.
LAYERS = (
    ("errors", "examples"),
    ("_core",),
    ("context", "coding"),
    ("mlp", "initial_state", "fast_weights", "gated", "linear", "state_estimation"),
    ("export",),
    ("serialization",),
    ("recurrent", "heads", "memory_state", "posterior", "cores", "kinds", "scaling"),
    ("sequence_model", "seq2seq", "window_reader"),
    ("latent",),
    ("__init__",),
    ("study",),
    ("table_files",),
    ("data",),
    ("explore",),
    ("jobs", "papers", "export_run"),
    ("explore_run",),
    ("options",),
    ("config_file",),
    ("copy_example",),
    ("cli",),
    ("__main__",),
)
RANKS = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}

ROOT = "contextual_rnn"
NOT_FOR_IMPORT = (
    *("matplotlib", "polars", "lightning_fabric", "lightning", "numba", "joblib", "scipy", "tyro", "triton"),
    *("onnx", "onnxruntime", "onnxscript"),
    *(
        "pandas",
        "narwhals",
        "rich",
        "yaml",
        "tqdm",
        "rapidfuzz",
        "pooch",
        "sklearn",
        "filelock",
        "sentencepiece",
        "sacrebleu",
    ),
    *("starlette", "uvicorn"),
)
NOT_FOR_SERIES = (
    "matplotlib",
    "joblib",
    "scipy",
    "lightning_fabric",
    "numba",
    "tyro",
    "pandas",
    "rich",
    "yaml",
    "tqdm",
)


def sources():
    """The text of every module by its dotted name; a package's is that of its `__init__`, which keeps that last part."""
    folder = pathlib.Path(contextual_rnn.__file__).parent
    names = {path: ".".join(path.relative_to(folder.parent).with_suffix("").parts) for path in folder.rglob("*.py")}
    return {name: path.read_text(encoding="utf-8") for path, name in names.items()}


def imported(module, text, modules, *, at_import=False):
    """The modules of the library that one imports: in functions too, unless `at_import`, and never those for types."""
    found = set()
    for node in run_nodes(ast.parse(text), functions=not at_import):
        if isinstance(node, ast.Import):
            found.update(existing(alias.name, modules) for alias in node.names if alias.name.split(".")[0] == ROOT)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            base += node.module.split(".") if node.module else []
            if base[0] == ROOT:
                found.update(existing(".".join([*base, alias.name]), modules) for alias in node.names)
    return found


def run_nodes(node, *, functions):
    """The nodes of a tree that are run: not those under `if TYPE_CHECKING:`, and those of functions where asked for."""
    yield node
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
        if not for_types and (functions or not isinstance(child, ast.FunctionDef)):
            yield from run_nodes(child, functions=functions)


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


def room(module):
    """The job or the paper that a module belongs to; None for what all jobs or all papers share, and for the rest."""
    names = module.split(".")
    return ".".join(names[1:3]) if names[1] in ("jobs", "papers") and len(names) > 3 else None


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
            elif own == other and room(target) is not None and room(target) != room(module):
                found.append(f"{module} imports {target}, which belongs to another room, {room(target)}")
    return found


def in_order(modules):
    """The modules so that each follows those that it imports when it is imported; raises CycleError for a circle."""
    graph = {module: imported(module, text, modules, at_import=True) for module, text in modules.items()}
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
        (
            "study.fit",
            "from ..data.series import Series",
            "contextual_rnn.study.fit imports contextual_rnn.data.series",
        ),
        ("jobs.pairs.model", "from ..series.model import X", "belongs to another room, jobs.series"),
        ("jobs.pairs.model", "from ...papers.decay.model import X", "and 'papers' does not rank below 'jobs'"),
        ("papers.published", "from .decay.model import X", "belongs to another room, papers.decay"),
        ("papers.digits.model", "from ..decay.model import X", "belongs to another room, papers.decay"),
        ("jobs.pairs.model", "from ...cli import main", "and 'cli' does not rank below 'jobs'"),
        ("data.__init__", "from ..jobs import series", "contextual_rnn.data.__init__ imports contextual_rnn.jobs"),
        ("__init__", "from .data.series import Series", "contextual_rnn.__init__ imports contextual_rnn.data.series"),
        ("novelty", "", "contextual_rnn.novelty has no rank: give 'novelty' a place in LAYERS"),
    ],
)
def test_a_wrong_import_is_found(module, text, words):
    names = (
        "__init__",
        "latent",
        "data.__init__",
        "data.series",
        "study.__init__",
        "study.fit",
        "jobs.__init__",
        "cli",
    )
    names += (
        "jobs.series.__init__",
        "jobs.series.model",
        "papers.__init__",
        "papers.decay.__init__",
        "papers.decay.model",
    )
    modules = {f"{ROOT}.{name}": "" for name in names} | {f"{ROOT}.{module}": text}
    (sentence,) = violations(modules)
    assert words in sentence


def test_imports_that_point_down_or_to_a_sibling_are_right():
    modules = {
        f"{ROOT}.errors": "import torch",
        f"{ROOT}.study.__init__": "",
        f"{ROOT}.study.fit": "from ..errors import InputError\nfrom .checkpoint import Checkpoint",
        f"{ROOT}.study.checkpoint": "from contextual_rnn.errors import InputError",
        f"{ROOT}.data.__init__": "",
        f"{ROOT}.data.series": "from ..study.fit import fit",
        f"{ROOT}.jobs.__init__": "",
        f"{ROOT}.jobs.series.__init__": "from .model import X",
        f"{ROOT}.jobs.series.model": "from ...data.series import fit",
        f"{ROOT}.papers.__init__": "",
        f"{ROOT}.papers.published": "",
        f"{ROOT}.papers.decay.__init__": "from ..published import X",
        f"{ROOT}.cli": "from .jobs.series import X",
    }
    assert violations(modules) == []
    order = in_order(modules)
    assert order.index(f"{ROOT}.study.checkpoint") < order.index(f"{ROOT}.study.fit")


def test_a_circle_of_siblings_is_found():
    modules = {f"{ROOT}.data.__init__": "", f"{ROOT}.data.a": "from .b import x", f"{ROOT}.data.b": "from . import a"}
    assert violations(modules) == []
    with pytest.raises(graphlib.CycleError):
        in_order(modules)


def loaded_by(module):
    """The packages that importing a module loads in a fresh process, beyond those of torch; and whether pyplot is one."""
    code = (
        f"import sys, torch; before = set(sys.modules); import {module}; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}), *sys.modules.keys() & {'matplotlib.pyplot'})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert ROOT in loaded
    return set(loaded)


def test_imports_of_functions_and_for_types_make_no_circle():
    late = "from typing import TYPE_CHECKING\ndef f():\n    from . import a\nif TYPE_CHECKING:\n    from .a import x"
    modules = {f"{ROOT}.data.__init__": "", f"{ROOT}.data.a": "from .b import f", f"{ROOT}.data.b": late}
    assert set(in_order(modules)) == set(modules)


def test_importing_the_library_loads_nothing_that_torch_does_not_need():
    assert not loaded_by(ROOT) & set(NOT_FOR_IMPORT)


def test_importing_a_job_loads_nothing_before_it_is_needed():
    assert not loaded_by(f"{ROOT}.jobs.series") & {*NOT_FOR_SERIES, "matplotlib.pyplot"}


def texts(text):
    """The constants and docstrings of a module, and its names."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute):
            yield node.attr


OPTION = re.compile(r"(^|[\s`'\"(])--[a-z]")
OF_A_JOB = re.compile(
    r"(?<![a-z])(nats?|word error|phonemes?|phones?|bridges?|beam|transcri\w+|washout|teacher forcing|forecasts?|"
    r"pen digits|series|free[- ]run|attentions?|vocabular\w+)(?![a-z])",
    re.IGNORECASE,
)


def options_named(modules):
    """The places outside the command line where a text names an option; a docstring's example is a command line."""
    found = []
    for module, text in modules.items():
        if part(module) in ("cli", "config_file", "options"):
            continue
        for said in texts(text):
            without_examples = re.sub(r"^ *Example:\n(?: +.*\n?|\n)+", "", said, flags=re.MULTILINE)
            if OPTION.search(without_examples) and "ls-files" not in said and said not in GIT:
                found.append(f"{module}: {without_examples.strip()[:120]}")
    return found


GIT = ("--error-unmatch", "--always", "--dirty=+", "--abbrev=12", "--exclude=*")  # options of git


def words_of_jobs(modules):
    """The places in `study` that name what only a job has."""
    return [
        f"{module}: {match[0]!r} in {said.strip()[:80]!r}"
        for module, text in modules.items()
        if part(module) == "study"
        for said in texts(text)
        if (match := OF_A_JOB.search(said))
    ]


def test_nothing_outside_the_command_line_names_an_option():
    assert options_named(sources()) == []


def test_study_holds_no_word_of_a_job():
    assert words_of_jobs(sources()) == []


def test_an_option_and_a_word_of_a_job_are_found():
    texts = ['"""Do.\n\n    Give `--out`.\n    """', 'x = "give --window"', 'raise ValueError("--out is a file")']
    for text in texts:
        assert len(options_named({f"{ROOT}.data.x": text})) == 1
        assert options_named({f"{ROOT}.cli": text}) == []
    example = '"""Do.\n\n    Example:\n        contextual-rnn fit series --train a.csv\n    """'
    assert options_named({f"{ROOT}.jobs.series.x": example}) == []
    assert options_named({f"{ROOT}.jobs.series.x": "x = 'a -- b' + '--'"}) == []
    for text in ("def nats(): pass", "x = 'the word error rate'", "y = bridge", "z = run.free_run_series"):
        assert len(words_of_jobs({f"{ROOT}.study.x": text})) >= 1 or text.startswith("z"), text
        assert words_of_jobs({f"{ROOT}.jobs.pairs.x": text}) == []
