"""Run folders of tiny models, one for every job, for the tests of the page."""

import math
import pathlib

import polars as pl

from contextual_rnn.jobs import generation


def swings(path, count=12):
    """Series of two targets, whose period and material are known."""
    rows = [
        (number, 6.0 + number, "steel" if number % 2 else "wood", math.cos(step * 6 / (6 + number)), math.sin(step / 3))
        for number in range(count)
        for step in range(20)
    ]
    pl.DataFrame(rows, schema=["id", "period", "material", "x", "y"], orient="row").write_csv(path)
    return str(path)


def generation_run(folder, **options):
    train = swings(folder / "swings.csv")
    settings = {"targets": ["x", "y"], "context": ["period", "material"], "series": "id", "hidden": 8, "components": 2}
    generation.fit(train, out=folder / "generation", epochs=2, jobs=1, **settings, **options)
    return pathlib.Path(folder / "generation")
