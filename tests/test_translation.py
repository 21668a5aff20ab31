"""Translation of sentences: subwords, what their training needs, BLEU, and text to text on the command line."""

import gzip
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from contextual_rnn import InputError, load
from contextual_rnn.cli import main
from contextual_rnn.data.encoded_pairs import Encoded, bucketed, by_symbols
from contextual_rnn.data.subwords import Subwords, suitable_size
from contextual_rnn.jobs import pairs
from contextual_rnn.jobs.pairs.answers import Answers
from contextual_rnn.jobs.pairs.compare import _errors
from contextual_rnn.jobs.pairs.data import PairData
from contextual_rnn.jobs.pairs.learned import Match, not_learned_in_words, variants_in_words
from contextual_rnn.jobs.pairs.metrics import metrics_of
from contextual_rnn.jobs.pairs.network import mean_loss
from contextual_rnn.jobs.pairs.questions import Question, thirds
from contextual_rnn.jobs.pairs.settings import PairSettings
from contextual_rnn.jobs.pairs.text_metrics import bleu, chrf, signatures
from contextual_rnn.serialization import identity

pytest.importorskip("sentencepiece", reason="sentencepiece is not installed: pip install 'contextual-rnn[translation]'")
sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")

WHO, DO = {"A man": "Ein Mann", "A dog": "Ein Hund", "The boy": "Der Junge"}, {"runs": "rennt", "sleeps": "schläft"}
WHERE = {"": "", " here": " hier", " in a park": " in einem Park", " on the grass": " auf dem Gras"}
SENTENCES = [
    (f"{who} {do}{where}.", f"{WHO[who]} {DO[do]}{WHERE[where]}.")
    for who, do, where in itertools.product(WHO, DO, WHERE)
]
UNITS = {"source_unit": "subwords", "target_unit": "subwords"}
SMALL = {
    **UNITS,
    **{"subwords": 60, "hidden": 32, "embedding": 24, "cell": "gru", "learning_rate": 0.02, "weight_decay": 0.0},
    **{"dropout": 0.1, "variational_dropout": True, "tied": True, "label_smoothing": 0.1, "batch_symbols": 200},
    **{"warmup": 5, "epochs": 30, "patience": 30, "jobs": 1},
}


def texts(side):
    return "".join(f"{pair[side]}\n" for pair in SENTENCES)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("translation")
    for side, name in enumerate(("train.en", "train.de")):
        (folder / name).write_text(texts(side), encoding="utf-8")
    options = {
        f"{table}{side}": folder / f"train.{end}"
        for table in ("", "validation_")
        for side, end in (("source", "en"), ("target", "de"))
    }
    return pairs.fit(test=SENTENCES[:6], out=folder / "run", **options, **SMALL)


def test_a_model_translates_text_to_text_and_reports_bleu(trained):
    rows = trained.report.rows
    assert rows["validation"]["bleu"] > 80
    assert list(rows["test"]) == ["bleu", "bleu_lowercase", "chrf", "word_error_rate", "phone_error_rate"]
    shown = " ".join(str(trained.report).split())
    assert "BLEU nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in shown
    assert "which has the highest validation BLEU" in shown
    assert trained.translate("A dog sleeps in a park.") == ["Ein Hund schläft in einem Park."]
    epochs = [json.loads(line) for line in (trained.report.out / "final" / "metrics.jsonl").read_text().splitlines()]
    assert max(one["validation_bleu"] for one in epochs) == rows["validation"]["bleu"]
    assert all(one["validation_loss"] > 0 for one in epochs)


def test_the_program_beside_an_exported_model_translates_with_sentencepiece(trained, tmp_path):
    pytest.importorskip("onnxruntime", reason="pip install 'contextual-rnn[export]'")
    trained.export(tmp_path / "model.onnx")
    command = [sys.executable, "model-search.py"]
    sources = "A dog sleeps in a park.\nThe boy runs.\n"
    done = subprocess.run(command, cwd=tmp_path, input=sources, capture_output=True, text=True, check=True, timeout=100)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [target for _, target in lines] == trained.translate([source for source, _ in lines])


