"""The core needs PyTorch, NumPy and safetensors alone; whatever else is missing is named with the line that installs it."""

import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

from contextual_rnn._core import extras

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORTED_AS = {"pyyaml": "yaml", "scikit-learn": "sklearn", "lightning-fabric": "lightning_fabric"}
OPTIONAL = sorted({package for packages in extras.EXTRAS.values() for package in packages})
WITHOUT = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in %r else self.finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def run(code, missing=(*OPTIONAL, "numba", "triton", "pandas")):
    command = [sys.executable, "-c", WITHOUT % (missing,) + code]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def names(requirements):
    """The packages of an extra, without other extras of this package, by the names that import them."""
    found = [
        re.match(r"[\w-]+", requirement)[0] for requirement in requirements if "contextual-rnn[" not in requirement
    ]
    return {IMPORTED_AS.get(name, name) for name in found}


def test_an_extra_has_the_packages_that_it_checks():
    for extra, packages in extras.EXTRAS.items():
        assert names(PROJECT["optional-dependencies"][extra]) == set(packages)
    assert names(PROJECT["dependencies"]) == {"torch", "numpy", "safetensors"}


def test_the_library_examples_of_the_readme_run_with_the_core_alone():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if ">>>" in block]
    code = f"""
import doctest
test = doctest.DocTestParser().get_doctest({"".join(blocks)!r}, {{}}, "README", None, 0)
assert doctest.DocTestRunner().run(test).failed == 0
print(len(test.examples))
"""
    done = run(code)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) >= 4


@pytest.mark.parametrize("module", ["jobs.series", "papers.decay", "study.fit", "data.table"])
def test_a_job_without_its_packages_names_the_line_that_installs_them(module):
    done = run(f"import contextual_rnn.{module}", missing=("polars", "rich"))
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith("contextual_rnn._core.extras.MissingPackage: contextual_rnn.")
    assert error.endswith("needs polars, rich, not installed here: run pip install 'contextual-rnn[jobs]'")


def test_the_command_line_without_its_packages_is_one_sentence():
    code = """
from contextual_rnn.cli import main
for arguments in (["compare", "series"], ["--help"], [], ["--version"]):
    try:
        main(arguments)
    except SystemExit as end:
        assert end.code == 2
"""
    done = run(code, missing=("tyro",))
    said = "contextual-rnn: The command line needs tyro, not installed here: run pip install 'contextual-rnn[jobs]'\n"
    assert done.stderr == 3 * said
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize(
    ("package", "code", "said"),
    [
        (
            "rapidfuzz",
            "from contextual_rnn.jobs import pairs; pairs.fit([('a', 'b')])",
            "Training on pairs needs rapidfuzz",
        ),
        ("onnx", "from contextual_rnn.export.onnx_format import require_onnx; require_onnx()", "The export needs onnx"),
    ],
)
def test_what_only_some_jobs_need_is_named_when_they_start(package, code, said):
    error = run(code, missing=(package,)).stderr.strip().splitlines()[-1]
    assert said in error
    assert "run pip install 'contextual-rnn[" in error


def test_a_missing_package_is_bad_input_and_an_import_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match="needs polars") as caught:
        extras.require("jobs", "A test")
    assert isinstance(caught.value, ValueError)
