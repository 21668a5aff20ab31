"""What commands check of their options, and say of their pictures."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from typing import Any

from ..errors import InputError


def name_pictures(out: pathlib.Path) -> None:
    """Say where the pictures are and what they are called."""
    pictures = sorted(path.name for path in (out / "figures").glob("*.png"))
    print(f"The pictures are in {out / 'figures'}: {', '.join(pictures)}.")


def positive(**values: Any) -> None:
    """Raise InputError for the first option, by its name, that has no value or one that is not greater than 0."""
    for name, value in values.items():
        option = f"--{name.replace('_', '-')}"
        if value == ():
            raise InputError(f"{option} needs at least one value")
        for number in value if isinstance(value, tuple) else (value,):
            if not 0 < number < math.inf:
                raise InputError(f"{option} must be greater than 0; found {number}")


def check_accelerator(accelerator: str) -> None:
    """Raise InputError where an accelerator is not to be had, before a folder is made."""
    from ..study.fit import fabric_of

    if accelerator != "cpu":
        fabric_of(accelerator)


def check_seed(seed: int) -> None:
    """Raise InputError where a seed is none that torch takes."""
    if not 0 <= seed < 2**63:
        raise InputError(f"--seed must be at least 0 and less than 2^63; found {seed}")


def once_each(values: tuple[Any, ...], option: str = "--initial-states") -> list[Any]:
    """Return the values once each; raise InputError where there is none."""
    if not values:
        raise InputError(f"{option} needs at least one value")
    return list(dict.fromkeys(values))


def into(config: Any, command: Any, options: Any) -> Any:
    """Return a configuration, of the options of a command that are fields of it.

    Args:
        config: its class; what is no option stays as the class has it.
        command: the command.
        options: the class of the command that has the options; those of its subclasses are left out.
    """
    shared = {field.name for field in dataclasses.fields(config)} & {
        field.name for field in dataclasses.fields(options)
    }
    return config(**{name: getattr(command, name) for name in shared})
