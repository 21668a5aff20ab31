"""Options of a command in YAML files: `--config`."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping
from typing import Any

from ._core.choices import listed, nearest
from .errors import InputError
from .options import POSITIONAL, Option, hint

HELP = "YAML file of options, such as `hidden: 64`; options on the command line take precedence."
NO_VALUE = ("", "~", "null", "Null", "NULL")
TRUTHS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


class ConfigFiles:
    """The options that `--config` files give to a command.

    Args:
        arguments: of the command line.
        options: of the command, by name.
        command: its name.

    Attributes:
        arguments: the options of the files, and then those of the command line, which take precedence.
        found: the file and the value of each option that no later file and no argument replaces.

    Raises:
        InputError: a file cannot be read, or has an unknown option or a value of the wrong kind.
    """

    def __init__(self, arguments: list[str], options: Mapping[str, Option], command: str) -> None:
        self.found: dict[str, tuple[str, Any]] = {}
        kept, given, rest = dict[str, list[str]](), list[str](), iter(arguments)
        for argument in rest:
            if argument.partition("=")[0] != "--config":
                given.append(argument)
                continue
            path = argument.partition("=")[2] or next(rest, "")
            if not path:
                raise InputError("--config needs the path of a YAML file")
            for key, value in read_config(path).items():
                name = str(key).replace("-", "_")
                if name not in options or name in ("config", *POSITIONAL):
                    close = nearest(name, options)
                    other = close or hint(name, [], "lists the options", command)
                    raise InputError(f"--config {path}: `{command}` has no option {str(key)!r}{other}")
                self.found[name] = (path, value)
                kept.pop(name, None)
                kept[name] = as_arguments(options[name], value, path)
        flags = {argument.partition("=")[0].replace("_", "-") for argument in given}
        self.found = {name: one for name, one in self.found.items() if options[name].flag not in flags}
        self.arguments = [word for name in kept if name in self.found for word in kept[name]] + given

    def remark(self, message: str) -> str:
        """Return which files give the options that an error names, or whose values it quotes; empty if none does."""
        named = set(re.findall(r"`(\w+)`", message))
        wrong: dict[str, list[str]] = {}
        for name, (path, value) in self.found.items():
            if name in named or any(_quotes(message, one) for one in _several(value)):
                wrong.setdefault(path, []).append(repr(name))
        given = [
            f"{listed(names)} {'is' if len(names) == 1 else 'are'} given in --config {path}"
            for path, names in wrong.items()
        ]
        return f" ({', and '.join(given)})" if given else ""


def _quotes(message: str, value: Any) -> bool:
    return isinstance(value, str) and (
        repr(value) in message or message.startswith((f"{value}:", f"{value} ", f"{value},"))
    )


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def as_arguments(option: Option, value: Any, path: str) -> list[str]:
    """Return an option of a file as arguments; none if it has no value.

    Raises:
        InputError: a switch is neither true nor false, or the value is a mapping, or has values inside a list.
    """
    where = f"--config {path}: {option.name!r}"
    if value is None:
        return []
    if option.kind is bool:
        truth = TRUTHS.get(value.lower()) if isinstance(value, str) else None
        if truth is None:
            raise InputError(f"{where} must be true or false; found {value!r}")
        return [option.flag] if truth else []
    if isinstance(value, list) and not option.takes_several:
        raise InputError(f"{where} takes one value; found {value!r}")
    for one in _several(value):
        if not isinstance(one, str):
            kind = "no value; put a text such as null in quotation marks" if one is None else f"{one!r}"
            raise InputError(
                f"{where} must be a number or text{', or a list of them' * option.takes_several}; found {kind}"
            )
    if isinstance(value, str) and value.startswith("--"):
        return [f"{option.flag}={value}"]
    return [option.flag, *_several(value)]


def read_config(path: str) -> dict[Any, Any]:
    """Return the options of a YAML file, with their values as they are written.

    Raises:
        InputError: it cannot be read, or gives an option twice.
    """
    import yaml

    try:
        kept = yaml.load(pathlib.Path(path).read_text(encoding="utf-8-sig"), _loader(path))
    except FileNotFoundError:
        raise InputError(f"--config {path}: there is no such file") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"--config {path} cannot be read: {_on_one_line(error)}") from None
    if not isinstance(kept, dict):
        raise InputError(f"--config {path} must hold one option per line, such as `hidden: 64`")
    return kept


def _on_one_line(error: Exception) -> str:
    """Return what is wrong with a YAML file, without the name that YAML gives to a text."""
    return " ".join(str(error).replace('in "<unicode string>", ', "in ").split())


def _loader(path: str) -> Any:
    """Return a loader of YAML that keeps words and numbers as texts, and refuses a key that stands twice.

    YAML itself would read the column `no` as False, and the column `1.10` as 1.1.
    """
    import yaml

    class Loader(yaml.BaseLoader):
        def construct_scalar(self, node: Any) -> Any:
            found = super().construct_scalar(node)
            return None if node.style is None and found in NO_VALUE else found

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [key.value for key, _ in node.value]
            twice = next((key for key, _ in reversed(node.value) if keys.count(key.value) > 1), None)
            if twice is not None:
                line = twice.start_mark.line + 1
                raise InputError(
                    f"--config {path}, line {line}: {twice.value!r} is given twice; delete one of the lines"
                )
            return super().construct_mapping(node, deep)

    return Loader
