"""Errors that a user can correct."""


class InputError(ValueError):
    """Report bad input in one sentence: what was wrong, where, and what was expected."""