def test_the_file_of_a_model_holds_its_subwords_as_data(trained, monkeypatch, tmp_path):
    found = load(trained.report.out)
    assert found.subwords == trained.subwords
    assert found.pairs.decoder.output.weight is found.pairs.decoder.embedding.weight
    sources = [source for source, _ in SENTENCES]
    assert found.transcribe(sources) == trained.transcribe(sources)
    found.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (trained.report.out / "model.safetensors").read_bytes()
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(InputError, match=r"needs sentencepiece: run pip install 'contextual-rnn\[translation\]'"):
        load(trained.report.out).transcribe("A dog sleeps.")


def test_translate_writes_each_line_of_a_stream(trained, tmp_path, capsys):
    path = tmp_path / "en.txt"
    path.write_text("A dog sleeps.\n\nA zebra runs.\n", encoding="utf-8")
    main(["translate", str(trained.report.out), "--input", str(path)])
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[:2] == ["A dog sleeps.\tEin Hund schläft.", ""]
    assert lines[2].startswith("A zebra runs.\t")
    assert "line 3: 'z'" in printed.err
    assert "did not occur in training" in printed.err
    main(["transcribe", str(trained.report.out), "--input", str(path)])
    assert capsys.readouterr().out == printed.out


def test_a_model_is_scored_on_other_pairs(trained, tmp_path, capsys):
    folder = trained.report.out.parent
    options = ["--test-source", str(folder / "train.en"), "--test-target", str(folder / "train.de"), "--beam", "2"]
    main(["score", str(trained.report.out), *options, "--alpha", "1", "--answers", str(tmp_path / "answers.tsv")])
    printed = " ".join(capsys.readouterr().out.split())
    assert "24 sources were decoded with a beam of 2 in" in printed
    assert "BLEU nrefs:1|case:mixed" in printed
    lines = (tmp_path / "answers.tsv").read_text(encoding="utf-8").splitlines()
    found = [line.split("\t")[1] for line in lines[1:]]
    assert found == trained.translate([source for source, _ in SENTENCES], beam=2, alpha=1)
    report = pairs.score_pairs([trained.report.out], test=SENTENCES, beam=2, alpha=1)
    assert report.rows["all"]["bleu"] == bleu(found, [[target] for _, target in SENTENCES])
    thirds = [name for name in report.rows if name != "all"]
    assert len(thirds) == 3
    lengths = sorted(len(trained.split_source("", source)) for source, _ in SENTENCES)
    assert thirds[0] == f"1 to {lengths[7]} subwords"
    assert thirds[-1].endswith(f"to {lengths[-1]} subwords")
    path = tmp_path / "latin.csv"
    path.write_text("# A d\xf6g sleeps.;EIN HUND\n", encoding="latin-1")
    for missing in ({"separator": ";", "encoding": "latin-1"}, {"separator": ";", "comment": "none"}):
        with pytest.raises(InputError, match=r"`comment`|`encoding`"):
            pairs.score_pairs([trained.report.out], test=path, beam=1, **missing)
    file = ["--separator", ";", "--encoding", "latin-1", "--comment", "none"]
    main(["score", str(trained.report.out), "--test", str(path), "--beam", "1", *file])
    assert "1 source was decoded" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(InputError, match="test pairs are missing"):
        pairs.score_pairs([trained.report.out])
    with pytest.raises(InputError, match="`coverage` ranks the targets of a beam: give a `beam` of at least 2"):
        trained.translate("A dog sleeps.", beam=1, coverage=0.2)


FACTORS = {
    "bridge": ("project", "zero", "concat", "copy"),
    "attention": ("additive", "none", "multiplicative"),
    "feeding": ("truth", "embedding", "output"),
}


