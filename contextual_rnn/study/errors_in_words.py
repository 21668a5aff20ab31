"""The errors of a model's answers and of baselines, by target, in words."""

from __future__ import annotations

from collections.abc import Mapping

from .._core.choices import listed


def errors_in_words(errors: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return a line for the model and each baseline, and one for each target in which a baseline is better.

    Args:
        errors: the RMSE of each target in its own unit, by target, of "the model" and of each baseline, by name.
    """
    lines = [
        f"RMSE of {name}: {', '.join(f'{error:.4g} ({target})' for target, error in by_target.items())}"
        for name, by_target in errors.items()
    ]
    for target, error in errors.get("the model", {}).items():
        better = [name for name, by_target in errors.items() if by_target.get(target, error) < error]
        if better:
            lines.append(f"The model has a higher RMSE of {target!r} than {listed(better)}.")
    return lines
