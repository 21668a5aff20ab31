"""Texts from what is known about them: reading, training, sampling, and errors."""

import math
import warnings

import polars as pl
import pytest
import torch

from contextual_rnn import InputError
from contextual_rnn.cli import main
from contextual_rnn.errors import DataWarning
from contextual_rnn.jobs import texts
from contextual_rnn.jobs.texts.batches import Encoded, dropped
from contextual_rnn.jobs.texts.data import Texts
from contextual_rnn.jobs.texts.draw import restricted
from contextual_rnn.jobs.texts.sample import sample_file

OPTIONS = {"text": "name", "context": ["first", "size"], "hidden": 16, "embedding": 4, "context_hidden": 8}
TRAINING = {"epochs": 20, "batch_size": 16, "learning_rate": 0.03, "jobs": 1}


def table(count=160):
    """Return texts of 2 to 5 equal letters: the letter is a label, and their number is a quantity."""
    rows = [(letter * size, letter, size) for size in (2, 3, 4, 5) for letter in "ab"] * (count // 8)
    return pl.DataFrame(rows, schema=["name", "first", "size"], orient="row")


@pytest.fixture(scope="module")
def model():
    data = table()
    return texts.fit(data, validation=data[:32], test=data[:48], **OPTIONS, **TRAINING)


def test_the_model_writes_what_the_context_says(model):
    for first, size in (("a", 2), ("b", 5)):
        found = model.sample({"first": first, "size": size}, n=20, temperature=0.5)["name"].to_list()
        assert sum(text == first * size for text in found) >= 15, found


def test_context_may_be_known_in_part(model):
    found = model.sample({"first": "b"}, n=40, temperature=0.5)["name"].to_list()
    assert sum(set(text) == {"b"} for text in found) >= 36
    assert len({len(text) for text in found}) > 1
    assert {text[0] for text in model.sample(n=40)["name"].to_list()} == {"a", "b"}


def test_the_report_compares_with_baselines(model):
    rows = model.report.rows
    assert list(rows) == [
        *("validation texts", "test texts"),
        *("symbol frequencies, test texts", "pairs of symbols, test texts"),
    ]
    bits = [row["bits_per_symbol"] for row in rows.values()]
    assert bits[1] < bits[3] < bits[2]
    assert "Of the 48 test texts, 48 are in the training data too." in str(model.report).replace("\n", " ")


def test_texts_do_not_depend_on_their_number(model):
    few, many = (model.sample({"first": "a"}, n=n, seed=3)["name"].to_list() for n in (5, 40))
    assert many[:5] == few
    assert model.sample({"first": "a"}, n=40, seed=4)["name"].to_list() != many


def test_texts_that_have_ended_are_no_longer_run(model, monkeypatch):
    """The others are the same as if all were run on."""
    stepping = pytest.importorskip("contextual_rnn.gated.stepping", reason="Numba is not installed")
    sizes, steps = [], stepping.GatedSteps.__call__
    monkeypatch.setattr(stepping.GatedSteps, "__call__", lambda self, x: sizes.append(len(x)) or steps(self, x))
    kept = [model.sample(n=60, seed=5, **how)["name"].to_list() for how in ({}, {"prefix": "ab"}, {"steps": 3})]
    assert len(set(sizes)) > 2
    assert all(length <= 60 for length in sizes)
    monkeypatch.setattr("contextual_rnn.jobs.texts.draw.KEPT", 0.0)
    sizes.clear()
    assert [model.sample(n=60, seed=5, **how)["name"].to_list() for how in ({}, {"prefix": "ab"}, {"steps": 3})] == kept
    assert set(sizes) == {60}


def test_options_of_sampling(model):
    most_likely = model.sample({"size": 4}, n=3, temperature=0)["name"].to_list()
    assert len(set(most_likely)) == 1
    assert model.sample({"size": 4}, n=3, top_k=1)["name"].to_list() == most_likely
    assert all(text.startswith("ab") for text in model.sample(n=10, prefix="ab")["name"].to_list())
    seen = set(table()["name"].to_list())
    novel = model.sample(n=10, temperature=3.0, novel=True)["name"].to_list()
    assert len(novel) == 10
    assert not seen & set(novel)
    assert not seen >= set(model.sample(n=100, temperature=3.0)["name"].to_list())
    assert max(map(len, model.sample(n=50, temperature=50.0, steps=3)["name"].to_list())) <= 4


def test_novel_texts_are_in_neither_table():
    """Neither held-out texts nor those of a validation table are novel: the epoch was chosen on them."""
    letters = [first + second for first in "abcd" for second in "abcd"]
    data, own = pl.DataFrame({"name": letters}), pl.DataFrame({"name": ["aaa", "bbb", "abc"]})
    sizes = {"text": "name", "hidden": 4, "embedding": 2, "epochs": 1, "jobs": 1}
    assert all(texts.fit(data, **sizes).is_seen(tuple(text)) for text in letters)
    model = texts.fit(data, validation=own, test=own, **sizes)
    assert model.is_seen(tuple("abc"))
    assert not model.is_seen(tuple("cba"))
    assert "Of the 3 test texts, 3 are in the training data too." in model.report.sentences
    assert not {*letters, *own["name"]} & set(model.sample(n=40, novel=True, steps=3)["name"].to_list())


def test_truncated_distributions():
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert restricted(logits, 2, 1.0).isfinite().tolist() == [[True, True, False, False]]
    assert restricted(logits, None, 0.8).isfinite().tolist() == [[True, True, False, False]]
    assert restricted(logits, None, 0.81).isfinite().tolist() == [[True, True, True, False]]
    assert restricted(logits, None, 1e-9).isfinite().tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("place", ["h0", "every-step", "both", "none"])
def test_the_likelihood_is_the_product_of_the_steps(place):
    torch.manual_seed(0)
    data = table(16)
    model = texts.fit(data, **{**OPTIONS, "epochs": 1, "context_in": place, "jobs": 1, "unit": "re:.{1}"})
    encoded = Encoded.of(Texts([("a", "b", "b")], {"first": ["b"], "size": [None]}, ["row"]), model.symbols)
    features = model.features(encoded.context)
    with torch.no_grad():
        step = model.sequences.rnn.stepper(model.sequences.rnn.start(1, features))
        inputs, total = model.sequences.start.expand(1, -1), 0.0
        for symbol in encoded.symbols[0].tolist():
            control = model.sequences.control(features)
            hidden = step(inputs if control is None else torch.cat([inputs, control], dim=1))
            total += float(model.sequences.head(hidden).logits.log_softmax(1)[0, symbol])
            inputs = model.sequences.inputs(torch.tensor([symbol]))
    assert float(model.log_likelihood(encoded)[0]) == pytest.approx(total, abs=1e-5)
    assert (features is None) == (place == "none")


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_cells_and_dropout(cell):
    dropout = {"dropout": 0.2, "variational": cell == "gru"}
    model = texts.fit(table(16), **{**OPTIONS, "epochs": 1, "updates": 1, "cell": cell, "jobs": 1, **dropout})
    assert math.isfinite(model.report.rows["validation texts"]["bits_per_symbol"])
    assert model.sample({"first": "a"}, n=2, steps=4).height == 2


def test_dropped_values_differ_in_number_between_texts():
    torch.manual_seed(0)
    columns = {"size": torch.ones(4000, dtype=torch.float64), "first": ["a"] * 4000}
    found = dropped(columns, 0.3, 4000)
    size, first = found["size"].isnan(), torch.tensor([one is None for one in found["first"]])
    assert float(size.double().mean()) == pytest.approx(0.3, abs=0.03)
    # Independent dropping with probability 0.3 would leave out both in 9% of the texts.
    assert float((size & first).double().mean()) > 0.13
    assert dropped(columns, 0.0, 4000) is columns


def test_a_saved_model_is_the_same(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    loaded = texts.load(tmp_path / "model.safetensors")
    assert loaded.sample({"size": 3}, n=20)["name"].to_list() == model.sample({"size": 3}, n=20)["name"].to_list()
    assert loaded.is_seen(("a", "a"))
    assert not loaded.is_seen(("a", "b"))


def test_numbers_outside_the_training_range_are_warned_of(model):
    with pytest.warns(DataWarning, match=r"size: 9 is outside the range of the training table, 2 to 5"):
        model.sample({"size": 9}, n=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.sample({"size": 5}, n=1)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"first": "c"}, r"`context` first: the training table has no label 'c'; it has a, b"),
        ({"frist": "a"}, r"`context`: the model has no context column 'frist', only .*; did you mean 'first'\?"),
        ({"size": "long"}, r"`context` size: 'long' is no finite number"),
    ],
)
def test_wrong_context_is_refused(model, context, message):
    with pytest.raises(InputError, match=message):
        model.sample(context)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "`temperature` must be at least 0"),
        ({"top_p": 0}, "`top_p` must be greater than 0"),
        ({"top_k": 0}, "`top_k` must be an integer of at least 1"),
        ({"prefix": "ac"}, "`prefix` has the symbol 'c', which the training texts lack"),
        ({"n": 0}, "`n` must be an integer of at least 1"),
    ],
)
def test_wrong_options_of_sampling_are_refused(model, options, message):
    with pytest.raises(InputError, match=message):
        model.sample(**options)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"name": ["aa", " "]}, {}, "row 1, column 'name': the text is empty"),
        ({"name": ["aa", None]}, {}, "row 1, column 'name': the text is empty"),
        ({"name": ["aa", "bbbb"]}, {"longest": 3}, "row 1, column 'name': the text has 4 symbols, more than `longest`"),
        (
            {"name": ["aa", "a!"]},
            {"unit": "re:[ab]"},
            r"row 1, column 'name': character 2, '!', is in none of the matches",
        ),
        ({"name": ["aa", "bb"]}, {"context": ["age"]}, "has no column 'age'"),
        ({"name": ["aa", "bb"]}, {"quantities": ["first"]}, "row 0, column 'first': 'a' is no finite number"),
        ({"name": ["aa", "bb"]}, {"labels": ["age"]}, "`labels` names 'age', but may only name columns of `context`"),
        ({"name": ["aa", "aa"]}, {}, "a single distinct text"),
        (
            {"name": ["aa", "bb", "ab", "ba"], "first": list("abab"), "size": ["2", "2", "2O", None]},
            {},
            "row 2, column 'size': '2O' is no finite number, but 2 of 3 values of the column are numbers",
        ),
        ({"name": ["aa", "bb"], "size": [None, None]}, {}, "no value of the column 'size' is known"),
    ],
)
def test_wrong_tables_are_refused(change, options, message):
    data = pl.DataFrame({"first": ["a", "b"], "size": [2, 3], **change})
    with pytest.raises(InputError, match=message):
        texts.fit(data, **{**OPTIONS, "epochs": 1, "jobs": 1, **options})


