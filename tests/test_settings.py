"""Settings: one declaration for Python, the command line and files, checked where they are made."""

import dataclasses
import json
from typing import Literal

import numpy as np
import pytest

from contextual_rnn import InputError
from contextual_rnn._core.settings import (
    Settings,
    check_count,
    check_seed,
    one_factor_at_a_time,
    setting,
    takes_settings,
)
from contextual_rnn.data.columns import ColumnSettings
from contextual_rnn.jobs.series import SeriesSettings
from contextual_rnn.study.fit import TrainingSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Few(Settings):
    names: tuple[str, ...] = setting(dataclasses.MISSING, "Some names.", group="data", least=1)
    size: int = setting(3, "A size.", group="model", least=1, most=9, tunable=True)
    share: float | None = setting(0.5, "A share.", group="model", above=0, below=1, tunable=True)
    flag: bool = setting(False, "Whether.", group="model")
    mood: Literal["merry", "sad"] = setting("sad", "The mood.", group="model", tunable=True)
    path: str | None = setting(None, "A path.", group="files")


def few(**options):
    return Few.of({"names": ["a"], **options})


def test_values_are_kept_and_plain():
    made = few(size=np.int64(4), share=np.float32(0.25), names=np.array(["a", "b"]))
    assert (made.size, made.share, made.names) == (4, 0.25, ("a", "b"))
    assert [type(value) for value in (made.size, made.share, made.names)] == [int, float, tuple]
    assert few(share=None).share is None
    assert few(names="alone").names == ("alone",)
    assert few(share=np.float64(0.125)).share == 0.125


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 0}, "`size` must be at least 1 and at most 9; found 0"),
        ({"size": 10}, "`size` must be at least 1 and at most 9; found 10"),
        ({"size": 2.5}, "`size` must be an integer; found 2.5"),
        ({"size": 2.0}, "`size` must be an integer; found 2.0"),
        ({"size": True}, "`size` must be an integer; found True"),
        ({"size": "3"}, "`size` must be an integer; found '3'"),
        ({"size": None}, "`size` must be an integer; found None"),
        ({"share": 0}, "`share` must be greater than 0 and less than 1; found 0"),
        ({"share": 1.0}, "`share` must be greater than 0 and less than 1; found 1"),
        ({"share": float("nan")}, "`share` must be greater than 0 and less than 1; found nan"),
        ({"share": float("inf")}, "`share` must be greater than 0 and less than 1; found inf"),
        ({"share": "half"}, "`share` must be a number; found 'half'"),
        ({"flag": "yes"}, "`flag` must be True or False; found 'yes'"),
        ({"flag": 1}, "`flag` must be True or False; found 1"),
        ({"mood": "mery"}, "`mood` must be one of merry, sad; found 'mery'; did you mean 'merry'?"),
        ({"mood": 5}, "`mood` must be one of merry, sad; found 5"),
        ({"mood": None}, "`mood` must be one of merry, sad; found None"),
        ({"path": 5}, "`path` must be a string; found 5"),
        ({"names": []}, "`names` needs at least one value"),
        ({"names": [1]}, "`names` must be a list of names; found [1]"),
        ({"names": 7}, "`names` must be a list of names; found 7"),
        ({"names": None}, "`names` must be a list of names; found None"),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(options, sentence):
    with pytest.raises(InputError) as refused:
        few(**options)
    assert str(refused.value) == sentence


def test_a_setting_without_a_range_must_be_finite():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Free(Settings):
        level: float = setting(0.0, "A level.", group="model")

    assert Free(level=-3).level == -3.0
    with pytest.raises(InputError, match="`level` must be finite; found inf"):
        Free(level=float("inf"))


def test_unknown_and_missing_names_are_named_with_the_nearest():
    with pytest.raises(TypeError, match="there is no setting 'siz'; did you mean 'size'"):
        few(siz=3)
    with pytest.raises(TypeError, match="the setting 'names' is required: Some names"):
        Few.of({})
    with pytest.raises(TypeError, match="there is no setting 'siz'"):
        Few.candidates({"names": ["a"], "siz": [3]})


def test_several_values_of_tunable_settings_become_candidates():
    made = Few.candidates({"names": ["a", "b"], "size": np.array([2, 3, 2]), "mood": ("merry", "sad"), "share": 0.1})
    assert [(one.size, one.mood) for one in made] == [(2, "merry"), (2, "sad"), (3, "merry"), (3, "sad")]
    assert all(one.names == ("a", "b") and one.share == 0.1 for one in made)
    with pytest.raises(InputError, match="`size` needs at least one value"):
        Few.candidates({"names": ["a"], "size": []})
    with pytest.raises(InputError, match="`flag` must be True or False"):  # not tunable
        Few.candidates({"names": ["a"], "flag": [True, False]})


