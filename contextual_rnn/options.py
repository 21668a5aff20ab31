"""The options of a command: built from the signature, the settings and the docstring of its function."""

from __future__ import annotations

import dataclasses
import inspect
import os
import pathlib
import re
import shlex
import textwrap
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from ._core.choices import check_choice, nearest
from ._core.settings import choices_of, described
from .errors import InputError

PROGRAM = "contextual-rnn"
POSITIONAL = ("run", "runs", "name")
WIDTH = 80  # columns of a terminal
SEVERAL = (
    'to read several, give a pattern in quotation marks, such as "*.csv", and `series_from_file` NAME, a new column '
    "with the names of the files"
)

# The headings of help, in order, and the arguments under each. Settings name their own heading.
ORDER = ("arguments", "data", "model", "training", "comparison", "sampling", "search", "scoring", "output", "execution")
GROUPS = {
    **dict.fromkeys(POSITIONAL, "arguments"),
    **dict.fromkeys(("label_column", "comment", "encoding"), "data"),
    **dict.fromkeys(("train", "validation", "test", "columns", "inputs", "input", "past", "future", "start"), "data"),
    **dict.fromkeys(
        (f"{table}{side}" for table in ("", "validation_", "test_") for side in ("source", "target")), "data"
    ),
    **dict.fromkeys(("seeds", "initial_states", "check", "check_timeout", "check_texts", "tolerance"), "comparison"),
    **dict.fromkeys(("out", "end", "figure", "scores", "answers", "verbose", "format", "int8"), "output"),
    **dict.fromkeys(("resume", "jobs", "devices", "nodes", "cluster", "config"), "execution"),
}
GROUP_OF_OTHERS = {
    "sample": "sampling",
    "sample texts": "sampling",
    "transcribe": "search",
    "translate": "search",
    "score": "scoring",
    "score texts": "scoring",
    "score pairs": "search",
}  # by command; "training" for the rest


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        name: of the function's argument.
        kind: the type that tyro reads.
        default: `inspect.Parameter.empty` if it is required.
        help: what it means.
        group: the heading under which `--help` lists it.
        metavar: how `--help` shows its value; None lists its choices.
        choices: the names that are allowed; None allows any.
    """

    name: str
    kind: Any
    default: Any
    help: str
    group: str
    metavar: str | None
    choices: tuple[str, ...] | None = None

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return self.name.upper() if self.name in POSITIONAL else f"--{self.name.replace('_', '-')}"

    @property
    def typed(self) -> str:
        """The option with its value, as it is typed."""
        return self.flag if self.name in POSITIONAL or self.kind is bool else f"{self.flag} {self.metavar or 'NAME'}"

    @property
    def takes_several(self) -> bool:
        """Whether the option is followed by any number of values."""
        return any(typing.get_origin(kind) is tuple for kind in (self.kind, *typing.get_args(self.kind)))

    def check(self, value: str) -> None:
        """Raise InputError if a value is not one of the choices, or not a number where one is needed."""
        if self.kind is bool:
            raise InputError(f"`{self.name}` takes no value; found {value!r}")
        kinds = (self.kind, *typing.get_args(self.kind))
        kinds = (*kinds, *(inner for kind in kinds for inner in typing.get_args(kind)))
        if self.choices is not None:
            check_choice(value, self.choices, f"`{self.name}`")
        number = int if int in kinds else float if float in kinds else None
        if number is None or (value == "None" and type(None) in kinds):
            return
        try:
            number(value)
        except ValueError:
            what = "an integer" if number is int else "a number"
            raise InputError(f"`{self.name}` must be {what}; found {value!r}") from None


def option_of(command: str, function: Callable[..., Any], parameter: inspect.Parameter) -> Option:
    """Return the option of an argument, which is one of the settings or the function's own."""
    name, default = parameter.name, parameter.default
    settings = getattr(function, "settings", {})
    settings_class: Any = getattr(function, "settings_class", None)
    known = {field.name: field for field in dataclasses.fields(settings_class)} if settings_class else {}
    field = known.get(name)
    choices = choices_of(settings_class, field) if field is not None and field.metadata else None
    if name in settings:
        kind, metavar = _type(typing.get_type_hints(settings_class)[name], choices)
        text, group = described(settings[name]), settings[name].metadata["group"]
        metavar = settings[name].metadata["metavar"] or metavar
        if settings[name].metadata["tunable"]:
            kind, default = tuple[_without_none(kind), ...], (default,)  # type: ignore[misc]
        if typing.get_origin(kind) is tuple and metavar and not metavar.endswith("..."):
            metavar = f"{metavar} ..."
        return Option(name, kind, default, text, group, metavar, choices)
    kind, metavar = _type(typing.get_type_hints(inspect.unwrap(function)).get(name, str), choices)
    others = GROUP_OF_OTHERS.get(command, "training")
    group = GROUPS.get(name, field.metadata["group"] if field is not None and field.metadata else others)
    text = _argument_help(inspect.getdoc(function) or "").get(name, "")
    if name == "out" and default is None:  # without a folder, the results of a command would be lost
        default, text = inspect.Parameter.empty, text.partition(";")[0].removesuffix(".") + "."
    return Option(name, kind, default, text, group, metavar, choices)