def test_what_is_not_known_or_left_out_is_counted():
    data = table(16).with_columns(pl.when(pl.int_range(16) < 3).then(None).otherwise("size").alias("size"))
    test = pl.DataFrame({"name": ["aa", "ac"], "first": ["a", None], "size": [2, 2]})
    found = texts.fit(data, test=test, **{**OPTIONS, "epochs": 1, "jobs": 1}).report.sentences
    assert "Context columns are quantities: size; labels, with the number of each: first (2)." in found
    assert "In the training table, 3 of 16 values of the context column 'size' are not known." in found
    assert "1 of the 2 test texts have symbols that the training texts lack, and are left out." in found
    far = test.with_columns(size=pl.Series([9, 2]))
    found = texts.fit(data, test=far, **{**OPTIONS, "epochs": 1, "jobs": 1}).report.sentences
    assert "In the test table, 1 of 2 values of 'size' are outside the range of the training table, 2 to 5." in found
    strange = test.with_columns(first=pl.lit("z"))
    with pytest.raises(InputError, match=r"`test`, row 0, column 'first': the training table has no label 'z'"):
        texts.fit(data, test=strange, **{**OPTIONS, "epochs": 1, "jobs": 1})


def test_a_table_may_lack_every_value_of_a_column():
    data, nothing = table(16), table(16).with_columns(first=pl.lit(None), size=pl.lit(None))
    model = texts.fit(data, validation=nothing, test=nothing, **{**OPTIONS, "epochs": 1, "jobs": 1})
    assert math.isfinite(model.report.rows["test texts"]["bits_per_symbol"])


