"""Run folders of tiny models, one for every job, for the tests of the page."""

import math

import polars as pl

from contextual_rnn.jobs import forecast, generation, pairs, series, texts

SMALL = {"hidden": 8, "jobs": 1}


def swings(path, count=12):
    """Series of two targets, whose period and material are known."""
    rows = [
        (number, 6.0 + number, "steel" if number % 2 else "wood", math.cos(step * 6 / (6 + number)), math.sin(step / 3))
        for number in range(count)
        for step in range(20)
    ]
    pl.DataFrame(rows, schema=["id", "period", "material", "x", "y"], orient="row").write_csv(path)
    return str(path)


def generation_run(folder):
    train, out = swings(folder / "swings.csv"), folder / "generation"
    settings = {"targets": ["x", "y"], "context": ["period", "material"], "series": "id", "components": 2}
    generation.fit(train, out=out, epochs=2, **settings, **SMALL)
    return out


def texts_run(folder):
    rows = [("CCO" * (1 + number % 3), "short" if number % 3 < 1 else "long", number % 7) for number in range(40)]
    train, out = folder / "texts.csv", folder / "texts"
    pl.DataFrame(rows, schema=["smiles", "size", "logp"], orient="row").write_csv(train)
    settings = {"text": "smiles", "unit": "smiles", "context": ["size", "logp"], "embedding": 4, "context_hidden": 4}
    texts.fit(str(train), out=out, epochs=2, **settings, **SMALL)
    return out


def tanks(path, count=4):
    """Series of a level that follows the input, and starts where the number of the series says."""
    rows = []
    for number in range(count):
        level = 1.0 + number
        for step in range(30):
            push = math.sin(step / 4 + number)
            level += 0.1 * (push - 0.3 * level)
            rows.append((number, push, level))
    pl.DataFrame(rows, schema=["id", "u", "y"], orient="row").write_csv(path)
    return str(path)


def series_run(folder):
    """A comparison of two kinds, which are trained without a verdict: one seed, one epoch."""
    table, out = tanks(folder / "tanks.csv"), folder / "series"
    settings = {"inputs": ["u"], "targets": ["y"], "series": "id", "window": 3, "updates": 2, "epochs": 1}
    kinds = ["zero", "context"]
    series.compare(table, table, initial_states=kinds, seeds=1, out=out, **settings, **SMALL)
    return out


def pairs_run(folder, attention="additive"):
    words = ["ab", "ba", "abc", "cab", "bca", "aab", "cc", "acb", "bb", "caa", "cba", "abca"]
    train, out = folder / "pairs.tsv", folder / f"pairs-{attention}"
    train.write_text("".join(f"{word}\t{' '.join(word[::-1].upper())}\n" for word in words))
    settings = {"attention": attention, "embedding": 4, "batch_size": 4}
    pairs.fit(str(train), validation=str(train), out=out, epochs=1, **settings, **SMALL)
    return out


def forecast_run(folder):
    rows = [(f"2024-01-{1 + step // 24:02d} {step % 24:02d}:00", math.sin(step / 4), step % 5) for step in range(240)]
    train, out = folder / "loads.csv", folder / "forecast"
    pl.DataFrame(rows, schema=["time", "load", "warm"], orient="row").write_csv(train)
    settings = {"targets": ["load"], "inputs": ["warm"], "time": ["time"], "past": 24, "horizon": 6, "updates": 2}
    forecast.fit(
        str(train), test=str(train), out=out, quantiles=[0.1, 0.5, 0.9], base="last", epochs=1, **settings, **SMALL
    )
    return out


RUNS = {
    "generation": generation_run,
    "texts": texts_run,
    "series": series_run,
    "pairs": pairs_run,
    "forecast": forecast_run,
}
