"""The kinds of initial state that jobs offer by name, and the controls that they are compared with.

A new kind is one entry here. The jobs on series and on generation, the command line and all figures read it; the jobs
that have an encoder choose a bridge instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

from torch import nn

from ._core.choices import nearest
from ._core.settings import Settings, setting
from .errors import InputError
from .initial_state import ConstantState, ContextState, ErrorNoise, FreeState, GaussianState, InitialState

MakeContextState = Callable[[], ContextState]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of initial state, or a control.

    Attributes:
        name: the name that users choose it by.
        meaning: what it is, in a few words.
        build: `build(core, make_context_state)` returns the initial state; the second argument makes
            `ContextState(core, network)` for the kinds that use one.
        colour: its colour in every figure, which colour-blind readers can distinguish; most are of the palette of Okabe
            and Ito.
        needs_context: whether it is a function of a context.
        needs_window: whether it is a function of the first steps of a series.
        is_control: whether it starts from zero and uses the context in another way.
        is_estimated: whether h0 is estimated at test time from the targets of the window, by `estimate_state`; in
            training, h0 is what `build` returns.
        by_default: whether a comparison includes it unless other kinds are requested.
        runs_over_window: whether the core runs over the known window too, instead of starting after it.
        questions: `(other kind, statement)` for every comparison that this kind answers.
    """

    name: str
    meaning: str
    build: Callable[[nn.Module, MakeContextState], InitialState]
    colour: str
    needs_context: bool = False
    needs_window: bool = False
    is_control: bool = False
    is_estimated: bool = False
    by_default: bool = True
    runs_over_window: bool = True
    questions: tuple[tuple[str, str], ...] = ()


_KINDS = (
    Kind("zero", "all zeros", lambda core, _: ConstantState(core), "#000000"),
    Kind(
        "free",
        "learned, the same for all series",
        lambda core, _: FreeState(core),
        "#E69F00",
        questions=(("zero", "Learning one h0 for all sequences, rather than starting from zero"),),
    ),
    Kind(
        "error-noise",
        "free, with noise in proportion to the back-propagated error",
        lambda core, _: ErrorNoise(FreeState(core)),
        "#CC79A7",
        questions=(("free", "Adding noise to h0 in proportion to the back-propagated error"),),
    ),
    Kind(
        "warm-up",
        "control: zero, with what is known read during the window",
        lambda core, _: ConstantState(core),
        "#D55E00",
        needs_context=True,
        needs_window=True,
        is_control=True,
        questions=(("zero", "Knowing the targets of the window"),),
    ),
    Kind(
        "every-step",
        "control: zero, with what is known joined to every input",
        lambda core, _: ConstantState(core),
        "#56B4E9",
        needs_context=True,
        is_control=True,
        runs_over_window=False,
    ),
    Kind(
        "context",
        "a function of what is known about the series",
        lambda _, make_context_state: make_context_state(),
        "#0072B2",
        needs_context=True,
        runs_over_window=False,
        questions=(
            ("zero", "Starting from h0 = g(context), rather than from zero"),
            ("warm-up", "Starting from h0 = g(context), rather than warming up on the same information"),
            ("every-step", "Starting from h0 = g(context), rather than joining the context to every input"),
        ),
    ),
    Kind(
        "gaussian",
        "context, with Gaussian noise",
        lambda _, make_context_state: GaussianState(make_context_state()),
        "#009E73",
        needs_context=True,
        runs_over_window=False,
        questions=(("context", "Sampling h0 around g(context) in training"),),
    ),
    Kind(
        "handoff",
        "a linear map of the final state of another core that reads the window",
        lambda _, make_context_state: make_context_state(),
        "#882255",
        needs_context=True,
        needs_window=True,
        runs_over_window=False,
        by_default=False,
        questions=(
            ("context", "Reading the window with a recurrent core, rather than with an MLP"),
            ("warm-up", "Reading the window with another core, rather than warming up on it"),
        ),
    ),
    Kind(
        "estimated",
        "free in training, then fitted to each window by least squares",
        lambda core, _: FreeState(core),
        "#8C7000",
        needs_window=True,
        is_estimated=True,
        by_default=False,
        questions=(
            ("context", "Fitting h0 to the window, rather than starting from h0 = g(context)"),
            ("warm-up", "Fitting h0 to the window, rather than warming up on it"),
        ),
    ),
    Kind(
        "context+estimated",
        "g of the context for the start of the window, then fitted to the window",
        lambda _, make_context_state: make_context_state(),
        "#999999",
        needs_context=True,
        needs_window=True,
        is_estimated=True,
        by_default=False,
        questions=(
            ("context", "Fitting h0 to the window from g(context), rather than starting after it from g(context)"),
            ("warm-up", "Fitting h0 to the window from g(context), rather than warming up on it"),
            ("estimated", "Fitting h0 to the window from g(context), rather than from a free h0"),
        ),
    ),
)
KINDS = {kind.name: kind for kind in _KINDS}
COMPARED = tuple(KINDS)  # the kinds that a comparison accepts, controls included
WITHOUT_WINDOW = tuple(kind.name for kind in _KINDS if not kind.needs_window)  # for jobs without a window


