"""The commands `fit pairs`, `compare pairs` and `transcribe`, from the command line."""

import itertools
import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest
from spelling import SMALL, WORDS, spoken, write

from contextual_rnn.cli import main

OPTIONS = [text for name, value in SMALL.items() for text in (f"--{name.replace('_', '-')}", str(value))]


def run(capsys, *arguments):
    """Run a command; return its exit code, and what it wrote to standard output and to standard error."""
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = error.code
    written = capsys.readouterr()
    return code, written.out, written.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    file = write(folder / "train.tsv", WORDS)
    main(
        [
            "fit",
            "pairs",
            "--train",
            file,
            "--validation",
            file,
            "--out",
            str(folder / "run"),
            "--epochs",
            "25",
            *OPTIONS,
        ]
    )
    return folder / "run"


def test_what_was_fitted_transcribes_a_file(trained, tmp_path, capsys):
    assert json.loads((trained / "results.json").read_text())["metrics"]["validation_word_error_rate"] == 0
    source = tmp_path / "words.txt"
    source.write_text("\n".join([*WORDS, "", "cab"]) + "\n", encoding="utf-8")
    expected = "".join(f"{word}\t{spoken(word)}\n" if word else "\n" for word in [*WORDS, "", "cab"])
    assert run(capsys, "transcribe", trained, "--beam", 1, "--input", source) == (0, expected, "")
    same = run(capsys, "transcribe", trained, trained, "--input", source, "--n-best", 3, "--scores")[1]
    assert all(len(line.split("\t")) == 7 for line in same.splitlines() if line)


def test_remarks_and_errors_go_to_standard_error(trained, tmp_path, capsys):
    (tmp_path / "words.txt").write_text("ab\nažbж\n", encoding="utf-8")
    code, written, said = run(capsys, "transcribe", trained, "--input", tmp_path / "words.txt")
    assert (code, len(written.splitlines())) == (0, 2)
    assert said == f"contextual-rnn: {tmp_path / 'words.txt'}, line 2: 'ž', 'ж' did not occur in training\n"
    (tmp_path / "words.txt").write_bytes(b"ab\nba\n\xff\nab\n")
    code, written, said = run(capsys, "transcribe", trained, "--input", tmp_path / "words.txt")
    assert (code, written) == (2, "ab\tA B\nba\tB A\n")
    assert "line 3: byte 1 is not UTF-8" in said


def test_closed_and_full_standard_streams(trained, tmp_path, monkeypatch, capsys):
    (tmp_path / "words.txt").write_text("ab\n")
    monkeypatch.setattr(sys, "stdin", None)
    code, _, said = run(capsys, "transcribe", trained)
    assert (code, said) == (2, "contextual-rnn: standard input is closed; give a file of sources as --input\n")
    if not os.path.exists("/dev/full"):
        return
    command = [sys.executable, "-m", "contextual_rnn", "transcribe", trained, "--input", tmp_path / "words.txt"]
    (tmp_path / "words.txt").write_text("až\n", encoding="utf-8")
    for closed, left in ((">&-", ""), ("2>&-", "až\t")):
        quoted = " ".join(map(shlex.quote, map(str, command)))
        ended = subprocess.run(f"{quoted} {closed}", shell=True, capture_output=True, encoding="utf-8", check=False)
        assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
        assert ended.stdout.startswith(left)
        assert ended.stdout.count("\n") == bool(left)
    with open("/dev/full", "w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in ended.stderr


@pytest.mark.filterwarnings("error")
def test_symbols_of_any_script_are_compared_and_drawn(tmp_path, capsys):
    letters = ["$x_$", "\\frac{", "東", "ش", "^", "long-word"]
    sources = [" ".join(pair) for pair in itertools.product(letters, repeat=2)]
    (tmp_path / "long.tsv").write_text("".join(f"{one}\t{one}\n" for one in sources), encoding="utf-8")
    file = str(tmp_path / "long.tsv")
    command = ["compare", "pairs", "--train", file, "--test", file, "--bridge", "project", "--out", tmp_path / "run"]
    code, _, said = run(capsys, *command, "--epochs", 1, "--seeds", 1, *OPTIONS)
    assert code == 0
    assert "Warning" not in said
    assert (tmp_path / "run" / "figures" / "attention.png").stat().st_size > 5000


def test_a_comparison_starts_with_its_answer(tmp_path, capsys):
    file = write(tmp_path / "train.tsv", WORDS)
    command = ["compare", "pairs", "--train", file, "--test", file, "--bridge", "project", "zero", "--seeds", 1]
    code, written, _ = run(
        capsys, *command, "--epochs", 1, "--attention", "additive", "none", *OPTIONS, "--out", tmp_path / "run"
    )
    assert code == 0
    assert written.startswith("Does the bridge matter? Not enough runs to tell.")
    kinds = {
        (one["bridge"], one["attention"]) for one in json.loads((tmp_path / "run" / "results.json").read_text())["runs"]
    }
    assert kinds == {("project", "additive"), ("zero", "additive"), ("project", "none")}


def test_errors_name_options(trained, tmp_path, capsys):
    file, out = write(tmp_path / "train.tsv", WORDS), ["--out", tmp_path / "run"]
    fit = ["fit", "pairs", "--train", file, *out]
    for arguments, said in [
        (["transcribe", trained, "--label", "fre"], "--label fre: the model was trained without labels"),
        (["transcribe", trained, "--n-best", 9], "--n-best must be at most --beam, 5; found 9"),
        (["transcribe", trained, "--input", tmp_path / "none.txt"], "No such file"),
        (["transcribe", trained, "--input", file], "line 1 has a tab"),
        (["transcribe", trained, "--batch-size", 0], "--batch-size must be an integer of at least 1"),
        ([*fit, "--attention", "none", "--input-feeding"], "--input-feeding needs an --attention"),
        ([*fit, "--hidden", 33], "--hidden must be even"),
        (["compare", "pairs", "--train", file, *out], "--test"),
        (["fit", "pairs", "--train", f"a={file}", file, *out], "each needs a label"),
        (["fit", "pairs", "--train", f"a={file}", "--test", f"b={file}", *out], "--test must have the labels"),
    ]:
        code, _, error = run(capsys, *arguments)
        assert (code, said in error) == (2, True), error
    assert not (tmp_path / "run").exists()


def test_labelled_files_and_tables_with_a_header(tmp_path, capsys):
    files = [f"spoken={write(tmp_path / 'spoken.tsv', WORDS)}", f"again={write(tmp_path / 'again.tsv', WORDS)}"]
    code, _, _ = run(capsys, "fit", "pairs", "--train", *files, "--epochs", 1, *OPTIONS, "--out", tmp_path / "run")
    assert code == 0
    (tmp_path / "words.txt").write_text("abb\n")
    transcribe = ["transcribe", tmp_path / "run", "--input", tmp_path / "words.txt"]
    assert run(capsys, *transcribe)[0] == 2
    assert run(capsys, *transcribe, "--label", "again")[1].startswith("abb\t")
    table = tmp_path / "table.csv"
    table.write_text("sounds,word\n" + "".join(f"{spoken(word)},{word}\n" for word in WORDS))
    columns = ["--columns", "word", "sounds", "--epochs", 1, *OPTIONS]
    assert run(capsys, "fit", "pairs", "--train", table, *columns, "--out", tmp_path / "table")[0] == 0
    model = json.loads((tmp_path / "table" / "config.json").read_text())
    assert model["files"]["train"] == [str(pathlib.Path(table))]
