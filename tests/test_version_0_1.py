"""Files that version 0.1 wrote still load, and predict what version 0.1 predicted from them.

`version_0_1/` holds run folders of `fit series` and of `compare series`, small tables, and the predictions that
`predict` of version 0.1 wrote for them.
"""

import json
import pathlib

import numpy as np
import polars as pl
import pytest

import contextual_rnn
from contextual_rnn import InputError, serialization
from contextual_rnn.context import Label, Quantity, Vector
from contextual_rnn.jobs import series
from contextual_rnn.jobs.series import SeriesModel

FILES = pathlib.Path(__file__).parent / "version_0_1"
RUNS = [
    ("series", "tanks", ["y"]),
    ("series_panel", "panel", ["y", "z"]),
    ("compare_series/runs/context-seed-0", "compare", ["y"]),
]


def arguments(run):
    """Return the arguments in the header of a model file; a dict among them is kept as `{"dict": ...}`."""
    kept = serialization.read_header(FILES / run / "model.safetensors")["class"]["arguments"]
    return {name: value["dict"] if isinstance(value, dict) else value for name, value in kept.items()}


@pytest.mark.parametrize("load", [contextual_rnn.load, series.load])
@pytest.mark.parametrize(("run", "table", "targets"), RUNS)
def test_a_run_folder_loads_and_predicts_the_same(run, table, targets, load):
    model = load(FILES / run)
    predicted = model.predict(FILES / f"{'panel' if table == 'compare' else table}.csv").frame
    before = pl.read_csv(FILES / f"{table}_predicted.csv")
    assert predicted["step"].to_list() == before["step"].to_list()
    for target in targets:
        assert np.allclose(predicted[f"{target}_predicted"], before[target], rtol=1e-5, atol=1e-6)


def test_a_model_file_away_from_its_columns_has_numbered_ones(tmp_path):
    (tmp_path / "alone.safetensors").write_bytes((FILES / "series/model.safetensors").read_bytes())
    model = contextual_rnn.load(tmp_path / "alone.safetensors")
    assert (model.settings.inputs, model.settings.targets) == (("input_1",), ("target_1",))


def test_fields_are_those_that_the_training_table_had():
    upgraded = SeriesModel.upgrade(arguments("series_panel"), FILES / "series_panel/model.safetensors")
    assert isinstance(upgraded["fields"]["kind"], Label)
    assert upgraded["fields"]["kind"].names == ["a", "b", "c"]
    assert isinstance(upgraded["fields"]["size"], Quantity)
    beside_nothing = SeriesModel.upgrade(arguments("series_panel"), "model.safetensors")
    assert isinstance(beside_nothing["fields"]["context"], Vector)
    assert beside_nothing["fields"]["context"].out_features == 4  # a quantity and a label of three
    assert SeriesModel.upgrade({"settings": {}}, "x") == {"settings": {}}


def test_a_run_folder_of_version_0_1_is_not_overwritten(tmp_path):
    config = json.loads((FILES / "series/config.json").read_text())
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="holds a run with"):
        series.fit(FILES / "tanks.csv", inputs=["u"], targets=["y"], epochs=1, out=tmp_path / "run", resume=True)
    assert json.loads((tmp_path / "run/config.json").read_text()) == config
