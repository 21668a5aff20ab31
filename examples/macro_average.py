"""The mean of several languages' word error, with its interval, from folders that `compare pairs` made.

python examples/macro_average.py runs/fre runs/gre runs/hun
"""

import json
import math
import pathlib
import sys


def macro(errors):
    """Return the mean rate and half of its 95% interval, nearly, from the languages' own, which are independent."""
    rates = [error["word_error_rate"] for error in errors]
    halves = [(error["high"] - error["low"]) / 2 for error in errors]
    return sum(rates) / len(rates), math.hypot(*halves) / len(halves)


def shown(name, error):
    """Return a row of the table."""
    middle = f"{error['word_error_rate']:6.2f} [{error['low']:5.2f}, {error['high']:5.2f}]"
    return f"{name:12} {middle}  {error['phone_error_rate']:5.2f}"


folders = [pathlib.Path(name) for name in sys.argv[1:]]
if not folders:
    sys.exit("name the run folders, such as runs/fre runs/gre")
results = [json.loads((folder / "results.json").read_text(encoding="utf-8")) for folder in folders]
for kind, title in (("errors", "mean of the seeds"), ("ensembles", "ensemble of the seeds")):
    firsts = [result[kind][0] for result in results if result[kind]]
    if len(firsts) < len(results):
        print(f"no {title}: a folder has one seed alone")
        continue
    print(f"{title}: word error, % [95%], phone error, %")
    for folder, first in zip(folders, firsts, strict=True):
        print(shown(folder.name, first))
    middle, half = macro(firsts)
    print(f"{'all':12} {middle:6.2f} [{middle - half:5.2f}, {middle + half:5.2f}]")
