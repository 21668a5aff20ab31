"""Settings of a job: one frozen dataclass for Python, the command line and the files of a run.

A job declares each of its settings once, with its default, its range and one sentence of documentation:

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class MySettings(Settings):
        hidden: int = setting(32, "Hidden units of each layer.", group="model", least=1, tunable=True)
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import math
import numbers
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Self, TypeVar

from ..errors import InputError
from .choices import check_choice, nearest

GROUPS = ("data", "model", "training", "comparison", "output")
Function = TypeVar("Function", bound=Callable[..., Any])

_ANNOTATIONS: dict[type, dict[str, Any]] = {}


def setting(
    default: Any,
    description: str,
    *,
    group: str,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
    choices: Sequence[str] | None = None,
    tunable: bool = False,
    compared: bool = False,
    metavar: str | None = None,
) -> Any:
    """Declare a field of a `Settings` class.

    Args:
        default: the default value; `dataclasses.MISSING` makes the setting required.
        description: one sentence, for the documentation and the command line's help.
        group: one of `GROUPS`, the heading under which the help lists it.
        least: the smallest allowed number; for a tuple of names, the smallest allowed number of names. A tuple of
            numbers needs at least one, and the range applies to each.
        above: a number that the value must exceed.
        most: the largest allowed number.
        below: a number that the value must be less than.
        choices: the allowed names; not needed with a `Literal` annotation.
        tunable: whether several values may be given, from which the best on validation data is chosen.
        compared: whether `compare` accepts several values and compares their results.
        metavar: the placeholder for the value in the help, such as `COLUMN`.
    """
    metadata = {
        "description": description,
        "group": group,
        "range": {"least": least, "above": above, "most": most, "below": below},
        "choices": choices,
        "tunable": tunable,
        "compared": compared,
        "metavar": metavar,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The base class of the settings of all jobs. Values are checked when an instance is created.

    Raises:
        InputError: a value has the wrong type, is outside its range, or is not one of the choices.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.metadata:
                object.__setattr__(self, field.name, _checked(type(self), field, getattr(self, field.name)))

    @classmethod
    def of(cls, options: dict[str, Any]) -> Self:
        """Return the settings for a dict of options with one value each.

        Raises:
            TypeError: an option is not a setting, or a required option is missing.
        """
        cls._check_names(options)
        return cls(**options)

    @classmethod
    def candidates(cls, options: dict[str, Any]) -> list[Self]:
        """Return the settings for every combination of the values of the tunable options.

        Raises:
            TypeError: an option is not a setting, or a required option is missing.
            InputError: a value is not allowed, or a tunable option has no value.
        """
        cls._check_names(options)
        fields = {field.name: field for field in dataclasses.fields(cls)}
        varied = {
            name: list(dict.fromkeys(value)) if _is_several(value) else [value]
            for name, value in options.items()
            if fields[name].metadata.get("tunable")
        }
        for name, values in varied.items():
            if not values:
                raise InputError(f"`{name}` needs at least one value")
        fixed = {name: value for name, value in options.items() if name not in varied}
        return [
            cls(**fixed, **dict(zip(varied, values, strict=True))) for values in itertools.product(*varied.values())
        ]

    @classmethod
    def variants(cls, options: dict[str, Any]) -> list[tuple[dict[str, str], Self]]:
        """Return the base and its variants, which are the settings to compare.

        The base has the first value of every compared option; each variant has another value of one option.

        Returns:
            For each, the values of the compared options, and the settings.

        Raises:
            TypeError: an option is not a setting, or a required option is missing.
            InputError: a value is not allowed, or a compared option has no value.
        """
        cls._check_names(options)
        values = {
            field.name: _names(cls, field, options[field.name])
            for field in dataclasses.fields(cls)
            if field.metadata.get("compared") and field.name in options
        }
        for name, several in values.items():
            if not several:
                raise InputError(f"`{name}` needs at least one value")
        distinct = {name: tuple(dict.fromkeys(several)) for name, several in values.items()}
        return [(chosen, cls(**{**options, **chosen})) for chosen in one_factor_at_a_time(distinct)]

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Return the settings from the result of `to_json`, after a round trip through JSON."""
        return cls.of({name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()})

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a dict for JSON."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values."""
        return dataclasses.replace(self, **changes)

    @classmethod
    def _check_names(cls, options: dict[str, Any]) -> None:
        known = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                raise TypeError(f"there is no setting {name!r}{nearest(name, known)}")
        for field in dataclasses.fields(cls):
            if field.default is dataclasses.MISSING and field.name not in options:
                raise TypeError(f"the setting {field.name!r} is required: {field.metadata['description']}")


