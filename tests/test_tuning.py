"""The choice of settings: by validation error, averaged over folds, and without those with which training diverges."""

import dataclasses

import pytest

from contextual_rnn._core.settings import Settings, setting
from contextual_rnn.study.fit import DivergedError
from contextual_rnn.study.parallel import Training
from contextual_rnn.study.tuning import choose


@dataclasses.dataclass(frozen=True, kw_only=True)
class Size(Settings):
    size: int = setting(1, "The size.", group="model", tunable=True)
    epochs: int = 1
    mood: str = setting("sad", "The mood.", group="model", tunable=True)


ERRORS = {1: (3.0, 5.0), 2: (1.0, 9.0), 3: (4.0, 4.0), 4: (0.0, None)}  # of each fold; None diverges


class Data:
    validation = ()


class Tried(Training):
    def __call__(self, config, folder):
        size = config["settings"]["size"]
        error = ERRORS[size][config["fold"]]
        if error is None:
            raise DivergedError("the loss became nan")
        return {"metrics": {"error": error, "other": -size}}


def chosen(tmp_path, *candidates, minimise=("error",)):
    training = Tried(Data(), folds=2)
    object.__setattr__(training, "minimise", minimise)
    return choose(training, {"kind": list(candidates)}, tmp_path, resume=False, jobs=1)["kind"]


def test_the_lowest_average_is_chosen_and_the_first_of_equals(tmp_path):
    choice = chosen(tmp_path, Size(size=2), Size(size=1), Size(size=3))
    assert choice.settings == Size(size=1)
    assert choice.validation == [{"size": 2, "error": 5.0}, {"size": 1, "error": 4.0}, {"size": 3, "error": 4.0}]
    assert choice.in_words() == "size 1"


def test_equal_errors_are_decided_by_the_next_metric(tmp_path):
    assert chosen(tmp_path, Size(size=1), Size(size=3), minimise=("error", "other")).settings == Size(size=3)


def test_a_single_candidate_needs_no_trial(tmp_path):
    choice = chosen(tmp_path / "none", Size(size=4))
    assert (choice.settings, choice.validation, choice.in_words()) == (Size(size=4), [], "")
    assert not (tmp_path / "none").exists()


def test_settings_that_diverge_are_not_chosen(tmp_path):
    choice = chosen(tmp_path, Size(size=4), Size(size=2))
    assert choice.settings == Size(size=2)
    assert choice.validation[0] == {"size": 4, "error": None}


def test_if_all_diverge_the_error_says_so(tmp_path):
    with pytest.raises(DivergedError, match="kind: training diverged with all 2 settings; try a lower learning rate"):
        chosen(tmp_path, Size(size=4), Size(size=4, mood="merry"))
