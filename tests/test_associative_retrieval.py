"""Associative retrieval: the data as published, the model, and the command that reproduces the figure."""

import json

import pytest
import torch

from contextual_rnn import FastWeightsRNN
from contextual_rnn.cli import main
from contextual_rnn.papers.common import KINDS
from contextual_rnn.papers.retrieval.model import SYMBOLS, RetrievalModel, Retrievals, loss, scores


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


@pytest.mark.parametrize("kind", KINDS)
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


def test_reproduce_draws_the_figures_and_reports(tmp_path, capsys):
    out = tmp_path / "art"
    command = ["reproduce", "art", "--smoke", "--seeds", "2", "--initial-states", "zero", "context", "--out", str(out)]
    main(command)
    assert "From h0 = context, seed by seed:" in capsys.readouterr().out
    for name in ("figure_2", "accuracy_by_pair", "attention"):
        assert (out / "figures" / f"{name}.png").stat().st_size > 10_000
    report = json.loads((out / "results.json").read_text())
    assert len(report["runs"]) == 4
    assert {"runs", "summary", "differences", "verdict"} <= report.keys()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.safetensors")}
    assert before
    main([*command, "--resume"])
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("checkpoint.safetensors")}


def test_the_table_chooses_a_rate_and_tests_every_seed(tmp_path, capsys):
    out = tmp_path / "table"
    sizes = ["--sizes", "5", "20", "--seeds", "2"]
    main(["reproduce", "associative-retrieval-table", "--smoke", *sizes, "--out", str(out)])
    printed = capsys.readouterr().out
    assert "(60.81)" in printed  # the published error of an LSTM of 20 units
    assert (out / "figures/test_error.png").stat().st_size > 10_000
    report = json.loads((out / "results.json").read_text())
    assert len(report["runs"]) == 3 * 2 * 2
    assert len(report["finals"]) == 3 * 2 * 2 * 2  # two finalists each
    for run in report["runs"]:
        rivals = [one for one in report["finals"] if (one["cell"], one["hidden"]) == (run["cell"], run["hidden"])]
        means = {}
        for one in rivals:
            means.setdefault(one["learning_rate"], []).append(one["metrics"]["validation_accuracy"])
        assert sum(means[run["learning_rate"]]) == max(map(sum, means.values()))
    assert all(0 <= run["metrics"]["test_error"] <= 100 for run in report["runs"])
