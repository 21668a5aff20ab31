"""Files of pairs as they come: headers, comments, marks around phonemes, variants, tags, folders and parallel files."""

import gzip
import hashlib
import json
import os
import pathlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spelling import SMALL, WORDS, listed

from contextual_rnn import InputError
from contextual_rnn.cli import main
from contextual_rnn.data.pairs import read_pairs
from contextual_rnn.data.pairs.parts import Parallel
from contextual_rnn.data.units import Units, join
from contextual_rnn.errors import DataWarning
from contextual_rnn.jobs import pairs

LINES = [f"{'abcde'[number % 5]}{'fghij'[number // 5]}\tx y" for number in range(12)]
SOUNDS = ["b æ t", "k æ t", "m æ n"]


def write(folder, text, name="pairs.tsv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def texts(found):
    """Return the pairs as texts."""
    return [(join(one.source, found.units.source), join(one.target, found.units.target)) for one in found.pairs]


@pytest.mark.parametrize(
    "header",
    [
        "word\tpron",
        "Word\tPronunciation",
        "#source\ttarget",
        "lemma\tforms",
        "spelling\tIPA (US)",
        "word\txyzxyz",
        "en\tde",
        '"word"\t"pron"',
    ],
)
def test_a_header_is_skipped_and_said(header, tmp_path):
    found = read_pairs(write(tmp_path, "\n".join([header, *LINES])))
    assert len(found.pairs) == 12
    assert found.units == Units("characters", "symbols")
    (note,) = found.notes
    assert note.startswith("pairs.tsv: line 1 is a header (")
    assert note.endswith("was skipped (`header` changes this).")
    assert len(read_pairs(tmp_path / "pairs.tsv", header="absent", target_unit="symbols").pairs) == 13


def test_a_header_of_three_fields_and_one_after_skipped_lines(tmp_path):
    lines = ["lemma\tform\tfeatures", "go\twent\tV;PST", "go\tgoes\tV;PRS"]
    found = read_pairs(write(tmp_path, "\n".join(lines)), label_column=3)
    assert [one.label for one in found.pairs] == ["V;PST", "V;PRS"]
    found = read_pairs(write(tmp_path, "\n".join(["Lemma\tFlexion\tMerkmale", *lines[1:]])), label_column=3)
    assert [one.label for one in found.pairs] == ["V;PST", "V;PRS"]
    with pytest.raises(InputError, match=r"line 1 \('Stamm', 'Flexion', 'Merkmale'\) looks different"):
        read_pairs(write(tmp_path, "\n".join(["Stamm\tFlexion\tMerkmale", *lines[1:]])), label_column=3)
    found = read_pairs(write(tmp_path, "\n".join(["made by hand", *LINES[:2]])), skip_rows=1)
    assert (len(found.pairs), found.notes) == (2, [])
    assert len(read_pairs(tmp_path / "pairs.tsv", skip_rows=1, header="present").pairs) == 1
    assert len(read_pairs([("word", "pron"), ("ab", "x y")]).pairs) == 1


def test_a_line_that_may_be_a_header_is_refused_and_a_pair_is_kept(tmp_path):
    path = write(tmp_path, "\n".join(["ab\tauskunft", *LINES]))
    with pytest.raises(InputError, match=r"line 1 \('ab', 'auskunft'\) looks different .*; give `header` present"):
        read_pairs(path)
    assert len(read_pairs(path, header="present").pairs) == 12
    assert len(read_pairs(path, header="absent", target_unit="symbols").pairs) == 13
    first = read_pairs(write(tmp_path, "\n".join(["word\tw ɜː d", *LINES])))
    assert (len(first.pairs), first.notes) == (13, [])
    with pytest.raises(InputError, match=r"line 1 is read as a header, and no pairs follow it; give `header` absent"):
        read_pairs(write(tmp_path, "word\tpron\n"))


def test_comments_and_blank_lines_are_skipped(tmp_path):
    path = write(tmp_path, "# made by hand\n\nab\tx y\n  \n#\n \t \nc\tz w\n")
    found = read_pairs(path)
    assert texts(found) == [("ab", "x y"), ("c", "z w")]
    assert found.notes == ["pairs.tsv: 2 lines that start with # were skipped (`comment` changes this)."]
    assert texts(read_pairs(write(tmp_path, "ab\tx y\n\ufeffc\tz w\n"))) == [("ab", "x y"), ("c", "z w")]
    with pytest.raises(InputError, match='`comment` "//" if such lines are comments'):
        read_pairs(write(tmp_path, "// x\nab\tx y\n"))
    path = write(tmp_path, "ab\tx y\n#c\tz w\n")
    with pytest.raises(
        InputError, match=r'line 2 starts with #: give `comment` "#" to skip such lines, or `comment` none if'
    ):
        read_pairs(path)
    assert len(read_pairs(path, comment="#").pairs) == 1
    assert texts(read_pairs(path, comment="none"))[1] == ("#c", "z w")
    assert texts(read_pairs(write(tmp_path, ";;; x\nab\tx y\n"), comment=";;;")) == [("ab", "x y")]
    with pytest.raises(InputError, match=r'line 1 has no tab.*; give .*`comment` ";;;" if such lines are comments'):
        read_pairs(tmp_path / "pairs.tsv")


@pytest.mark.parametrize(
    ("start", "end", "kind"),
    [
        ("/", "/", "slashes"),
        ("[", "]", "brackets"),
        (" / ", " / ", "slashes"),
        ('"', '"', "quotation marks"),
        ("(", ")", "parentheses"),
    ],
)
def test_marks_around_every_target_are_removed_and_said(start, end, kind, tmp_path):
    lines = [f"{word}\t{start}{sounds}{end}\n" for word, sounds in zip("abc", SOUNDS, strict=True)]
    found = read_pairs(write(tmp_path, "".join(lines)))
    assert [target for _, target in texts(found)] == SOUNDS
    assert found.notes == [f"pairs.tsv: the {kind} around the targets were removed (`enclosing` changes this)."]
    kept = read_pairs(tmp_path / "pairs.tsv", enclosing="keep", target_unit="symbols")
    assert texts(kept)[0][1] == f"{start}b æ t{end}".strip()
    backwards = read_pairs(write(tmp_path, "".join(f"{start}{sounds}{end}\tword{sounds[0]}\n" for sounds in SOUNDS)))
    assert [source for source, _ in texts(backwards)] == SOUNDS


def test_marks_around_some_targets_are_asked_about(tmp_path):
    path = write(tmp_path, "a\t/b æ t/\nb\tk æ t\nc\t/m æ n/\n")
    said = r"line 2: the target 'k æ t' has no slashes around it, but 2 of 3 targets have, such as .*; give `enclosing` strip"
    with pytest.raises(InputError, match=said):
        read_pairs(path)
    assert [target for _, target in texts(read_pairs(path, enclosing="strip"))] == SOUNDS
    assert read_pairs(path, enclosing="keep").pairs[0].target == ("/b", "æ", "t/")
    with pytest.raises(InputError, match=r"what the slashes of the target '/a b/c/' are; give `enclosing` keep"):
        read_pairs(write(tmp_path, "a\t/a b/c/\n"))
    with pytest.raises(InputError, match=r"line 1: the target '/ /' has nothing between its slashes"):
        read_pairs(write(tmp_path, "a\t/ /\n"))


def test_brackets_of_molecules_and_of_few_texts_are_symbols(tmp_path):
    path = write(tmp_path, "salt\t[Na+]\nlead\t[Pb]\n")
    assert texts(read_pairs(path, target_unit="smiles")) == [("salt", "[Na+]"), ("lead", "[Pb]")]
    lines = [f"{number}\tword\n" for number in range(20)]
    found = read_pairs(write(tmp_path, "".join([*lines, "x\t[laughs]\n"])))
    assert (texts(found)[-1], found.notes) == (("x", "[laughs]"), [])


def test_variants_are_several_targets_of_a_source(tmp_path):
    path = write(tmp_path, "a\t/b æ t/, /b a t/\nb\t/k æ t/\n")
    found = read_pairs(path)
    assert texts(found) == [("a", "b æ t"), ("a", "b a t"), ("b", "k æ t")]
    assert "and 1 line has several targets" in found.notes[0]
    path = write(tmp_path, "a\tb æ t, b a t\nb\tk æ t\n")
    with pytest.raises(
        InputError, match=r"line 1: the target 'b æ t, b a t' has a comma; give `target_separator` \",\""
    ):
        read_pairs(path)
    assert texts(read_pairs(path, target_separator=",")) == texts(found)
    assert read_pairs(path, target_separator="none").pairs[0].target == ("b", "æ", "t,", "b", "a", "t")
    assert len(read_pairs(write(tmp_path, "a\tb|c|b\n"), target_separator="|").pairs) == 2
    for mark in ";|":
        with pytest.raises(InputError, match=r"give `target_separator` .* several targets of a source"):
            read_pairs(write(tmp_path, f"a\tbat{mark} bet\n"))
    with pytest.raises(InputError, match=r"line 1: a target between `target_separator` ',' is empty"):
        read_pairs(write(tmp_path, "a\tb,,c\n"), target_separator=",")


@pytest.mark.parametrize(
    ("target", "unit"), [("b , c d", "symbols"), ("Ein Mann, der", "words"), ("a,b", "bytes"), ("a,", "characters")]
)
def test_commas_that_cannot_separate_are_symbols(target, unit, tmp_path):
    assert len(read_pairs(write(tmp_path, f"a\t{target}\n"), target_unit=unit).pairs) == 1


def test_tags_are_split_and_oddities_are_said(tmp_path):
    path = write(tmp_path, "a\tb\tV;PRS;NEG\nc\td\tN;PL;N\t\n")
    found = read_pairs(path, label_column=3)
    assert (found.labels, found.label_separator) == (["V", "PRS", "NEG", "N", "PL"], ";")
    assert found.notes == [
        "pairs.tsv: line 2 has empty fields at its end, which are ignored.",
        "pairs.tsv: labels are split into tags at semicolons in 2 lines (`label_separator` changes this).",
        "pairs.tsv: line 2 has the tag 'N' twice in its label 'N;PL;N', and it is read once.",
        "pairs.tsv: the label column has 5 distinct tags: 'V', 'PRS', 'NEG', 'N', 'PL'.",
    ]
    assert read_pairs(path, label_column=3, label_separator="none").labels == ["V;PRS;NEG", "N;PL;N"]
    tests = read_pairs(write(tmp_path, "a\tb\tN;NEG\n", "test.tsv"), label_column=3, like=found)
    assert tests.labels == ["N", "NEG"]
    assert read_pairs([("a", "b", "V|PRS")], label_separator="|").labels == ["V", "PRS"]
    with pytest.raises(InputError, match="the label ';' has no tag"):
        read_pairs([("a", "b", ";")])


def test_a_folder_of_lists_gives_a_side_or_the_label(tmp_path):
    folder = tmp_path / "names"
    folder.mkdir()
    write(folder, "Abbing\nAbel\n", "Dutch.txt")
    (folder / "Old Irish.txt.gz").write_bytes(gzip.compress("name\nÓ Briain\n".encode()))
    found = read_pairs(folder, file_name="target")
    assert found.units == Units("characters", "whole")
    assert texts(found) == [("Abbing", "Dutch"), ("Abel", "Dutch"), ("Ó Briain", "Old Irish")]
    assert "line 1 is a header ('name')" in found.notes[0]
    back = read_pairs(str(folder / "*.t*"), file_name="source")
    assert back.pairs[-1].source == ("Old Irish",)
    with pytest.raises(
        InputError,
        match=r"names is a folder; give `file_name` to say what the names of its files, such as .*, are: source or",
    ):
        read_pairs(folder)
    with pytest.raises(InputError, match=r"Dutch.txt, line 1 has no tab.*give `file_name` if the name of the file is"):
        read_pairs(folder, file_name="none")
    both = [write(tmp_path, "a\tb\n", "fre.tsv"), write(tmp_path, "c\td\n", "gre.tsv")]
    assert read_pairs(both, file_name="label").labels == ["fre", "gre"]
    assert [len(read_pairs(source).pairs) for source in (both[0], both)] == [1, 2]
    with pytest.raises(InputError, match="has a tab, as pairs have; with `file_name` source or target"):
        read_pairs(both, file_name="source")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty is a folder without files"):
        read_pairs(tmp_path / "empty", file_name="label")


def test_two_parallel_files_are_pairs_line_by_line(tmp_path):
    one, other = write(tmp_path, "ab\n\nc\n", "x.en"), write(tmp_path, "x y\n\nz w\n", "x.de")
    found = read_pairs(Parallel(one, other))
    assert texts(found) == [("ab", "x y"), ("c", "z w")]
    assert found.files == [str(one), str(other)]
    with pytest.raises(
        InputError, match=r"x.en has 3 lines and .*short.de has 2 lines, but both must have the same number"
    ):
        read_pairs(Parallel(one, write(tmp_path, "x\n\n", "short.de")))
    with pytest.raises(InputError, match=r"gap.de, line 1 is blank, but that of the other file is not"):
        read_pairs(Parallel(one, write(tmp_path, "\n\nz\n", "gap.de")))


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("a.csv", 'ab,"x, y"\nc,z\n', {"target_unit": "words"}),
        ("a.txt", "ab;x , y\nc;z\n", {"separator": ";", "target_unit": "words"}),
        ("a.txt", "ab  x , y\nc z\n", {"separator": " ", "target_unit": "words"}),
        ("a.txt", "ab:::x , y\nc:::z\n", {"separator": ":::", "target_unit": "words"}),
        ("a.tsv", "ab\tx , y\nc\tz\n".encode("utf-16"), {"encoding": "utf-16", "target_unit": "words"}),
        ("a.tsv", b"ab\tx , y\r\nc\tz", {"encoding": "latin-1", "target_unit": "words"}),
    ],
)
def test_separators_and_encodings(name, text, options, tmp_path):
    found = read_pairs(write(tmp_path, text, name), **options)
    assert texts(found) == [("ab", "x , y"), ("c", "z")]