def test_the_commands(tmp_path, capsys):
    table(32).write_csv(tmp_path / "a.csv")
    run, out = str(tmp_path / "run"), tmp_path / "out.csv"
    sizes = ["--hidden", "4", "--embedding", "2", "--epochs", "1", "--jobs", "1"]
    given = ["--text", "name", "--context", "first", "size", *sizes]
    main(["fit", "texts", "--train", str(tmp_path / "a.csv"), *given, "--out", run])
    assert "Trained an LSTM of 4 units on" in capsys.readouterr().out
    main(["sample", run, "--out", str(out), "--context", "first=a", "size=3", "--n", "5", "--steps", "4"])
    assert "5 texts" in capsys.readouterr().out
    assert pl.read_csv(out).columns == ["name", "first", "size"]
    with pytest.raises(SystemExit):
        main(["sample", run, "--out", str(tmp_path / "other.csv"), "--context", "first=z"])
    assert capsys.readouterr().err == (
        "contextual-rnn: `context` first: the training table has no label 'z'; it has a, b\n".replace(
            "`context`", "--context"
        )
    )


def test_texts_are_written_as_they_are_drawn(model, tmp_path, capsys, monkeypatch):
    model.save(tmp_path / "model.safetensors")
    monkeypatch.setattr("contextual_rnn.jobs.texts.model.CHUNK", 2)
    monkeypatch.setattr("contextual_rnn.jobs.texts.sample.CHUNK", 2)
    drawn, draw = [], type(model).draw
    monkeypatch.setattr(type(model), "draw", lambda *a, **k: _noted(drawn, draw(*a, **k)))
    lines = sample_file(tmp_path / "model.safetensors", "-", context=["first=a"], n=5)
    assert next(lines)[0].splitlines()[0] == "name,first"
    assert len(drawn) == 4  # the last one waits until it is asked for
    command = ["sample", str(tmp_path / "model.safetensors"), "--context", "first=a", "--n", "5", "--out"]
    main([*command, "-"])
    shown = capsys.readouterr()
    assert "5 texts" in shown.err
    main([*command, str(tmp_path / "out.csv")])
    assert (tmp_path / "out.csv").read_text() == shown.out
    main([*command, str(tmp_path / "out.parquet")])
    assert pl.read_parquet(tmp_path / "out.parquet").equals(pl.read_csv(tmp_path / "out.csv"))