def test_variants_are_compared_by_sentence_and_by_length():
    options = {**SMALL, "epochs": 1, "hidden": 8, "embedding": 6, "seeds": 1, **FACTORS}
    found = pairs.compare(SENTENCES, SENTENCES[:16], validation=SENTENCES[:4], **options)
    assert len(found.runs) == 8
    assert [(row["factor"], row["a"]) for row in found.differences] == [
        (factor, value) for factor, values in FACTORS.items() for value in values[1:]
    ]
    for run in found.runs:
        assert run["metrics"]["chrf"] >= 0
        assert len(run["chrf_of_each"]) == 16
    rows = found.report["by_length"]
    groups = list(dict.fromkeys(row["sources_of"] for row in rows))
    assert len(rows) == 8 * len(groups)
    assert sum(row["sources"] for row in rows if row["variant"] == "bridge zero") == 16
    base, zero = (np.array(run["chrf_of_each"]) for run in found.runs[:2])
    shifts = [row["shift"] * row["sources"] for row in rows if row["variant"] == "bridge zero"]
    assert sum(shifts) == pytest.approx((zero - base).sum())
    assert any(sentence.startswith("  bridge, sources of 1 to ") for sentence in found.sentences)
    assert found.metrics[0].key == "bleu"
    assert [metric.key for metric in found.shortened().metrics] == ["bleu", "chrf", "chrf_of_each"]
    assert "sequence" not in str(found)
    assert "sequence" in found.details()
    assert "mean [95% interval]" not in str(found)  # of 16 sources and a single seed
    by_sentence = [row for row in found.table_rows() if row["metric"] == "chrf_of_each"]
    assert by_sentence[0]["mean"] == pytest.approx(base.mean())
    assert {row["low"] for row in found.table_rows() if row["metric"] == "chrf"} == {None}
    scores = {row["variant"]: row["mean"] for row in found.table_rows() if row["metric"] == "bleu"}
    ranked = [scores[name] for name in found.ranked()]
    assert ranked == sorted(ranked, reverse=True)


@pytest.mark.parametrize(
    ("command", "shown"),
    [("score pairs", "--header {present,absent}"), ("translate", "contextual-rnn translate runs/spelling --input")],
)
def test_help_shows_what_can_be_typed(command, shown, capsys):
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert shown in capsys.readouterr().out


def test_an_interval_is_that_of_the_number_beside_it():
    values = np.linspace(0, 80, 41)
    run = {"variant": "base", "chrf_of_each": values, "metrics": {"chrf": 3.0, "chrf_of_each": values.mean()}}
    row = _errors({"variant": "base"}, [run], metrics_of("subwords")[2:3])
    assert row["low"] < row["chrf_of_each"] == 40 < row["high"]
    assert row["chrf"] == 3


def test_sources_are_grouped_by_their_length():
    asked = [Question(("a",) * length, None, (("b",),)) for length in (5, 1, 2, 2, 2, 9)]
    assert thirds(asked) == {"1 to 2 symbols": [1, 2, 3, 4], "3 to 9 symbols": [0, 5]}
    assert thirds(asked[:1], "word") == {"1 to 5 words": [0]}


def test_subwords_are_found_on_the_training_pairs_alone():
    settings = PairSettings(**UNITS, subwords=60)
    others = [("Zebras yawn.", "Zebras gähnen.")] * 50
    alone = PairData.read(SENTENCES, SENTENCES[:2], None, settings)
    beside = PairData.read(SENTENCES, others, others, settings)
    assert alone.subwords == beside.subwords
    held_out = PairData.read([*SENTENCES, *others], None, None, settings)
    kept = {pair.source for pair in held_out.training}
    assert held_out.subwords["source"] == Subwords.train(
        ["".join(one).replace("\u2581", " ") for one in _whole(held_out)], 60
    )
    assert len(kept) < len(SENTENCES) + 1


def _whole(data):
    return [pair.source for pair in data.training]


def test_the_number_of_subwords_suits_the_pairs_where_it_is_not_given(tmp_path):
    assert [suitable_size(number) for number in (400, 29_000, 1_000_000)] == [480, 4087, 8000]
    few = [("ab ba", "cd dc")] * 9
    assert len(PairData.read(few, few[:1], None, PairSettings(**UNITS)).subwords["source"]) < suitable_size(
        9
    )  # the most
    data = PairData.read(SENTENCES, SENTENCES[:2], None, PairSettings(**UNITS))
    assert all(20 < len(side) <= suitable_size(len(SENTENCES)) for side in data.subwords.values())
    options = {**SMALL, "epochs": 1, "hidden": 8, "embedding": 6, "subwords": None}
    model = pairs.fit(SENTENCES, validation=SENTENCES[:4], out=tmp_path / "run", **options)
    sizes = {side: len(one) for side, one in data.subwords.items()}
    assert model.settings.subwords == max(sizes.values())
    shown = f"Subwords: up to {sizes['source']} of sources and up to {sizes['target']} of targets (`subwords` changes this)."
    assert shown in model.report.sentences
    given = {**options, "subwords": max(sizes.values())}
    assert pairs.load(tmp_path / "run").settings == pairs.PairSettings.of(
        {k: v for k, v in given.items() if k != "jobs"}
    )
    assert pairs.fit([("ab", "cd")] * 9, validation=[("ab", "cd")], **TINY).settings.subwords == 8000  # as before


