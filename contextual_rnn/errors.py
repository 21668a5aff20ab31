"""Errors that are the user's to mend."""


class InputError(ValueError):
    """Bad input from a user: one clear sentence naming what was wrong, where, and what would be right."""
