"""Handwritten digits as pen trajectories (UCI pen digits), generated from their label."""

from __future__ import annotations

from .reproduce import reproduce

COMMANDS = {"reproduce pen-digits": reproduce}
