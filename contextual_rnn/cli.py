"""The command line: the verbs of jobs and papers as commands, and errors as exit codes.

Options are built from a verb's signature and settings; their help is its docstring. Nothing is declared twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import io
import os
import pathlib
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

from .errors import InputError

# The commands of every room. A new job is one line.
ROOMS = {
    "jobs.series": ("fit series", "compare series", "predict"),
    "jobs.generation": ("fit generation", "compare generation", "sample"),
    "jobs.forecast": ("fit forecast", "compare forecast", "forecast"),
    "jobs.pairs": ("fit pairs", "compare pairs", "transcribe"),
    "papers.decay": ("reproduce lcd",),
    "papers.retrieval": ("reproduce art", "reproduce associative-retrieval-table"),
    "papers.pen_digits": ("reproduce pen-digits",),
    "papers.image_context": ("reproduce image-context",),
}
PROGRAM = "contextual-rnn"
POSITIONAL = ("run", "runs")
WIDTH = 80  # columns of a terminal
GROUPS = {
    **dict.fromkeys(POSITIONAL, "arguments"),
    **dict.fromkeys(("train", "validation", "test", "columns", "inputs", "start"), "data"),
    **dict.fromkeys(("seed", "folds"), "training"),
    **dict.fromkeys(("seeds", "initial_states"), "comparison"),
    **dict.fromkeys(("out", "end", "resume", "jobs", "config", "verbose"), "files"),
}
ORDER = ("arguments", "data", "model", "training", "comparison", "files")
CONFIG_HELP = "YAML file of options, such as `hidden: 64`; options on the command line take precedence."


def main(arguments: list[str] | None = None) -> None:
    """Run a command. Bad input ends the program with one sentence and exit code 2."""
    for name in ("stdout", "stderr"):  # None if the caller closed it; print(file=None) would write to the other
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open until the program ends)
    command: Command | None = None
    try:
        found = find_command(sys.argv[1:] if arguments is None else list(arguments))
        if found is not None:
            command, given = found
            run(command, given)
        sys.stdout.flush()
    except InputError as error:
        print(f"{PROGRAM}: {command.in_options(str(error)) if command else error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of standard output, such as head, has closed it
        _discard_output()
    except OSError as error:  # such as a full disk
        print(f"{PROGRAM}: the system refused: {error}", file=sys.stderr)
        _discard_output()
        sys.exit(2)
    except KeyboardInterrupt:
        hint = "; --resume continues from here" if command and "resume" in command.options else ""
        print(f"{PROGRAM}: stopped{hint}", file=sys.stderr)
        sys.exit(130)


def _discard_output() -> None:
    """Send what is left to print nowhere, so that Python does not try to write it again when it ends."""
    with contextlib.suppress(OSError):  # io.UnsupportedOperation: the caller has replaced standard output
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def find_command(arguments: list[str]) -> tuple[Command, list[str]] | None:
    """Return the command and its own arguments; None if help or the version was printed instead.

    Raises:
        InputError: there is no such command.
    """
    names = [name for room in ROOMS.values() for name in room]
    if arguments[:1] == ["--version"]:
        from . import __version__

        print(__version__)
        return None
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print_commands(names)
        return None
    count = 1 if arguments[0] in names else 2
    name, rest = " ".join(arguments[:count]), arguments[count:]
    if name not in names:
        group = [one for one in names if one.startswith(f"{arguments[0]} ")]
        if group and arguments[1:] in ([], ["-h"], ["--help"]):
            print_commands(group)
            return None
        raise InputError(f"there is no command {name!r}{_hint(name, names, 'lists the commands')}")
    return Command(_renamed(name, rest)), rest


def _renamed(name: str, arguments: list[str]) -> str:
    """Return the command's present name. Until version 0.3, series without inputs may still be called `series`."""
    given = {one.partition("=")[0] for one in arguments}
    if name not in ("fit series", "compare series") or given & {"-h", "--help", "--config", "--inputs"}:
        return name
    new = name.replace("series", "generation")
    print(
        f"{PROGRAM}: `{name}` without --inputs is deprecated, and version 0.3 will refuse it; `{new}` runs instead",
        file=sys.stderr,
    )
    return new


