"""The command line: functions as commands, arguments as options, errors as exit codes."""

import json
import pathlib

import polars as pl
import pytest
from tanks import OPTIONS, write

import contextual_rnn
from contextual_rnn import cli
from contextual_rnn.cli import MODULES, Command, main
from contextual_rnn.config_file import ConfigFiles

COMMANDS = [name for room in MODULES.values() for name in room]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave out the figures of run folders, which take longer than the training."""
    monkeypatch.setattr("contextual_rnn.study.figures.write_figure", lambda figure, folder, name: None)


def failure(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Traceback" not in printed.err
    return printed.err


def sentence(capsys, *arguments):
    message = failure(capsys, *arguments)
    assert message.startswith("contextual-rnn: ")
    assert message.count("\n") == 1
    return message.removeprefix("contextual-rnn: ").rstrip()


def shown(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "a.csv", 2, area=float)


def fit(table, out, *more):
    return ["fit", "series", "--train", table, "--series", "id", *OPTIONS, "--out", str(out), *more]


def compare(table, out, *more):
    kinds = ["--initial-states", "zero", "context", "--window", "2", "--seeds", "1"]
    command = ["compare", "series", "--train", table, "--test", table, "--series", "id", *OPTIONS]
    return [*command, "--out", str(out), *kinds, *more]


def test_a_model_is_trained_and_predicts_from_files(table, tmp_path, capsys):
    run = tmp_path / "run"
    main(fit(table, run, "--window", "3", "--test", table))
    printed = capsys.readouterr()
    assert printed.out.startswith("Trained a GRU of 4 units")
    assert f"Model:   {run}/model.safetensors" in printed.out
    assert printed.err == "training: final finished, 1 of 1\n"
    out, state = str(tmp_path / "out.csv"), str(tmp_path / "state")
    main(["predict", str(run), "--inputs", table, "--out", out, "--end", state])
    assert (
        "115 predicted steps of 2 series.\nEach series starts from initial state 'context', and"
        in capsys.readouterr().out
    )
    assert pl.read_csv(out).columns == ["id", "step", "y", "y_predicted"]
    main(["predict", str(run), f"--inputs={table}", f"--out={out}", "--start", state])
    assert len(pl.read_csv(out)) == 121


def test_a_comparison_prints_the_answer_first_within_80_columns(table, tmp_path, capsys):
    main(compare(table, tmp_path / "run", "--jobs", "1"))
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert printed.err.startswith("training: 2 runs (2 variants x 1 seed) of up to ")
    assert " at a time\n" in printed.err
    assert lines[0].startswith("Does the initial state matter? Not enough runs to tell.")
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= 80
    assert f"Results: {tmp_path}/run/results.json" in lines[-3:-1]
    assert lines[-1] == "More: add --resume --verbose to the command; it trains nothing again."
    assert not any("against" in line for line in lines)
    main(compare(table, tmp_path / "run", "--resume", "--verbose", "--jobs", "1"))
    details = capsys.readouterr().out
    assert "More:" not in details
    assert "Starting from h0 = g(context), rather than from zero (context against zero):" in details
    assert max(len(line) for line in details.splitlines() if str(tmp_path) not in line) <= 80


def test_one_and_two_processes_give_the_same_bytes(table, tmp_path, capsys):
    for jobs in ("1", "2"):
        main(fit(table, tmp_path / jobs, "--hidden", "3", "5", "--folds", "2", "--jobs", jobs))
    assert (tmp_path / "1/model.safetensors").read_bytes() == (tmp_path / "2/model.safetensors").read_bytes()
    results = [json.loads((tmp_path / jobs / "results.json").read_text()) for jobs in ("1", "2")]
    assert all(result.pop("seconds") >= 0 for result in results)
    assert results[0] == results[1]


def test_a_config_file_gives_options_and_the_command_line_takes_precedence(table, tmp_path, capsys):
    config, run = tmp_path / "run.yaml", tmp_path / "run"
    config.write_text(
        f"train: {table}\ninputs: [u]\ntargets: y\nhidden: 64\nlearning-rate: 1e-3\nepochs: 1\nupdates: 2\nresume: false\nclip: null\n"
    )
    main(["fit", "series", "--config", str(config), "--hidden", "4", "--series", "id", "--out", str(run)])
    settings = json.loads((run / "config.json").read_text())["candidates"][0]
    assert (settings["hidden"], settings["learning_rate"], settings["epochs"], settings["clip"]) == (4, 0.001, 1, 1.0)
    other = tmp_path / "other.yaml"
    other.write_text("hidden: [3, 5]\nresume: true\n")
    options = Command("fit series").options
    both = ConfigFiles(["--config", str(config), f"--config={other}", "--seed", "2"], options, "fit series")
    assert both.arguments[-6:] == ["--hidden", "3", "5", "--resume", "--seed", "2"]
    assert both.remark("`hidden` and `seed`") == f" ('hidden' is given in --config {other})"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hiden: 3\n", "--config CONFIG: `fit series` has no option 'hiden'; did you mean 'hidden'?"),
        ("config: a\n", "has no option 'config'"),
        ("- hidden\n", "--config CONFIG must hold one option per line, such as `hidden: 64`"),
        ("hidden: [1\n", "--config CONFIG cannot be read: while parsing a flow sequence"),
        ("", "must hold one option per line"),
        ("gaps: missing\nmissing: refuse\ntime: area\n", " ('gaps' and 'missing' are given in --config CONFIG)"),
        ("window: 500\ntest: no.csv\n", "no.csv: there is no such file ('test' is given in --config CONFIG)"),
        (
            "\ttrain: a.csv\n",
            "cannot be read: while scanning for the next token found character '\\t' that cannot start any",
        ),
        (None, "--config CONFIG: there is no such file"),
        (b"\xff", "--config CONFIG cannot be read: "),
        ("window: x\n", "--window must be an integer; found 'x' ('window' is given in --config CONFIG)"),
        ("window: -1\n", "--window must be at least 0; found -1 ('window' is given in --config CONFIG)"),
        ("cell: foo\n", "found 'foo' ('cell' is given in --config CONFIG)"),
        ("context: [yes, 1.10]\n", "has no column 'yes'; it has 'id', "),
        ("time: 1.10\n", "has no column '1.10'"),
        ("time: t\n", "('time' is given in --config CONFIG)"),
        ("test: no.csv\n", "no.csv: there is no such file ('test' is given in --config CONFIG)"),
        ("hidden: {a: 1}\n", "--config CONFIG: 'hidden' must be a number or text, or a list of them; found {'a': '1'}"),
        ("context: [null]\n", "found no value; put a text such as null in quotation marks"),
        ("cell: [gru, lstm]\n", "--config CONFIG: 'cell' takes one value; found ['gru', 'lstm']"),
        ("resume: 3\n", "--config CONFIG: 'resume' must be true or false; found '3'"),
    ],
)
def test_a_wrong_config_file_is_named(table, tmp_path, capsys, text, words):
    config = tmp_path / "run.yaml"
    if text is not None:
        config.write_bytes(text if isinstance(text, bytes) else text.encode())
    message = sentence(capsys, *fit(table, tmp_path / "run", "--config", config))
    assert words.replace("CONFIG", str(config)) in message
    assert not (tmp_path / "run").exists()
    assert sentence(capsys, *fit(table, tmp_path / "run", "--config")) == "--config needs the path of a YAML file"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--hiden", "3"], "`contextual-rnn fit series` has no option --hiden; did you mean --hidden?"),
        (["--zzz"], "has no option --zzz; `contextual-rnn fit series --help` lists the options"),
        (["--window", "100"], "has 60 steps, but at least 102 are needed"),
        (["--hidden", "0"], "--hidden must be at least 1; found 0"),
        (["--hidden"], "--hidden needs at least one value"),
        (["--learning-rate", "nan"], "--learning-rate must be greater than 0; found nan"),
        (["--washout", "10"], "--washout (10) must be less than --length (10)"),
        (
            ["--initial-state", "context"],
            "initial state 'context' is computed from what is known of a series: name in --context columns",
        ),
        (["--cell", "fast-weights", "--layers", "2"], "--layers must be 1 for --cell fast-weights; found 2"),
        (["--folds", "1"], "--folds must be an integer of at least 2; found 1"),
        (["--targets"], "--targets needs at least one value"),
        (["--targets", "z"], "has no column 'z'"),
        (["--out", "FILE"], "--out FILE is a file; give the name of a folder"),
        (["--train", "none.csv"], "none.csv: there is no such file"),
        (["--learning-rate", "1e30"], "final: the loss became"),
        (["--learning-rate", "1e30"], "try a lower learning rate than 1e+30"),
    ],
)
def test_bad_requests_get_one_sentence_with_options(table, tmp_path, capsys, more, words):
    out = tmp_path / "run"
    arguments = fit(table, out, *(table if word == "FILE" else word for word in more))
    message = failure(capsys, *arguments)
    last = message.splitlines()[-1]
    assert words.replace("FILE", table) in last
    assert "`learning_rate`" not in last


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--hidden", "four"], "--hidden must be an integer; found 'four'"),
        (["--hidden", "4", "five"], "--hidden must be an integer; found 'five'"),
        (["--learning-rate", "fast"], "--learning-rate must be a number; found 'fast'"),
        (["--jobs=1.5"], "--jobs must be an integer; found '1.5'"),
        (["--cell", "gru2"], "--cell must be one of lstm, gru, rnn, fast-weights; found 'gru2'; did you mean 'gru'?"),
        (["--initial-state", "contxt"], "found 'contxt'; did you mean 'context'?"),
        (["--initial-state", "None"], "found 'None'"),
    ],
)
def test_values_that_cannot_be_parsed_get_one_sentence(table, tmp_path, capsys, more, words):
    assert words in sentence(capsys, *fit(table, tmp_path / "run", *more))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("more", [["stray"], ["--window", "1", "2"]])
def test_values_without_an_option_end_with_code_2(table, tmp_path, capsys, more):
    assert more[-1] in failure(capsys, *fit(table, tmp_path / "run", *more))
    assert not (tmp_path / "run").exists()


def test_options_are_grouped_by_their_purpose():
    groups = {name: {option.name: option.group for option in Command(name).options.values()} for name in COMMANDS}
    assert groups["sample"]["seed"] == groups["sample"]["context"] == "sampling"
    assert groups["transcribe"]["beam"] == groups["transcribe"]["alpha"] == "search"
    assert groups["forecast"]["past"] == groups["predict"]["inputs"] == "data"
    assert groups["fit series"]["seed"] == "training"
    metavars = {option.name: option.metavar for option in Command("forecast").options.values()}
    assert metavars["past"] == metavars["out"] == metavars["future"] == "PATH"


@pytest.mark.parametrize("name", ["fit series", "compare series", "fit generation", "compare generation"])
def test_help_says_what_each_kind_of_initial_state_is(name):
    option = next(option for option in Command(name).options.values() if option.name.startswith("initial_state"))
    assert all(
        word in option.help for word in ("zero", "free (learned", "context (a function", "error-noise", "every-step")
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_nothing_that_only_python_takes(name):
    assert not any("Python" in option.help or "data frame" in option.help for option in Command(name).options.values())


def test_required_options_are_named(capsys):
    message = failure(capsys, "fit", "series", "--inputs", "u")
    assert all(option in message for option in ("--train", "--targets", "--out"))


def test_predict_says_what_is_wrong(table, tmp_path, capsys):
    contextual_rnn.jobs.series.fit(
        table, inputs="u", targets="y", epochs=1, updates=1, hidden=2, jobs=1, series="id"
    ).save(tmp_path / "m")
    capsys.readouterr()
    model, out = str(tmp_path / "m"), str(tmp_path / "out.csv")
    assert "there is no such file" in sentence(capsys, "predict", out, "--inputs", table, "--out", out)
    assert "must end in .csv, .tsv or .parquet" in sentence(
        capsys, "predict", model, "--inputs", table, "--out", "out.xls"
    )
    assert f"--out {table} is the file of --inputs" in sentence(
        capsys, "predict", model, "--inputs", table, "--out", table
    )
    assert f"--end {model} is the file of RUN" in sentence(
        capsys, "predict", model, "--inputs", table, "--out", out, "--end", model
    )
    no_states = ["predict", model, "--inputs", table, "--out", out, "--start"]
    assert "there is no such file of states" in sentence(capsys, *no_states, str(tmp_path / "none"))
    assert "is not a file of states" in sentence(capsys, *no_states, model)
    assert not pathlib.Path(out).exists()


def test_help_is_grouped_and_says_defaults_in_words(capsys):
    text = shown(capsys, "fit", "series", "--help")
    for words in ("data options", "model options", "training options", "output options", "(default: gru)", "(required)",
                  "Example:\n  contextual-rnn fit series --train train.csv", "If several values"):  # fmt: skip
        assert words in text
    assert not any(
        word in text
        for word in ("{None}", "|", "MISSING", "options options", "nothing is kept on disk", "--generation")
    )
    assert max(len(line) for line in text.splitlines() if not line.startswith("usage")) <= 80
    assert "comparison options" in shown(capsys, "compare", "series", "--help")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_describes_itself(name, capsys):
    text = shown(capsys, *name.split(), "--help")
    assert f"contextual-rnn {name}" in text
    options = Command(name).options
    assert all(option.flag in text for option in options.values() if option.name not in cli.POSITIONAL)
    assert all(option.help.strip() for option in options.values()), [
        o.name for o in options.values() if not o.help.strip()
    ]
    assert "Example:" in text


def test_commands_are_listed_and_the_nearest_is_suggested(capsys):
    for arguments in ([], ["--help"], ["-h"]):
        main(arguments)
        text = capsys.readouterr().out
        assert all(f"  {name}\n" in text for name in COMMANDS)
        assert max(map(len, text.splitlines())) <= 80
    for arguments in (["fit"], ["fit", "--help"]):
        main(arguments)
        text = capsys.readouterr().out
        assert "  fit pairs\n" in text
        assert "transcribe" not in text
    assert sentence(capsys, "fit", "serie") == "there is no command 'fit serie'; did you mean fit series?"
    assert sentence(capsys, "fot", "series") == "there is no command 'fot series'; did you mean fit series?"
    assert "`contextual-rnn --help` lists the commands" in sentence(capsys, "whatever")


def test_the_version_is_printed(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"{contextual_rnn.__version__}\n"


def test_series_without_inputs_are_still_generated_with_a_warning(tmp_path, capsys):
    table = write(tmp_path / "a.csv", 8, area=float)
    options = [
        "--train",
        table,
        "--targets",
        "y",
        "--context",
        "area",
        "--series",
        "id",
        "--hidden",
        "4",
        "--epochs",
        "1",
    ]
    main(["fit", "series", *options, "--out", str(tmp_path / "run")])
    warning = capsys.readouterr().err.splitlines()[0]
    assert warning == (
        "contextual-rnn: `fit series` without --inputs is deprecated, and version 0.3 will refuse it; `fit generation` "
        "runs instead"
    )
    assert type(contextual_rnn.load(tmp_path / "run")).__name__ == "SeriesGenerator"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "u"], "`contextual-rnn fit series` has no option --input; did you mean --inputs?"),
        (["--window", "3"], "`contextual-rnn fit series` needs --inputs COLUMN ..."),
    ],
)
def test_series_whose_inputs_are_misspelt_or_missing_are_not_generated(table, arguments, said, capsys):
    with pytest.raises(SystemExit):
        main(["fit", "series", "--train", str(table), "--targets", "y", "--out", "unused", *arguments])
    assert capsys.readouterr().err.startswith(f"contextual-rnn: {said}")


def test_an_interrupt_says_how_to_continue(table, tmp_path, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("contextual_rnn.study.report.train", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(fit(table, tmp_path / "run"))
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "contextual-rnn: stopped; --resume continues from here\n"


def test_a_folder_that_cannot_be_written_is_reported(table, tmp_path, capsys, monkeypatch):
    def refuse(path, value):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("contextual_rnn.study.run_folder.write_json", refuse)
    assert "the system refused: [Errno 13] Permission denied" in sentence(capsys, *fit(table, tmp_path / "run"))


def test_a_long_error_is_one_line_whose_middle_is_left_out(tmp_path, capsys):
    path = tmp_path / "a.csv"
    path.write_text(f"{'long' * 9999},{'wide' * 9999}\n1,2\n")
    error = sentence(capsys, "fit", "series", "--train", str(path), "--inputs", "u", "--targets", "y", "--out", "r")
    assert len(error.strip().splitlines()) == 1
    assert len(error.strip()) <= 520
    assert " ... " in error


def test_the_model_of_another_job_names_its_command(tmp_path, capsys):
    from contextual_rnn.jobs.generation import SeriesGenerator
    from contextual_rnn.jobs.generation.settings import GenerationSettings
    from contextual_rnn.serialization import save

    path, table = tmp_path / "model.safetensors", tmp_path / "a.csv"
    save(SeriesGenerator(GenerationSettings(targets=("y",), hidden=2), {}), path)
    table.write_text("u,y\n1,2\n")
    error = sentence(capsys, "predict", str(path), "--inputs", str(table), "--out", str(tmp_path / "o.csv"))
    assert "holds a model that generates series; use `contextual-rnn sample " in error
