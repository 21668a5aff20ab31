"""Reproductions of published experiments, one folder or file for each."""

from .._core.extras import require

require("jobs", "contextual_rnn.papers")
