"""Data from files."""

from .._core.extras import require

require("jobs", "contextual_rnn.data")
