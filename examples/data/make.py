"""Make the small tables of the examples: `python make.py` writes them beside this file. All of them are simulated."""

import math
import pathlib
import random

FOLDER = pathlib.Path(__file__).parent


def tank(runs, seed):
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


def swings(series, seed):
    """Simulate oscillations whose period is known, of two materials that decay at different rates."""
    numbers, rows = random.Random(seed), ["id,period,material,angle"]
    for number in range(series):
        period, material = numbers.uniform(6, 14), numbers.choice(["steel", "wood"])
        decay, phase = {"steel": 0.02, "wood": 0.08}[material], numbers.gauss(0, 0.1)
        for step in range(30):
            angle = math.exp(-decay * step) * math.cos(2 * math.pi * step / period + phase)
            rows.append(f"{number},{period:.2f},{material},{angle + numbers.gauss(0, 0.02):.3f}")
    return rows


def load(days, seed):
    """Simulate the hourly load of a small grid: a daily pattern, and more of it when it is cold."""
    numbers, rows, mood = random.Random(seed), ["hour,temperature,load"], 0.0
    for hour in range(24 * days):
        temperature = 10 + 5 * math.sin(2 * math.pi * (hour - 9) / 24) + 4 * math.sin(hour / 90)
        mood = 0.95 * mood + numbers.gauss(0, 0.3)
        pattern = 8 * math.sin(2 * math.pi * (hour - 12) / 24) ** 2
        rows.append(f"{hour},{temperature:.2f},{50 + pattern + 0.5 * max(0, 15 - temperature) + mood:.2f}")
    return rows


def words(count, seed):
    """Invent words and their sounds: spelling is regular, but some letters sound different before e and i."""
    numbers, rows = random.Random(seed), {}
    single = {letter: letter for letter in "abdefiklmnoprstu"}
    while len(rows) < count:
        pieces = [
            numbers.choice(["c", "g", "ch", "b", "d", "l", "m", "n", "r", "s", "t"]) + numbers.choice("aeiou")
            for _ in range(numbers.randint(2, 4))
        ]
        sounds = []
        for piece in pieces:
            consonant, vowel = piece[:-1], piece[-1]
            soft = vowel in "ei"
            sounds.append(
                {"c": "tʃ" if soft else "k", "g": "dʒ" if soft else "g", "ch": "k"}.get(
                    consonant, single.get(consonant)
                )
            )
            sounds.append(vowel)
        rows["".join(pieces)] = " ".join(sounds)
    return [f"{word}\t{sound}" for word, sound in rows.items()]


def write(name, rows):
    """Write one table."""
    (FOLDER / name).write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write("tank_train.csv", tank(24, 1))
    write("tank_test.csv", tank(12, 2))
    write("swings_train.csv", swings(60, 3))
    write("swings_test.csv", swings(20, 4))
    write("load_train.csv", load(40, 5))
    write("load_test.csv", load(20, 6))
    rows = words(500, 7)
    for name, part in (("train", rows[:350]), ("validation", rows[350:400]), ("test", rows[400:])):
        write(f"words_{name}.tsv", part)
