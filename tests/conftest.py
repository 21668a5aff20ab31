"""Hypothesis tries the same examples in every run; HYPOTHESIS_PROFILE=search has it look for new ones."""

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("search", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
