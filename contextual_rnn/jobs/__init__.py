"""Jobs: models of the user's own data, one folder each."""

from .._core.extras import require

require("jobs", "contextual_rnn.jobs")