def _type(annotation: Any, choices: Sequence[str] | None) -> tuple[Any, str | None]:
    """Return the type that tyro reads for an annotation, and how help shows a value of it."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = typing.get_args(annotation) if is_union else (annotation,)
    optional = type(None) in members
    kind: Any = next((member for member in members if member is not type(None)), str)
    metavar: str | None = {int: "N", float: "NUMBER", bool: None}.get(kind, "TEXT")
    if any(typing.get_origin(member) is Sequence for member in members) and Any in members:  # several files
        kind, metavar = tuple[str, ...], "PATH ..."
    elif Any in members or any(member is os.PathLike or typing.get_origin(member) is os.PathLike for member in members):
        kind, metavar = str, "PATH"
    elif kind is pathlib.Path:
        metavar = "PATH"
    elif typing.get_origin(kind) is Literal:
        metavar = "{" + ",".join(typing.get_args(kind)) + "}" if optional else None
    elif typing.get_origin(kind) is not None:  # a sequence or a tuple
        inner = typing.get_args(kind)[0]
        inner, metavar = _type(inner, choices)
        kind, metavar = tuple[inner, ...], metavar and f"{metavar} ..."  # type: ignore[valid-type]
        choices = None
    if choices is not None:
        kind = Literal[tuple(choices)]
        metavar = "{" + ",".join(choices) + "}" if optional else None
    return (kind | None if optional else kind), metavar


def _without_none(kind: Any) -> Any:
    members = typing.get_args(kind)
    return members[0] if type(None) in members else kind


def in_words(default: Any) -> str:
    """Return a default as help shows it; empty if there is none."""
    if default is None or default is False or default == () or default == "":
        return ""
    values = default if isinstance(default, tuple) else (default,)
    return f"(default: {' '.join(map(str, values))})"


def hint(name: str, known: Sequence[str], help_does: str, command: str = "") -> str:
    """Return "; did you mean ...?", or what `--help` does if no known name is similar."""
    close = nearest(name.lstrip("-"), [one.lstrip("-") for one in known]).replace("'", "")
    if name.startswith("--"):
        close = close.replace("mean ", "mean --")
    return close or f"; `{PROGRAM} {command}{' ' * bool(command)}--help` {help_does}"


def as_words(values: Mapping[str, Any]) -> list[str]:
    """Return arguments, by their names, as the words of a command line that are safe to paste into a shell."""
    words: list[str] = []
    for name, value in values.items():
        several = value if isinstance(value, (list, tuple)) else [value]
        words += [f"--{name.replace('_', '-')}", *(shlex.quote(str(one)) for one in several)]
    return words


def _argument_help(documentation: str) -> dict[str, str]:
    """Return the text of every argument in the `Args:` section of a docstring."""
    found = re.search(r"^Args:\n((?:    .*\n?|\n)*)", documentation, re.MULTILINE)
    texts: dict[str, str] = {}
    name = ""
    for line in found[1].splitlines() if found else ():
        start = re.match(r"    (\w+): (.*)", line)
        if start:
            name, texts[start[1]] = start[1], start[2]
        elif name and line.strip():
            texts[name] += " " + line.strip()
    # What only Python takes is not for the command line.
    return {name: re.sub(r"; in Python, [^.]*\.", ".", text) for name, text in texts.items()}


def description(documentation: str, name: str) -> str:
    """Return the paragraphs before the sections of a command's docstring, and its example."""
    sections = re.split(r"^(?:Args|Returns|Raises|Yields|Settings|Example):\n", documentation, flags=re.MULTILINE)
    example = re.search(r"^Example:\n((?:    .*\n?)+)", documentation, re.MULTILINE)
    paragraphs = [sections[0].strip()]
    if example:
        shown = re.sub(rf"^{PROGRAM} transcribe ", f"{PROGRAM} {name} ", inspect.cleandoc(example[1]))  # or translate
        words = re.sub(r"\s+(?!--|\s)", "\u00a0", shown)  # lines break before options only
        lines = textwrap.wrap(
            words, WIDTH - 4, break_on_hyphens=False, subsequent_indent=" " * len(f"{PROGRAM} {name} ")
        )
        paragraphs.append("Example:\n" + " \\\n".join(f"  {line}" for line in lines).replace("\u00a0", " "))
    return "\n\n".join(paragraphs)
