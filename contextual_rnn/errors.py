"""Errors that a user can correct."""


class InputError(ValueError):
    """Report bad input in one sentence: what was wrong, where, and what was expected."""


class DataWarning(UserWarning):
    """Data that are allowed, and of which a result may be wrong; the command line prints it as one sentence."""
