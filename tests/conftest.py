"""Every run of the tests computes the same.

Hypothesis tries the same examples, unless HYPOTHESIS_PROFILE=search has it look for new ones; and PyTorch adds up in one
thread, for in several a sum differs in its last place, which after a thousand updates is another model.

Runs are trained in this process unless a test gives a number of `jobs`: new processes load every package first.

`make test-fast` leaves out the tests of the files below.
"""

import os

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
os.environ["LOKY_MAX_CPU_COUNT"] = "1"  # the number of processors as joblib counts them

settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("search", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

# Files whose tests train whole models, start processes or compile graphs, and take more than a few seconds together.
# fmt: off
SLOW = (
    "associative_retrieval", "cli", "cli_streams", "cluster", "commands_in_documents", "compatibility",
    "compatibility_graphs", "compatibility_training", "documents", "endurance", "examples", "explore", "explore_jobs", "export",
    "export_jobs", "export_torch", "extras", "forecast", "generation", "group", "image_context", "latent",
    "linear_cosine_decay", "notebooks", "pair_commands", "pair_fit", "pair_model", "parallel", "pen_digits",
    "readme", "seq2seq_interface", "series_compare", "system_identification", "texts", "texts_check", "tracing",
    "transcribe", "translation", "walk",
)
# fmt: on


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem.removeprefix("test_") in SLOW:
            item.add_marker(pytest.mark.slow)