def test_settings_go_through_json():
    made = few(names=["a", "b"], size=4, share=None)
    assert Few.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.replace(size=5).size == 5
    with pytest.raises(InputError, match="`size`"):
        made.replace(size=0)


@takes_settings(Few, without=("path",))
def verb(table, *, seed: int = 0, share: float = 0.75, **options):
    """Do something.

    Args:
        table: A table.
    """
    return table, seed, share, options


def test_a_verb_lists_its_settings_and_refuses_other_names():
    import inspect

    parameters = inspect.signature(verb).parameters
    assert list(parameters) == ["table", "seed", "share", "names", "size", "flag", "mood"]
    assert parameters["names"].default is inspect.Parameter.empty
    assert parameters["size"].default == 3
    assert "    size: A size. If several values are given, the best on validation data is used." in verb.__doc__
    assert verb(1, names=["a"], size=2) == (1, 0, 0.75, {"names": ["a"], "size": 2})
    with pytest.raises(TypeError, match=r"verb\(\) has no argument 'sizes'; did you mean 'size'"):
        verb(1, sizes=2)
    with pytest.raises(TypeError, match=r"verb\(\) has no argument 'path'"):
        verb(1, path="x")


def test_counts_and_seeds_are_checked():
    check_count(a=1, b=np.int64(3))
    for wrong in (0, -1, 2.0, True, "3", None):
        with pytest.raises(InputError, match="`b` must be an integer of at least 1; found"):
            check_count(a=1, b=wrong)
    with pytest.raises(InputError, match="`folds` must be an integer of at least 2; found 1"):
        check_count(least=2, folds=1)
    assert check_seed(np.int64(7)) == 7
    for wrong in (-1, 2**63, 1.5, True, None):
        with pytest.raises(InputError, match="`seed` must be an integer of at least 0 and less than 2"):
            check_seed(wrong)


SERIES = {"inputs": ("u",), "targets": ("y",)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"initial_state": "contxt"}, "found 'contxt'; did you mean 'context'?"),
        ({"cell": "fast-weights", "layers": 3}, "`layers` must be 1 for `cell` fast-weights; found 3"),
        ({"hidden": 0}, "`hidden` must be at least 1; found 0"),
        ({"hidden": 2.5}, "`hidden` must be an integer; found 2.5"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be greater than 0; found nan"),
        ({"weight_decay": float("inf")}, "`weight_decay` must be at least 0; found inf"),
        ({"inputs": ()}, "`inputs` needs at least one column"),
        ({"targets": ()}, "`targets` needs at least one value"),
        ({"washout": 128}, "`washout` (128) must be less than `length` (128)"),
        (
            {"initial_state": "context"},
            "initial state 'context' is computed from what is known of a series: name in `context` columns",
        ),
        (
            {"initial_state": "warm-up", "context": ("c",)},
            "initial state 'warm-up' needs the targets of a window: give `window`",
        ),
    ],
)
def test_settings_of_series_are_checked_where_they_are_made(options, words):
    with pytest.raises(InputError) as refused:
        SeriesSettings(**{**SERIES, **options})
    assert words in str(refused.value)


def test_the_initial_state_follows_what_is_known():
    assert SeriesSettings(**SERIES).initial_state == "zero"
    assert SeriesSettings(**SERIES, window=2).initial_state == "context"
    assert SeriesSettings(**SERIES, context="c").initial_state == "context"
    assert SeriesSettings(**SERIES, window=2, initial_state="free").kind.name == "free"


@pytest.mark.parametrize("settings", [Few, TrainingSettings, ColumnSettings, SeriesSettings])
def test_every_setting_is_described_in_one_sentence(settings):
    for field in dataclasses.fields(settings):
        assert field.metadata["description"].endswith("."), field.name
        assert field.metadata["group"] in ("data", "model", "training", "comparison", "files")


def test_one_factor_is_varied_at_a_time():
    assert one_factor_at_a_time({"x": ["1", "2"], "y": ["p", "q"]}) == [
        {"x": "1", "y": "p"},
        {"x": "2", "y": "p"},
        {"x": "1", "y": "q"},
    ]
