"""Export of every job, each with every kind of initial state or bridge, cell and other setting, pairwise.

The models are those of `python -m benchmarks export`, which runs their full product at more sizes. With EVERY_CASE=1 in
the environment, a part of them in which every pair of settings occurs is run here, which takes 10 minutes; without it,
one per job but texts and generation, whose programs other tests run.
"""

import itertools
import os
import pathlib
import sys

import pytest
import torch

from contextual_rnn import InputError
from contextual_rnn.export import onnx_format
from contextual_rnn.export.check import difference
from contextual_rnn.export.files import graphs_of
from contextual_rnn.jobs.forecast import ForecastSettings
from contextual_rnn.jobs.pairs import PairSettings
from contextual_rnn.jobs.series import SeriesSettings
from contextual_rnn.jobs.texts import TextSettings
from contextual_rnn.jobs.texts.settings import PLACES
from contextual_rnn.kinds import KINDS, WITHOUT_WINDOW
from contextual_rnn.seq2seq import ATTENTIONS, BRIDGES

sys.path.append(str(pathlib.Path(__file__).parents[1]))
from benchmarks._export_cases import CASES

pytest.importorskip("onnx", reason="pip install 'contextual-rnn[export]'")
pytest.importorskip("onnxruntime", reason="pip install 'contextual-rnn[export]'")

EVERY_CASE = bool(os.environ.get("EVERY_CASE"))  # else some, for time
JOBS = ("series", "generation", "texts", "forecast", "pairs")
SIZES = ((1, 1), (3, 5), (17, 20))
ESTIMATED = {"estimated", "context+estimated"}
SOME = ["series: context, fast-weights, 1", "pairs: copy, multiplicative, gru, 2, label token"]


def settings_of(job):
    """The settings of every case of a job, by its name."""
    return {name: make.args[0] for name, make in CASES[job]()}


def pairs_of(settings):
    return set(itertools.combinations(sorted((key, repr(value)) for key, value in settings.items()), 2))


def pairwise(job):
    """Names of cases of a job that have every pair of settings which any case has."""
    left = {name: pairs_of(one) for name, one in settings_of(job).items()}
    missing, chosen = set().union(*left.values()), []
    while missing:
        chosen.append(max(left, key=lambda name: len(left[name] & missing)))
        missing -= left[chosen[-1]]
    return [f"{job}: {name}" for name in chosen]


CHOSEN = [name for job in JOBS for name in pairwise(job)] if EVERY_CASE else SOME


@pytest.mark.parametrize("name", CHOSEN)
def test_the_graphs_of_a_job_agree_with_its_model(name):
    job, _, case = name.partition(": ")
    torch.manual_seed(0)
    model = dict(CASES[job]())[case]().eval()
    for module in model.modules():
        if hasattr(module, "backend"):
            module.backend = "reference"  # needs no compilation
    kind = getattr(model.settings, "initial_state", None)
    if kind in ESTIMATED:
        with pytest.raises(InputError, match="is fitted to every window by least squares, which no graph does"):
            graphs_of(model)
        return
    for spec in graphs_of(model).specs:
        session = onnx_format.Session(onnx_format.onnx_bytes(spec, {}))
        assert max(difference(spec, session, *size) for size in SIZES) <= 1e-5


def choices(settings, name):
    """The values that a setting may have."""
    return set(
        settings.__dataclass_fields__[name]
        .type.removeprefix("Literal[")
        .rstrip("]")
        .replace('"', "")
        .replace("'", "")
        .split(", ")
    )


PRODUCTS = {  # of settings, of which every combination must be a case
    "series": {"initial_state": set(KINDS), "cell": choices(SeriesSettings, "cell")},
    "generation": {"initial_state": set(WITHOUT_WINDOW), "cell": choices(SeriesSettings, "cell")},
    "texts": {"context_in": set(PLACES), "cell": choices(TextSettings, "cell")},
    "forecast": {"bridge": set(BRIDGES), "attention": set(ATTENTIONS), "cell": choices(ForecastSettings, "cell")},
    "pairs": {"bridge": set(BRIDGES), "attention": set(ATTENTIONS), "cell": choices(PairSettings, "cell")},
}


@pytest.mark.parametrize("job", JOBS)
def test_every_kind_with_every_cell_is_a_case(job):
    wanted = PRODUCTS[job]
    found = {tuple(one.get(name) for name in wanted) for one in settings_of(job).values()}
    assert set(itertools.product(*wanted.values())) - found == set()
