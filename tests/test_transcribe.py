"""Transcription of new sources, from lists and from lines of a stream, by one model or an ensemble."""

import gzip
import io
import sys

import pytest
from spelling import SMALL, WORDS, listed, spoken

from contextual_rnn import InputError
from contextual_rnn.data.units import Units
from contextual_rnn.jobs import pairs
from contextual_rnn.jobs.pairs.transcribe import transcribe_lines


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    model = pairs.fit(listed(WORDS), validation=listed(WORDS), epochs=25, **SMALL)
    path = tmp_path_factory.mktemp("pairs") / "model.safetensors"
    model.save(path)
    assert model.report.rows["validation"]["word_error_rate"] == 0
    return path


@pytest.fixture(scope="module")
def model(trained):
    return pairs.load(trained)


def lines(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.filterwarnings("error")
def test_a_list_gives_a_list(model):
    assert model.transcribe([*WORDS, "", "cab"], beam=1) == [*map(spoken, WORDS), "", "C A B"]
    assert model.transcribe("ab") == ["A B"]
    assert model.train().transcribe(word for word in ("ab", "cc")) == ["A B", "C:"]
    assert not model.training


def test_scores_and_several_targets_come_best_first(model):
    (best,), nothing = model.transcribe(["ab", ""], scores=True)
    assert (best.text, best.symbols, best.ended, nothing) == ("A B", ("A", "B"), True, [])
    (several,) = model.transcribe(["ab"], n_best=3)
    assert several[0].text == "A B"
    assert len({target.text for target in several}) == 3
    assert [target.score for target in several] == sorted((target.score for target in several), reverse=True)
    assert several[0].score <= 0
    assert model.transcribe(["ab"], n_best=3, alpha=1.0)[0][0].score > several[0].score


def test_an_ensemble_of_a_model_and_itself_is_that_model(model):
    assert pairs.transcribe([model, model], WORDS) == model.transcribe(WORDS)
    other = pairs.PairModel(pairs.PairSettings(hidden=2, embedding=2), ["a"], ["b"], Units("characters", "symbols"))
    with pytest.raises(InputError, match="model 1 and model 0 cannot form an ensemble"):
        pairs.transcribe([model, other], ["ab"])
    with pytest.raises(InputError, match="`models` must hold at least one model"):
        pairs.transcribe([], ["ab"])


def test_unknown_symbols_and_cut_targets_are_warned_about(model):
    with pytest.warns(UserWarning, match="source 1: 'ž', 'ж' did not occur in training"):
        assert model.transcribe(["ab", "ažbж"])[1]
    with pytest.warns(UserWarning, match="source 0: the target was cut at 2 symbols; a larger `longest` allows more"):
        assert model.transcribe(["abc"], longest=2) == ["A B"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_best": 9}, "`n_best` must be at most `beam`, 5; found 9"),
        ({"beam": 0}, "`beam` must be an integer of at least 1"),
        ({"longest": 0}, "`longest` must be an integer of at least 1"),
        ({"alpha": float("nan")}, "`alpha` must be at least 0 and finite; found nan"),
        ({"label": "fre"}, "`label` fre: the model was trained without labels"),
        ({"sources": ["a", None]}, "source 1: expected text, found None"),
        ({"sources": ["a\tb"]}, "source 0 has a tab"),
    ],
)
def test_wrong_arguments_are_refused(model, arguments, said):
    with pytest.raises(InputError, match=said):
        model.transcribe(arguments.pop("sources", ["ab"]), **arguments)


