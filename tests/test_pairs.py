"""Pairs of a source and a target: files, data frames and lists, errors about them, vocabularies and minibatches."""

import gzip
import io
import os
import pathlib

import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contextual_rnn import InputError
from contextual_rnn.data.encoded_pairs import SPECIAL, UNKNOWN, Encoded, Vocabulary, bucketed, collate
from contextual_rnn.data.pairs import Pair, read_pairs, read_sources
from contextual_rnn.data.units import Units, join
from contextual_rnn.jobs.pairs.metrics import phone_error_rate, word_error_rate


def write(folder, text):
    path = folder / "pairs.tsv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_characters_and_symbols_are_told_apart(tmp_path):
    found = read_pairs(write(tmp_path, "ab\ta t:\nc\tk\nabc d\ta b\n\n"))
    assert found.units == Units("characters", "symbols")
    assert found.pairs[0] == Pair(("a", "b"), ("a", "t:"))
    assert found.pairs[2].source == ("a", "b", "c", " ", "d")
    given_units = read_pairs(tmp_path / "pairs.tsv", units=Units("symbols", "characters"))
    assert given_units.pairs[2] == Pair(("abc", "d"), ("a", " ", "b"))


def test_an_accent_is_read_alike_whether_it_is_part_of_its_letter_or_follows_it(tmp_path):
    composed, parts = "\u00e9", "e\u0301"
    pairs = read_pairs(write(tmp_path, f"{composed}\t{parts} n\n{parts}\t{composed} n\r\nFi\u017f\tx\n")).pairs
    assert pairs[0] == pairs[1] == Pair((composed,), (composed, "n"))
    assert pairs[2].source == ("F", "i", "\u017f")  # what is equal to the eye alone is not changed
    streamed = read_sources([parts.encode()], "<stdin>", "characters")
    assert [(line.place, line.text, line.symbols) for line in streamed] == [("<stdin>, line 1", parts, (composed,))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("ab\tb\nabc\n", "line 2 has no tab"),
        ("a\tb\tc\n", "line 1 has 2 tabs; .* \\('a', 'b', 'c'\\) is a label, say which one, such as `label_column` 3"),
        ("a\tb\n\tc\n", "line 2: the source is empty"),
        ("a\t\n", "line 1: the target is empty"),
        ("a\tb\n" + "x" * 1001 + "\tb\n", "line 2: the source has 1001 characters; at most 1000 are allowed"),
        (b"a\tb\n\xff\xfe\tb\n", "line 2: byte 1 is not UTF-8"),
        ("a\t \n", "line 1: the target has nothing but spaces"),
    ],
)
def test_bad_lines_are_named(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_pairs(write(tmp_path, text))


@pytest.mark.parametrize("place", [1, 2, 3])
@pytest.mark.parametrize("ending", [".tsv", ".tsv.gz"])
def test_a_field_of_a_line_is_its_label(place, ending, tmp_path):
    lines = []
    for pair, tag in (["ab", "x y"], "V;PRS;NEG"), (["c", "z"], "N"):
        pair.insert(place - 1, tag)
        lines.append("\t".join(pair) + "\n")
    path, text = tmp_path / f"pairs{ending}", "".join(lines).encode()
    path.write_bytes(gzip.compress(text) if ending == ".tsv.gz" else text)
    found = read_pairs(path, label_column=place)
    assert found.pairs == [Pair(("a", "b"), ("x", "y"), "V;PRS;NEG"), Pair(("c",), ("z",), "N")]
    assert found.labels == ["V", "PRS", "NEG", "N"]
    whole = read_pairs(path, label_column=place, label_separator="none")
    assert (whole.pairs, whole.labels) == (found.pairs, ["V;PRS;NEG", "N"])


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("a\tb\n", 3, "line 1 has one tab; with `label_column`, it must have 2"),
        ("a\tb\tN\nc\td\t \n", 3, "line 2: the label is empty"),
        ("a\tb\tN\n", 4, "`label_column` must be in 1 to 3, the fields of a line; found 4"),
        ("a\t\tN\n", 3, "line 1: the target is empty"),
    ],
)
def test_bad_labels_of_lines_are_named(tmp_path, text, place, said):
    with pytest.raises(InputError, match=said):
        read_pairs(write(tmp_path, text), label_column=place)


def test_a_label_of_a_table_is_named_by_its_column():
    with pytest.raises(InputError, match="`label_column` is for text files without a header; name the column"):
        read_pairs([("a", "b", "N")], label_column=3)


