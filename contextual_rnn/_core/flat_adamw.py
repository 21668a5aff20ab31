"""AdamW with clipped gradients over one buffer of all parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")


class FlatAdamW:
    """AdamW (Loshchilov and Hutter 2019) whose parameters are views of one tensor; it clips the norm of the gradient.

    It computes what `torch.nn.utils.clip_grad_norm_` and `torch.optim.AdamW(fused=True)` compute, in a few operations
    however many parameters there are. Its `state_dict` is that of `torch.optim.AdamW`, parameter by parameter.

    AdamW leaves a parameter without a gradient alone, which one tensor cannot do. From the first step in which a
    parameter has no gradient, and for parameters of several dtypes or devices, the optimiser steps them one by one.

    Args:
        parameters: the parameters; each becomes a view of the common tensor until `release` is called. Those that need
            no gradient are left out. Do not move the module to another dtype or device in the meantime.
        lr: learning rate.
        max_norm: the norm to which the gradient of all parameters is clipped; None clips nothing.
        **settings: of `torch.optim.AdamW`, such as `weight_decay`.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, *, max_norm: float | None = None, **settings: Any
    ) -> None:
        self.given = list(parameters)
        self.numbers = [number for number, parameter in enumerate(self.given) if parameter.requires_grad]
        self.parameters = [self.given[number] for number in self.numbers]
        self.max_norm, self._settings = max_norm, settings
        self.flat: nn.Parameter | None = None
        if len({(parameter.dtype, parameter.device) for parameter in self.parameters}) != 1:
            self.optimizer = torch.optim.AdamW(self.given, lr, fused=True, **settings)
            return
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        for parameter, view in zip(self.parameters, self._views(flat), strict=True):
            parameter.data = view
        self.flat = nn.Parameter(flat)
        self.flat.grad = torch.zeros_like(flat)
        self._gradients = self._views(self.flat.grad)
        self.optimizer = torch.optim.AdamW([self.flat], lr, fused=True, **settings)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The settings, as learning rate schedules change them."""
        return self.optimizer.param_groups

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Clip the gradients and take a step."""
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if self.flat is not None and len(gradients) < len(self.parameters):
            self._separate()
        if self.flat is not None:
            torch._foreach_copy_(self._gradients, gradients)
        if self.max_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters if self.flat is None else [self.flat], self.max_norm)
        self.optimizer.step()

    def release(self) -> None:
        """Give each parameter memory of its own again; take no step afterwards."""
        for parameter in self.parameters:
            parameter.data = parameter.detach().clone()

    def state_dict(self) -> dict[str, Any]:
        """Return the state in the layout of `torch.optim.AdamW` over the same parameters."""
        found = self.optimizer.state_dict()
        if self.flat is None:
            return found
        moments = found["state"].get(0)
        groups = [{**found["param_groups"][0], "params": list(range(len(self.given)))}]
        if moments is None:
            return {"state": {}, "param_groups": groups}
        parts = {name: self._views(moments[name]) for name in MOMENTS}
        state = {
            number: {"step": moments["step"].clone(), **{name: views[place] for name, views in parts.items()}}
            for place, number in enumerate(self.numbers)
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that this class or `torch.optim.AdamW` over the same parameters returned.

        Raises:
            ValueError: it is the state of other parameters.
        """
        entries, groups = state["state"], state["param_groups"]
        shapes = {number: tuple(self.given[number].shape) for number in self.numbers}
        for number, entry in entries.items():
            if len(groups) != 1 or _shapes_of(entry) != {shapes.get(number)}:
                raise ValueError("the state is that of other parameters")
        if self.flat is not None and entries:
            steps = {float(entry["step"]) for entry in entries.values()}
            if len(entries) < len(self.parameters) or len(steps) > 1:  # some had no gradient
                self._separate()
        if self.flat is None:
            self.optimizer.load_state_dict(state)
            return
        groups = [{**groups[0], "params": [0], "fused": True}]
        joined: dict[int, dict[str, Tensor]] = {}
        if entries:
            together = {name: torch.cat([entries[n][name].reshape(-1) for n in sorted(entries)]) for name in MOMENTS}
            joined = {0: {"step": entries[self.numbers[0]]["step"], **together}}
        self.optimizer.load_state_dict({"state": joined, "param_groups": groups})

    def _separate(self) -> None:
        """Go on with an optimiser over the parameters themselves, from the same state."""
        state, group = self.state_dict(), self.optimizer.param_groups[0]
        self.flat = None
        self.optimizer = torch.optim.AdamW(self.given, group["lr"], fused=True, **self._settings)
        self.optimizer.load_state_dict(state)

    def _views(self, flat: Tensor) -> list[Tensor]:
        """Return the parts of a flat tensor, each in the shape of its parameter."""
        parts = flat.split([parameter.numel() for parameter in self.parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self.parameters, strict=True)]


def _shapes_of(entry: dict[str, Any]) -> set[tuple[int, ...] | None]:
    """Return the shapes of a parameter's moments; None stands for one that is missing."""
    return {tuple(entry[name].shape) if name in entry else None for name in MOMENTS}
