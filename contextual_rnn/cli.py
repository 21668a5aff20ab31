"""The command line: functions of jobs and papers as commands, and errors as exit codes.

The options of a command and their help come from the function's signature, settings and docstring; see `options`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import io
import os
import re
import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from ._core.choices import listed
from ._core.extras import require
from ._core.stopping import Stopped, stopping_on_signals
from ._core.streams import Tolerant, discard, open_closed_streams
from .config_file import HELP, ConfigFiles
from .errors import DataWarning, InputError
from .options import (
    ORDER,
    POSITIONAL,
    PROGRAM,
    SEVERAL,
    WIDTH,
    Option,
    description,
    hint,
    in_words,
    option_of,
)

# The commands of each job and paper. A new job is one line.
MODULES = {
    "copy_example": ("example",),
    "jobs.series": ("fit series", "compare series", "predict"),
    "jobs.generation": ("fit generation", "compare generation", "sample"),
    "jobs.forecast": ("fit forecast", "compare forecast", "forecast"),
    "jobs.pairs": ("fit pairs", "compare pairs", "transcribe", "translate", "score pairs"),
    "jobs.texts": ("fit texts", "compare texts", "sample texts", "score", "score texts"),
    "export_run": ("export",),
    "explore_run": ("explore",),
    "jobs.texts.molecules": ("reproduce molecules",),
    "papers.decay": ("reproduce lcd",),
    "papers.retrieval": ("reproduce art", "reproduce associative-retrieval-table"),
    "papers.pen_digits": ("reproduce pen-digits",),
    "papers.image_context": ("reproduce image-context",),
    "papers.system_identification": ("reproduce system-identification",),
}
BY_MODEL = {
    "sample": {"TextModel": "sample texts"},
    "score": {"PairModel": "score pairs"},
}  # the command that runs instead, by the class of the model in RUN
MORE = "More: add `resume` `verbose` to the command; it trains nothing again."
LONGEST = 500  # characters of an error


def main(arguments: list[str] | None = None) -> None:
    """Run a command. Bad input ends the program with one sentence and exit code 2."""
    open_closed_streams()
    with contextlib.redirect_stderr(Tolerant(sys.stderr)), stopping_on_signals():
        _main(sys.argv[1:] if arguments is None else list(arguments))


def _main(arguments: list[str]) -> None:
    command: Command | None = None
    try:
        _check_text(arguments)
        if arguments[:1] != ["--version"]:
            require("jobs", "The command line")
        found = find_command(arguments)
        if found is not None:
            command, given = found
            with warnings.catch_warnings():
                _print_warnings(command)
                run(command, given)
        sys.stdout.flush()
    except InputError as error:
        print(f"{PROGRAM}: {_shortened(command.in_error(str(error)) if command else str(error))}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of standard output, such as head, has closed it
        discard(sys.stdout)  # so that Python does not write the rest when it ends
    except OSError as error:  # such as a full disk
        print(f"{PROGRAM}: the system refused: {error}", file=sys.stderr)
        discard(sys.stdout)  # so that Python does not write the rest when it ends
        sys.exit(2)
    except KeyboardInterrupt as stopped:
        hint = "; --resume continues from here" if command and "resume" in command.options else ""
        print(f"{PROGRAM}: stopped{hint}", file=sys.stderr)
        sys.exit(stopped.code if isinstance(stopped, Stopped) else 130)


def _check_text(arguments: Sequence[str]) -> None:
    """Raise InputError for the first argument that is not UTF-8, as it can be neither printed nor kept in a file."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InputError(f"the argument {argument!a} is not UTF-8; rename the file or folder") from None


def _print_warnings(command: Command) -> None:
    """Print each warning about data as one sentence."""
    show = warnings.showwarning

    def show_in_one_line(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, DataWarning):
            print(f"{PROGRAM}: warning: {command.in_options(str(message))}", file=sys.stderr)
        else:
            show(message, category, *place, **more)

    warnings.showwarning = show_in_one_line
    warnings.simplefilter("always", DataWarning)