def in_words(names: Sequence[str]) -> str:
    """Return the names of kinds, each with its meaning."""
    return ", ".join(f"{name} ({KINDS[name].meaning})" for name in names)


def check_kind(kind: Kind, window: int | None, context: Sequence[str]) -> None:
    """Raise InputError if a kind needs context columns or a window of known steps and these are not given.

    Args:
        kind: the kind of initial state.
        window: the number of known steps; None for jobs without a window.
        context: the context columns.
    """
    if kind.needs_window and not window:
        raise InputError(
            f"initial state {kind.name!r} needs the targets of a window: give `window`, such as `window` 5, or choose "
            "another initial state"
        )
    if kind.needs_context and not window and not context:
        steps = ", or give `window` 5 to compute it from the first 5 steps" * (window is not None)
        raise InputError(
            f"initial state {kind.name!r} is computed from what is known of a series: name in `context` columns that "
            f"have one value in each series (and in `series` the column that tells series apart){steps}; or choose "
            "another initial state"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoreSettings(Settings):
    """A recurrent core and its initial state."""

    initial_state: str | None = setting(
        None,
        f"Kind of initial state: {in_words(COMPARED)}. By default, context if a window or context is given, else zero.",
        group="model",
        choices=COMPARED,
    )
    cell: Literal["lstm", "gru", "rnn", "fast-weights"] = setting("gru", "Recurrent core.", group="model")
    hidden: int = setting(32, "Hidden units of each layer.", group="model", least=1, tunable=True)
    layers: int = setting(1, "Layers of the core.", group="model", least=1, tunable=True)
    context_hidden: int = setting(32, "Units of the hidden layer of the context network.", group="model", least=1)

    @property
    def kind(self) -> Kind:
        """The kind of initial state."""
        return KINDS[self.initial_state or "zero"]

    def choose_kind(self, window: int | None, context: Sequence[str]) -> None:
        """Choose the kind of initial state if none is given, and check that it fits; the arguments are `check_kind`'s.

        Raises:
            InputError: the kind needs what is not there, or the core has one layer only.
        """
        if self.initial_state is None:
            object.__setattr__(self, "initial_state", "context" if window or context else "zero")
        if self.cell == "fast-weights" and self.layers > 1:
            raise InputError(f"`layers` must be 1 for `cell` fast-weights; found {self.layers}")
        check_kind(self.kind, window, context)


def possible_kinds(window: int, context: Sequence[str]) -> list[str]:
    """Return the names of the kinds compared by default that this window and these context columns allow."""
    known = bool(window) or bool(context)
    return [
        kind.name
        for kind in KINDS.values()
        if kind.by_default and (window or not kind.needs_window) and (known or not kind.needs_context)
    ]


def kinds_to_compare(
    names: Sequence[str] | None, allowed: Sequence[str], window: int, context: Sequence[str]
) -> list[str]:
    """Return the names of the kinds to compare, each once.

    Args:
        names: of the requested kinds; None or an empty list requests all that the window and the context allow.
        allowed: the names that the job knows.
        window: the number of steps that are known at the start.
        context: the context columns.

    Raises:
        InputError: a name is not allowed.
    """
    if names is None or not len(names):
        return possible_kinds(window, context)
    for name in names:
        if name not in allowed:
            raise InputError(
                f"`initial_states` must be among {', '.join(allowed)}; found {name!r}{nearest(name, allowed)}"
            )
    return list(dict.fromkeys(names))


def comparisons(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return `(a, b, statement)` for every comparison of two of these kinds.

    If there are two kinds or more, every kind is compared: a kind without a question of its own, with the first kind.
    """
    pairs = [
        (name, other, statement)
        for name in KINDS
        if name in names
        for other, statement in KINDS[name].questions
        if other in names
    ]
    compared = {name for a, b, _ in pairs for name in (a, b)}
    first = names[0] if names else ""
    return pairs + [(name, first, f"{name} rather than {first}") for name in names[1:] if name not in compared]
