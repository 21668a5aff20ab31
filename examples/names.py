"""Names by language: train a model of texts, write names of a language, and guess the language of a name.

    python examples/names.py [FOLDER]

FOLDER has a file of names per language, one name a line, such as that of https://github.com/spro/practical-pytorch
(data/names). Without it, the 128 names that come with the package show how the program works; they are too few to learn
a language.
"""

import pathlib
import sys

import polars as pl

from contextual_rnn import examples
from contextual_rnn.jobs import texts

MOST = 300  # names of a language that are used


def read(folder):
    """Return a table with the columns `name` and `language` from a folder of files."""
    found = {
        file.stem: file.read_text(encoding="utf-8").split("\n") for file in sorted(pathlib.Path(folder).glob("*.txt"))
    }
    rows = [(name.strip(), language) for language, names in found.items() for name in names[:MOST] if name.strip()]
    return pl.DataFrame(rows, schema=["name", "language"], orient="row")


names = read(sys.argv[1]) if len(sys.argv) > 1 else examples.names.train
size = {"hidden": 64, "embedding": 16, "context_hidden": 16, "epochs": 10, "batch_size": 16, "learning_rate": 0.01}
model = texts.fit(names, text="name", context=["language"], drop=0.1, jobs=1, **size)
print(model.report)
for language in ("Greek", "Irish", "Japanese"):
    found = model.sample({"language": language}, n=5, temperature=0.7, novel=True)["name"]
    print(f"{language}: {', '.join(found)}")
guesses = model.score(pl.DataFrame({"name": ["Nakamoto", "Papazoglou"]}), ("language", []))
for name, rows in guesses.group_by("name", maintain_order=True):
    best = rows.sort("probability", descending=True).row(0, named=True)
    print(f"{name[0]} is most likely {best['language']} ({best['probability']:.2f})")