def _shortened(message: str) -> str:
    """Return a message as one line of at most `LONGEST` characters, the middle left out."""
    line, half = " ".join(message.split()), (LONGEST - 5) // 2
    return line if len(line) <= LONGEST else f"{line[:half]} ... {line[-half:]}"


def find_command(arguments: list[str]) -> tuple[Command, list[str]] | None:
    """Return the command and its own arguments; None if help or the version was printed instead.

    Raises:
        InputError: if there is no such command.
    """
    names = [name for commands in MODULES.values() for name in commands]
    if arguments[:1] == ["--version"]:
        from . import __version__

        print(__version__)
        return None
    if arguments[:1] in ([], ["-h"], ["--help"]):
        print_commands(names)
        return None
    count = 1 if arguments[0] in names and " ".join(arguments[:2]) not in names else 2
    name, rest = " ".join(arguments[:count]), arguments[count:]
    if name not in names:
        group = [one for one in names if one.startswith(f"{arguments[0]} ")]
        if group and arguments[1:] in ([], ["-h"], ["--help"]):
            print_commands(group)
            return None
        raise InputError(f"there is no command {name!r}{hint(name, names, 'lists the commands')}")
    return Command(_renamed(name, rest)), rest


def _renamed(name: str, arguments: list[str]) -> str:
    """Return the command's present name: that for the model in RUN, or the name that replaces a deprecated one.

    Until version 0.3, series without inputs may still be called `series`.
    """
    given = {one.partition("=")[0] for one in arguments}
    if name in BY_MODEL:
        return BY_MODEL[name].get(_class_of_model(arguments) or "", name)
    if name not in ("fit series", "compare series") or given & {"-h", "--help", "--config", "--inputs"}:
        return name
    new = name.replace("series", "generation")
    if not {one.replace("_", "-") for one in given if one.startswith("--")} <= Command(new).flags:
        return name  # which says that an option is unknown, or that --inputs is missing
    print(
        f"{PROGRAM}: `{name}` without --inputs is deprecated, and version 0.3 will refuse it; `{new}` runs instead",
        file=sys.stderr,
    )
    return new


def _class_of_model(arguments: list[str]) -> str | None:
    """Return the name of the class of the model that the first argument names; None if it names none."""
    from .serialization import read_header

    if not arguments or arguments[0].startswith("-"):
        return None
    try:
        return str(read_header(arguments[0])["class"]["class"])
    except (InputError, KeyError, TypeError):  # the command says what is wrong
        return None


def print_commands(names: Sequence[str]) -> None:
    """Print commands with the first sentence of their documentation."""
    print(f"usage: {PROGRAM} COMMAND [OPTIONS]\n\n`{PROGRAM} COMMAND --help` describes a command.\n")
    for name in names:
        first = (inspect.getdoc(Command(name).function) or "").partition("\n")[0]
        print(f"  {name}\n{textwrap.fill(first, WIDTH, initial_indent=' ' * 6, subsequent_indent=' ' * 6)}")


