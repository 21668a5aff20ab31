"""`pairs.fit` and `pairs.compare`: what they train, choose, find and write, and which data and settings they refuse."""

import itertools
import json
import os
import pathlib
import types

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from spelling import SMALL, WORDS, listed, spoken, write

from contextual_rnn import InputError, load
from contextual_rnn.data.pairs import Pair
from contextual_rnn.data.units import Units
from contextual_rnn.jobs import pairs
from contextual_rnn.jobs.pairs import answers as pair_answers
from contextual_rnn.jobs.pairs import train as pair_train
from contextual_rnn.jobs.pairs.answers import Answers, answer
from contextual_rnn.jobs.pairs.data import PairData, hold_out
from contextual_rnn.jobs.pairs.decode import Target
from contextual_rnn.jobs.pairs.figures import attention_weights
from contextual_rnn.jobs.pairs.questions import Question, questions
from contextual_rnn.jobs.pairs.train import Training

TINY = {**SMALL, "hidden": 4, "embedding": 4}


def one_line(text):
    """Return a text without its line breaks."""
    return " ".join(str(text).split())


def tensors(model):
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


def test_files_lists_and_frames_train_the_same_model(tmp_path):
    frame = pl.DataFrame(listed(WORDS), schema=["word", "sounds"], orient="row")
    wide = pd.DataFrame({"sounds": [spoken(word) for word in WORDS], "n": 1, "word": WORDS})
    models = [
        pairs.fit(write(tmp_path / "train.tsv", WORDS), epochs=1, **TINY),
        pairs.fit(listed(WORDS), epochs=1, **TINY),
        pairs.fit(frame, epochs=1, **TINY),
        pairs.fit(wide, columns=["word", "sounds"], epochs=1, **TINY),
    ]
    assert all(tensors(model) == tensors(models[0]) for model in models[1:])
    assert tensors(pairs.fit(frame, epochs=1, seed=1, **TINY)) != tensors(models[0])


