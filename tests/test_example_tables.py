"""The tables that come with the package: the script makes them, and every job reads them as their settings say."""

import importlib
import shlex

import pytest

from contextual_rnn import InputError, examples
from contextual_rnn.cli import Command, find_command, main
from contextual_rnn.copy_example import copy_example
from contextual_rnn.examples.example import FOLDER
from contextual_rnn.examples.simulate import tables
from contextual_rnn.study import report


def test_the_script_makes_the_tables_that_come_with_the_package():
    assert len(tables()) == 9
    for name, lines in tables().items():
        assert (FOLDER / name).read_text(encoding="utf-8").splitlines() == lines, name


def test_no_name_is_in_both_tables_of_names():
    train, test = (
        path.read_text(encoding="utf-8").splitlines()[1:] for path in (examples.names.train, examples.names.test)
    )
    assert (len(train), len(test)) == (128, 32)
    assert not set(train) & set(test)
    assert set("".join(test)) <= set("".join(train))  # so that a model of the one scores the other


class TablesWereRead(Exception):
    """Raised in place of training."""


@pytest.mark.parametrize("example", examples.EXAMPLES.values(), ids=lambda example: example.name)
def test_a_job_reads_the_tables_of_its_example(example, monkeypatch):
    def stop(*args, **kwargs):
        raise TablesWereRead

    monkeypatch.setattr(report, "choose", stop)
    job = importlib.import_module(f"contextual_rnn.jobs.{example.job}")
    validation = {} if example.validation is None else {"validation": example.validation}
    with pytest.raises(TablesWereRead):
        job.fit(example.train, test=example.test, **validation, **example.settings, epochs=1)


@pytest.mark.parametrize("name", examples.EXAMPLES)
def test_the_command_copies_the_tables_and_prints_a_command_that_is_parsed(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["example", name])
    said = capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == set(examples.EXAMPLES[name].files.values())
    line = said.partition("contextual-rnn ")[2].replace("\\\n", " ")
    command, arguments = find_command(shlex.split(line))
    assert isinstance(command, Command)
    values = command.parse([*arguments, "--out", "run"])
    assert examples.EXAMPLES[name].files["train"] in (values["train"], *values["train"])
    main(["example", name])  # again: the copies are as they were


def test_an_example_never_replaces_another_file(tmp_path):
    (tmp_path / "tank_test.csv").write_text("run,pump,level\n")
    with pytest.raises(InputError, match=r"tank_test.csv exists already .* give another folder as `out`"):
        copy_example("tank", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tank_test.csv"]


def test_an_unknown_example_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["example", "tanks"])
    assert ended.value.code == 2
    assert (
        "must be one of tank, swings, load, words, names; found 'tanks'; did you mean 'tank'?"
        in capsys.readouterr().err
    )
