"""`Example`: the tables of an example, and the settings that describe them to a job."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

FOLDER = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Example:
    """The tables of an example, and the settings with which a job reads them.

    Attributes:
        name: of the example.
        job: the module of `contextual_rnn.jobs` that reads the tables.
        about: what the tables hold, in one sentence.
        files: the names of the files by their role: `train`, `test` and perhaps `validation`.
        settings: the arguments of the job that name the columns and describe the task.

    Example:
        >>> from contextual_rnn.examples import tank
        >>> tank.train.name, tank.settings["targets"]
        ('tank_train.csv', ('level',))

        `series.compare(tank.train, tank.test, **tank.settings)` compares initial states on them.
    """

    name: str
    job: str
    about: str
    files: Mapping[str, str]
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def train(self) -> pathlib.Path:
        """The path of the training table."""
        return FOLDER / self.files["train"]

    @property
    def validation(self) -> pathlib.Path | None:
        """The path of the validation table; None if there is none."""
        return FOLDER / self.files["validation"] if "validation" in self.files else None

    @property
    def test(self) -> pathlib.Path:
        """The path of the test table."""
        return FOLDER / self.files["test"]


tank = Example(
    "tank",
    "series",
    "A pump fills a leaking tank; the level at the start of a run differs, and no input tells it (simulated).",
    {"train": "tank_train.csv", "test": "tank_test.csv"},
    {"inputs": ("pump",), "targets": ("level",), "series": "run", "window": 3},
)
swings = Example(
    "swings",
    "generation",
    "Oscillations of a known period, of two materials that damp them differently (simulated).",
    {"train": "swings_train.csv", "test": "swings_test.csv"},
    {"targets": ("angle",), "series": "id", "context": ("period", "material"), "labels": ("material",)},
)
load = Example(
    "load",
    "forecast",
    "The hourly load of a small grid, which rises when it is cold (simulated).",
    {"train": "load_train.csv", "test": "load_test.csv"},
    {"targets": ("load",), "inputs": ("temperature",), "past": 48, "horizon": 24},
)
words = Example(
    "words",
    "pairs",
    "Invented words and their sounds, by rules in which c and g sound different before e and i (simulated).",
    {"train": "words_train.tsv", "validation": "words_validation.tsv", "test": "words_test.tsv"},
)
names = Example(
    "names",
    "texts",
    "Family names of four languages.",
    {"train": "names_train.csv", "test": "names_test.csv"},
    {"text": "name", "context": ("language",)},
)

EXAMPLES = {example.name: example for example in (tank, swings, load, words, names)}