def test_another_separator_or_encoding_is_named(tmp_path):
    with pytest.raises(InputError, match=r'line 1 has no tab.*; give `separator` ";" if a semicolon is between them'):
        read_pairs(write(tmp_path, "ab;x\n"))
    with pytest.raises(InputError, match=r"its first bytes are those of utf-16: give `encoding` utf-16"):
        read_pairs(write(tmp_path, "ab\tx\n".encode("utf-16")))
    with pytest.raises(InputError, match=r"line 1 has a NUL character; give `encoding` utf-16"):
        read_pairs(write(tmp_path, "ab\tx\n".encode("utf-16-le")))
    with pytest.raises(InputError, match=r"pairs.tsv, byte 1 is not in the `encoding` ascii"):
        read_pairs(write(tmp_path, "é\tx\n"), encoding="ascii")
    with pytest.raises(InputError, match=r"pairs.csv, line 1: text follows the quotation mark .* that closes a cell"):
        read_pairs(write(tmp_path, '"a"b,c\n', "pairs.csv"))
    assert read_pairs(write(tmp_path, "ab,x\n", "pairs.csv")).notes == [
        "pairs.csv: fields are separated by a comma (`separator` changes this)."
    ]


@given(
    st.sampled_from([",", ";", "|", "tab"]),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=10, deadline=None)