def test_a_damaged_compressed_file_is_refused(tmp_path):
    for name, content in (("a.gz", b"a\tb\n"), ("b.gz", gzip.compress(b"a\tb\n" * 99)[:-9])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} cannot be read: .*(gzip|Compressed)"):
            read_pairs(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_pairs(tmp_path / "none.tsv")
    with pytest.raises(InputError, match="is a folder"):
        read_pairs(tmp_path)


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_whatever_a_file_holds_it_is_read_or_refused_in_one_sentence(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("hostile"), content)
    said = ""
    try:
        pairs = read_pairs(path).pairs
    except InputError as error:
        said, pairs = str(error), []
    assert bool(pairs) is not (str(path) in said)
    assert "\n" not in said
    assert all(pair.source and pair.target for pair in pairs)


def test_sources_stream_line_by_line():
    lines = io.BytesIO(b"ab\n\nc\n")
    read = [(line.text, line.symbols) for line in read_sources(lines, "<stdin>", "characters")]
    assert read == [("ab", ("a", "b")), ("", ()), ("c", ("c",))]
    with pytest.raises(InputError, match="<stdin>, line 2: byte 2 is not UTF-8"):
        list(read_sources(io.BytesIO(b"a\nb\xff\n"), "<stdin>", "characters"))


@given(st.lists(st.lists(st.sampled_from("abcdé "), min_size=1), min_size=1))
def test_a_vocabulary_gives_back_what_it_was_given(sides):
    vocabulary = Vocabulary.of(map(tuple, sides))
    assert len(vocabulary) == SPECIAL + len(vocabulary.symbols)
    for side in sides:
        assert vocabulary.decode(vocabulary.encode(side).tolist()) == tuple(side)
        assert not vocabulary.unknown(side)


def test_symbols_that_are_not_known_are_told():
    vocabulary = Vocabulary(["a", "b"])
    assert vocabulary.encode("axbx").tolist() == [SPECIAL, UNKNOWN, SPECIAL + 1, UNKNOWN]
    assert vocabulary.unknown("axbyx") == ["x", "y"]
    assert vocabulary.decode([0, 1, 2, SPECIAL]) == ("a",)
    assert (join(("a", "t:"), "symbols"), join(("a", "b"), "characters")) == ("a t:", "ab")


def test_files_with_labels_are_read_together(tmp_path):
    paths = [tmp_path / name for name in ("one.tsv", "two.tsv")]
    paths[0].write_text("ab\tx y\n")
    paths[1].write_text("c\tz\n")
    for source in ([f"one={paths[0]}", f"two={paths[1]}"], dict(zip(("one", "two"), paths, strict=True))):
        found = read_pairs(source)
        assert found.labels == ["one", "two"]
        assert found.pairs == [Pair(("a", "b"), ("x", "y"), "one"), Pair(("c",), ("z",), "two")]
        assert found.units == Units("characters", "symbols")  # one symbol is a character too
        assert found.files == list(map(str, paths))
    alone = read_pairs(str(paths[0]))
    assert (alone.pairs[0].label, alone.labels) == (None, [])
    strange = tmp_path / "a=b.tsv"
    strange.write_text("a\tb\n")
    assert read_pairs(str(strange)).labels == []
    with pytest.raises(InputError, match=r"with several files, each needs a label, LABEL=PATH"):
        read_pairs([f"one={paths[0]}", str(paths[1])])
    with pytest.raises(InputError, match="one, one must differ"):
        read_pairs([f"one={paths[0]}", f"one={paths[1]}"])
    with pytest.raises(InputError, match="there is no such file"):
        read_pairs([f"one={tmp_path / 'none.tsv'}"])


ROWS = [("ab", "x y"), ("c", "z w")]
COLUMNS = {"word": ["ab", "c"], "sounds": ["x y", "z w"]}


@pytest.mark.parametrize(
    "source",
    [
        ROWS,
        pl.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS, index=[7, 8]),
        pd.DataFrame(COLUMNS).astype("category"),
        pl.DataFrame(COLUMNS).with_columns(pl.col("word").cast(pl.Categorical)),
    ],
    ids=["list", "polars", "pandas", "pandas categories", "polars categories"],
)
def test_lists_and_frames_give_the_pairs_of_the_same_file(source, tmp_path):
    file = read_pairs(write(tmp_path, "ab\tx y\nc\tz w\n"))
    found = read_pairs(source)
    assert (found.pairs, found.units) == (file.pairs, file.units)
    assert found.fingerprint() == file.fingerprint()
    assert read_pairs({"one": source}).pairs == [Pair(one.source, one.target, "one") for one in file.pairs]


@pytest.mark.parametrize("ending", ["frame", ".csv", ".tsv", ".parquet"])
def test_columns_of_tables_are_named(ending, tmp_path):
    frame = pl.DataFrame({"id": [1, 2], **COLUMNS, "language": ["fre", "gre"]})
    source = frame if ending == "frame" else tmp_path / f"table{ending}"
    if ending == ".parquet":
        frame.write_parquet(source)
    elif ending != "frame":
        frame.write_csv(source, separator="," if ending == ".csv" else "\t")
    found = read_pairs(source, columns=["word", "sounds", "language"])
    assert (found.pairs[1], found.labels) == (Pair(("c",), ("z", "w"), "gre"), ["fre", "gre"])
    assert read_pairs(source, columns=["sounds", "word"]).pairs[0] == Pair(("x", "y"), ("a", "b"))
    assert read_pairs([(*row, label) for row, label in zip(ROWS, ["fre", "gre"], strict=True)]).pairs == found.pairs