def _noted(drawn, texts):
    for text in texts:
        drawn.append(text)
        yield text


def test_scores_are_likelihoods(model):
    inputs = pl.DataFrame({"name": ["aaa", "bb"], "first": ["a", None]})
    found = model.score(inputs)
    assert found.columns == ["name", "first", "log_likelihood", "bits_per_symbol"]
    encoded = Encoded.of(Texts([("a", "a", "a")], {"first": ["a"], "size": [None]}, ["row"]), model.symbols)
    assert found["log_likelihood"][0] == pytest.approx(float(model.log_likelihood(encoded)[0]), abs=1e-5)
    assert found["bits_per_symbol"][0] == pytest.approx(-found["log_likelihood"][0] / 4 / math.log(2))


def test_a_grid_says_which_value_fits_a_text(model):
    inputs = pl.DataFrame({"name": ["aaa", "bbbbb"]})
    found = model.score(inputs, ("first", []))
    assert found["first"].to_list() == ["a", "b"] * 2
    assert found["probability"].to_list() == pytest.approx([1, 0, 0, 1], abs=0.2)
    sizes = model.score(inputs, ("size", [2, 3, 4, 5]))
    best = sizes.sort("probability").group_by("name").last()
    assert dict(zip(best["name"], best["size"], strict=True)) == {"aaa": 3, "bbbbb": 5}


@pytest.mark.parametrize(
    "grid",
    [
        "size=3,5",
        ["size=3,5"],
        ("size", (3, 5)),
        {"size": ["3", 5]},
        {"size": torch.tensor([3.0, 5.0]).numpy()},
        {"size": pl.Series([3, 5])},
    ],
)
def test_the_forms_of_a_grid(model, grid):
    found = model.score(pl.DataFrame({"name": ["aaa"]}), grid)
    assert found["size"].to_list() == [3, 5]
    assert found["probability"][0] > 0.5