def test_files_of_any_form_give_the_same_pairs(tmp_path_factory, separator, encoding, end):
    rows = [("é b", "ʃ x"), ("c", "z w"), ("d e", "x")]
    mark = "\t" if separator == "tab" else separator
    text = end.join(["# x", *(mark.join(row) for row in rows), " ", ""])
    path = write(tmp_path_factory.mktemp("forms"), text.encode(encoding), "pairs.txt")
    assert read_pairs(path, separator=separator, encoding=encoding, comment="#").pairs == read_pairs(rows).pairs


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoding": "latin1x"}, "`encoding` must be the name of an encoding, such as latin-1; found 'latin1x'"),
        ({"encoding": "base64"}, "`encoding` must be the name of an encoding"),
        ({"header": "yes"}, "`header` must be one of present, absent; found 'yes'"),
        ({"comment": ""}, "`comment` must not be empty"),
        ({"separator": ""}, "`separator` must not be empty"),
        ({"columns": ["a", "b"], "header": "present"}, "`header` is for text files without a header"),
        ({"file_name": "label", "label_column": 3}, "`label_column` and `file_name` cannot be given together"),
        ({"file_name": "target"}, "`train`: `file_name` is for files; put source and target into each tuple"),
        ({"skip_rows": -1}, "`skip_rows` must be at least 0; found -1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        read_pairs([("a", "b")], **options)


def test_a_table_with_comments_is_read_by_its_columns(tmp_path):
    path = write(tmp_path, "made by hand\nword;n;ipa\n# no\nab;1;/x/\nc;2;/y/\n", "table.txt")
    options = {"columns": ["word", "ipa"], "separator": ";", "comment": "#", "skip_rows": 1}
    assert texts(read_pairs(path, **options)) == [("ab", "x"), ("c", "y")]
    frame = pl.DataFrame({"word": ["ab", "c"], "ipa": ["[x]", "[y]"]})
    assert read_pairs(frame).notes == [
        "`train`: the brackets around the targets were removed (`enclosing` changes this)."
    ]


def test_real_files_are_read_with_one_option_each():
    folder = os.environ.get("CONTEXTUAL_RNN_DATA")
    if not folder:
        pytest.skip("CONTEXTUAL_RNN_DATA is not set: the files were not read")
    files = pathlib.Path(folder) / "files"
    forms = read_pairs(files / "unimorph_ckb_latn.tsv", label_column=3)
    assert (len(forms.pairs), len(forms.labels)) == (700, 71)
    assert "line 652 has the tag 'PRS' twice" in " ".join(forms.notes)
    sounds = read_pairs(files / "ipa_vi_head.txt")
    assert (len(sounds.pairs), sounds.pairs[0].target) == (200, ("a", "˧", "˧"))
    names = read_pairs(files / "names", file_name="target")
    assert (len(names.pairs), len({one.target for one in names.pairs})) == (20050, 18)
    lines = []
    for path in sorted((pathlib.Path(folder) / "g2p").glob("*.tsv")):
        found = read_pairs(path)
        lines.append(f"{path.name} {found.units.source} {found.units.target} {found.fingerprint()}\n")
        assert found.notes == []
    assert (
        hashlib.sha256("".join(lines).encode()).hexdigest()
        == "a7b0599b659cf1f129e4f0724e5a944acd33fed99ca2f736e6053e986ff05e21"
    )


TAGGED = [("ab", "ab" + "x" * ("B" in tags) + "y" * ("C" in tags), ";".join(tags)) for tags in ("A", "AB", "AC")]


@pytest.mark.parametrize("read_in", ["h0", "token"])
def test_a_model_reads_each_tag_of_a_label(read_in, tmp_path):
    options = {**SMALL, "epochs": 60, "label": read_in, "source_unit": "characters", "target_unit": "characters"}
    data = [(letter + source, letter + target, label) for letter in "ab" for source, target, label in TAGGED]
    model = pairs.fit(data, validation=data, test=data, out=tmp_path / "run", **options)
    assert "are split into tags at semicolons in 4 lines" in " ".join(str(model.report).split())
    again = pairs.load(tmp_path / "run")
    assert (again.labels, again.label_separator) == (["A", "B", "C"], ";")
    for source, target, label in data:
        assert again.transcribe(source, label=label, beam=1) == [target]
    if read_in == "h0":  # which does not depend on the order of the tags
        assert again.transcribe("aab", label="C;A", beam=1) == again.transcribe("aab", label="A;C", beam=1)
    assert again.transcribe("aab", label="A;B;C", beam=1)  # a combination that was not seen
    with pytest.raises(InputError, match="`label` A;D: the model has the tags, separated by ';', A, B, C"):
        again.transcribe("ab", label="A;D")
    with pytest.raises(
        InputError, match="the model reads a label: give `label`, one or more, separated by ';', of A, B"
    ):
        again.transcribe("ab")
    metrics = json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]
    assert {"word_error_rate A", "word_error_rate B", "word_error_rate C"} <= metrics.keys()


