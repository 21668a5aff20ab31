"""Every command and every Python call in the documents is one that the program takes."""

import ast
import inspect
import pathlib
import re
import shlex

import pytest

from contextual_rnn.cli import Command, find_command
from contextual_rnn.jobs import series

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def commands(path):
    """The commands of a document's indented and fenced blocks, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
    lines = re.findall(r"^(?:    |)(?:[A-Z_]+=\S+ )*(?:\S+ \S+ \| )?contextual-rnn ([^|`\n#]+)$", text, re.MULTILINE)
    return [line.strip() for line in lines]


FOUND = [(path.name, command) for path in DOCUMENTS for command in commands(path)]


def test_there_are_commands_in_the_documents():
    assert len(FOUND) >= 20
    assert {"README.md", "lcd.md"} <= {name for name, _ in FOUND}


@pytest.mark.parametrize(("name", "line"), FOUND, ids=[f"{name}-{place}" for place, (name, _) in enumerate(FOUND)])
def test_a_command_in_a_document_is_parsed(name, line):
    if "…" in line or "..." in line:
        pytest.skip("an abbreviated command")
    command, arguments = find_command(shlex.split(line))
    assert isinstance(command, Command)
    values = command.parse(arguments)
    values.pop("verbose", None)
    inspect.signature(command.function).bind(**values)


def test_the_calls_in_the_readme_have_arguments_that_the_functions_take():
    blocks = re.findall(r"^```python\n((?!>>>).*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    calls = [node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    verbs = {"compare": series.compare, "fit": series.fit, "predict": series.SeriesModel.predict}
    checked = set()
    for call in calls:
        verb = call.func.attr if isinstance(call.func, ast.Attribute) else None
        if verb in verbs:
            own = [None] * (verb == "predict")  # self
            named = {keyword.arg: None for keyword in call.keywords}
            inspect.signature(verbs[verb]).bind(*own, *([None] * len(call.args)), **named)
            checked.add(verb)
    assert checked == set(verbs)
