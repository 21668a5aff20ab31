"""Every block of the README runs as it is printed, and the answer is the printed one. pytest itself runs its doctests."""

import pathlib
import re
import runpy
import shlex

from contextual_rnn.cli import main

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_commands_run_and_print_the_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = re.sub(r"\\\n\s*", "", TEXT)
    commands = re.findall(r"^    contextual-rnn (.*)$", lines, re.MULTILINE)
    assert [command.partition(" ")[0] for command in commands] == ["example", "compare"]
    for command in commands:
        main([*shlex.split(command), *(["--jobs", "1"] if command.startswith("compare") else [])])
    said = " ".join(capsys.readouterr().out.split())
    printed = " ".join(re.search(r"```text\n(.*?)```", TEXT, re.DOTALL)[1].split())
    pattern = re.sub(
        r"[\d.]*\d", r"[\\d.]+", re.escape(printed).replace(r"\.", ".")
    )  # numbers differ between processors
    assert re.search(pattern, said), said
    assert re.search(r"context is 9\d% lower", said)
    assert (tmp_path / "runs" / "tank" / "figures" / "start.png").stat().st_size > 10_000


def test_the_python_code_runs():
    (code,) = re.findall(r"```python\n((?!>>>).*?)```", TEXT, re.DOTALL)
    names = {}
    exec(compile(code.replace("seeds=5, epochs=5", "seeds=1, epochs=1, jobs=1"), "README", "exec"), names)
    assert names["found"].answer.startswith("Does the initial state matter?")


def test_the_readme_fits_two_screens():
    assert len(TEXT.splitlines()) <= 110


def test_every_link_to_a_file_leads_to_one():
    for target in re.findall(r"\]\((?!http)([^)#]+)", TEXT):
        assert (ROOT / target).exists(), target


def test_a_package_has_absolute_links_to_files():
    absolute = runpy.run_path(str(ROOT / ".ci" / "absolute_links.py"))["absolute"]
    found = absolute(TEXT, "https://example.org/owner/name/")
    assert "](https://example.org/owner/name/blob/main/docs/index.md)" in found
    assert "](https://example.org/owner/name/raw/main/docs/figures/tank.png)" in found
    assert re.findall(r"\]\((?!https?:)[^)]*", found) == []