def test_few_sources_with_many_targets_keep_their_sources(tmp_path):
    (tmp_path / "names").mkdir()
    for language in ("one", "two"):
        write(tmp_path / "names", "".join(f"{a}{b}\n" for a in "abcd" for b in "efgh"), f"{language}.txt")
    model = pairs.fit(tmp_path / "names", file_name="source", epochs=1, **{**SMALL, "hidden": 4, "embedding": 4})
    assert (
        "A tenth of the pairs, drawn at random and always the same one, is held out to validate on, as a source has 16"
        in " ".join(str(model.report).split())
    )
    assert model.source.symbols == ["one", "two"]
    assert len(model.transcribe(["one", "two"], n_best=3, beam=3)) == 2


def test_the_command_line_reads_two_parallel_files_and_says_what_it_inferred(tmp_path, capsys):
    sides = zip(*listed(WORDS), strict=True)
    one, other = (write(tmp_path, "\n".join(side), name) for side, name in zip(sides, "xy", strict=True))
    files = ["--source", one, "--target", other, "--test-source", one, "--test-target", other]
    options = [text for name, value in SMALL.items() for text in (f"--{name.replace('_', '-')}", value)]
    command = ["fit", "pairs", *files, *options, "--epochs", 1, "--out", tmp_path / "run"]
    main(list(map(str, command)))
    assert "Of the 36 test sources" in " ".join(capsys.readouterr().out.split())
    for wrong, said in [
        (["--source", one], "--source and --target must be given together"),
        (["--train", one, "--source", one, "--target", other], "--train and --source with --target cannot be given"),
        (["--test", one], "training pairs are missing: give --train, or --source and --target"),
    ]:
        with pytest.raises(SystemExit):
            main(["fit", "pairs", *map(str, wrong), "--out", str(tmp_path / "no")])
        assert said in capsys.readouterr().err


def test_a_binary_table_of_pairs_needs_columns(tmp_path):
    pl.DataFrame({"left": ["ab"], "right": ["ba"]}).write_parquet(tmp_path / "pairs.parquet")
    with pytest.raises(InputError, match="is no text file; name its columns of sources and targets in `columns`"):
        read_pairs(tmp_path / "pairs.parquet")
    found = read_pairs(tmp_path / "pairs.parquet", columns=("left", "right"), source_unit="characters")
    assert found.pairs[0].target == ("b", "a")


def test_labels_in_several_forms_are_said_and_utf_8_in_another_encoding_is_warned_of(tmp_path):
    path = write(tmp_path, "aé\tA\tN\nb\tB\tn\n")
    with pytest.warns(DataWarning, match="may be UTF-8: with the `encoding` latin-1 it has words such as 'aÃ©'"):
        found = read_pairs(path, label_column=3, encoding="latin-1")
    assert "'N', 'n' are different values of column 'label'; if they mean the same, spell them alike." in found.notes
