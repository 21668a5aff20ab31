"""What the page of each job answers, on tiny models."""

import json

import pytest
from explored_runs import forecast_run, pairs_run, series_run, texts_run

from contextual_rnn import Label, load
from contextual_rnn.errors import InputError
from contextual_rnn.explore.asked import Asked
from contextual_rnn.explore.contexts import drawn_as, made_up_contexts
from contextual_rnn.explore.explorable import Explorable
from contextual_rnn.explore.explored import open_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def texts(folder):
    return page_of(texts_run(folder))


@pytest.fixture(scope="module")
def series(folder):
    return page_of(series_run(folder))


@pytest.fixture(scope="module")
def pairs(folder):
    return page_of(pairs_run(folder))


@pytest.fixture(scope="module")
def forecast(folder):
    return page_of(forecast_run(folder))


def page_of(run):
    explored = open_run(run, Explorable)
    page = type(explored.first).page(explored)
    json.dumps(page.describe())
    return page


def ask(page, name, **values):
    return page.answer(name, Asked(values))


@pytest.mark.parametrize("job", ["texts", "series", "pairs", "forecast"])
def test_the_first_call_of_a_page_can_be_answered(job, request):
    page = request.getfixturevalue(job)
    assert ask(page, page.first[0], **page.first[1])


def test_texts_have_the_probability_of_every_symbol(texts):
    found = ask(texts, "write", context={"size": "short"}, n=3, steps=20, zero=True)
    assert len(found["texts"]) == len(found["zero"]) == 3
    for text in found["texts"]:
        assert len(text["symbols"]) == len(text["probabilities"]) == len(text["alternatives"])
        assert all(0 < one <= 1 for one in text["probabilities"])
        for drawn, chance, others in zip(text["symbols"], text["probabilities"], text["alternatives"], strict=True):
            assert dict(map(tuple, others)).get(drawn, chance) == pytest.approx(chance, abs=2e-3)
    for text, other in zip(found["texts"], found["zero"], strict=True):
        assert len(text["nats_of_others"]) == len(other["nats_of_others"]) == 1
        if text["text"] == other["text"] and text["ended"] and other["ended"]:
            assert text["nats_of_others"][0] == pytest.approx(other["nats"], abs=1e-3)
            assert other["nats_of_others"][0] == pytest.approx(text["nats"], abs=1e-3)
        assert text["nats"] != text["nats_of_others"][0]
    model = texts.explored.first
    wanted = [text for text, _ in model.texts({"size": "short"}, 3, steps=20)]
    assert [text["text"] for text in found["texts"]] == wanted
    likely = ask(texts, "write", context={}, n=1, steps=20, temperature=0)["texts"][0]
    assert likely["probabilities"] == [max(chance for _, chance in one) for one in likely["alternatives"]]


def test_texts_start_where_the_map_says_and_with_the_prefix(texts):
    found = ask(texts, "write", context={"size": "short", "logp": 3}, n=1, steps=9, temperature=0)
    there = ask(texts, "write", context={}, place=found["here"], n=1, steps=9, temperature=0)
    assert there["here"] == found["here"]
    begun = ask(texts, "write", context={}, prefix="OC", n=2, steps=9)
    assert all(text["text"].startswith("OC") and text["given"] == 2 for text in begun["texts"])
    with pytest.raises(InputError, match="symbol 'N', which the training texts lack"):
        ask(texts, "write", context={}, prefix="N")
    with pytest.raises(InputError, match="'huge'"):
        ask(texts, "write", context={"size": "huge"})


def test_molecules_are_drawn_where_rdkit_is(texts):
    pytest.importorskip("rdkit", reason="pip install 'contextual-rnn[molecules]'")
    assert texts.describe()["molecules"]
    text = texts._molecule("CCO", texts.explored.first)
    assert text["formula"].startswith("<svg")
    assert "style=" not in text["formula"]
    assert text["properties"] == {"logp": pytest.approx(-0.0014, abs=1e-3)}
    assert texts._molecule("C(", texts.explored.first) == {"formula": None, "properties": {}}


def test_series_are_predicted_by_every_kind_from_the_window(series):
    about = series.describe()
    assert about["kinds"] == ["zero", "context"]
    assert about["verdict"].startswith("Does the initial state matter?")
    assert about["window"] == 3
    assert {name: one["knows"] for name, one in about["meanings"].items()} == {"zero": False, "context": True}
    found = ask(series, "predict", series=1, start=4, steps=13)
    assert len(found["measured"][0]) == 13
    for kind in found["kinds"]:
        assert len(kind["predicted"][0]) == len(kind["errors"][0]) == 10
        first = abs(kind["predicted"][0][0] - found["measured"][0][3])
        assert kind["errors"][0][0] == pytest.approx(first, abs=1e-3)
    model = series.models["context"]
    wanted = next(iter(model.predictions([series.records[1].part(4, 17)])))[:, 0].tolist()
    assert found["kinds"][1]["predicted"][0] == pytest.approx(wanted, abs=1e-3)