def _hint(name: str, known: Sequence[str], help_does: str, command: str = "") -> str:
    """Return "; did you mean ...?", or what `--help` does where no known name is near."""
    from ._core.choices import nearest

    close = nearest(name, known).replace("'", "")
    return close or f"; `{PROGRAM} {command}{' ' * bool(command)}--help` {help_does}"


def print_commands(names: Sequence[str]) -> None:
    """Print commands with the first sentence of their documentation."""
    print(f"usage: {PROGRAM} COMMAND [OPTIONS]\n\n`{PROGRAM} COMMAND --help` describes a command.\n")
    for name in names:
        first = (inspect.getdoc(Command(name).function) or "").partition("\n")[0]
        print(f"  {name}\n{textwrap.fill(first, WIDTH, initial_indent=' ' * 6, subsequent_indent=' ' * 6)}")


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        name: of the verb's argument.
        kind: the type that tyro reads.
        default: `inspect.Parameter.empty` if it is required.
        help: what it means.
        group: the heading under which `--help` lists it.
        metavar: how `--help` shows its value; None lists its choices.
    """

    name: str
    kind: Any
    default: Any
    help: str
    group: str
    metavar: str | None

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return self.name.upper() if self.name in POSITIONAL else f"--{self.name.replace('_', '-')}"


class Command:
    """A command: a verb of a room, and the options that its arguments become.

    Args:
        name: such as "fit series".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        room = next(room for room, names in ROOMS.items() if name in names)
        self.function: Callable[..., Any] = importlib.import_module(f"{__package__}.{room}").COMMANDS[name]
        parameters = inspect.signature(self.function).parameters.values()
        self.options = {parameter.name: _option(self.function, parameter) for parameter in parameters}
        self.options["config"] = Option("config", str | None, None, CONFIG_HELP, "files", "PATH")
        if name.startswith("compare "):
            text = "Print every comparison with its interval, not only the answer and the table."
            self.options["verbose"] = Option("verbose", bool, False, text, "files", None)

    def in_options(self, message: str) -> str:
        """Return an error's message with the names of arguments, which stand in backticks, as options."""
        return re.sub(
            r"`(\w+)`", lambda match: self.options[match[1]].flag if match[1] in self.options else match[0], message
        )

    def parse(self, arguments: list[str]) -> dict[str, Any]:
        """Return the arguments of the verb; tyro prints help or an error and ends the program.

        Raises:
            InputError: an option is unknown, or a `--config` file is wrong.
        """
        import tyro

        conf: Any = tyro.conf
        arguments = self._with_config(arguments)
        self._check_names(arguments)
        groups = {}
        for heading in dict.fromkeys((*ORDER, *(option.group for option in self.options.values()))):
            fields = [self._field(option) for option in self.options.values() if option.group == heading]
            if fields:
                group: Any = dataclasses.make_dataclass(heading, fields, frozen=True, kw_only=True)
                groups[heading] = conf.OmitArgPrefixes[group]
        whole: Any = dataclasses.make_dataclass("options", list(groups.items()), frozen=True)
        parsed = tyro.cli(
            conf.FlagCreatePairsOff[whole],
            args=arguments,
            prog=f"{PROGRAM} {self.name}",
            description=_description(inspect.getdoc(self.function) or "", self.name),
        )
        values: dict[str, Any] = {}
        for heading in groups:
            values |= vars(getattr(parsed, heading))
        values.pop("config")
        return values

    def _check_names(self, arguments: list[str]) -> None:
        flags = [option.flag for option in self.options.values() if option.name not in POSITIONAL]
        for argument in arguments:
            name = argument.partition("=")[0].replace("_", "-")
            if name.startswith("--") and name not in (*flags, "--help"):
                hint = _hint(name, flags, "lists the options", self.name)
                raise InputError(f"`{PROGRAM} {self.name}` has no option {name}{hint}")

    def _with_config(self, arguments: list[str]) -> list[str]:
        """Return the arguments with the options of `--config` files before them, so that later ones take precedence."""
        kept, given, rest = list[str](), list[str](), iter(arguments)
        for argument in rest:
            if argument.partition("=")[0] != "--config":
                given.append(argument)
                continue
            path = argument.partition("=")[2] or next(rest, "")
            if not path:
                raise InputError("--config needs the path of a YAML file")
            kept += self._options_of(path)
        return kept + given

    def _options_of(self, path: str) -> list[str]:
        import yaml

        try:
            kept = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(f"--config {path} cannot be read: {' '.join(str(error).split())}") from None
        if not isinstance(kept, dict):
            raise InputError(f"--config {path} must hold one option per line, such as `hidden: 64`")
        found: list[str] = []
        for key, value in kept.items():
            name = str(key).replace("-", "_")
            if name not in self.options or name in ("config", *POSITIONAL):
                hint = _hint(name, [*self.options], "lists the options", self.name)
                raise InputError(f"--config {path}: `{self.name}` has no option {str(key)!r}{hint}")
            found += _as_arguments(self.options[name], value)
        return found

    def _field(self, option: Option) -> tuple[str, Any, Any]:
        """Return a field of the dataclass that tyro reads."""
        import tyro

        conf: Any = tyro.conf
        required = option.default is inspect.Parameter.empty
        hint = "(required)" if required else _in_words(option.default)
        metavar = option.name.upper() if option.name in POSITIONAL else option.metavar
        about = conf.arg(help=self.in_options(option.help), metavar=metavar, help_behavior_hint=hint)
        kind: Any = conf.Positional[option.kind] if option.name in POSITIONAL else option.kind
        default = dataclasses.MISSING if required else option.default
        return option.name, Annotated[kind, about], dataclasses.field(default=default)


