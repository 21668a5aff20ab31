"""Training: a module, a loss, a folder. Nothing here knows a model or a task."""

from .._core.extras import require

require("jobs", "contextual_rnn.study")
