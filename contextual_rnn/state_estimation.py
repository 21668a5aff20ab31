"""Estimate the initial state of each sequence from its first targets, by regularised least squares."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ._core.state import State, fill, leaves, map_state
from .errors import InputError

Model = Callable[[Tensor, State], tuple[Tensor, Any]]

_ROWS = 4096  # the rows that a pass for the Jacobian may have


def estimate_state(
    model: Model,
    inputs: Tensor,
    targets: Tensor,
    *,
    start: State,
    weight: float = 0.0,
    scale: float | Tensor = 1.0,
    iterations: int = 20,
) -> State:
    """Estimate the initial state of each sequence from its first targets.

        h0 = argmin_h  sum_{t,k} ((model(inputs, h)_{t,k} - targets_{t,k}) / scale_k)^2 + weight |h - start|^2

    This is the initial state of moving-horizon estimation (Rao, Rawlings and Mayne, 2003) through a trained model. It
    is found by the Levenberg-Marquardt method from `start`. Every sequence has its own damping, so its estimate does
    not depend on the rest of the batch. A step is taken only if it lowers the sum above. So the error over these T
    steps is never higher than that from `start`; with noisy targets, the error after them can be higher, which a larger
    `weight` prevents. Choose the weight on validation data, by the error after the window.

    The parameters of the model and their gradients stay as they are. A module, or the module of a bound method, runs in
    evaluation mode, and returns to its mode afterwards.

    Args:
        model: called as `model(inputs, state) -> (predictions (B, T, K), anything)`. It must treat the rows of a batch
            independently, and be differentiable with respect to the state.
        inputs: (B, T, D), the inputs of the window.
        targets: (B, T, K), the targets of the window. A NaN is an unknown target, whose error does not count.
        start: the batch-first state (B, *shape) to start from, such as zeros, the state of `FreeState`, or g(window) of
            a `ContextState`. The estimate is regularised towards it.
        weight: the weight of the squared distance from `start`, at least 0.
        scale: the unit of the errors, a number or (K,), such as the standard deviation of each target.
        iterations: the number of steps tried for each sequence, at least 1.

    Returns:
        The estimated state, of the nesting, shapes and dtype of `start`, without a graph.

    Raises:
        InputError: `weight`, `scale` or `iterations` is out of range; the batch sizes differ; the predictions do not
            have the shape of the targets; or the inputs, targets, start or the predictions from it are not finite.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import FreeState, ContextualRNN, estimate_state
        >>> core = nn.GRU(1, 8, batch_first=True)
        >>> rnn, readout = ContextualRNN(core, FreeState(core)), nn.Linear(8, 1)
        >>> def model(inputs, state):
        ...     output, state = rnn(inputs, state=state)
        ...     return readout(output), state
        >>> inputs, targets = torch.zeros(4, 5, 1), torch.ones(4, 5, 1)
        >>> h0 = estimate_state(model, inputs, targets, start=rnn.initial_state(4), weight=0.1)
        >>> h0.shape
        torch.Size([4, 1, 8])
    """
    _check(inputs, targets, start, weight, scale, iterations)
    with _evaluation(model):
        inputs, targets, start = map_state(_plain_copy, (inputs, targets, start))
        window = _Window(model, inputs, targets, start, weight, scale)
        return window.state(_levenberg_marquardt(window, iterations))


class _Window:
    """The residuals of a window as a function of the states, one vector (B, N) for each sequence."""

    def __init__(
        self, model: Model, inputs: Tensor, targets: Tensor, start: State, weight: float, scale: float | Tensor
    ) -> None:
        self.model, self.inputs, self.like, self.weight = model, inputs, start, weight
        self.start = torch.cat([leaf.flatten(1) for leaf in leaves(start)], dim=1)
        self.known = targets.isfinite().flatten(1)
        self.targets, self.scale = targets, torch.as_tensor(scale, dtype=targets.dtype, device=targets.device)

    def state(self, vector: Tensor) -> State:
        """Return the state of vectors (B, N)."""
        like = list(leaves(self.like))
        parts = vector.split([math.prod(leaf.shape[1:]) for leaf in like], dim=1)
        sized = zip(parts, like, strict=True)
        rows = len(vector)  # named, since a leaf may be empty
        return _fill_like(self.like, (part.reshape(rows, *leaf.shape[1:]).to(leaf.dtype) for part, leaf in sized))

    def residuals(self, vector: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the scaled errors (B, T K) from states; 0 where the target is unknown."""
        predicted, _ = self.model(self.inputs[rows], self.state(vector))
        targets = self.targets[rows]
        if predicted.shape != targets.shape:
            raise InputError(
                f"the model must return predictions of the shape of `targets`, {tuple(targets.shape)}; "
                f"found {tuple(predicted.shape)}"
            )
        return torch.where(self.known[rows], ((predicted - targets) / self.scale).flatten(1), 0)

    def loss(self, vector: Tensor) -> Tensor:
        """Return the regularised sum of squares (B,), in float64."""
        with torch.no_grad():
            errors = self.residuals(vector).double().square().sum(1)
        return errors + self.weight * (vector - self.start).double().square().sum(1)

    def jacobian(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return the residuals (B, M) and their derivatives (B, M, N).

        Each sequence is repeated once for each of its M residuals, so one backward pass gives all derivatives.
        """
        size = self.known.shape[1]
        found = []
        for rows in torch.arange(len(vector), device=vector.device).split(max(1, _ROWS // size)):
            repeated = vector[rows].repeat_interleave(size, 0).requires_grad_()
            residuals = self.residuals(repeated, rows.repeat_interleave(size)).unflatten(0, (len(rows), size))
            diagonal = residuals.diagonal(dim1=1, dim2=2)
            (slopes,) = torch.autograd.grad(diagonal.sum(), repeated)
            found.append((diagonal.detach(), slopes.unflatten(0, (len(rows), size))))
        errors, slopes = (torch.cat(parts) for parts in zip(*found, strict=True))
        return errors, slopes


def _levenberg_marquardt(window: _Window, iterations: int) -> Tensor:
    """Return the vectors (B, N) that minimise the loss of each sequence."""
    vector, best = window.start, window.loss(window.start)
    if not bool(best.isfinite().all()):
        raise InputError("the predictions from `start` are not finite; give a finite `start`")
    damping = torch.full_like(best, 1e-2)
    identity = torch.eye(vector.shape[1], dtype=torch.float64, device=vector.device)
    for _ in range(iterations):
        errors, slopes = (part.double() for part in window.jacobian(vector))
        slope = torch.einsum("bmn,bm->bn", slopes, errors) + window.weight * (vector - window.start).double()
        curvature = torch.einsum("bmn,bmk->bnk", slopes, slopes) + window.weight * identity
        size = curvature.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-12)
        step, failed = torch.linalg.solve_ex(curvature + (damping * size).view(-1, 1, 1) * identity, slope)
        tried = vector - step.to(vector.dtype)
        usable = (failed == 0) & tried.isfinite().all(1)
        loss = window.loss(torch.where(usable.unsqueeze(1), tried, vector))
        better = usable & (loss < best)  # false where the loss is not finite
        vector = torch.where(better.unsqueeze(1), tried, vector)
        best = torch.where(better, loss, best)
        damping = torch.where(better, damping / 5, damping * 5).clamp(1e-9, 1e9)
    return vector.detach()


def _plain_copy(tensor: Tensor) -> Tensor:
    """Return a copy that gradients can be taken with, also of a tensor made in inference mode."""
    return tensor.detach().clone()


def _fill_like(state: State, values: Iterator[Tensor]) -> State:
    """Return the values in the nesting of a state."""
    return fill(map_state(lambda leaf: tuple(leaf.shape), state), values)


@contextlib.contextmanager
def _evaluation(model: Any) -> Iterator[None]:
    """Run a model in evaluation mode, with gradients of states, and leave modes and random numbers as they were."""
    owner = model if isinstance(model, nn.Module) else getattr(model, "__self__", None)
    modes = {module: module.training for module in owner.modules()} if isinstance(owner, nn.Module) else {}
    with torch.inference_mode(False), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        try:
            for module in modes:
                module.training = False
            yield  # without cuDNN, which has no gradients in evaluation mode
        finally:
            for module, training in modes.items():
                module.training = training


def _check(
    inputs: Tensor, targets: Tensor, start: State, weight: float, scale: float | Tensor, iterations: int
) -> None:
    if not 0 <= weight < math.inf:
        raise InputError(f"`weight` must be a finite number of at least 0; found {weight}")
    scales = torch.as_tensor(scale)
    if not bool((scales > 0).all() & scales.isfinite().all()):
        raise InputError(f"`scale` must be positive and finite; found {scales.tolist()}")
    if iterations < 1:
        raise InputError(f"`iterations` must be at least 1; found {iterations}")
    sizes = [len(inputs), len(targets), *(len(leaf) for leaf in leaves(start))]
    if inputs.dim() < 2 or targets.dim() != 3 or len(set(sizes)) != 1 or inputs.shape[1] != targets.shape[1]:
        raise InputError(
            "`inputs` (B, T, D), `targets` (B, T, K) and `start` (B, ...) must have the same B and T; found "
            f"{tuple(inputs.shape)}, {tuple(targets.shape)} and a `start` of {sizes[2]} rows"
        )
    if targets.numel() == 0:
        raise InputError(f"`targets` must have at least one value; found shape {tuple(targets.shape)}")
    finite = {"inputs": inputs.isfinite(), "targets": ~targets.isinf()}
    finite["start"] = torch.cat([leaf.isfinite().flatten() for leaf in leaves(start)])
    for name, good in finite.items():
        if not bool(good.all()):
            raise InputError(f"`{name}` has values that are not finite")