def test_other_columns_keep_their_value_in_a_grid(model):
    """A label alone takes its values in turn, and the size stays that of the row."""
    data = pl.DataFrame({"name": ["aaa", "bb"], "size": [3, None]})
    for grid in ("first", ["first"], {"first": []}, {"first": None}, ("first", [])):
        found = model.score(data, grid)
        assert found["first"].to_list() == ["a", "b"] * 2
        assert found["size"].to_list() == [3, 3, None, None]
    assert model.score(data, {"first": "a"})["first"].to_list() == ["a", "a"]
    two = model.score(data, ["first", "size=2,3"])
    assert list(zip(two["first"], two["size"], strict=True))[:4] == [("a", 2), ("a", 3), ("b", 2), ("b", 3)]


def test_texts_with_unseen_symbols(model):
    data = pl.DataFrame({"name": ["aa", "ac", "bb"]})
    with pytest.raises(InputError, match=r"row 1, column 'name': .* symbol 'c' \(1 of 3 texts .* `unseen` impossible"):
        model.score(data, "first")
    with pytest.warns(DataWarning, match=r"row 1, .*'c' \(1 of 3 texts have such symbols\): they get"):
        found = model.score(data, "first", unseen="impossible")
    assert found["log_likelihood"].is_finite().to_list() == [True, True, False, False, True, True]
    assert found["bits_per_symbol"][2] == math.inf
    assert found["probability"].is_null().to_list() == [False, False, True, True, False, False]
    with pytest.warns(DataWarning, match="left out"):
        kept = model.score(data, "first", unseen="skip")
    assert kept.equals(found.filter(pl.col("name") != "ac"))
    with pytest.raises(InputError, match="every text has a symbol"):
        model.score(pl.DataFrame({"name": ["c", "dd"]}), unseen="skip")
    with pytest.raises(InputError, match="`unseen`"):
        model.score(data, unseen="ignore")


def test_a_text_with_a_part_that_is_no_symbol_is_impossible():
    made = texts.fit(table(16), **{**OPTIONS, "epochs": 1, "jobs": 1, "unit": "re:[ab]"})
    data = pl.DataFrame({"name": ["aa", "a!"]})
    with pytest.raises(InputError, match=r"row 1, column 'name': character 2, '!'.* `unseen` skip"):
        made.score(data)
    with pytest.warns(DataWarning, match="character 2, '!'"):
        assert made.score(data, unseen="impossible")["log_likelihood"].is_infinite().to_list() == [False, True]


def test_frames_are_of_the_kind_that_was_given(model):
    pandas = pytest.importorskip("pandas")
    data = pandas.DataFrame(table(16).to_dict(as_series=False))
    found = texts.compare(data, data, context_in=["none"], seeds=1, **{**OPTIONS, "epochs": 1, "jobs": 1})
    assert isinstance(next(iter(found.models.values())).sample(n=2), pandas.DataFrame)
    rows = data[data["size"] == 3]
    for grid in (None, "first"):
        scored = model.score(rows, grid)
        assert isinstance(scored, pandas.DataFrame)
        assert list(dict.fromkeys(scored.index)) == list(rows.index)
        assert list(scored["name"]) == list(rows["name"].loc[scored.index])


def test_a_grid_of_two_columns_takes_all_combinations(model):
    found = model.score(pl.DataFrame({"name": ["aaa", "bbbbb"]}), {"first": [], "size": [3, 5]})
    assert found.height == 8
    assert found.group_by("name").agg(pl.col("probability").sum())["probability"].to_list() == pytest.approx([1, 1])
    best = found.sort("probability").group_by("name").last()
    assert set(zip(*(best[name] for name in ("name", "first", "size")), strict=True)) == {
        ("aaa", "a", 3),
        ("bbbbb", "b", 5),
    }


