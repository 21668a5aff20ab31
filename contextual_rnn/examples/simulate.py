"""Simulate the tables of the examples, each with its own seed.

`python -m contextual_rnn.examples.simulate FOLDER` writes them to a folder, as they come with the package.
"""

from __future__ import annotations

import math
import pathlib
import random
import sys


def tank(runs: int, seed: int) -> list[str]:
    """Simulate a pump that fills a leaking tank. The level at the start of a run is no input, but can be measured."""
    numbers, rows = random.Random(seed), ["run,pump,level"]
    for run in range(runs):
        level, pump = numbers.uniform(0.2, 4), 0.5
        for step in range(60):
            if step % 10 == 0:
                pump = numbers.uniform(0, 1.5)
            rows.append(f"{run},{pump:.3f},{level + numbers.gauss(0, 0.02):.3f}")
            level += 0.1 * (pump - 0.5 * math.sqrt(level))
    return rows


def swings(series: int, seed: int, shortest: float, longest: float) -> list[str]:
    """Simulate oscillations whose period is known, of two materials that decay at different rates."""
    numbers, rows = random.Random(seed), ["id,period,material,angle"]
    for number in range(series):
        period, material = numbers.uniform(shortest, longest), numbers.choice(["steel", "wood"])
        decay, phase = {"steel": 0.02, "wood": 0.08}[material], numbers.gauss(0, 0.1)
        for step in range(30):
            angle = math.exp(-decay * step) * math.cos(2 * math.pi * step / period + phase)
            rows.append(f"{number},{period:.2f},{material},{angle + numbers.gauss(0, 0.02):.3f}")
    return rows


def load(days: int, seed: int) -> list[str]:
    """Simulate the hourly load of a small grid: a daily pattern, and more of it when it is cold."""
    numbers, rows, mood = random.Random(seed), ["hour,temperature,load"], 0.0
    for hour in range(24 * days):
        temperature = 10 + 5 * math.sin(2 * math.pi * (hour - 9) / 24) + 4 * math.sin(hour / 90)
        mood = 0.95 * mood + numbers.gauss(0, 0.3)
        pattern = 8 * math.sin(2 * math.pi * (hour - 12) / 24) ** 2
        rows.append(f"{hour},{temperature:.2f},{50 + pattern + 0.5 * max(0, 15 - temperature) + mood:.2f}")
    return rows


def words(count: int, seed: int) -> list[str]:
    """Invent words and their sounds: spelling is regular, but some letters sound different before e and i."""
    numbers, rows = random.Random(seed), dict[str, str]()
    while len(rows) < count:
        pieces = [
            numbers.choice(["c", "g", "ch", "b", "d", "l", "m", "n", "r", "s", "t"]) + numbers.choice("aeiou")
            for _ in range(numbers.randint(2, 4))
        ]
        rows["".join(pieces)] = " ".join(sound for piece in pieces for sound in (_sound(piece), piece[-1]))
    return [f"{word}\t{sound}" for word, sound in rows.items()]


def _sound(piece: str) -> str:
    """Return the sound of the consonant of a syllable."""
    consonant, soft = piece[:-1], piece[-1] in "ei"
    return {"c": "tʃ" if soft else "k", "g": "dʒ" if soft else "g", "ch": "k"}.get(consonant, consonant)


def tables() -> dict[str, list[str]]:
    """Return the lines of every table by the name of its file."""
    invented = words(500, 7)
    return {
        "tank_train.csv": tank(24, 1),
        "tank_test.csv": tank(12, 2),
        "swings_train.csv": swings(60, 3, 6, 14),
        "swings_test.csv": swings(20, 4, 7, 13),
        "load_train.csv": load(40, 5),
        "load_test.csv": load(20, 6),
        "words_train.tsv": invented[:350],
        "words_validation.tsv": invented[350:400],
        "words_test.tsv": invented[400:],
    }


if __name__ == "__main__":
    for name, lines in tables().items():
        (pathlib.Path(sys.argv[1]) / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