TINY = {"hidden": 4, "embedding": 4, "epochs": 1, "jobs": 1}


def test_a_report_comes_back_with_the_model_of_a_run_folder(trained, tmp_path):
    folder = trained.report.out
    again = pairs.load(folder).report
    assert str(again) == str(trained.report)
    assert again.history == trained.report.history
    assert "Answers: " in str(again)
    assert pairs.load(folder / "model.safetensors").report is None
    copy = tmp_path / "run"
    shutil.copytree(folder, copy)
    results = json.loads((copy / "results.json").read_text())
    (copy / "results.json").write_text(json.dumps({**results, "report": {"sentences": 3}}))
    with pytest.raises(InputError, match="does not hold the report of a run"):
        pairs.load(copy)
    del results["report"]  # as of an earlier version
    (copy / "results.json").write_text(json.dumps(results))
    assert pairs.load(copy).report is None


def test_a_report_names_the_feeding_and_its_schedule():
    options = {**SMALL, "epochs": 2, "hidden": 8, "embedding": 6, "feeding": "embedding", "sampling": 0.25}
    shown = " ".join(pairs.fit(SENTENCES, validation=SENTENCES[:4], **options).report.sentences)
    assert (
        "attention additive, feeding embedding, where the probability of feeding a prediction grows linearly" in shown
    )
    assert "from 0 to 0.25 in epoch 2) on 24 pairs." in shown


def test_a_warm_up_is_at_most_a_tenth_of_the_training(trained):
    options = {**SMALL, "epochs": 5, "hidden": 8, "embedding": 6, "batch_symbols": None, "batch_size": 6}
    model = pairs.fit(SENTENCES, validation=SENTENCES[:4], **{**options, "warmup": 400})
    assert (
        "The warm-up was shortened from 400 to 2 updates, a tenth of the training (`warmup`)." in model.report.sentences
    )
    same = pairs.fit(SENTENCES, validation=SENTENCES[:4], **{**options, "warmup": 2})
    assert identity(model) == identity(same)
    assert not any("warm-up" in sentence for sentence in [*same.report.sentences, *trained.report.sentences])


def test_a_model_that_has_learned_nothing_says_so(trained):
    assert not any("learned" in sentence for sentence in trained.report.sentences)
    options = {**SMALL, "epochs": 1, "hidden": 8, "embedding": 6, "learning_rate": 1e-6, "seeds": 5}
    del options["warmup"]
    found = pairs.compare(SENTENCES, SENTENCES, validation=SENTENCES, **options)
    assert "But no variant has learned anything of the sources, so this answer says nothing" in found.answer
    assert "More pairs help most" in found.answer
    del options["seeds"]
    report = pairs.fit(SENTENCES, validation=SENTENCES, **options).report
    assert any("has learned next to nothing of the sources" in sentence for sentence in report.sentences)


def test_targets_match_their_own_references_or_those_of_others():
    asked = [Question((str(number),), None, ((str(number), "x"),)) for number in range(20)]
    constant = Match.of(Answers(asked, [("3", "x")] * 20, [True] * 20))
    assert (constant.own, constant.others, constant.is_learned) == (52.5, 52.5, False)
    right = Match.of(Answers(asked, [one.references[0] for one in asked], [False] * 20))
    assert (right.own, right.others, right.is_learned) == (100, 50, True)
    assert Match.of(Answers(asked[:9], [("3", "x")] * 9, [True] * 9)) is None
    assert "52.5% of the symbols are right, against 52.5%" in not_learned_in_words(constant)[0]
    assert not_learned_in_words(right) == not_learned_in_words(None) == []
    assert Match.mean([constant, right]) == Match(76.25, 51.25, False)
    assert Match.mean([constant, None]) is None
    said, under = variants_in_words({"project": right, "zero": constant})
    assert said == ""
    assert under[0].startswith("zero has learned next to nothing of the sources")
    assert variants_in_words({"project": right, "zero": None}) == ("", [])