def test_a_fit_reports_its_errors_and_keeps_what_it_wrote(tmp_path):
    model = pairs.fit(listed(WORDS), test=listed(WORDS[:5]), epochs=2, out=tmp_path / "run", **TINY)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert model.report.rows["test"]["word_error_rate"] == results["metrics"]["word_error_rate"]
    assert model.report.rows["validation"].keys() == {"word_error_rate", "phone_error_rate"}
    printed = str(model.report)
    assert "Of the 5 test sources" in one_line(printed)
    assert all(len(line) <= 80 for line in model.report.table().splitlines())
    assert "Of the 3 validation" not in printed
    for path in (tmp_path / "run" / "final" / "answers.tsv", tmp_path / "run" / "model.safetensors"):
        assert str(path) in printed
    assert (tmp_path / "run" / "figures" / "history.png").stat().st_size > 5000
    assert tensors(pairs.load(tmp_path / "run" / "model.safetensors")) == tensors(model)
    with pytest.raises(InputError, match="already holds a run; give `resume`"):
        pairs.fit(listed(WORDS), epochs=2, out=tmp_path / "run", **TINY)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hidden": 33}, "`hidden` must be even"),
        ({"dropout": 1}, "`dropout` must be at least 0 and less than 1"),
        ({"unknown": 1.0}, "`unknown` must be at least 0 and less than 1"),
        ({"sampling": 1.5}, "`sampling` must be at least 0 and at most 1"),
        ({"weight_decay": [0.1, float("inf")]}, "`weight_decay` must be at least 0"),
        ({"patience": 0}, "`patience` must be at least 1"),
        ({"seed": 2**63}, "`seed` must be an integer of at least 0"),
        ({"bridge": "projct"}, "`bridge` must be one of zero, project.*did you mean 'project'"),
        ({"attention": ["additive", "none"]}, "`attention` must be one of"),
        ({"attention": "none", "input_feeding": True}, "`input_feeding` needs an `attention`"),
        ({"label": "token"}, "`label` token: the pairs have no labels"),
        ({"train": [("a", "b"), ("a", "c")]}, "a single source"),
        ({"test": {"b": listed(WORDS)}}, r"`test` must have the labels of the training pairs \(none\); found b"),
        ({"train": {"a": listed(WORDS)}, "test": listed(WORDS)}, r"labels of the training pairs \(a\); found none"),
        ({"train": [f"a={os.devnull}", os.devnull]}, "each needs a label"),
        ({"train": os.devnull}, "is a pipe or a device; give a regular file"),
    ],
)
def test_wrong_settings_and_data_are_refused_before_a_folder_is_made(arguments, said, tmp_path):
    given = {"train": listed(WORDS), **TINY, **arguments}
    with pytest.raises(InputError, match=said):
        pairs.fit(given.pop("train"), out=tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_a_folder_is_not_made_if_the_accelerator_is_not_available(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    for call in (pairs.fit, lambda train, **options: pairs.compare(train, train, **options)):
        with pytest.raises(InputError, match="`accelerator` cuda is not available"):
            call(listed(WORDS), out=tmp_path / "run", accelerator="cuda", **TINY)
    assert not (tmp_path / "run").exists()


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="no argument 'hiden'; did you mean 'hidden'"):
        pairs.fit(listed(WORDS), hiden=4)


@pytest.mark.parametrize("bad", ["", "ab\n", "a\t\n", "a\tb\n\tb\n", "a\tb\nx\ty\tz\n"])
def test_a_bad_file_is_named_before_anything_is_trained(bad, tmp_path):
    good, path = write(tmp_path / "good.tsv", WORDS), tmp_path / "bad.tsv"
    path.write_text(bad)
    for files in ({"train": path}, {"train": good, "validation": path}, {"train": good, "test": path}):
        with pytest.raises(InputError, match=str(path)):
            pairs.fit(**files, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_comparison_says_what_each_factor_is_worth(tmp_path):
    arguments = {"bridge": ["project", "zero"], "attention": ["additive", "none"], "input_feeding": True, "seeds": 2}
    data = {"train": listed(WORDS[:-6]), "test": listed(WORDS[-6:] + WORDS[:6])}
    found = pairs.compare(**data, **arguments, epochs=4, out=tmp_path / "run", **TINY)
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["verdict"] == found.verdict
    assert found.verdict.startswith("Does the bridge matter? Not enough runs to tell.")
    assert found.answer in one_line(found)
    assert all(len(line) <= 80 for line in found.table().splitlines())
    kinds = [("project", "additive"), ("zero", "additive"), ("project", "none")]
    assert [(one["bridge"], one["attention"], one["seed"]) for one in results["runs"]] == [
        (*kind, seed) for kind in kinds for seed in (0, 1)
    ]
    for one in results["runs"]:
        assert one["metrics"]["word_error_rate"] == pytest.approx(100 * np.mean(one["wrong"]))
        name = f"{one['bridge']}-{one['attention']}-truth-none-seed-{one['seed']}"
        table = (tmp_path / "run" / "runs" / name / "answers.tsv").read_text(encoding="utf-8")
        assert [line.endswith("\twrong") for line in table.splitlines()[1:]] == one["wrong"]
        assert found.models[name].settings.input_feeding == (one["attention"] != "none")
    assert [one["variant"] for one in results["errors"]] == ["base", "bridge zero", "attention none"]
    assert "The base has bridge project, attention additive" in one_line(found)
    assert results["errors"][0]["low"] is None  # of 12 sources
    assert [(one["factor"], one["a"], one["b"]) for one in results["differences"]] == [
        ("bridge", "zero", "project"),
        ("attention", "none", "additive"),
    ]
    assert len(results["ensembles"]) == 3
    assert "Input feeding needs an attention" in one_line(found.details())
    assert "Of the 12 test sources, " in one_line(found.details())
    for name in ("errors", "attention"):
        assert (tmp_path / "run" / "figures" / f"{name}.png").stat().st_size > 5000
    before = (tmp_path / "run" / "results.json").read_bytes()
    again = pairs.compare(**data, **arguments, epochs=4, out=tmp_path / "run", resume=True, **TINY)
    assert (tmp_path / "run" / "results.json").read_bytes() == before
    assert again.summary == found.summary
    data["train"] = listed(WORDS[:-7])
    with pytest.raises(InputError, match="other data in `train`"):
        pairs.compare(**data, **arguments, epochs=4, out=tmp_path / "run", resume=True, **TINY)


def test_a_comparison_without_a_folder_keeps_models_and_figures_in_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = pairs.compare(listed(WORDS), listed(WORDS[:4]), seeds=1, epochs=1, **TINY)
    assert not list(tmp_path.iterdir())
    assert list(found.models) == ["project-additive-truth-none-seed-0", "zero-additive-truth-none-seed-0"]
    assert found.report["ensembles"] == []
    assert len(found.plot_errors().axes) == 2
    assert [place.get_title() for place in found.plot_attention(shown=2).axes[:2]] == ["", ""]
    assert "<td>project</td>" in found._repr_html_()
    found.save(tmp_path / "run")
    assert load(tmp_path / "run" / "runs" / found.models.names[1] / "model.safetensors").settings.bridge == "zero"
    alone = pairs.compare(listed(WORDS), listed(WORDS[:4]), bridge="copy", attention="none", seeds=1, epochs=1, **TINY)
    assert list(alone.figures()) == ["errors", "learning"]
    assert "there is nothing to compare" in alone.answer
    with pytest.raises(InputError, match="no attention"):
        alone.plot_attention()


def test_five_seeds_answer_the_question():
    found = pairs.compare(
        listed(WORDS[:8]), listed([*WORDS, "abca", "abcb", "abcc", "bacb"]), seeds=5, epochs=1, **TINY
    )
    assert found.answer.startswith(("Does the bridge matter? No difference was found.", "Does the bridge matter? Yes."))
    assert found.differences[0]["low"] <= found.differences[0]["shift"] <= found.differences[0]["high"]
    assert "40 test sources and 5 seeds" in found.answer


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"label": ["h0", "token"]}, "`label` h0, token: the pairs have no labels"),
        ({"label": "token"}, "`label` token: the pairs have no labels"),
        ({"label": "last"}, "`label` must be one of none, token, h0"),
        ({"bridge": []}, "`bridge` needs at least one value"),
        ({"bridge": "linear"}, "`bridge` must be one of"),
        ({"seeds": 0}, "`seeds` must be an integer of at least 1"),
        ({"attention": "none", "input_feeding": True}, "`input_feeding` needs"),
    ],
)
def test_wrong_comparisons_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        pairs.compare(listed(WORDS), listed(WORDS), **arguments)


