"""Handwritten digits as pen trajectories (UCI pen digits), generated from their label."""

from .reproduce import reproduce

COMMANDS = {"reproduce pen-digits": reproduce}
