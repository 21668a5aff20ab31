"""The commands for pairs of texts: what they train, write, answer, and say of bad input."""

import io
import itertools
import json
import os
import pathlib
import shlex
import subprocess
import sys

import numpy as np
import pytest
import torch

from contextual_rnn import InputError, load, save
from contextual_rnn.cli import main
from contextual_rnn.data.pairs import Pair, Units
from contextual_rnn.jobs.pairs import metrics as pair_scores
from contextual_rnn.jobs.pairs import train as pair_runs
from contextual_rnn.jobs.pairs.compare import looks
from contextual_rnn.jobs.pairs.metrics import Answers, Question, questions, table
from contextual_rnn.jobs.pairs.model import PairConfig, PairModel, Target
from contextual_rnn.jobs.pairs.train import PairFiles, PairTraining, hold_out
from contextual_rnn.study.factors import one_at_a_time

# A language: every letter is its capital, but for a doubled letter, which is one long sound.
WORDS = ["".join(letters) for size in (2, 3) for letters in itertools.product("abc", repeat=size)]
SMALL = [
    "--hidden",
    "32",
    "--embedding",
    "16",
    "--dropout",
    "0",
    "--weight-decay",
    "0",
    "--learning-rate",
    "0.02",
    "--batch-size",
    "6",
]


def spoken(word):
    sounds = [letter.upper() + ":" * (len(list(run)) > 1) for letter, run in itertools.groupby(word)]
    return " ".join(sounds)


def write(path, words):
    path.write_text("".join(f"{word}\t{spoken(word)}\n" for word in words), encoding="utf-8")
    return str(path)


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
        ["fit", "pairs", "--train", file, "--validation", file, "--out", str(folder / "run"), "--epochs", "25", *SMALL]
    )
    return folder / "run"


def test_what_was_fitted_transcribes_files_and_standard_input(trained, tmp_path, capsys, monkeypatch):
    assert json.loads((trained / "results.json").read_text())["metrics"]["validation_word_error_rate"] == 0
    source = tmp_path / "words.txt"
    source.write_text("\n".join([*WORDS, "", "cab"]) + "\n", encoding="utf-8")
    expected = "".join(f"{word}\t{spoken(word)}\n" if word else "\n" for word in [*WORDS, "", "cab"])
    greedy = ["transcribe", trained, "--beam", 1]  # as the words were answered for the error above
    for size in (1, 7, 64):
        assert run(capsys, *greedy, "--input", source, "--batch-size", size) == (0, expected, "")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(source.read_bytes())))
    assert run(capsys, *greedy)[1] == expected


def test_n_best_with_scores_are_columns_of_the_line(trained, tmp_path, capsys):
    (tmp_path / "words.txt").write_text("ab\n")
    options = ["--input", tmp_path / "words.txt", "--n-best", 3, "--scores"]
    ((_, *columns),) = [line.split("\t") for line in run(capsys, "transcribe", trained, *options)[1].splitlines()]
    scores = [float(score) for score in columns[1::2]]
    assert columns[0] == "A B"
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert scores[0] <= 0
    same = run(capsys, "transcribe", trained, trained, *options)[1]  # an ensemble of a model and itself
    assert same.split("\t")[:2] == ["ab", "A B"]


def test_letters_that_were_not_seen_are_answered_and_named(trained, tmp_path, capsys):
    (tmp_path / "words.txt").write_text("ab\nažbж\n", encoding="utf-8")
    code, written, said = run(capsys, "transcribe", trained, "--input", tmp_path / "words.txt")
    assert code == 0
    assert written.splitlines()[1].split("\t")[1]
    assert (
        said
        == f"contextual-rnn: {tmp_path / 'words.txt'}, line 2: 'ž', 'ж' not seen in training; answered all the same\n"
    )


def test_lines_before_a_bad_one_are_answered(trained, tmp_path, capsys):
    (tmp_path / "words.txt").write_bytes(b"\xef\xbb\xbfab\nba\ncc\n\xff\nab\n")  # some editors mark the start
    for size in (1, 2, 64):
        options = ["--input", tmp_path / "words.txt", "--batch-size", size]
        code, written, said = run(capsys, "transcribe", trained, *options)
        assert (code, written) == (2, "ab\tA B\nba\tB A\ncc\tC:\n")
        assert "line 4: byte 1 is not UTF-8" in said


