"""The pages of the documentation: their code runs, and the reference has every public name."""

import doctest
import importlib
import itertools
import pathlib
import re
import shlex

import pytest

from contextual_rnn.cli import MODULES as COMMANDS
from contextual_rnn.cli import main

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "results" not in path.parts)
JOBS = ("series", "forecast", "generation", "texts", "pairs")
MODULES = ("contextual_rnn", "contextual_rnn.seq2seq", *(f"contextual_rnn.jobs.{job}" for job in JOBS))
NEEDS = {
    "export.md": "onnxruntime",
    "translation.md": "sentencepiece",
}  # what a page needs that is not installed for the tests everywhere


def blocks(path):
    """The language and the text of every fenced block that can be run."""
    return re.findall(r"^```(python|shell)\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def smaller(text):
    """Return the code with one seed, one epoch and few updates, in one process."""
    text = text.replace("seeds=5", "seeds=1, jobs=1").replace("--seeds 5", "--seeds 1 --jobs 1")
    return re.sub(r"\b(epochs|updates)([= ])\d+", r"\1\g<2>2", text)


def run(language, text, namespace):
    """Run one block, made smaller."""
    text = smaller(text)
    if language == "shell":
        for line in re.sub(r"\\\n\s*", "", text).splitlines():
            program, *arguments = shlex.split(line, comments=True) or [None]
            if program == "contextual-rnn":
                main(arguments)
    elif ">>>" in text:
        test = doctest.DocTestParser().get_doctest(text, namespace, "block", None, 0)
        results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(
            test, clear_globs=False
        )
        namespace.update(test.globs)
        assert results.failed == 0
    else:
        exec(compile(text, "block", "exec"), namespace)


@pytest.mark.filterwarnings("ignore::contextual_rnn.errors.DataWarning")  # a page prints these, too
@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path)], ids=lambda path: path.stem)
def test_the_code_of_a_page_runs(path, tmp_path, monkeypatch, capsys):
    if path.name in NEEDS:
        pytest.importorskip(NEEDS[path.name])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    namespace = {"__name__": "page"}
    for language, text in blocks(path):
        run(language, text, namespace)


def test_the_reference_has_every_public_name():
    pages = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.md"))
    listed = set(re.findall(r"^\.\. auto\w+:: (\S+)$", pages, re.MULTILINE))
    for module in MODULES:
        public = set(importlib.import_module(module).__all__) - {"gated"}  # a module, whose names are listed themselves
        assert {name for name in public if f"{module}.{name}" not in listed} == set()
    assert {f"contextual_rnn.gated.{name}" for name in ("GatedGRU", "GatedLSTM", "GatedRNN")} <= listed


def test_the_reference_has_every_command():
    page = (ROOT / "docs" / "reference" / "command_line.md").read_text(encoding="utf-8")
    listed = {command.replace(" ...", "") for command in re.findall(r"^\| `(.*?)` \|", page, re.MULTILINE)}
    for name in itertools.chain.from_iterable(COMMANDS.values()):
        assert name in listed or name.startswith("reproduce ")


def test_every_page_is_in_the_table_of_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    entries = set(re.findall(r"^([a-z0-9_/]+|results/\*)$", index, re.MULTILINE))
    for path in PAGES:
        name = path.relative_to(ROOT / "docs").with_suffix("").as_posix()
        assert name == "index" or name in entries


def test_every_link_between_pages_has_a_target():
    for path in (ROOT / "docs").rglob("*.md"):
        text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which does not exist"


def test_the_code_of_every_picture_is_where_the_gallery_says():
    text = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    found = re.findall(r"Drawn by `(\w+)` in \[[^\]]*\]\(\.\./([^)]*)\)", text)
    assert len(found) == len(list((ROOT / "docs" / "results" / "figures").glob("*.png")))
    for name, path in found:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), (name, path)
