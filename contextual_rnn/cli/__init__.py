"""The command line: `contextual-rnn reproduce | fit | compare | predict | sample | transcribe | forecast`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # runs go side by side, one thread each; read when torch is imported

import sys
from typing import Any

import torch
import tyro

from ..errors import InputError
from .forecast import CompareForecast, FitForecast, Forecast
from .pairs import ComparePairs, FitPairs, Transcribe
from .reproduce import (
    ReproduceDecay,
    ReproduceImageContext,
    ReproducePenDigits,
    ReproduceRetrieval,
    ReproduceRetrievalTable,
)
from .series import CompareSeries, FitSeries, Predict, Sample

COMMANDS: dict[str, Any] = {
    "reproduce": {
        "lcd": ReproduceDecay,
        "art": ReproduceRetrieval,
        "associative-retrieval-table": ReproduceRetrievalTable,
        "pen-digits": ReproducePenDigits,
        "image-context": ReproduceImageContext,
    },
    "fit": {"series": FitSeries, "pairs": FitPairs, "forecast": FitForecast},
    "compare": {"series": CompareSeries, "pairs": ComparePairs, "forecast": CompareForecast},
    "predict": Predict,
    "sample": Sample,
    "transcribe": Transcribe,
    "forecast": Forecast,
}


def parse(arguments: list[str]) -> Any:
    """Return the command, with its arguments; tyro prints help and ends the program where they are no command."""
    group = COMMANDS.get(arguments[0]) if arguments else None
    if isinstance(group, dict):
        prog = f"contextual-rnn {arguments[0]}"
        return tyro.extras.subcommand_cli_from_dict(group, prog=prog, args=arguments[1:])
    flat = {name: command for name, command in COMMANDS.items() if not isinstance(command, dict)}
    for name, commands in COMMANDS.items():
        if isinstance(commands, dict):
            flat |= {f"{name} {what}": command for what, command in commands.items()}
    return tyro.extras.subcommand_cli_from_dict(flat, prog="contextual-rnn", args=arguments)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; bad input ends it with one sentence and exit code 2."""
    torch.set_num_threads(1)  # the variable above reaches the workers; here torch was imported before it was set
    command = None
    for name in ("stdout", "stderr"):  # None where the caller has shut it; print(file=None) would write to the other
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (as long as the program)
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments)
        command.run()
        sys.stdout.flush()
    except InputError as error:
        print(f"contextual-rnn: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # who reads standard output has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # such as a disk that is full
        print(f"contextual-rnn: the system refused: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what could not be written is not tried again
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "contextual-rnn: stopped" + ("; --resume goes on from here" if hasattr(command, "resume") else ""),
            file=sys.stderr,
        )
        sys.exit(130)