class Command:
    """A command: a function, and the options for its arguments.

    Args:
        name: such as "fit series".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        module = next(module for module, names in MODULES.items() if name in names)
        self.function: Callable[..., Any] = importlib.import_module(f"{__package__}.{module}").COMMANDS[name]
        parameters = inspect.signature(self.function).parameters.values()
        self.options = {parameter.name: option_of(name, self.function, parameter) for parameter in parameters}
        self.options["config"] = Option("config", str | None, None, HELP, "execution", "PATH")
        if name.startswith("compare "):
            text = (
                "Print also what the short answer leaves out: every comparison with its interval, those on parts of "
                "the test data, every metric, and the settings that were chosen. With `resume`, a comparison that is "
                "finished is printed without training again."
            )
            self.options["verbose"] = Option("verbose", bool, False, text, "output", None)
        self.config: ConfigFiles | None = None  # until `parse` has read them
        self.repeated: list[str] = []  # a remark for each option that is given more than once

    def in_options(self, message: str) -> str:
        """Return an error's message with the names of arguments, which stand in backticks, as options."""
        return re.sub(
            r"`(\w+)`", lambda match: self.options[match[1]].flag if match[1] in self.options else match[0], message
        )

    def in_error(self, message: str) -> str:
        """Return an error's message in options, which of its settings `fit` takes, and which files give them."""
        if "run" in self.options:
            from .data.of_fit import of_fit  # only here, since it needs the packages of the jobs

            message = of_fit(message, self.options, lambda name: f"--{name.replace('_', '-')}")
        repeated = f" ({'; '.join(self.repeated)})" if self.repeated else ""
        ends = [self.config.remark(message) if self.config else "", repeated]
        return with_commands(self.in_options(message)) + self.in_options("".join(ends))

    @property
    def flags(self) -> set[str]:
        """The options as they are typed, without the positional ones."""
        return {option.flag for option in self.options.values() if option.name not in POSITIONAL}

    @property
    def usage(self) -> str:
        """The command with the options that it needs, as it is typed."""
        needed = [option for option in self.options.values() if option.default is inspect.Parameter.empty]
        return " ".join([f"{PROGRAM} {self.name}", *(option.typed for option in needed)])

    def parse(self, arguments: list[str]) -> dict[str, Any]:
        """Return the arguments of the function. Tyro prints help, or an error that is not checked here, and exits.

        Raises:
            InputError: if an option is unknown, a value is invalid, or a `--config` file is invalid.
        """
        import tyro

        conf: Any = tyro.conf
        self.config = ConfigFiles(arguments, self.options, self.name)
        arguments = self.config.arguments
        self._check_names(arguments)
        if not {"-h", "--help"}.intersection(arguments):
            self._check_values(arguments)
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
            description=self.in_options(description(inspect.getdoc(self.function) or "", self.name)),
        )
        values: dict[str, Any] = {}
        for heading in groups:
            values |= vars(getattr(parsed, heading))
        values.pop("config")
        return values

    def _check_names(self, arguments: list[str]) -> None:
        flags = self.flags
        for argument in arguments:
            name = argument.partition("=")[0].replace("_", "-")
            if name.startswith("--") and name not in (*flags, "--help"):
                end = hint(name, sorted(flags), "lists the options", self.name)
                raise InputError(f"`{PROGRAM} {self.name}` has no option {name}{end}")

    def _check_values(self, arguments: list[str]) -> None:
        """Raise InputError for the first value that an option does not allow, and for values that are missing."""
        flags = {option.flag: option for option in self.options.values() if option.name not in POSITIONAL}
        given, positional = Counter[str](), list[tuple[str, Option | None]]()
        last: Option | None = None  # the option before the value
        current: Option | None = None  # which the next value belongs to
        waiting: Option | None = None  # which has no value yet
        for argument in [*arguments, "--"]:
            is_flag = argument.startswith("--")
            flag, equals, value = argument.partition("=") if is_flag else ("", "=", argument)
            if is_flag and waiting is not None:
                raise InputError(f"`{waiting.name}` needs a value, as {waiting.typed}")
            if is_flag:
                current = flags.get(flag.replace("_", "-"))
                given[current.name if current else ""] += 1
                last = current
            if equals and (current is None or (current.kind is bool and not is_flag)):
                positional.append((value, last))
            elif equals and current is not None:
                current.check(value)
            is_several = current is not None and current.takes_several
            waiting = current if current and not equals and not is_several and current.kind is not bool else None
            current = current if is_several or waiting else None
        self._check_positional(positional)
        self.repeated = [
            f"`{name}` is given {'twice' if count == 2 else f'{count} times'}, and the last one counts"
            for name, count in given.items()
            if count > 1 and name and self.options[name].kind is not bool
        ]
        own = {option.name for option in self.options.values() if option.name in POSITIONAL and positional}
        missing = [
            option
            for option in self.options.values()
            if option.default is inspect.Parameter.empty and option.name not in {*given, *own}
        ]
        if missing:
            about = f"; `{PROGRAM} {self.name} --help` describes them"
            if len(missing) == 1:
                what = re.split(r"[.;:] |\.$", missing[0].help)[0]
                about = f" ({what[:1].lower()}{what[1:]})"
            raise InputError(f"`{PROGRAM} {self.name}` needs {listed([option.typed for option in missing])}{about}")

    def _check_positional(self, values: list[tuple[str, Option | None]]) -> None:
        """Raise InputError for values, each after an option or None, beyond those that the command takes."""
        own = [option for option in self.options.values() if option.name in POSITIONAL]
        for value, before in values if not own else [] if own[0].takes_several else values[1:]:
            if before is not None and before.kind is bool:
                raise InputError(f"{before.flag} is a switch and takes no value; leave {value!r} out")
            flag = f"--{value.lstrip('-')}"
            is_option = flag in [option.flag for option in self.options.values()]
            mend = f"; did you mean {flag}?" if is_option else "; options start with --, such as --out"
            if before is not None and not is_option:
                mend = f": {before.flag} takes one value; put quotation marks around a value with blanks"
                if os.path.exists(value) and "series_from_file" in self.options:
                    mend = f": {before.flag} takes one file; {SEVERAL}"
            raise InputError(f"`{PROGRAM} {self.name}` does not take {value!r} here{mend}")

    def _field(self, option: Option) -> tuple[str, Any, Any]:
        """Return a field of the dataclass that tyro reads."""
        import tyro

        conf: Any = tyro.conf
        required = option.default is inspect.Parameter.empty
        hint = "(required)" if required else in_words(option.default)
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
    remarks = command.repeated + _nothing_to_resume(values)
    with one_thread():
        result = command.function(**values)
        if isinstance(result, Iterator):
            _print_lines(command, result)
        elif isinstance(result, Comparison):
            more = "" if verbose or not result.sentences else f"\n{MORE}"
            print(command.in_options(result.details() if verbose else f"{result}{more}"))
        else:
            print(command.in_options(str(getattr(result, "report", None) or result)))
    for remark in remarks:
        print(f"{PROGRAM}: {command.in_options(remark)}", file=sys.stderr)


