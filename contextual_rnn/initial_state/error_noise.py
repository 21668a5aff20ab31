"""Noise on h0 in proportion to the back-propagated error."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from .._core.examples import example_count
from .._core.noise import next_generator, standard_normal
from .._core.state import State, fill, leaves, map_state
from .._core.transforms import inside_transform, outside_transforms
from .base import Generator, InitialState, check_base, is_sampling
from .constant import BufferTree


class ErrorNoise(InitialState):
    """Add noise to a base state in proportion to the error back-propagated to it (Zimmermann et al., the paper's [5]).

    The noise makes the network insensitive to the part of h0 that it cannot know. In training mode, normal noise of
    standard deviation rate * r_i is added to unit i of the state, where r_i is the square root of a running mean of the
    squared gradient of each example's loss with respect to that unit. The noise is zero until the first backward pass,
    and in evaluation mode.

    Args:
        base: the initial state that the noise is added to.
        rate: the proportion, in units of state per unit of gradient.
        decay: the share of the running mean that each backward pass keeps, in [0, 1).

    The gradient of one example is taken to be B times that of the batch. This holds for a loss that is a mean over the
    batch and is not scaled (`torch.amp.GradScaler` scales it). Gradients that are not finite are ignored.

    `loss.backward()` always updates the running mean. `torch.autograd.grad` and `torch.func.grad` compute only the
    gradients that they return, so they update it only if the base has parameters among these.

    Raises:
        ValueError: `rate` is negative or `decay` outside [0, 1), or the base is no initial state.
    """

    def __init__(self, base: InitialState, rate: float = 1.0, decay: float = 0.9) -> None:
        check_base("ErrorNoise", base)
        super().__init__(base.shapes)
        if rate < 0 or not 0 <= decay < 1:
            raise ValueError(f"rate must be at least 0 and decay in [0, 1); found rate={rate}, decay={decay}")
        self.base, self.rate, self.decay = base, rate, decay
        self.squared_error = BufferTree(self.shapes, 0.0)
        self.uses_context = getattr(base, "uses_context", True)

    def forward(
        self, batch_size: int, context: Any = None, *, sample: bool | None = None, generator: Generator = None
    ) -> State:
        """Return the base's state, with noise when sampling: (B, *shape) for every shape."""
        sampling = is_sampling(self, sample)
        state = self.base(batch_size, context, sample=sampling, generator=next_generator(generator))
        if sampling:
            noise = standard_normal(self.shapes, batch_size, next(leaves(state)), generator)
            squares = fill(self.shapes, self.squared_error.buffers())
            state = map_state(lambda mean, unit, square: mean + self.rate * square.sqrt() * unit, state, noise, squares)
        watching = self.training and torch.is_grad_enabled()
        return self._watched(state, example_count(batch_size)) if watching else state

    def _watched(self, state: State, examples: int) -> State:
        """Let every backward pass through `state` update the running mean of the squared error."""

        def watch(leaf: Tensor, square: Tensor) -> Tensor:
            if not leaf.requires_grad and inside_transform():
                return leaf
            # A view, so that the hook belongs to this leaf only and is freed after this pass.
            leaf = leaf.view_as(leaf) if leaf.requires_grad else leaf.detach().clone().requires_grad_()
            leaf.register_hook(functools.partial(self._update, square, examples))
            return leaf

        return map_state(watch, state, fill(self.shapes, self.squared_error.buffers()))

    def _update(self, square: Tensor, examples: int, gradient: Tensor) -> None:
        with outside_transforms(gradient) as rows:
            if not rows.numel():
                return
            errors = (rows.to(square) * examples).square().flatten(0, rows.dim() - square.dim() - 1).mean(dim=0)
            mean = self.decay * square + (1 - self.decay) * errors
            square.copy_(mean.where(mean.isfinite().all(), square))