def one_factor_at_a_time(values: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return the base, with the first value of every factor, and all settings that differ from it in one factor."""
    base = {factor: options[0] for factor, options in values.items()}
    return [base, *({**base, factor: value} for factor, options in values.items() for value in options[1:])]


def check_seed(seed: int) -> int:
    """Return a seed; raise InputError unless it is an integer from 0 to 2^63 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= seed < 2**63:
        raise InputError(f"`seed` must be an integer of at least 0 and less than 2^63; found {seed!r}")
    return int(seed)


def check_count(least: int = 1, **counts: Any) -> None:
    """Raise InputError for the first argument that is not an integer of at least `least`."""
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < least:
            raise InputError(f"`{name}` must be an integer of at least {least}; found {count!r}")


def takes_settings(settings: type[Settings], without: Sequence[str] = ()) -> Callable[[Function], Function]:
    """Decorate a function that takes a job's settings as `**options`.

    The function's signature and docstring then list the settings, and the command line builds its options from them.

    Args:
        settings: the class of the settings.
        without: names of settings that the function sets itself.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        taken = {parameter.name for parameter in own}
        fields = [
            field for field in dataclasses.fields(settings) if field.metadata and field.name not in {*taken, *without}
        ]
        added = [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
                annotation=_annotations(settings)[field.name],
            )
            for field in fields
        ]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            unknown = [name for name in kwargs if name not in taken and name not in {field.name for field in fields}]
            if unknown:
                known = [*taken, *(field.name for field in fields)]
                raise TypeError(f"{function.__name__}() has no argument {unknown[0]!r}{nearest(unknown[0], known)}")
            return function(*args, **kwargs)

        call.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        lines = [f"    {field.name}: {described(field)}" for field in fields]
        call.__doc__ = (function.__doc__ or "").rstrip() + "\n\n    Settings:\n    " + "\n    ".join(lines) + "\n    "
        call.settings = {field.name: field for field in fields}  # type: ignore[attr-defined]
        call.settings_class = settings  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return decorate


def described(field: dataclasses.Field[Any]) -> str:
    """Return the description of a field, and say so if it accepts several values."""
    several = " If several values are given, the best on validation data is used." if field.metadata["tunable"] else ""
    return field.metadata["description"] + several


def _annotations(settings: type[Settings]) -> dict[str, Any]:
    """Return the types of the fields of a class of settings, which take long to find."""
    if settings not in _ANNOTATIONS:
        _ANNOTATIONS[settings] = typing.get_type_hints(settings)
    return _ANNOTATIONS[settings]


def choices_of(settings: type[Settings], field: dataclasses.Field[Any]) -> tuple[str, ...] | None:
    """Return the names that a field allows; None if it is not restricted to names."""
    if field.metadata["choices"] is not None:
        return tuple(field.metadata["choices"])
    for kind in _kinds(_annotations(settings)[field.name]):
        if typing.get_origin(kind) is Literal:
            return typing.get_args(kind)
    return None


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union, or the annotation itself."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _checked(settings: type[Settings], field: dataclasses.Field[Any], value: Any) -> Any:
    kinds = _kinds(_annotations(settings)[field.name])
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        if typing.get_origin(kind) is tuple:
            item, _ = typing.get_args(kind)
            if len(_kinds(item)) > 1:
                return _texts(field, value)
            return _names(settings, field, value) if item is str else _numbers(field, value, item)
    if choices_of(settings, field) is not None:
        return _choice(settings, field, value)
    for kind in (bool, int, float):
        if kind in kinds:
            return _number(field, value, kind)
    if str in kinds and not isinstance(value, str):
        raise InputError(f"`{field.name}` must be a string; found {value!r}")
    if value == "":
        raise InputError(f"`{field.name}` must not be empty")
    return value


def _choice(settings: type[Settings], field: dataclasses.Field[Any], value: Any) -> Any:
    check_choice(value, choices_of(settings, field) or (), f"`{field.name}`")
    return value


def _numbers(field: dataclasses.Field[Any], value: Any, kind: type) -> tuple[Any, ...]:
    """Return a tuple of distinct numbers; a single number becomes a tuple of one. It may be empty if the default is."""
    values = dict.fromkeys(value if _is_several(value) else (value,))
    if not values and field.default != ():
        raise InputError(f"`{field.name}` needs at least one value")
    return tuple(_number(field, one, kind) for one in values)


def _names(settings: type[Settings], field: dataclasses.Field[Any], value: Any) -> tuple[str, ...]:
    """Return a tuple of names; a single name becomes a tuple of one. If there are choices, duplicates are removed."""
    values = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else None
    if values is None or not all(isinstance(one, str) for one in values):
        raise InputError(f"`{field.name}` must be a list of names; found {value!r}")
    if len(values) < (field.metadata["range"]["least"] or 0):
        raise InputError(f"`{field.name}` needs at least one value")
    if choices_of(settings, field) is not None:
        return tuple(dict.fromkeys(_choice(settings, field, one) for one in values))
    return values


def _texts(field: dataclasses.Field[Any], value: Any) -> tuple[str, ...]:
    """Return a tuple of texts, from texts and numbers; a single one becomes a tuple of one."""
    values = tuple(value) if _is_several(value) else (value,)
    for one in values:
        if isinstance(one, bool) or not isinstance(one, (str, numbers.Real)):
            raise InputError(f"`{field.name}` must be numbers or texts; found {one!r}")
    return tuple(str(one) for one in values)


def _number(field: dataclasses.Field[Any], value: Any, kind: type) -> Any:
    name, wanted = field.name, {bool: "True or False", int: "an integer", float: "a number"}[kind]
    if kind is bool:
        if isinstance(value, bool):
            return value
        raise InputError(f"`{name}` must be {wanted}; found {value!r}")
    fits = numbers.Integral if kind is int else numbers.Real
    if isinstance(value, bool) or not isinstance(value, fits):
        raise InputError(f"`{name}` must be {wanted}; found {value!r}")
    number = kind(value)
    bounds = field.metadata["range"]
    rules = (
        (bounds["least"], lambda bound: number >= bound, "at least"),
        (bounds["above"], lambda bound: number > bound, "greater than"),
        (bounds["most"], lambda bound: number <= bound, "at most"),
        (bounds["below"], lambda bound: number < bound, "less than"),
    )
    wrong = any(bound is not None and not holds(bound) for bound, holds, _ in rules)
    if wrong or not math.isfinite(number):
        words = " and ".join(f"{word} {bound:g}" for bound, _, word in rules if bound is not None) or "finite"
        raise InputError(f"`{name}` must be {words}; found {number:g}")
    return number


def _is_several(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))
