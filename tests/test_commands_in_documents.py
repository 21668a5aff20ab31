"""Every command in the documents is one that the program takes."""

import inspect
import pathlib
import re
import shlex

import pytest

from contextual_rnn.cli import Command, find_command

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