def test_lines_are_written_whatever_the_batch(trained, tmp_path, monkeypatch):
    words = [*WORDS, "", "cab"]
    source = lines(tmp_path / "words.txt", "\n".join(words) + "\n")
    expected = [(f"{word}\t{spoken(word)}" if word else "", None) for word in words]
    for size in (1, 7, 64):
        assert list(transcribe_lines([trained], input=source, beam=1, batch_size=size)) == expected
    with open(source, "rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read())))
    assert list(transcribe_lines([trained], beam=1)) == expected


def test_a_person_who_types_is_answered_line_by_line(trained, monkeypatch):
    read = []

    class Typed(io.BytesIO):
        def __next__(self):
            read.append(super().__next__())
            return read[-1]

    for is_typed in (True, False):
        stream = io.TextIOWrapper(Typed(b"ab\nba\n"))
        monkeypatch.setattr(stream, "isatty", lambda is_typed=is_typed: is_typed, raising=False)
        monkeypatch.setattr(sys, "stdin", stream)
        read.clear()
        assert next(transcribe_lines([trained]))[0] == "ab\tA B"
        assert len(read) == (1 if is_typed else 2)


def test_several_targets_with_scores_are_columns_of_a_line(trained, tmp_path):
    source = lines(tmp_path / "words.txt", "ab\n")
    ((written, _),) = transcribe_lines([trained], input=source, n_best=3, scores=True)
    word, *columns = written.split("\t")
    scores = [float(score) for score in columns[1::2]]
    assert (word, columns[0], len(scores)) == ("ab", "A B", 3)
    assert scores == sorted(scores, reverse=True)
    ((ensemble, _),) = transcribe_lines([trained, trained], input=source)
    assert ensemble == "ab\tA B"


def test_remarks_name_the_line(trained, tmp_path):
    source = lines(tmp_path / "words.txt", "ab\nažbж\n")
    (_, nothing), (written, remark) = transcribe_lines([trained], input=source)
    assert (nothing, remark) == (None, f"{source}, line 2: 'ž', 'ж' did not occur in training")
    assert written.split("\t")[1]


def test_lines_before_a_bad_one_are_written(trained, tmp_path):
    source = lines(tmp_path / "words.txt", b"\xef\xbb\xbfab\nba\ncc\n\xff\nab\n")  # starts with a byte order mark
    for size in (1, 2, 64):
        written = []
        with pytest.raises(InputError, match="line 4: byte 1 is not UTF-8"):
            written.extend(transcribe_lines([trained], input=source, batch_size=size))
        assert [line for line, _ in written] == ["ab\tA B", "ba\tB A", "cc\tC:"]


def test_a_target_that_just_fits_is_whole_and_cut_ones_differ(trained, tmp_path):
    source = lines(tmp_path / "words.txt", "ab\nabc\n")
    whole = [("ab\tA B", None), ("abc\tA B C", None)]
    assert list(transcribe_lines([trained], input=source, beam=1, longest=3)) == whole
    first, (written, remark) = transcribe_lines([trained], input=source, beam=1, longest=2)
    assert (first, written) == (("ab\tA B", None), "abc\tA B")
    assert "line 2: the target was cut at 2 symbols; a larger `longest` allows more" in remark
    for written, _ in transcribe_lines([trained], input=source, beam=8, n_best=8, longest=2):
        columns = written.split("\t")
        assert len(columns) > 3
        assert len(set(columns)) == len(columns)


def test_lines_of_spaces_are_empty_if_symbols_are_separated_by_them(tmp_path):
    model = pairs.PairModel(pairs.PairSettings(hidden=2, embedding=2), ["a"], ["b"], Units("symbols", "symbols"))
    model.save(tmp_path / "model.safetensors")
    source = lines(tmp_path / "words.txt", "   \na a\n" + "a " * 1001 + "\n")
    found = transcribe_lines([tmp_path / "model.safetensors"], input=source)
    assert [next(found)[0].split("\t")[0] for _ in range(2)] == ["", "a a"]
    with pytest.raises(InputError, match="line 3: the source has 1001 symbols; at most 1000 are allowed"):
        next(found)
    assert model.transcribe(["  "]) == [""]


def test_wrong_calls_are_refused_before_a_line_is_read(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="standard input is closed; give a file of sources as `input`"):
        next(transcribe_lines([trained]))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        next(transcribe_lines([trained], input=str(tmp_path / "none.txt")))
    with pytest.raises(InputError, match="`batch_size` must be an integer of at least 1"):
        transcribe_lines([trained], batch_size=0)
    with pytest.raises(InputError, match="`runs` must name at least one run folder"):
        transcribe_lines([])


LABELLED = {"spoken": listed(WORDS), "same": [(word, " ".join(word)) for word in WORDS]}


@pytest.fixture(scope="module")
def labelled():
    return pairs.fit(LABELLED, validation=LABELLED, test=LABELLED, epochs=25, **SMALL)


def test_models_of_labelled_pairs_read_the_label(labelled):
    model = labelled
    assert model.report.rows["test"]["word_error_rate"] == 0
    assert model.transcribe(["abb"], label="spoken") == ["A B:"]
    assert model.transcribe(["abb"], label="same") == ["a b b"]
    with pytest.raises(InputError, match="the model reads a label: give `label`, one of spoken, same"):
        model.transcribe(["abb"])
    with pytest.raises(InputError, match="`label` fre: the model has the labels spoken, same"):
        model.transcribe(["abb"], label="fre")
    without = pairs.fit(LABELLED, validation=LABELLED, epochs=1, label="none", **SMALL)
    assert len(without.transcribe(["abb"])) == 1


def test_marks_around_sources_are_removed_and_remarked(trained, model, tmp_path):
    source = lines(tmp_path / "words.txt", "ab\n/ab/\n")
    (_, nothing), (written, remark) = transcribe_lines([trained], input=source, beam=1)
    assert (nothing, written) == (None, "/ab/\tA B")
    assert remark == f"{source}, line 2: the slashes or brackets around it were removed"
    with pytest.warns(UserWarning, match="source 0: the slashes or brackets around it were removed"):
        assert model.transcribe("[ab]", beam=1) == ["A B"]


def test_comments_encodings_and_compressed_files_are_read(trained, tmp_path):
    source = lines(tmp_path / "words.txt.gz", gzip.compress("# x\nab\n".encode("utf-16")))
    options = {"beam": 1, "comment": "#", "encoding": "utf-16"}
    assert list(transcribe_lines([trained], input=source, **options)) == [("", None), ("ab\tA B", None)]
    for wrong, said in [
        ({"encoding": "latin1x"}, "`encoding` must be the name of an encoding"),
        ({"label_column": 3}, "`label_column` must be 1 or 2"),
        ({"label_column": 1, "label": "x"}, "`label` and `label_column` cannot be given together"),
        ({"comment": ""}, "`comment` must not be empty"),
    ]:
        with pytest.raises(InputError, match=said):
            transcribe_lines([trained], input=source, **wrong)
    with pytest.raises(InputError, match=r"damaged.gz cannot be read: Not a gzipped file"):
        list(transcribe_lines([trained], input=lines(tmp_path / "damaged.gz", "ab")))


def test_every_line_may_have_its_own_label(labelled, tmp_path):
    model = labelled
    model.save(tmp_path / "model.safetensors")
    run = [tmp_path / "model.safetensors"]
    source = lines(tmp_path / "words.txt", "same\tabb\n\nspoken\tabb\n")
    written = [line for line, _ in transcribe_lines(run, input=source, label_column=1, beam=1)]
    assert written == ["abb\ta b b", "", "abb\tA B:"]
    assert model.transcribe(["abb", "abb"], label=["spoken", "same"], beam=1) == ["A B:", "a b b"]
    with pytest.raises(InputError, match="`label` has 1 label for 2 sources"):
        model.transcribe(["abb", "abb"], label=["spoken"])
    for text, said in [
        ("abb\n", "line 1 has no tab; with `label_column`, it must have one"),
        ("abb\t \n", "line 1: the label is empty"),
        ("abb\tfre\n", "line 1: the label fre: the model has the labels spoken, same"),
    ]:
        with pytest.raises(InputError, match=said):
            list(transcribe_lines(run, input=lines(tmp_path / "words.txt", text), label_column=2))