def run(command: Command, arguments: list[str]) -> None:
    """Run a command and print its result."""
    from .study.comparison import Comparison
    from .study.parallel import one_thread

    values = command.parse(arguments)
    verbose = values.pop("verbose", False)
    with one_thread():
        result = command.function(**values)
        if isinstance(result, Iterator):
            if isinstance(sys.stdout, io.TextIOWrapper):
                sys.stdout.reconfigure(encoding="utf-8")  # as the input, whatever the locale
            for text, remark in result:
                print(text, flush=True)
                if remark:
                    print(f"{PROGRAM}: {command.in_options(remark)}", file=sys.stderr)
        elif isinstance(result, Comparison):
            print(result.details() if verbose else result)
        else:
            print(getattr(result, "report", None) or result)


def _option(function: Callable[..., Any], parameter: inspect.Parameter) -> Option:
    """Return the option of a verb's argument, which is its own or one of its settings."""
    from ._core.settings import choices_of, described

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
        return Option(name, kind, default, text, group, metavar)
    kind, metavar = _type(typing.get_type_hints(inspect.unwrap(function)).get(name, str), choices)
    group = GROUPS.get(name, field.metadata["group"] if field is not None and field.metadata else "other")
    text = _argument_help(inspect.getdoc(function) or "").get(name, "")
    if name == "out" and default is None:  # without a folder, the results of a command would be lost
        default, text = inspect.Parameter.empty, text.partition(";")[0].removesuffix(".") + "."
    return Option(name, kind, default, text, group, metavar)


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
        metavar = None
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


def _in_words(default: Any) -> str:
    if default is None or default is False or default == () or default == "":
        return ""
    values = default if isinstance(default, tuple) else (default,)
    return f"(default: {' '.join(map(str, values))})"


def _as_arguments(option: Option, value: Any) -> list[str]:
    """Return an option of a `--config` file as arguments."""
    if value is None or value is False:
        return []
    if value is True:
        return [option.flag]
    return [option.flag, *(str(one) for one in (value if isinstance(value, list) else [value]))]


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
    return texts


def _description(documentation: str, name: str) -> str:
    """Return the paragraphs before the sections of a command's docstring, and its example."""
    sections = re.split(r"^(?:Args|Returns|Raises|Yields|Settings|Example):\n", documentation, flags=re.MULTILINE)
    example = re.search(r"^Example:\n((?:    .*\n?)+)", documentation, re.MULTILINE)
    paragraphs = [sections[0].strip()]
    if example:
        words = re.sub(r"\s+(?!--|\s)", "\u00a0", inspect.cleandoc(example[1]))  # lines break before options only
        lines = textwrap.wrap(
            words, WIDTH - 4, break_on_hyphens=False, subsequent_indent=" " * len(f"{PROGRAM} {name} ")
        )
        paragraphs.append("Example:\n" + " \\\n".join(f"  {line}" for line in lines).replace("\u00a0", " "))
    return "\n\n".join(paragraphs)
