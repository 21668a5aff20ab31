"""Units of text: what the symbols of a text are, and how they are inferred."""

# ruff: noqa: RUF001 (phonemes look like other letters)

import os
import pathlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spelling import SMALL, WORDS, listed

from contextual_rnn import InputError
from contextual_rnn.cli import main
from contextual_rnn.data.infer_unit import UNCLEAR, infer_unit
from contextual_rnn.data.pairs import read_pairs
from contextual_rnn.data.units import Units, check_unit, join, split
from contextual_rnn.jobs.pairs import load


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["a phú hãn", "an ninh", "nghĩa"], "characters"),  # words of several syllables
        (["ʔ aː ˧˧ f u ˧˦ h aː n ˦˥"], "symbols"),
        (["Nikita Khrushchev", "Lev Tolstoy"], "characters"),  # names of two words
        (["HH AH0 L OW1", "W ER1 L D"], "symbols"),
        (["abide ", "back ", " cab"], "characters"),  # blanks at the ends
        (["a t͡ʃ e s t", "k"], "symbols"),
        (["cat", "ad hoc", "dog"], "characters"),
        (["a", "b "], None),
        (["A man in an orange hat stares at something.", "Two dogs run."], UNCLEAR),
        (["김 철수", "이 영희"], UNCLEAR),
        (["a bà", "ý tá"], UNCLEAR),
    ],
)
def test_the_unit_is_inferred_where_the_texts_show_it(texts, unit):
    assert infer_unit(texts) == unit


@pytest.mark.parametrize(
    ("text", "unit", "symbols"),
    [
        (" a phú ", "characters", ("a", " ", "p", "h", "ú")),
        ("\u0915\u093f x", "graphemes", ("\u0915\u093f", " ", "x")),
        ("t͡ʃ  a", "symbols", ("t͡ʃ", "a")),
        ('"Don\'t, sir!"', "words", ('"', "Don't", ",", "sir", "!", '"')),
        ("3.5 %", "words", ("3.5", "%")),
        ("é", "bytes", ("c3", "a9")),
        (
            "C[C@@H](Cl)Br.c1ccccc1%12",
            "smiles",
            ("C", "[C@@H]", "(", "Cl", ")", "Br", ".", "c", "1", "c", "c", "c", "c", "c", "1", "%12"),
        ),
        ("shack", "re:[cs]h|.", ("sh", "a", "c", "k")),
    ],
)
def test_a_text_is_split_at_its_unit(text, unit, symbols):
    if unit == "graphemes":
        pytest.importorskip("regex")
    assert split(text, unit) == symbols
    if unit not in ("symbols", "words"):
        assert join(symbols, unit) == text.strip()


@given(st.text(), st.sampled_from(["characters", "bytes", "re:(?s:.)"]))
@settings(max_examples=20, deadline=None)
def test_symbols_give_back_their_text(text, unit):
    try:
        symbols = split(text, unit)
    except UnicodeEncodeError:
        return
    assert join(symbols, unit) == join(split(text, "characters"), "characters")


def test_a_text_that_a_unit_does_not_cover_is_refused_by_its_place():
    with pytest.raises(
        InputError, match=r"`train`, row 1: the source 'CQ': character 2, 'Q', is no atom, bond or ring of SMILES"
    ):
        read_pairs([("CC", "a"), ("CQ", "b")], source_unit="smiles")
    with pytest.raises(InputError, match=r"the target 'x y': character 2, ' ', is in none of the matches of \[a-z\]"):
        read_pairs([("a", "x y")], target_unit="re:[a-z]")


@pytest.mark.parametrize(
    ("unit", "said"),
    [("symbol", "`source_unit`.*did you mean 'symbols'"), ("re:[", r"`source_unit` re:\[ is no regular expression")],
)
def test_a_unit_that_does_not_exist_is_refused(unit, said):
    with pytest.raises(InputError, match=said):
        read_pairs([("a", "b")], source_unit=unit)


def test_a_unit_that_needs_a_package_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(InputError, match=r"`target_unit` graphemes needs regex, not installed here: run pip install"):
        check_unit("graphemes", "target_unit")


def test_what_is_not_clear_is_asked_and_files_must_agree(tmp_path):
    sentences = [("A man in a hat stares.", "Ein Mann mit Hut schaut zu.")]
    with pytest.raises(
        InputError, match=r"`train`: it is not clear into what symbols to divide the sources.*`source_unit`"
    ):
        read_pairs(sentences)
    found = read_pairs(sentences, source_unit="words", target_unit="characters")
    assert found.pairs[0].source == ("A", "man", "in", "a", "hat", "stares", ".")
    spaced, joined = tmp_path / "fre.tsv", tmp_path / "eng.tsv"
    spaced.write_text("ab\tx y\n")
    joined.write_text("ab\txy\n")
    said = r"fre.tsv: the targets seem to be symbols separated by spaces, but those of .*eng.tsv characters; give `targ"
    for files in ([f"fre={spaced}", f"eng={joined}"], [f"eng={joined}", f"fre={spaced}"]):
        with pytest.raises(InputError, match=said):
            read_pairs(files)
    assert read_pairs(files, target_unit="symbols").pairs[0].target == ("xy",)


@pytest.mark.filterwarnings("ignore:source 0.*was cut")
def test_a_run_names_its_units_and_transcribes_with_them(tmp_path, capsys):
    path, run = tmp_path / "pairs.tsv", tmp_path / "run"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in listed(WORDS)))
    options = {**SMALL, "epochs": 1, "hidden": 4, "embedding": 4, "train": path, "out": run, "source_unit": "bytes"}
    main(["fit", "pairs", *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())])
    said = " ".join(capsys.readouterr().out.split())
    assert "bytes of UTF-8 and targets as symbols separated by spaces (--source-unit and --target-unit change" in said
    model = load(run)
    assert model.units == Units("bytes", "symbols")
    assert model.source.symbols == ["61", "62", "63"]
    assert model.transcribe(" ab ", beam=1) == model.transcribe("ab", beam=1)


def test_units_of_older_model_files_keep_their_meaning():
    recorded = {"source": "characters", "target": "symbols"}
    assert [split("a bc", unit) for unit in vars(Units(**recorded)).values()] == [tuple("a bc"), ("a", "bc")]


def test_real_words_are_read_as_their_characters():
    folder = os.environ.get("CONTEXTUAL_RNN_DATA")
    if not folder:
        pytest.skip("CONTEXTUAL_RNN_DATA is not set: the words were not read")
    files = pathlib.Path(folder) / "files"
    assert read_pairs(files / "ipa_vi_head.txt").units == Units("characters", "characters")
    for path in (files / "names").glob("*.txt"):
        assert infer_unit(path.read_text(encoding="utf-8").split("\n")[:-1]) == "characters"