@pytest.mark.parametrize(
    ("source", "columns", "said"),
    [
        ([], (), "`train` is empty"),
        (["ab"], (), "there is no such file"),
        ([("a", "b"), ("a",)], (), r"`train`, row 1: expected a tuple of texts, \(source, target\), found \('a',\)"),
        ([("a", 5)], (), r"`train`, row 0: expected a tuple of texts"),
        ([("a", "")], (), "`train`, row 0: the text is empty"),
        ([("a\tb", "c")], (), "`train`, row 0: a text must have no tab and no line break"),
        ([("a", "b", "fre"), ("a", "b")], (), "`train`, row 1 has no label, but other pairs have one"),
        ({}, (), "`train` must be a dict from labels to pairs"),
        ({1: [("a", "b")]}, (), "`train` must be a dict from labels to pairs"),
        ({"fre": []}, (), r"`train`\['fre'\] is empty"),
        ({"fre": [("a", "b", "gre")]}, (), "has the label 'gre', and all these pairs have the label 'fre'"),
        (5, (), "`train` must be a path, a pandas or polars data frame, or an Arrow table; found int"),
        (pl.Series(["a"]), (), "`train` must be a path"),
        (pl.DataFrame({"a": ["x"]}), (), "`train` has the columns 'a'; name those of source and target with `columns`"),
        (
            pl.DataFrame({"a": ["x"], "b": ["y"], "c": ["z"]}),
            (),
            "name those of source and target, such as `columns` a b",
        ),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), ["a", "bb"], "`train` has no column 'bb'.*did you mean 'b'"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), ["a", "a"], "`columns` must be two or three different names"),
        (pl.DataFrame({"a": ["x"], "b": ["y"]}), "ab", "`columns` must be two or three different names"),
        (pl.DataFrame({"a": ["x", "y"], "b": ["y", None]}), (), "`train`, row 1, column 'b': a text is missing"),
        (pd.DataFrame({"a": ["x", None], "b": ["y", "z"]}), (), "`train`, row 1, column 'a': a text is missing"),
        (pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}), (), "`train`, row 0, column 'b': expected text, found 1"),
        (pl.DataFrame({"a": ["x\n"], "b": ["y"]}), (), "`train`, row 0, column 'a': a text must have no tab"),
        (pl.DataFrame({"a": ["x" * 1001], "b": ["y"]}), (), "`train`, row 0: the source has 1001 characters"),
    ],
)
def test_bad_lists_frames_and_columns_are_refused_by_place(source, columns, said):
    with pytest.raises(InputError, match=said):
        read_pairs(source, columns=columns)


def test_batches_hold_every_pair_once_and_like_with_like():
    torch.manual_seed(0)
    lengths = torch.randint(1, 30, (500,)).tolist()
    pairs = [
        Encoded(torch.full((length,), number), torch.arange(length + 1), number)
        for number, length in enumerate(lengths)
    ]
    epochs = [list(bucketed(pairs, 16)) for _ in range(2)]
    for batches in epochs:
        assert all(torch.equal(batch.label, batch.source[:, 0]) for batch in batches)
        assert sorted(int(row) for batch in batches for row in batch.source[:, 0]) == list(range(500))
        padding = sum(int((batch.source_lengths.max() - batch.source_lengths).sum()) for batch in batches)
        assert padding < 0.15 * sum(lengths)
        assert all(torch.equal(batch.target_lengths, batch.source_lengths + 1) for batch in batches)
    first = [batch.source[:, 0].tolist() for batch in epochs[0]]
    assert first != [batch.source[:, 0].tolist() for batch in epochs[1]]
    short = collate(
        [Encoded(torch.tensor([5]), torch.tensor([6, 7])), Encoded(torch.tensor([8, 9]), torch.tensor([3]), 2)]
    )
    assert short.label.tolist() == [0, 2]
    assert short.source.tolist() == [[5, 0], [8, 9]]
    assert short.target.tolist() == [[6, 7], [3, 0]]


def test_error_rates_are_those_of_their_definition():
    references = [["abc"], ["ab", "axyz"], ["a"]]
    found = ["abc", "axy", ""]
    assert word_error_rate(found, references) == pytest.approx(100 * 2 / 3)
    assert phone_error_rate(found, references) == pytest.approx(100 * (0 + 1 + 1) / (3 + 4 + 1))
    assert word_error_rate(["axyz"], [["ab", "axyz"]]) == 0
    assert phone_error_rate([("t:", "a")], [[("t", "a")]]) == 50  # a symbol counts once, however it is written


def test_real_pronunciations_are_read():
    folder = os.environ.get("CONTEXTUAL_RNN_DATA")
    if not folder:
        pytest.skip("CONTEXTUAL_RNN_DATA is not set: the pronunciations were not read")
    for path in sorted((pathlib.Path(folder) / "g2p").glob("*.tsv")):
        found = read_pairs(path)
        assert len(found.pairs) == (3600 if "train" in path.name else 450)
        assert found.units == Units("characters", "symbols")