def _print_lines(command: Command, lines: Iterator[tuple[str, str | None]]) -> None:
    """Print lines as they come, each with its remark, if it has one; say so if there are none."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # as the input, whatever the locale
    is_empty = True
    for text, remark in lines:
        is_empty = False
        print(text, flush=True)
        if remark:
            print(f"{PROGRAM}: {command.in_options(remark)}", file=sys.stderr)
    if is_empty:
        print(f"{PROGRAM}: the input is empty, so nothing was written", file=sys.stderr)


def _nothing_to_resume(values: Mapping[str, Any]) -> list[str]:
    """Return a remark if `resume` is given and the folder `out` holds nothing."""
    out = values.get("out")
    if not values.get("resume") or out is None or (os.path.isdir(out) and os.listdir(out)):
        return []
    return [f"{out} held no run to resume, so this is a new one"]


def with_commands(message: str) -> str:
    """Return a message about a model with the command that suits it as it is typed, such as "use `predict`"."""
    path, mark, rest = message.partition(" holds a model that ")
    if not mark:
        return message
    names = [name for commands in MODULES.values() for name in commands]

    def typed(match: re.Match[str]) -> str:
        usage = Command(match[1]).usage if match[1] in names else match[1]
        return f"`{re.sub(' RUNS?', f' {path}', usage)}`"

    return path + mark + re.sub(r"`([a-z ]+)`", typed, rest)