@pytest.mark.parametrize(
    ("columns", "grid", "message"),
    [
        ({"name": ["aa", "ac"]}, None, "row 1, column 'name': no training text has the symbol 'c'"),
        ({"name": ["aa", ""]}, None, "row 1, column 'name': the text is empty"),
        ({"name": ["aa"], "first": ["z"]}, None, "row 0, column 'first': the training table has no label 'z'"),
        ({"name": ["aa"], "size": ["z"]}, None, "row 0, column 'size': 'z' is text"),
        ({"name": ["aa"]}, ("size", []), "`grid` size needs values, such as size=1,2,3"),
        ({"name": ["aa"]}, ["size=2", "size=3"], "`grid` has the column 'size' twice"),
        ({"name": ["aa"]}, "first=z", "`grid` first: the training table has no label 'z'"),
        ({"name": ["aa"]}, "size=long", "`grid` size: 'long' is no finite number"),
        ({"name": ["aa"]}, 3, "`grid` must be a text such as"),
        ({"name": ["aa"]}, {}, "`grid` names no column"),
        (
            {"name": ["aa"]},
            ("frist", []),
            "`grid`: the model has no context column 'frist', only .*; did you mean 'first'",
        ),
    ],
)
def test_wrong_scores_are_refused(model, columns, grid, message):
    with pytest.raises(InputError, match=message):
        model.score(pl.DataFrame(columns), grid)


def test_places_of_the_context_are_compared(tmp_path):
    sizes = {**OPTIONS, "hidden": 8, "epochs": 12, "batch_size": 16, "learning_rate": 0.03, "jobs": 1}
    found = texts.compare(table(64), table(48), context_in=["h0", "none"], seeds=1, out=tmp_path / "run", **sizes)
    means = {row["initial_state"]: row["mean"] for row in found.summary if row["metric"] == "bits_per_symbol"}
    assert means["h0"] < means["none"] < means["symbol frequencies"]
    assert "h0 against none" in found.verdict
    assert "context in" in found.table()
    assert "than pairs of symbols" not in str(found)
    weak = texts.compare(
        table(64), table(48), context_in=["h0", "none"], seeds=1, **{**sizes, "epochs": 1, "updates": 1}
    )
    sentence = "h0 and none have a higher negative log-likelihood per symbol than pairs of symbols."
    assert sentence in " ".join(str(weak).split())
    assert (tmp_path / "run" / "results.json").exists()
    with pytest.raises(InputError, match="`context` is required"):
        texts.compare(table(16), table(16), text="name")


def test_scores_on_the_command_line(model, tmp_path, capsys):
    model.save(tmp_path / "model.safetensors")
    pl.DataFrame({"name": ["aa"]}).write_csv(tmp_path / "in.csv")
    inputs, out = ["--inputs", str(tmp_path / "in.csv")], tmp_path / "out.csv"
    main(["score", str(tmp_path / "model.safetensors"), *inputs, "--out", str(out), "--grid", "size=2,5"])
    shown = capsys.readouterr().out
    assert "2 rows" in shown
    assert "In 2 of 2 rows, the context column 'first' is not known." in shown
    assert "'size' is not known" not in shown
    assert pl.read_csv(out)["probability"].to_list()[0] > 0.5


def test_a_file_of_texts_for_each_label(tmp_path):
    """The name of the file is what is known about its texts; that of a single file to score is not."""
    for kind in ("as", "bs"):
        (tmp_path / f"{kind}.txt").write_text("\n".join(kind[0] * size for size in (1, 2, 3, 4) for _ in range(9)))
    lines = {"no_header": True, "columns": ["word"], "separator": "tab", "series_from_file": "kind"}
    model = texts.fit(
        str(tmp_path / "*.txt"), text="word", context=["kind"], **lines, hidden=8, embedding=4, epochs=8, jobs=1,
        batch_size=8, learning_rate=0.03,
    )  # fmt: skip
    assert model.fields["kind"].names == ["as", "bs"]
    (tmp_path / "new.txt").write_text("aa\nbb")
    found = model.score(tmp_path / "new.txt", ("kind", []))
    assert found["kind"].to_list() == ["as", "bs"] * 2
    assert found["probability"][0] > 0.9
    assert found["probability"][3] > 0.9
