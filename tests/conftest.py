"""Every run of the tests computes the same.

Hypothesis tries the same examples, unless HYPOTHESIS_PROFILE=search has it look for new ones; and PyTorch adds up in one
thread, for in several a sum differs in its last place, which after a thousand updates is another model.
"""

import os

import torch
from hypothesis import settings

torch.set_num_threads(1)

settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("search", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
