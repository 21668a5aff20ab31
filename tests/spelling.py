"""A language for tests of pairs: every letter is its capital, but a doubled letter is one long sound."""

import itertools

WORDS = ["".join(letters) for size in (2, 3) for letters in itertools.product("abc", repeat=size)]
SMALL = {
    "hidden": 32,
    "embedding": 16,
    "dropout": 0.0,
    "weight_decay": 0.0,
    "learning_rate": 0.02,
    "batch_size": 6,
    "jobs": 1,
}


def spoken(word):
    """Return the sounds of a word, separated by spaces."""
    return " ".join(letter.upper() + ":" * (len(list(run)) > 1) for letter, run in itertools.groupby(word))


def listed(words):
    """Return words with their sounds, as a list of tuples."""
    return [(word, spoken(word)) for word in words]


def write(path, words):
    """Write a file of words with their sounds, and return its path."""
    path.write_text("".join(f"{word}\t{sounds}\n" for word, sounds in listed(words)), encoding="utf-8")
    return str(path)