def test_a_comparison_without_test_pairs_names_what_gives_them():
    with pytest.raises(InputError, match="test pairs are missing: give `test`, or `test_source` and `test_target`"):
        pairs.compare(listed(WORDS))


def test_settings_are_chosen_on_validation_pairs_for_every_variant_alike(tmp_path):
    data = {"train": listed(WORDS[:-6]), "test": listed(WORDS[-6:])}
    options = {**SMALL, "learning_rate": [0.02, 0.0001], "epochs": 5}
    found = pairs.compare(**data, **options, seeds=1, out=tmp_path / "run")
    for name in ("project-additive-truth-none", "zero-additive-truth-none"):
        chosen = found.report["chosen"][name]
        assert chosen["learning_rate"] == 0.02
        errors = [one["validation_phone_error_rate"] for one in chosen["validation"]]
        assert errors[0] < errors[1]
        assert f"Chosen for {name} on the validation pairs: learning rate 0.02." in found.verdict
        trials = sorted((tmp_path / "run" / "tuning").glob(f"{name}-*"))
        assert len(trials) == 2
        for trial in trials:  # which see no test pairs
            assert all(key.startswith("validation_") or key == "epoch" for key in _results(trial)["metrics"])
            assert not (trial / "answers.tsv").exists()
    model = pairs.fit(data["train"], **options)
    assert "Chosen on the validation data: learning rate 0.02." in one_line(model.report)