def test_long_targets_can_be_right(monkeypatch):
    """A model that copies its source, decoded for as many steps as it is asked to."""

    def copied(models, sources, labels, *, width, max_steps):
        return [[Target(source[: max_steps - 1], 0.0, ended=True)] for source in sources]

    monkeypatch.setattr(pair_scores, "decode", copied)
    asked = [Question(("a",) * 150, None, (("a",) * 150,))]
    assert pair_scores.answer([], asked).wrong == [False]


def test_a_target_that_is_cut_is_said_and_one_that_just_fits_is_whole(trained, tmp_path, capsys):
    (tmp_path / "words.txt").write_text("ab\nabc\n")
    options = ["transcribe", trained, "--input", tmp_path / "words.txt", "--beam", 1, "--longest"]
    assert run(capsys, *options, 3) == (0, "ab\tA B\nabc\tA B C\n", "")
    code, written, said = run(capsys, *options, 2)
    assert (code, written) == (0, "ab\tA B\nabc\tA B\n")
    assert "line 2: the target did not end within 2 symbols and was cut there; --longest takes more" in said
    assert "line 1" not in said
    several = ["transcribe", trained, "--input", tmp_path / "words.txt", "--beam", 8, "--n-best", 8, "--longest", 2]
    for line in run(capsys, *several)[1].splitlines():
        assert len(line.split("\t")) > 3
        assert len(set(line.split("\t"))) == len(line.split("\t"))  # cut, they are no longer unlike