def test_the_attention_of_a_sentence_is_drawn_with_every_subword(trained, tmp_path, capsys):
    source = "A dog sleeps in a park."
    figure = trained.plot_attention(source)
    symbols = list(trained.split_source("", source))
    across, down = figure.axes[0].get_xticklabels(), figure.axes[0].get_yticklabels()
    assert [one.get_text() for one in across] == [*symbols, "end"]
    target = trained.translate(source, scores=True)[0][0]
    assert [one.get_text() for one in down] == [*target.symbols, "end"]
    assert figure.axes[0].get_xlabel() == "source subword"
    figure.draw_without_rendering()
    for labels, side in ((across, "x"), (down, "y")):
        places = [one.get_window_extent() for one in labels]
        gaps = [getattr(two, f"{side}0") - getattr(one, f"{side}1") for one, two in itertools.pairwise(places)]
        assert max(gaps) > -0.5 or min(-gap for gap in gaps) > 0  # in pixels: names do not overlap
    assert len(trained.plot_attention(["A dog runs.", "The boy runs.", ""], beam=1).axes) == 3  # two, and the colours
    for sources, said in (([], "found 0"), (["A dog runs."] * 21, "1 to 20 sources; found 21")):
        with pytest.raises(InputError, match=said):
            trained.plot_attention(sources)
    without = pairs.fit(SENTENCES, validation=SENTENCES[:4], attention="none", **{**SMALL, "epochs": 1})
    with pytest.raises(InputError, match="no attention"):
        without.plot_attention(source)
    assert (trained.report.out / "figures" / "attention.png").is_file()
    (tmp_path / "en.txt").write_text(f"{source}\n\nThe boy runs.\n")
    run = str(trained.report.out)
    command = ["translate", run, "--input", str(tmp_path / "en.txt"), "--figure", str(tmp_path / "drawn.png")]
    main(command)
    assert capsys.readouterr().out.splitlines()[0] == f"{source}\t{target.text}"
    assert {path.name for path in tmp_path.iterdir()} == {"en.txt", "drawn.png", "drawn.svg"}
    for wrong, said in (
        ([*command[:-1], "drawn.pdf"], "must end in .png"),
        (["translate", run, *command[1:]], "one run"),
    ):
        with pytest.raises(SystemExit):
            main(wrong)
        assert said in capsys.readouterr().err


def test_both_sides_share_their_subwords_on_request():
    apart = PairData.read(SENTENCES, SENTENCES[:2], None, PairSettings(**UNITS, subwords=60)).subwords
    assert apart["source"] != apart["target"]
    shared = PairData.read(
        SENTENCES, SENTENCES[:2], None, PairSettings(**UNITS, subwords=60, shared_subwords=True)
    ).subwords
    assert shared["source"] is shared["target"]
    with pytest.raises(InputError, match="`shared_subwords` needs `source_unit` subwords and `target_unit` subwords"):
        PairSettings(source_unit="subwords", target_unit="words", shared_subwords=True)