def _results(folder):
    return json.loads((folder / "results.json").read_text())


def test_long_targets_can_be_right(monkeypatch):
    """A model that copies its source, decoded for as many steps as allowed."""

    def copied(models, sources, labels, *, max_steps, **options):
        return [[Target("", source[: max_steps - 1], 0.0, ended=True)] for source in sources]

    monkeypatch.setattr(pair_answers, "decode", copied)
    asked = [Question(("a",) * 150, None, (("a",) * 150,))]
    model = types.SimpleNamespace(label_separator=None, units=Units("symbols", "symbols"))
    assert answer([model], asked).wrong == [False]


def test_the_nearest_of_several_references_counts():
    several = [Pair(("a",), ("x",)), Pair(("b",), ("y",)), Pair(("a",), ("x", "z", "w")), Pair(("a",), ("x",))]
    asked = questions(several)
    assert asked == [Question(("a",), None, (("x",), ("x", "z", "w"))), Question(("b",), None, (("y",),))]
    found = Answers(asked, [("x", "z"), ("y",)], [True, False])
    assert found.metrics() == {"word_error_rate": 50.0, "phone_error_rate": pytest.approx(100 / 4)}
    assert found.table(Units("characters", "symbols")).splitlines()[1] == "a\tx z\tx | x z w\twrong"


def test_all_references_of_a_source_are_held_out_together():
    several = [Pair((letter,), (str(number),)) for letter in "abcdefghijklmnopqrst" for number in range(3)]
    kept, held_out, _ = hold_out(several)
    assert sorted(kept + held_out, key=repr) == sorted(several, key=repr)
    assert {pair.source for pair in held_out}.isdisjoint(pair.source for pair in kept)
    assert len(held_out) == 6


@pytest.mark.parametrize("feeding", ["truth", "embedding", "output"])
def test_a_broken_run_resumes_to_the_same_bytes(feeding, tmp_path, monkeypatch):
    data = PairData.read(listed(WORDS), None, listed(WORDS[:5]))
    options = {"hidden": 8, "embedding": 4, "epochs": 3, "batch_size": 10}
    settings = pairs.PairSettings(feeding=feeding, sampling=0.8, **options)
    config = Training(data).run("run", settings, seed=1).config

    def train(name, breaks_at=None):
        (tmp_path / name).mkdir(exist_ok=True)
        batches, seen = pair_train.bucketed, itertools.count(1)

        def breaking(*arguments, **options):
            for batch in batches(*arguments, **options):
                if next(seen) == breaks_at:
                    raise KeyboardInterrupt
                yield batch

        with monkeypatch.context() as patch:
            patch.setattr(pair_train, "bucketed", breaking)
            result = Training(data)(config, tmp_path / name)
        return result, (tmp_path / name / "model.safetensors").read_bytes()

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("broken", breaks_at=6)
    assert train("broken") == whole


def test_the_attention_weights_of_a_symbol_sum_to_one_over_the_source_and_its_end():
    model = pairs.fit(listed(WORDS), epochs=1, **TINY)
    found = attention_weights(model, Pair(tuple("abb"), ("A", "B:")))
    assert found.shape == (3, 4)
    assert found.sum(axis=1) == pytest.approx(np.ones(3))


@pytest.mark.skipif("CONTEXTUAL_RNN_DATA" not in os.environ, reason="CONTEXTUAL_RNN_DATA is not set")
def test_real_words_are_learned_from_a_file(tmp_path):
    folder = pathlib.Path(os.environ["CONTEXTUAL_RNN_DATA"]) / "g2p"
    for name, step in (("train", 5), ("test", 3)):
        lines = (folder / f"hun_{name}.tsv").read_text(encoding="utf-8").splitlines(keepends=True)[::step]
        (tmp_path / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    options = {"epochs": 25, "hidden": 64, "dropout": 0.2, "learning_rate": 0.01}
    model = pairs.fit(tmp_path / "train.tsv", test=tmp_path / "test.tsv", **options)
    assert model.report.rows["test"]["phone_error_rate"] < 30
