"""Compare exported models with an interpreter that has numpy and onnxruntime alone."""

from __future__ import annotations

import json
import pathlib
import subprocess
import tempfile
from typing import Any

import numpy as np
import polars as pl

from benchmarks._export_times import tanks
from contextual_rnn.jobs import forecast, pairs, series, texts

STEPS: dict[str, Any] = {"epochs": 2, "jobs": 1}
SCRIPT = """
import importlib.util, json, sys
import numpy as np
import onnxruntime

for name in ("torch", "contextual_rnn", "scipy", "polars", "onnx"):
    assert importlib.util.find_spec(name) is None, f"{name} is installed"

def program(path):
    spec = importlib.util.spec_from_file_location("program", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Model

given = np.load("given.npz")
found = {}
for job in ("series", "forecast"):
    session = onnxruntime.InferenceSession(f"{job}.onnx")
    fed = {name.removeprefix(f"{job}."): given[name] for name in given if name.startswith(f"{job}.")}
    found[job] = dict(zip([one.name for one in session.get_outputs()], session.run(None, fed)))
arrays = {f"{job}.{name}": value for job, outputs in found.items() for name, value in outputs.items()}
np.savez("found.npz", **arrays)
asked = json.load(open("asked.json"))
search, write = program("pairs-search.py")("pairs"), program("texts-sample.py")("texts")
found = [search.beam(search.split(source)) for source in asked["sources"]]
targets = [[[search.join(symbols), score] for symbols, score in one] for one in found]
scores = [write.score(text, {"first": text[0]}) for text in asked["texts"]]
written = write.sample(2, {"first": "a"}, temperature=0)
json.dump({"targets": targets, "scores": scores, "written": written}, open("found.json", "w"))
print(sys.version.split()[0], "numpy", np.__version__, "onnxruntime", onnxruntime.__version__)
"""


def compare_alone(python: str) -> float:
    """Train a small model of each job, compare its results with those of another interpreter, and print them.

    Args:
        python: an interpreter that has numpy and onnxruntime alone.

    Returns:
        The largest difference; infinity if a text or a transcription differs.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        arrays, expected = _models_of_series(folder)
        asked, of_texts = _models_of_texts(folder)
        np.savez(folder / "given.npz", **arrays)
        (folder / "asked.json").write_text(json.dumps(asked))
        (folder / "alone.py").write_text(SCRIPT)
        command = [python, "-I", "alone.py"]  # without PYTHONPATH, where this library may be
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
        print(f"\nalone: Python {done.stdout.strip()}")
        found, words = np.load(folder / "found.npz"), json.loads((folder / "found.json").read_text())
        largest = [float(np.abs(found[key] - value).max()) for key, value in expected.items()]
        for key, away in zip(expected, largest, strict=True):
            print(f"  {key}: {expected[key].size} values, largest difference {away:.2g}")
        return max([*largest, _compared(words, of_texts)])


def _models_of_series(folder: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the models read, and what they answer, by job and name."""
    table = tanks(6, 0, 80).with_columns(at=pl.Series(list(range(80)) * 6))
    common: dict[str, Any] = {"inputs": ["u"], "targets": ["y"], "series": "id", "updates": 10, **STEPS}
    simulator = series.fit(table, window=3, hidden=16, cell="lstm", length=40, **common)
    forecaster = forecast.fit(table, past=20, horizon=10, hidden=16, quantiles=[0.1, 0.9], **common)
    simulator.export(folder / "series.onnx")
    forecaster.export(folder / "forecast.onnx")
    u, y = (table[name].to_numpy().reshape(6, 80, 1).astype(np.float32) for name in ("u", "y"))
    arrays = {"series.inputs": u, "series.window_targets": y[:, :3], "series.lengths": np.full(6, 80)}
    arrays |= {"forecast.past_targets": y[:, 50:70], "forecast.past_inputs": u[:, 50:70]}
    arrays |= {"forecast.future_inputs": u[:, 70:]}
    simulated = simulator.predict(table).frame["y_predicted"].drop_nulls().to_numpy().reshape(6, -1, 1)
    known, future = table.filter(table["at"] < 70), table.filter(table["at"] >= 70).drop("y")
    answer = forecaster.forecast(known, future)
    expected = {"series.predicted": simulated[:, -77:]}
    expected["forecast.forecast"] = answer["y_predicted"].to_numpy().reshape(6, 10, 1)
    levels = [answer[f"y_quantile_{level}"].to_numpy().reshape(6, 10, 1) for level in (0.1, 0.9)]
    expected["forecast.quantiles"] = np.stack(levels, 1)
    return arrays, expected


def _models_of_texts(folder: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return sources and texts, and the transcriptions, scores and texts of the models."""
    random = np.random.default_rng(0)
    sources = ["".join(random.choice(list("abcd"), random.integers(2, 8))) for _ in range(200)]
    pairs_of = pl.DataFrame({"source": sources, "target": [source[::-1].upper() for source in sources]})
    translator = pairs.fit(pairs_of, columns=["source", "target"], hidden=32, embedding=8, **STEPS)
    writer = texts.fit(
        pl.DataFrame({"text": sources, "first": [source[0] for source in sources]}),
        text="text", context=["first"], hidden=16, embedding=4, context_hidden=8, **STEPS,
    )  # fmt: skip
    translator.export(folder / "pairs.onnx")
    writer.export(folder / "texts.onnx")
    asked = {"sources": sources[:30], "texts": sources[:30]}
    found = translator.transcribe(asked["sources"], n_best=5, scores=True)
    rows = pl.DataFrame({"text": sources[:30], "first": [source[0] for source in sources[:30]]})
    expected = {
        "targets": [[(one.text, one.score) for one in targets if not isinstance(one, str)] for targets in found]
    }
    expected["scores"] = writer.score(rows)["log_likelihood"].to_list()
    return asked, {**expected, "written": writer.sample({"first": "a"}, 2, temperature=0)["text"].to_list()}


def _compared(found: dict[str, Any], expected: dict[str, Any]) -> float:
    """Print how many transcriptions and texts are the same; return the largest difference of scores.

    Differences are relative to the score, if that is more than 1.
    """
    pairs_of = list(zip(found["targets"], expected["targets"], strict=True))
    same = sum([text for text, _ in mine] == [text for text, _ in theirs] for mine, theirs in pairs_of)
    both = [(a, b) for mine, theirs in pairs_of for (_, a), (_, b) in zip(mine, theirs, strict=True)]
    away = [abs(a - b) / max(1.0, abs(b)) for a, b in both]  # sums of up to 100 log probabilities
    print(f"  pairs: the 5 best of {same} of {len(pairs_of)} sources are the same; scores differ by {max(away):.2g}")
    of_texts = zip(found["scores"], expected["scores"], strict=True)
    scores = [abs(a - b) / max(1.0, abs(b)) for a, b in of_texts]
    equal = found["written"] == expected["written"]
    print(f"  texts: the most likely texts are {'the same' if equal else 'others'}; scores differ by {max(scores):.2g}")
    return max([*away, *scores, 0.0 if equal and same == len(pairs_of) else float("inf")])
