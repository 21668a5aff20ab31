"""Linear models that simulate series: a baseline for recurrent networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ._core.module_config import register
from ._core.records import Record
from .coding import encoded_width, one_hot_columns

ORDERS = (1, 2, 3, 5, 8, 12, 20)  # lags of the targets and of the inputs
INPUT_ORDERS = (0, 3, 10, 30)  # lags of the inputs of models without lags of the targets
PENALTIES = (1e-6, 1e-3, 1e-1)  # per row, in the scale of standardised columns
LIMIT = 100.0  # standard deviations: an unstable model stays finite
SCORED = 2000  # steps of a held-out series that are simulated to choose an order
MOST = 1500  # coefficients of a target
SERIES = 50  # held-out series that are simulated to choose an order

Split = tuple[Sequence[Record], Sequence[Record]]


@register
class LinearModel(nn.Module):
    """A linear model with exogenous inputs (ARX; Ljung 1999, equation 4.7), simulated from the window on.

    y_t = sum_i A_i y_(t-i) + sum_j B_j u_(t-j) + C c + d, i = 1..n, j = 0..m, in standardised columns. The coefficients
    minimise the one-step squared error plus a ridge penalty. Simulation reads the targets y of the window, and its own
    outputs from there on; inputs u before the first step are those of the first step. c is the context.

    Args:
        window: k, the known steps at the start of a series.
        order: n, at most k.
        input_order: m.
        penalty: of the squared coefficients, per row; d is not penalised.
        sizes: Y, U and C, the numbers of targets, of inputs and of context columns.
        labels: the place of each input column of labels, and the number of its labels. It is one-hot encoded.

    Attributes:
        coefficients: A, B, C and d, (n Y + (m + 1) U + C + 1, Y), float64.
        mean: of the targets, (Y,), float64.
        scale: their standard deviation, (Y,); 1 for a constant column.
        input_mean: of the inputs, (U,).
        input_scale: their standard deviation, (U,).
    """

    coefficients: Tensor
    mean: Tensor
    scale: Tensor
    input_mean: Tensor
    input_scale: Tensor

    def __init__(
        self,
        window: int,
        order: int,
        input_order: int,
        penalty: float,
        sizes: tuple[int, int, int] = (1, 1, 0),
        labels: Sequence[tuple[int, int]] = (),
    ) -> None:
        super().__init__()
        self.window, self.order, self.input_order, self.penalty = window, order, input_order, penalty
        self.label_counts = dict(labels)
        targets, inputs, context = sizes[0], encoded_width(sizes[1], self.label_counts), sizes[2]
        width = order * targets + (input_order + 1) * inputs + context + 1
        self.register_buffer("coefficients", torch.zeros(width, targets, dtype=torch.float64))
        for name, size in (("", targets), ("input_", inputs)):
            self.register_buffer(f"{name}mean", torch.zeros(size, dtype=torch.float64))
            self.register_buffer(f"{name}scale", torch.ones(size, dtype=torch.float64))

    def in_words(self) -> str:
        """Return a sentence on what the model reads."""
        inputs = f"the inputs of the step and of {self.input_order} before it" if self.input_order else "the inputs"
        if not self.order:
            return f"The baseline linear reads {inputs}, and not the window."
        lags = "target" if self.order == 1 else f"{self.order} targets"
        return f"The baseline linear reads the last {lags}, from the window and then its own outputs, and {inputs}."

    def fit(self, records: Sequence[Record]) -> LinearModel:
        """Fit the coefficients to series; steps whose target or lags of it are missing are left out.

        Raises:
            ValueError: no step is left.
        """
        return self._solve(*self._sums(records))

    def _sums(self, records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray, int]:
        """Return X'X, X'Y and the number of rows of the regression; set the scale of the columns."""
        columns = [np.concatenate([_array(record.targets) for record in records])]
        columns.append(np.concatenate([self._inputs(record) for record in records]))
        for prefix, values in zip(("", "input_"), columns, strict=True):
            for kept, value in zip(("mean", "scale"), _moments(values), strict=True):
                getattr(self, f"{prefix}{kept}").copy_(torch.from_numpy(value))
        mean, scale = _array(self.mean), _array(self.scale)
        squares, products, rows = np.zeros(()), np.zeros(()), 0
        for record in records:
            y = (_array(record.targets) - mean) / scale
            x = np.concatenate([_lags(y, 1, self.order), self._exogenous(record)], axis=1)[self.order :]
            known = ~(np.isnan(x).any(1) | np.isnan(y[self.order :]).any(1))
            x, y = x[known], y[self.order :][known]
            squares, products, rows = squares + x.T @ x, products + x.T @ y, rows + len(x)
        return squares, products, rows

    def _solve(self, squares: np.ndarray, products: np.ndarray, rows: int) -> LinearModel:
        if not rows:
            raise ValueError("no step has a target and all its lags")
        penalty = np.full(len(squares), self.penalty * rows)
        penalty[-1] = 1e-9 * rows
        self.coefficients.copy_(torch.from_numpy(np.linalg.solve(squares + np.diag(penalty), products)))
        return self

    def predictions(self, records: Sequence[Record]) -> list[Tensor]:
        """Return the simulated targets (T - k, Y) of every series, in the unit of the targets."""
        mean, scale, coefficients = _array(self.mean), _array(self.scale), _array(self.coefficients)
        width = self.order * len(mean)
        lagged, driven = coefficients[:width], [self._exogenous(record) for record in records]
        size = max(len(record) for record in records) - self.window
        exogenous = np.zeros((len(records), size, len(mean)))
        state = np.zeros((len(records), self.order, len(mean)))  # the newest target first
        for place, (record, x) in enumerate(zip(records, driven, strict=True)):
            exogenous[place, : len(record) - self.window] = x[self.window :] @ coefficients[width:]
            known = (_array(record.targets[: self.window]) - mean) / scale
            state[place] = np.nan_to_num(known[::-1][: self.order])
        simulated = np.empty_like(exogenous)
        for step in range(size):
            new = exogenous[:, step] + state.reshape(len(records), width) @ lagged
            simulated[:, step] = new = new.clip(-LIMIT, LIMIT)
            if self.order:
                state = np.concatenate([new[:, None], state[:, :-1]], axis=1)
        simulated = simulated * scale + mean
        return [
            torch.from_numpy(one[: len(record) - self.window]).float()
            for one, record in zip(simulated, records, strict=True)
        ]

    def _inputs(self, record: Record) -> np.ndarray:
        return _array(one_hot_columns(record.inputs, record.inputs, self.label_counts))

    def _exogenous(self, record: Record) -> np.ndarray:
        """Return the inputs with their lags, the context and 1, (T, (m + 1) U + C + 1)."""
        inputs = (self._inputs(record) - _array(self.input_mean)) / _array(self.input_scale)
        inputs = np.nan_to_num(inputs)  # NaN stands for the mean
        lags, context = _lags(inputs, 0, self.input_order, hold=True), _array(record.context)
        return np.concatenate(
            [lags, np.broadcast_to(context, (len(record), len(context))), np.ones((len(record), 1))], 1
        )


def choose_linear(
    training: Sequence[Record],
    splits: Iterable[Split],
    window: int,
    error: Callable[[LinearModel, Sequence[Record]], float],
    label_counts: Mapping[int, int] | None = None,
) -> LinearModel:
    """Fit a linear model whose orders and penalty have the lowest mean error over splits.

    Of long held-out series, the first 2,000 steps after the window are simulated, and of many, the first 50. Orders
    that give more than 1,500 coefficients are left out, and those whose lags are known at no step.

    Args:
        training: the series to fit the chosen model to.
        splits: the series to fit to, and the held-out ones, of each split.
        window: k, the known steps at the start of a series; n is at most k.
        error: `error(model, records)` of held-out series.
        label_counts: the number of labels of each input column of labels.
    """
    longest = min(window, min(map(len, training)) - 1)
    first, counts = training[0], label_counts or {}
    sizes = first.targets.shape[1], first.inputs.shape[1], len(first.context)
    width = sizes[0] + encoded_width(sizes[1], counts)
    lagged = [(order, order) for order in ORDERS if order <= longest and order * width <= MOST]
    candidates = [*lagged, *((0, order) for order in INPUT_ORDERS)]
    totals = np.zeros((len(candidates), len(PENALTIES)))
    for fitted, held_out in splits:
        scored = [record.part(0, window + SCORED) for record in held_out[:SERIES]]
        for place, (order, input_order) in enumerate(candidates):
            model = LinearModel(window, order, input_order, 0, sizes, tuple(counts.items()))
            sums = model._sums(fitted)
            if not sums[2]:  # no step has a target and all its lags
                totals[place] = np.inf
                continue
            for column, penalty in enumerate(PENALTIES):
                model.penalty = penalty
                totals[place, column] += error(model._solve(*sums), scored) ** 2
    best = divmod(int(np.argmin(np.where(np.isnan(totals), np.inf, totals))), len(PENALTIES))
    order, input_order = candidates[best[0]]
    return LinearModel(window, order, input_order, PENALTIES[best[1]], sizes, tuple(counts.items())).fit(training)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy().astype(np.float64)


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of every column; 0 and 1 where no value is known or none differs."""
    known = ~np.isnan(rows)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, rows, 0).sum(0) / count
    scale = np.sqrt(np.where(known, (rows - mean) ** 2, 0).sum(0) / count)
    return mean, np.where(scale > 0, scale, 1.0)


def _lags(rows: np.ndarray, first: int, last: int, hold: bool = False) -> np.ndarray:
    """Return rows (T, F) shifted by `first` to `last` steps, side by side; before the start, NaN or the first row."""
    before = rows[:1] if hold else np.full_like(rows[:1], np.nan)
    shifted = [np.concatenate([np.repeat(before, lag, 0), rows])[: len(rows)] for lag in range(first, last + 1)]
    return np.concatenate([np.empty((len(rows), 0)), *shifted], axis=1)