@pytest.mark.parametrize(
    ("size", "said"),
    [(8000, r"`subwords` must be at most \d+, since the training texts have no more; found 8000"), (3, "at least")],
)
def test_a_number_of_subwords_that_texts_do_not_have_is_refused(size, said, tmp_path):
    with pytest.raises(InputError, match=said):
        pairs.fit(SENTENCES, **{**SMALL, "subwords": size}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_text_is_restored_from_its_subwords():
    model = Subwords.train([text for pair in SENTENCES for text in pair], 80)
    for text in ("A dog, sleeps  here!", "Größe: „zwei“ 1.000 \u4e2d\u6587"):
        assert "".join(model.split(text)).replace("\u2581", " ").strip() == " ".join(text.split())
    assert Subwords.from_text(model.to_text()) == model


@pytest.mark.parametrize("damaged", [lambda model: b"", lambda model: model[:300], lambda model: bytes(9)])
def test_a_damaged_model_of_subwords_is_refused(damaged):
    model = Subwords.train([text for pair in SENTENCES for text in pair], 80)
    with pytest.raises(InputError, match="the model of the subwords is damaged"):
        Subwords(damaged(model.model)).split("a")


def test_texts_have_no_subwords():
    from contextual_rnn.data.units import check_unit

    with pytest.raises(InputError, match="`unit` must be one of characters"):
        check_unit("subwords", "unit")


def test_bleu_and_chrf_are_those_of_sacrebleu():
    found, references = ["a b c d e", "x y z w"], [["a b c d f", "a b c d e e"], ["x y z v"]]
    streams = [["a b c d f", "x y z v"], ["a b c d e e", None]]
    assert bleu(found, references) == sacrebleu.corpus_bleu(found, streams).score
    assert chrf(found, references) == sacrebleu.corpus_chrf(found, streams).score
    assert bleu(["A B C D"], [["a b c d"]], lowercase=True) == pytest.approx(100)
    assert signatures([["a"]], lowercase=True)[0].startswith("BLEU nrefs:1|case:lc")
    questions = [Question(("a",), None, tuple(tuple(right.split()) for right in rights)) for rights in references]
    answers = Answers(questions, [tuple(one.split()) for one in found], [True, True], unit="words")
    assert answers.metrics()["bleu"] == bleu(found, references)
    assert "bleu" not in Answers(questions, answers.found, [True, True], unit="symbols").metrics()


def test_words_have_bleu_only_if_sacrebleu_is_installed(monkeypatch):
    monkeypatch.setattr("contextual_rnn.jobs.pairs.metrics.is_installed", lambda: False)
    answers = Answers([Question(("a",), None, (("a",),))], [("a",)], [False], unit="words")
    assert set(answers.metrics()) == {"word_error_rate", "phone_error_rate"}


def test_minibatches_hold_a_number_of_symbols():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 30, (200, 2), generator=generator).tolist()
    encoded = [
        Encoded(torch.full((source,), row), torch.full((target,), row)) for row, (source, target) in enumerate(lengths)
    ]
    batches = list(bucketed(encoded, 1, symbols=150))
    assert sorted(int(row) for batch in batches for row in batch.source[:, 0]) == list(range(200))
    assert max(batch.source.numel() + batch.target.numel() for batch in batches) <= 150
    assert len(batches) < 1.6 * sum(map(sum, lengths)) / 150
    assert by_symbols([0, 1, 2], [(5, 5), (200, 1), (1, 1)], 20) == [[0], [1], [2]]


def test_the_validation_loss_is_that_of_each_symbol(trained):
    questions = [
        Question(trained.split_source("", source), None, (trained.subwords["target"].split(target),))
        for source, target in SENTENCES[:5]
    ]
    total = symbols = 0.0
    for one in questions:
        total += mean_loss(trained, [one]) * (len(one.references[0]) + 1)
        symbols += len(one.references[0]) + 1
    assert mean_loss(trained, questions) == pytest.approx(total / symbols, rel=1e-5)


def test_the_epoch_is_chosen_by_loss_without_a_search(tmp_path, monkeypatch):
    calls = []
    original = pairs.train.answer
    monkeypatch.setattr(pairs.train, "answer", lambda *arguments: calls.append(1) or original(*arguments))
    model = pairs.fit(SENTENCES, validation=SENTENCES[:4], **{**SMALL, "epochs": 3, "choose_by": "loss"})
    losses = [one["validation_loss"] for one in model.report.history]
    assert "bleu" in model.report.rows["validation"]
    assert len(calls) == 1
    assert f"epoch {1 + losses.index(min(losses))} of 3, which has the lowest validation loss" in " ".join(
        str(model.report).split()
    )
    assert mean_loss(
        model,
        [Question(model.split_source("", a), None, (model.subwords["target"].split(b),)) for a, b in SENTENCES[:4]],
    ) == pytest.approx(min(losses))


def test_real_sentences_are_read_and_split():
    root = os.environ.get("CONTEXTUAL_RNN_DATA")
    if not root:
        pytest.skip("CONTEXTUAL_RNN_DATA is not set: the folder that holds translation/multi30k_en_de_dev.tsv.gz")
    path = pathlib.Path(root) / "translation" / "multi30k_en_de_dev.tsv.gz"
    data = PairData.read(path, path, None, PairSettings(**UNITS, subwords=1000))
    with gzip.open(path, "rt", encoding="utf-8") as file:
        first = file.readline().rstrip("\n").split("\t")
    assert [
        "".join(side).replace("\u2581", " ").strip() for side in (data.training[0].source, data.training[0].target)
    ] == first