def test_other_first_samples_change_the_prediction_of_the_kind_that_reads_them(series):
    found = ask(series, "predict", series=0, start=0, steps=10)
    rows = [[value + 1.5] for value in found["window"][0]]
    changed = ask(series, "predict", series=0, start=0, steps=10, window=rows)
    zero, context = ([kinds["kinds"][place]["predicted"] for kinds in (found, changed)] for place in (0, 1))
    assert zero[0] == zero[1]
    assert context[0] != context[1]
    assert changed["measured"] == found["measured"]
    assert changed["window"][0] == pytest.approx([row[0] for row in rows], abs=1e-3)
    for rows, words in (([[1.0]], "3 rows of 1"), ([["a"]] * 3, "3 rows of 1"), ([[None]] * 3, "missing")):
        with pytest.raises(InputError, match=words):
            ask(series, "predict", series=0, window=rows)
    with pytest.raises(InputError, match="`start` must be an integer from 0 to 26"):
        ask(series, "predict", series=0, start=27)


def test_a_single_model_of_series_is_shown_beside_the_same_network_from_zero(series, tmp_path):
    model = series.models["context"]
    with model.explore(data=str(series.explored.folder.parent / "tanks.csv")) as running:
        assert running.url.startswith("http://127.0.0.1:")
    path = tmp_path / "model.safetensors"
    model.save(path)
    page = page_of(path)
    assert list(page.models) == ["context", "h0 = 0, same network"]
    assert page.describe()["series"] == []
    with pytest.raises(InputError, match="names no table; give a table as data"):
        ask(page, "predict")


def test_pairs_have_scores_attention_and_the_states_of_the_bridge(pairs):
    found = ask(pairs, "write", source="abz", n_best=3, beam=4, zero=True)
    assert [one["known"] for one in found["symbols"]] == [True, True, False]
    assert "'z' did not occur in training" in found["remarks"][0]
    assert found["columns"] == ["a", "b", "z", "end"]
    assert len(found["targets"]) == 3
    scores = [target["score"] for target in found["targets"]]
    assert scores == sorted(scores, reverse=True)
    for target in found["targets"]:
        assert len(target["attention"]) == len(target["symbols"]) == len(target["probabilities"])
        for row in target["attention"]:
            assert sum(row) == pytest.approx(1, abs=0.01)
    names = [part["name"] for part in found["states"]]
    assert names[:2] == ["encoder's final state: h, forward", "encoder's final state: h, backward"]
    assert names[-1] == "decoder's h0: c"
    assert pairs.describe()["facts"]["model"][0].startswith("An encoder reads the source (characters); a decoder")
    assert found["zero"]["score"] != scores[0]
    for target in found["targets"]:  # with an alpha of 0, the score is the log probability
        assert target["log_probability"] == pytest.approx(target["score"], abs=1e-3)
    assert found["zero"]["log_probability_from_zero"] == pytest.approx(found["zero"]["score"], abs=1e-3)
    wanted = pairs.explored.first.transcribe(["ab"], n_best=2, beam=3)
    again = ask(pairs, "write", source="ab", n_best=2, beam=3)
    assert [target["text"] for target in again["targets"]] == [target.text for target in wanted[0]]
    assert ask(pairs, "write", source="")["targets"] == []
    with pytest.raises(InputError, match="`n_best` must be at most `beam`, 2; found 3"):
        ask(pairs, "write", source="ab", n_best=3, beam=2)


def test_pairs_without_attention_show_the_bridge(folder):
    page = page_of(pairs_run(folder, "none"))
    found = ask(page, "write", source="ab")
    assert found["targets"][0]["attention"] is None
    assert len(found["states"]) == 6
    with pytest.raises(InputError, match="`source` must be a text of at most 300"):
        ask(page, "write", source="a" * 301)


def test_forecasts_are_beside_what_came_with_quantiles_and_baselines(forecast):
    about = forecast.describe()
    assert (
        about["kinds"]
        == ["the model", "h0 = 0, same network", "persistence", "mean", "seasonal", "linear"][: len(about["kinds"])]
    )
    assert {"persistence", "mean", "seasonal"} <= set(about["kinds"])
    found = ask(forecast, "forecast", start=10)
    assert found["time"] == "2024-01-02 10:00"
    assert len(found["past"][0]) == 24
    assert len(found["measured"][0]) == 6
    model = found["lines"][0]
    assert [len(level[0]) for level in model["quantiles"]] == [6, 6, 6]
    assert model["forecast"] != found["lines"][1]["forecast"]
    persistence = next(line for line in found["lines"] if line["name"] == "persistence")
    assert persistence["forecast"][0] == [pytest.approx(found["past"][0][-1])] * 6
    assert ask(forecast, "times")["times"][10] == found["time"]
    wanted = next(iter(forecast.explored.first.forecasts([forecast.records[0].part(10, 40)])))
    assert model["forecast"][0] == pytest.approx(wanted[:, 0].tolist(), abs=1e-3)
    with pytest.raises(InputError, match="`start` must be an integer from 0 to 210"):
        ask(forecast, "forecast", start=211)


def test_every_job_has_a_page_in_python(texts, pairs, forecast):
    for page in (texts, pairs, forecast):
        assert page.describe()["facts"]["model"][-1].startswith("Try: ")
        with load(page.explored.folder).explore() as running:
            assert str(running).startswith("The page is at")


def test_a_map_of_labels_has_a_point_for_each_combination():
    fields = {"language": Label(4), "size": Label(2)}
    made = made_up_contexts(fields, 300)
    assert len(made) == len({tuple(one.items()) for one in made}) == 8
    assert drawn_as(fields, 300) == "one language and one size"
    assert len(made_up_contexts(fields, 5)) == 5
    assert "at random" in drawn_as(fields, 5)
