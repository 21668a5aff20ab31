"""Records of measured systems (nonlinearbenchmark.org), simulated after a window that gives the initial state."""

from .reproduce import reproduce

COMMANDS = {"reproduce system-identification": reproduce}