def test_lines_of_spaces_are_empty_where_symbols_are_parted_by_them(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    model = PairModel(PairConfig(hidden=2, embedding=2), ["a"], ["b"], Units("symbols", "symbols"))
    save(model, tmp_path / "run" / "model.safetensors")
    (tmp_path / "words.txt").write_text("   \na a\n" + "a " * 1001 + "\n")
    code, written, said = run(capsys, "transcribe", tmp_path / "run", "--input", tmp_path / "words.txt")
    assert code == 2
    assert [line.split("\t")[0] for line in written.splitlines()] == ["", "a a"]
    assert "line 3: the line has 1001 symbols, where at most 1000" in said


def test_standard_streams_that_are_shut_or_full_are_said(trained, tmp_path, monkeypatch, capsys):
    (tmp_path / "words.txt").write_text("ab\n")
    monkeypatch.setattr(sys, "stdin", None)
    code, _, said = run(capsys, "transcribe", trained)
    assert (code, said) == (2, "contextual-rnn: standard input is closed; give a file of sources: --input\n")
    if not os.path.exists("/dev/full"):
        return
    command = [sys.executable, "-m", "contextual_rnn", "transcribe", trained, "--input", tmp_path / "words.txt"]
    (tmp_path / "words.txt").write_text("až\n", encoding="utf-8")
    for shut, left in ((">&-", ""), ("2>&-", "až\t")):  # what is said of the letter is no answer
        quoted = " ".join(map(shlex.quote, map(str, command)))
        ended = subprocess.run(f"{quoted} {shut}", shell=True, capture_output=True, encoding="utf-8", check=False)
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
    code, _, said = run(capsys, *command, "--epochs", 1, "--seeds", 1, *SMALL)
    assert code == 0
    assert "Warning" not in said
    assert (tmp_path / "run" / "figures" / "attention.png").stat().st_size > 5000


def test_a_folder_is_not_made_where_the_accelerator_is_not_there(tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    file = write(tmp_path / "train.tsv", WORDS)
    code, _, said = run(capsys, "fit", "pairs", "--train", file, "--out", tmp_path / "run", "--accelerator", "cuda")
    assert (code, "--accelerator cuda is not to be had here" in said) == (2, True)
    assert not (tmp_path / "run").exists()


def test_what_is_wrong_with_the_call_is_said(trained, tmp_path, capsys):
    file = write(tmp_path / "train.tsv", WORDS)
    (tmp_path / "words.txt").write_bytes(b"ab\n\xff\n")
    for arguments, said in [
        (["transcribe", trained, "--label", "fre"], "--label fre: the model knows none"),
        (["transcribe", trained, "--n-best", 9], "--n-best can be at most --beam, 5; found 9"),
        (["transcribe", trained, "--input", tmp_path / "words.txt"], "line 2: byte 1 is not UTF-8"),
        (["transcribe", trained, "--input", tmp_path / "none.txt"], "No such file"),
        (["transcribe", tmp_path], "there is no such file"),
        (["transcribe", trained, "--input", file], "line 1 has a tab"),
        (["transcribe", trained, "--alpha", "nan"], "--alpha must be at least 0 and finite; found nan"),
        (["fit", "pairs", "--train", os.devnull, "--out", tmp_path / "run"], "is a pipe or a device; a regular file"),
        (["transcribe", trained, "--batch-size", 0], "--batch-size must be greater than 0"),
        (["fit", "pairs", "--train", file, "--out", tmp_path / "run", "--seed", 2**63], "--seed must be at least 0"),
        (
            ["fit", "pairs", "--train", file, "--out", tmp_path / "run", "--attention", "none", "--input-feeding"],
            "--input-feeding feeds what attention read",
        ),
        (["compare", "pairs", "--train", file, "--out", tmp_path / "run"], "needs --test"),
        (
            ["compare", "pairs", "--train", file, "--test", file, "--out", tmp_path / "run", "--label", "h0", "token"],
            "--label h0 token: of one file there are no labels to tell",
        ),
        (["fit", "pairs", "--train", file, "--out", tmp_path / "run", "--hidden", 33], "--hidden must be even"),
        (
            ["fit", "pairs", "--train", file, "--out", tmp_path / "run", "--dropout", 1],
            "--dropout and --unknown must be at least 0 and less than 1",
        ),
        (["fit", "pairs", "--train", file, "--out", tmp_path / "run", "--patience", 0], "--patience must be greater"),
        (["fit", "pairs", "--train", f"a={file}", file, "--out", tmp_path / "run"], "each needs a label"),
        (
            ["fit", "pairs", "--train", f"a={file}", "--test", f"b={file}", "--out", tmp_path / "run"],
            "its label is b; the training files have a",
        ),
    ]:
        code, _, error = run(capsys, *arguments)
        assert (code, said in error) == (2, True), error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bad", ["", "ab\n", "a\t\n", "a\tb\n\tb\n", "a\tb\nx\ty\tz\n"])
def test_a_bad_file_is_named_before_anything_is_trained(bad, tmp_path, capsys):
    good, path = write(tmp_path / "good.tsv", WORDS), tmp_path / "bad.tsv"
    path.write_text(bad)
    for files in (["--train", path], ["--train", good, "--validation", path], ["--train", good, "--test", path]):
        code, _, said = run(capsys, "fit", "pairs", *files, "--out", tmp_path / "run")
        assert code == 2
        assert str(path) in said
        assert "Traceback" not in said
        assert not (tmp_path / "run").exists()


def test_sources_that_training_has_seen_are_counted(tmp_path, capsys):
    file, options = write(tmp_path / "train.tsv", WORDS), ["--epochs", 1, *SMALL, "--out", tmp_path / "run"]
    said = run(capsys, "fit", "pairs", "--train", file, "--test", write(tmp_path / "test.tsv", WORDS[:5]), *options)[1]
    assert "Of the 5 test sources" in said  # a tenth of them may be held out
    assert "validation sources" not in said


def test_comparing_tells_what_each_factor_is_worth(tmp_path, capsys):
    train, test = write(tmp_path / "train.tsv", WORDS[:-6]), write(tmp_path / "test.tsv", WORDS[-6:] + WORDS[:6])
    factors = ["--bridge", "project", "zero", "--attention", "additive", "none"]
    command = ["compare", "pairs", "--train", train, "--test", test, *factors, "--seeds", 2, "--epochs", 6, *SMALL]
    code, written, _ = run(capsys, *command, "--out", tmp_path / "run")
    assert code == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert written.strip() == results["verdict"]
    told = {(one["bridge"], one["attention"], one["seed"]) for one in results["runs"]}
    assert told == {
        (*kind, seed)
        for kind in (("project", "additive"), ("zero", "additive"), ("project", "none"))
        for seed in (0, 1)
    }
    for one in results["runs"]:
        assert one["metrics"]["word_error_rate"] == pytest.approx(100 * np.mean(one["wrong"]))
        answers = (
            tmp_path
            / "run"
            / "runs"
            / f"{one['bridge']}-{one['attention']}-truth-none-seed-{one['seed']}"
            / "answers.tsv"
        )
        verdicts = [line.split("\t")[3] for line in answers.read_text(encoding="utf-8").splitlines()[1:]]
        assert [verdict == "wrong" for verdict in verdicts] == one["wrong"]
    base = results["errors"][0]
    assert base["low"] <= base["word_error_rate"] <= base["high"]
    assert [(one["a"], one["b"]) for one in results["differences"]] == [("zero", "project"), ("none", "additive")]
    assert len(results["ensembles"]) == 3
    assert "too few to claim a difference" in written
    for name in ("errors", "attention"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 5000
    before = (tmp_path / "run" / "results.json").read_bytes()
    assert run(capsys, *command, "--out", tmp_path / "run")[0] == 2
    assert run(capsys, *command, "--out", tmp_path / "run", "--resume")[0] == 0
    assert (tmp_path / "run" / "results.json").read_bytes() == before
    pathlib.Path(train).write_text("a\tA\nb\tB\nc\tC\n")
    code, _, said = run(capsys, *command, "--out", tmp_path / "run", "--resume")
    assert (code, "sha256" in said) == (2, True)


def test_one_factor_is_varied_at_a_time():
    values = {"bridge": ("project", "zero", "copy"), "attention": ("additive", "none"), "feeding": ("truth",)}
    assert [tuple(one.values()) for one in one_at_a_time(values)] == [
        ("project", "additive", "truth"),
        ("zero", "additive", "truth"),
        ("copy", "additive", "truth"),
        ("project", "none", "truth"),
    ]


def test_settings_are_chosen_on_validation_for_every_variant_alike(tmp_path, capsys):
    train, test = write(tmp_path / "train.tsv", WORDS[:-6]), write(tmp_path / "test.tsv", WORDS[-6:])
    options = ["--epochs", 8, "--seeds", 1, *SMALL[:-4], "--learning-rate", "0.02", "0.0001", "--batch-size", 6]
    command = ["compare", "pairs", "--train", train, "--test", test, *options, "--out", tmp_path / "run"]
    code, written, _ = run(capsys, *command)
    assert code == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    for name in ("project-additive-truth-none", "zero-additive-truth-none"):
        chosen = results["chosen"][name]
        assert chosen["learning_rate"] == 0.02
        errors = [one["validation_phone_error_rate"] for one in chosen["validation"]]
        assert errors[0] < errors[1]
        assert f"Chosen for {name} on validation: learning rate 0.02." in written
        for place in (0, 1):
            tried = json.loads((tmp_path / "run" / "tuning" / f"{name}-option-{place}" / "config.json").read_text())
            assert tried["files"]["test"] == []  # what is chosen by has not seen it
    assert run(capsys, *command, "--resume")[0] == 0
    fit = ["fit", "pairs", "--train", train, *options, "--out", tmp_path / "fit"]
    fit.remove("--seeds")
    fit.remove(1)
    code, written, _ = run(capsys, *fit)
    assert (code, "Settings: learning rate 0.02." in written) == (0, True)


def test_models_of_labelled_files_transcribe_each_label(tmp_path, capsys):
    same = tmp_path / "same.tsv"
    same.write_text("".join(f"{word}\t{' '.join(word)}\n" for word in WORDS))
    files = [f"spoken={write(tmp_path / 'spoken.tsv', WORDS)}", f"same={same}"]
    command = ["fit", "pairs", "--train", *files, "--validation", *files, "--epochs", 25, "--out", tmp_path / "run"]
    assert run(capsys, *command, "--test", *files, *SMALL)[0] == 0
    metrics = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]
    assert metrics["word_error_rate same"] == metrics["word_error_rate spoken"] == 0
    (tmp_path / "words.txt").write_text("abb\n")
    for label, right in (("spoken", "A B:"), ("same", "a b b")):
        written = run(capsys, "transcribe", tmp_path / "run", "--label", label, "--input", tmp_path / "words.txt")[1]
        assert written == f"abb\t{right}\n"
    code, _, said = run(capsys, "transcribe", tmp_path / "run", "--input", tmp_path / "words.txt")
    assert (code, "must be told a label: give --label, one of spoken, same" in said) == (2, True)
    untold = ["fit", "pairs", "--train", *files, "--validation", *files, "--epochs", 1, "--label", "none", *SMALL]
    assert run(capsys, *untold, "--out", tmp_path / "untold")[0] == 0
    code, written, _ = run(capsys, "transcribe", tmp_path / "untold", "--input", tmp_path / "words.txt")
    assert (code, written.split("\t")[0]) == (0, "abb")


def test_the_nearest_of_several_references_counts():
    pairs = [Pair(("a",), ("x",)), Pair(("b",), ("y",)), Pair(("a",), ("x", "z", "w")), Pair(("a",), ("x",))]
    asked = questions(pairs)
    assert asked == [Question(("a",), None, (("x",), ("x", "z", "w"))), Question(("b",), None, (("y",),))]
    found = Answers(asked, [("x", "z"), ("y",)], [True, False])
    assert found.metrics() == {"word_error_rate": 50.0, "phone_error_rate": pytest.approx(100 / 4)}
    assert table(found, Units("characters", "symbols")).splitlines()[1] == "a\tx z\tx | x z w\twrong"


def test_all_references_of_a_source_are_held_out_together():
    pairs = [Pair((letter,), (str(number),)) for letter in "abcdefghijklmnopqrst" for number in range(3)]
    kept, held = hold_out(pairs)
    assert sorted(kept + held, key=repr) == sorted(pairs, key=repr)
    assert {pair.source for pair in held}.isdisjoint(pair.source for pair in kept)
    assert len(held) == 6
    with pytest.raises(InputError, match="a single source"):
        hold_out(pairs[:3])


@pytest.mark.parametrize("feeding", ["truth", "embedding", "output"])
def test_a_broken_run_resumes_to_the_same_bytes(feeding, tmp_path, monkeypatch):
    files = PairFiles((write(tmp_path / "train.tsv", WORDS),), (), (write(tmp_path / "test.tsv", WORDS[:5]),))
    model, training = PairConfig(hidden=8, embedding=4), PairTraining(3, batch_size=10, feeding=feeding, sampling=0.8)
    config = pair_runs.job("run", model, training, files, seed=1).config

    def train(name, breaks_at=None):
        (tmp_path / name).mkdir(exist_ok=True)
        batches, seen = pair_runs.bucketed, itertools.count(1)

        def breaking(*arguments):
            for batch in batches(*arguments):
                if next(seen) == breaks_at:
                    raise KeyboardInterrupt
                yield batch

        with monkeypatch.context() as patch:
            patch.setattr(pair_runs, "bucketed", breaking)
            result = pair_runs.train(config, tmp_path / name)
        return result, (tmp_path / name / "model.safetensors").read_bytes()

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("broken", breaks_at=6)
    assert train("broken") == whole


def test_a_row_of_the_attention_sums_to_one_over_the_source_and_its_end(trained):
    model = load(trained / "model.safetensors")
    found = looks(model, Question(tuple("abb"), None, ()), ("A", "B:"))
    assert found.shape == (3, 4)
    assert found.sum(axis=1) == pytest.approx(np.ones(3))


@pytest.mark.skipif("CONTEXTUAL_RNN_DATA" not in os.environ, reason="CONTEXTUAL_RNN_DATA is not set")
def test_real_words_are_learned_from_a_file(tmp_path, capsys):
    folder = pathlib.Path(os.environ["CONTEXTUAL_RNN_DATA"]) / "g2p"
    lines = (folder / "hun_train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)[::5]
    (tmp_path / "train.tsv").write_text("".join(lines), encoding="utf-8")
    test = folder / "hun_test.tsv"
    options = ["--epochs", 25, "--hidden", 64, "--dropout", 0.2, "--learning-rate", 0.01, "--out", tmp_path / "run"]
    assert run(capsys, "fit", "pairs", "--train", tmp_path / "train.tsv", "--test", test, *options)[0] == 0
    metrics = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]
    assert metrics["phone_error_rate"] < 30
