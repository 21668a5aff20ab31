"""A linear model of every step of the horizon: a baseline, and a base to which the decoder adds."""

from __future__ import annotations

import dataclasses
import itertools

import torch
from torch import Tensor, nn

from .settings import ForecastSettings

LAGS = (1, 2, 3, 5, 8, 12, 24, 48, 96, 168)
PENALTIES = (1e-4, 1e-2, 1e-1, 1.0, 10.0, 100.0)  # per row, of standardised columns
MOST = 1500  # lagged columns of a regression
LARGEST = 2000  # known inputs of the horizon that are read
ROWS = 20_000  # windows to fit to
NUMBERS = 3e7  # in the matrix of these windows
WORK = 3e11  # multiplications for all Gram matrices


class DirectLinear(nn.Module):
    """Forecast each step of the horizon by a linear function of the past.

        z_(t+s) - z_t = W_s x_t,  s = 1..horizon

    z are scaled targets, and t is the last step of the past. x holds z_t, the differences z_(t-i) - z_t, the inputs of
    the past, those that are known of the horizon, the context, and 1. The subtraction is that of NLinear (Zeng et al.
    2023, section 4). `fit` finds W by ridge regression.

    Args:
        settings: of the model: the columns, the past and the horizon.
        inputs: U, the inputs at every step of the past, and the indicators of filled targets.
        ahead: A, the inputs that are known of the horizon.
        context: C, the width of the context vector.

    Attributes:
        weight: W, (F, horizon * Y).
    """

    weight: Tensor

    def __init__(self, settings: ForecastSettings, inputs: int, ahead: int, context: int) -> None:
        super().__init__()
        self.targets, self.inputs, self.horizon = len(settings.targets), inputs, settings.horizon
        self.lags = max([lag for lag in (*LAGS, settings.past) if lag <= settings.past and self._allows(lag, 1)])
        self.reads_ahead = ahead * settings.horizon <= LARGEST
        rest = ahead * settings.horizon * self.reads_ahead + context + 1
        self.width = self.lags * (self.targets + inputs) + rest
        self.register_buffer("weight", torch.zeros(self.width, settings.horizon * self.targets))
        self._chosen: tuple[int, int] | None = None

    def forward(self, past: Tensor, inputs: Tensor, ahead: Tensor, context: Tensor) -> Tensor:
        """Return z_(t+s) - z_t, (B, horizon, Y); see `features`."""
        found = self.features(past, inputs, ahead, context) @ self.weight
        return found.view(-1, self.horizon, self.targets)

    def features(self, past: Tensor, inputs: Tensor, ahead: Tensor, context: Tensor) -> Tensor:
        """Return x, (B, F).

        Args:
            past: z, (B, past, Y).
            inputs: (B, past, U).
            ahead: (B, horizon, A).
            context: (B, C).
        """
        last = past[:, -1:]
        values = torch.cat([past[:, -self.lags : -1] - last, last], dim=1) if self.lags > 1 else last
        parts = [values.flatten(1), inputs[:, -self.lags :].flatten(1)]
        parts += [ahead.flatten(1)] if self.reads_ahead else []
        return torch.cat([*parts, context, torch.ones_like(last[:, 0, :1])], dim=1)

    def rows(self, outputs: int) -> int:
        """Return the number of windows that bounds the memory and the work of `fit`, for outputs that differ."""
        most = min(ROWS, NUMBERS / self.width, WORK / (self.width**2 * outputs))
        return max(int(most), 200)

    def fit(self, training: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> DirectLinear:
        """Find W; choose its lags and penalty by the lowest squared error on the validation windows.

        W minimises the squared error plus a penalty of W's squares, without that of the constant. Each target reads
        either its own lags, or those of all targets, whichever is better.

        Args:
            training: x (N, F), and z_(t+s) - z_t (N, horizon, Y) of windows, NaN where a target is missing.
            validation: the same of held-out windows.
        """
        found = [
            (float(squares.nan_to_num(torch.inf)), position, penalty, weights)
            for position, candidate in enumerate(self._candidates())
            for penalty, (squares, weights) in enumerate(self._solve(candidate, training, validation))
        ]
        if found:
            _, position, penalty, weights = min(found, key=lambda one: one[:2])
            self.weight.copy_(weights)
            self._chosen = position, penalty
        return self

    def refit(self, training: tuple[Tensor, Tensor]) -> None:
        """Find W for other windows, with the lags and the penalty that `fit` chose."""
        if self._chosen is not None:
            position, penalty = self._chosen
            self.weight.copy_(self._solve(self._candidates()[position], training, training)[penalty][1])

    def _allows(self, lag: int, targets: int) -> bool:
        return lag == 1 or lag * (targets + self.inputs) <= MOST

    def _candidates(self) -> list[_Candidate]:
        lags = [lag for lag in sorted({*LAGS, self.lags}) if lag <= self.lags]
        both = [False] if self.targets == 1 else [False, True]
        return [
            _Candidate(lag, every)
            for lag, every in itertools.product(lags, both)
            if self._allows(lag, self._read(every))
        ]

    def _read(self, every: bool) -> int:
        return self.targets if every else 1

    def _columns(self, candidate: _Candidate, target: int) -> Tensor:
        """Return the columns of x that a target reads, (f,)."""
        places = torch.arange(self.lags * self.targets).view(self.lags, self.targets)[-candidate.lags :]
        own = places if candidate.every else places[:, target]
        first = self.lags * self.targets
        inputs = first + torch.arange((self.lags - candidate.lags) * self.inputs, self.lags * self.inputs)
        rest = torch.arange(first + self.lags * self.inputs, self.width)
        return torch.cat([own.flatten(), inputs, rest])

    def _solve(
        self, candidate: _Candidate, training: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Return the mean squared validation error, and the weights, of every penalty."""
        x, y = training
        weights = torch.zeros(len(PENALTIES), *self.weight.shape, dtype=torch.float64)
        for columns, outputs, rows in self._regressions(candidate, y):
            design = x[rows][:, columns].double()
            gram, products = design.T @ design, design.T @ y.flatten(1)[rows][:, outputs].double()
            for place, penalty in enumerate(PENALTIES):
                diagonal = torch.full((len(gram),), penalty * len(design) + 1e-9, dtype=torch.float64)
                diagonal[-1] = 1e-9
                solved = torch.linalg.solve(gram + torch.diag(diagonal), products)
                weights[place, columns.unsqueeze(1), outputs] = solved
        errors = [(validation[0].double() @ one - validation[1].flatten(1)).square().nanmean() for one in weights]
        return list(zip(errors, weights.float(), strict=True))

    def _regressions(self, candidate: _Candidate, y: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return the columns of x, the outputs and the rows of every regression; its outputs share columns and rows."""
        known = ~y.isnan().flatten(1)
        patterns, pattern_of = known.unique(dim=1, return_inverse=True) if not bool(known.all()) else _one(known)
        target_of = torch.arange(known.shape[1]) % self.targets
        found = []
        for pattern, target in itertools.product(range(patterns.shape[1]), range(self.targets)):
            chosen = pattern_of == pattern
            if candidate.every:
                if target:
                    continue
            else:
                chosen = chosen & (target_of == target)
            if bool(chosen.any()) and bool(patterns[:, pattern].any()):
                rows = patterns[:, pattern].nonzero().squeeze(1)
                found.append((self._columns(candidate, target), chosen.nonzero().squeeze(1), rows))
        return found


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """The lags that are read, of every target or of the forecast one only."""

    lags: int
    every: bool


def _one(known: Tensor) -> tuple[Tensor, Tensor]:
    return known[:, :1], torch.zeros(known.shape[1], dtype=torch.long)
