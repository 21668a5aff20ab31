"""Predict a series step by step, while its inputs come in; this needs numpy and onnxruntime alone.

contextual-rnn export runs/tank --out tank.onnx
python streaming.py tank.onnx start=low < tank.csv

The first rows of the table, the window, have the measured targets; the other rows need the inputs alone.
"""

import csv
import json
import sys

import numpy as np
import onnxruntime

path, *known = sys.argv[1:]
whole, step = (onnxruntime.InferenceSession(name) for name in (path, path.replace(".onnx", "-step.onnx")))
about = json.loads(whole.get_modelmeta().custom_metadata_map["contextual_rnn"])
context = {}
for name, value in (one.split("=", 1) for one in known):
    labels = about["labels"].get(name)
    context[about["context"][name]] = [labels.index(value) if labels else float(value)]


def number(column, cell):
    """Return the number of a cell: the place of a label, or a number less the offset of its column."""
    labels = about["input_labels"].get(column)
    return labels.index(cell) if labels else float(cell) - about["offsets"].get(column, 0)


def numbers(row, columns):
    """Return the numbers of columns of a row, (1, D)."""
    return np.array([[number(column, row[column]) for column in columns]], np.float32)


rows = csv.DictReader(sys.stdin)
first = [next(rows) for _ in range(about["window"] + 1)]
given = context | {"inputs": np.stack([numbers(row, about["input_columns"]) for row in first], 1)}
given |= {"lengths": [len(first)]}
if about["window"]:
    given["window_targets"] = np.stack([numbers(row, about["target_columns"]) for row in first[:-1]], 1)
predicted, *state = whole.run(None, given)
print(*about["target_columns"], sep=",")
offset = [about["offsets"].get(column, 0) for column in about["target_columns"]]
print(*predicted[0, -1] + offset, sep=",")
names = [one.name for one in step.get_inputs()]
for row in rows:  # each row could come from a sensor
    predicted, *state = step.run(None, dict(zip(names, [numbers(row, about["input_columns"]), *state], strict=True)))
    print(*predicted[0] + offset, sep=",", flush=True)
