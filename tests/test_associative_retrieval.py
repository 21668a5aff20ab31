"""Associative retrieval: the published data, the models, and the reproduction of the figure and the table."""

import json

import pytest
import torch

from contextual_rnn import FastWeightsRNN
from contextual_rnn.errors import InputError
from contextual_rnn.papers.experiment import PAPER_KINDS
from contextual_rnn.papers.retrieval import reproduce, reproduce_table
from contextual_rnn.papers.retrieval.data import SYMBOLS, Retrievals
from contextual_rnn.papers.retrieval.model import RetrievalModel, RetrievalRNN, first_epoch, loss, scores
from contextual_rnn.serialization import load, save


@pytest.mark.parametrize("order", ["paired", "grouped"])
def test_every_answer_stands_beside_its_letter(order):
    retrievals = Retrievals.draw(500, seed=3, order=order)
    for row in range(500):
        text = retrievals.text(row)
        keys, values = (text[0:8:2], text[1:8:2]) if order == "paired" else (text[:4], text[4:8])
        assert len(set(keys)) == 4
        assert "z" not in keys
        assert values.isdigit()
        assert text[8:10] == "??"
        assert keys[retrievals.pair[row]] == text[10]
        assert values[keys.index(text[10])] == SYMBOLS[retrievals.answer[row]]


def test_letters_digits_and_queries_are_drawn_evenly():
    retrievals = Retrievals.draw(20_000, seed=0)
    letters = torch.bincount(retrievals.symbols[:, :8:2].flatten(), minlength=37)
    assert letters[:25].min() > 0.9 * 80_000 / 25
    assert not letters[25:].any()
    assert torch.bincount(retrievals.pair).min() > 0.95 * 5_000
    assert torch.bincount(retrievals.answer)[26:36].min() > 0.9 * 2_000


@pytest.mark.parametrize("kind", PAPER_KINDS)
def test_the_model_is_the_published_one_run_over_the_embedded_sequence(kind):
    torch.manual_seed(0)
    model = RetrievalModel(kind).eval()
    assert not model.embedding.weight.any()
    torch.nn.init.normal_(model.embedding.weight)
    symbols = Retrievals.draw(5, seed=0).symbols
    core = FastWeightsRNN(100, 50, write="preliminary", epsilon=1e-12, backend="reference")
    core.load_state_dict(model.core.state_dict(), strict=False)  # its layer norm has a gain of 1 and an offset of 0
    embedded = model.embedding(symbols)
    _, (h, _) = core(embedded, model.initial_state(5, embedded[:, 0]))
    torch.testing.assert_close(model(symbols), model.head(h), rtol=1e-3, atol=1e-3)
    loss(model.train(), (symbols, Retrievals.draw(5, seed=0).answer)).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_it_learns_to_retrieve_a_few_sequences():
    torch.manual_seed(0)
    model, retrievals = RetrievalModel("context"), Retrievals.draw(64, seed=0)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(200):
        optimizer.zero_grad()
        loss(model, (retrievals.symbols, retrievals.answer)).backward()
        optimizer.step()
    assert scores(model, retrievals)["accuracy"] == 1.0
    assert model.core.layer_norm.weight is None


def test_the_attention_is_of_earlier_steps():
    model = RetrievalModel("zero")
    torch.nn.init.normal_(model.embedding.weight)
    attention = model.attention(Retrievals.draw(3, seed=0).symbols)
    assert attention.shape == (3, 11, 11)
    assert not attention.triu(1).any()
    assert attention.tril().any()


def test_models_are_written_and_read_back(tmp_path):
    symbols = Retrievals.draw(3, seed=0).symbols
    for model in (RetrievalModel("gaussian", hidden=6).eval(), RetrievalRNN("irnn", 5).eval()):
        save(model, tmp_path / "model.safetensors")
        assert torch.equal(load(tmp_path / "model.safetensors")(symbols), model(symbols))


def test_the_first_epoch_of_a_level():
    history = [{"accuracy": value} for value in (0.2, 0.5, 0.95, 0.4)]
    assert [first_epoch(history, level) for level in (50, 90, 99)] == [2, 3, None]


def test_reproduce_draws_the_figures_and_reports(tmp_path, monkeypatch):
    out = tmp_path / "art"
    options = {"out": out, "smoke": True, "seeds": 1, "jobs": 1, "initial_states": ["zero", "context"]}
    said = reproduce(**options)
    assert "number of epochs to 90% accuracy" in said
    assert str(out / "results.json") in said
    for name in ("figure_2", "accuracy_by_pair", "attention"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000
    report = json.loads((out / "results.json").read_text())
    assert [run["initial_state"] for run in report["runs"]] == ["zero", "context"]
    assert {"runs", "summary", "differences", "verdict"} == report.keys()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.safetensors")}
    assert before
    drawn, draw = [], Retrievals.draw.__func__

    def counted(cls, count, *arguments, **more):
        drawn.append(count)
        return draw(cls, count, *arguments, **more)

    monkeypatch.setattr(Retrievals, "draw", classmethod(counted))
    assert reproduce(**options, resume=True) == said
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.safetensors")}
    assert drawn == [1]  # the figures of a finished run need one sequence


def test_the_table_chooses_a_recipe_and_tests_every_seed(tmp_path):
    out = tmp_path / "table"
    said = reproduce_table(out=out, smoke=True, cells=["lstm", "irnn"], sizes=[5, 20], seeds=2, jobs=1)
    assert max(map(len, said.splitlines()[:-2])) <= 80
    assert "60.81" in said  # the published error of an LSTM of 20 units
    assert (out / "figures/test_error.png").stat().st_size > 10_000
    report = json.loads((out / "results.json").read_text())
    assert len(report["runs"]) == 2 * 2 * 2
    assert len(report["finals"]) == 2 * 2 * 2 * 2  # two finalists each
    for run in report["runs"]:
        rivals = [one for one in report["finals"] if (one["cell"], one["hidden"]) == (run["cell"], run["hidden"])]
        means = {}
        for one in rivals:
            means.setdefault(one["learning_rate"], []).append(one["metrics"]["validation_accuracy"])
        assert sum(means[run["learning_rate"]]) == max(map(sum, means.values()))
    assert all(0 <= run["metrics"]["test_error"] <= 100 for run in report["runs"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": ["gru"]}, "`cells` must be one of irnn, lstm, fast-weights"),
        ({"sizes": []}, "`sizes` needs at least one value"),
        ({"sizes": [20, 0]}, "`sizes` must be at least 1; found 0"),
        ({"sizes": [2.5]}, "`sizes` must be an integer"),
        ({"learning_rates": [1e-3, -1.0]}, "`learning_rates` must be greater than 0; found -1"),
        ({"embedding_scales": "much"}, "`embedding_scales` must be a number"),
    ],
)
def test_wrong_settings_of_the_table_are_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        reproduce_table(out=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
