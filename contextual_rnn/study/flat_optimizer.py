"""AdamW with clipped gradients over one buffer of all parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class FlatAdamW:
    """AdamW (Loshchilov and Hutter 2019) whose parameters are views of one tensor; it clips the norm of the gradient.

    It computes what `torch.nn.utils.clip_grad_norm_` and `torch.optim.AdamW(fused=True)` compute, in a few operations
    however many parameters there are. Its `state_dict` is that of `torch.optim.AdamW`, parameter by parameter.

    Args:
        parameters: the parameters, of one dtype and device; each becomes a view of the common tensor. Those that need
            no gradient are left out. Do not move the module to another dtype or device afterwards.
        lr: learning rate.
        max_norm: the norm to which the gradient of all parameters is clipped; None clips nothing.
        **settings: of `torch.optim.AdamW`, such as `weight_decay`.

    Raises:
        ValueError: there is no parameter, or they differ in dtype or device.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, *, max_norm: float | None = None, **settings: Any
    ) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        kinds = {(parameter.dtype, parameter.device) for parameter in self.parameters}
        if len(kinds) != 1:
            raise ValueError(f"the parameters must be of one dtype and device; found {len(kinds)}")
        self.max_norm = max_norm
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
        """Take a step.

        Raises:
            ValueError: a parameter has no gradient. AdamW leaves such a parameter alone, which one tensor cannot.
        """
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if len(gradients) < len(self.parameters):
            missing = next(number for number, p in enumerate(self.parameters) if p.grad is None)
            shape = tuple(self.parameters[missing].shape)
            raise ValueError(f"parameter {missing}, of shape {shape}, has no gradient: every parameter needs one")
        torch._foreach_copy_(self._gradients, gradients)
        if self.max_norm is not None:
            nn.utils.clip_grad_norm_([self.flat], self.max_norm, foreach=False)
        self.optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state in the layout of `torch.optim.AdamW` over the same parameters."""
        found = self.optimizer.state_dict()
        moments = found["state"].get(0)
        groups = [{**found["param_groups"][0], "params": list(range(len(self.parameters)))}]
        if moments is None:
            return {"state": {}, "param_groups": groups}
        parts = {name: self._views(moments[name]) for name in ("exp_avg", "exp_avg_sq")}
        state = {
            number: {"step": moments["step"], **{name: views[number] for name, views in parts.items()}}
            for number in range(len(self.parameters))
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that this class or `torch.optim.AdamW` over the same parameters returned.

        Raises:
            ValueError: it is the state of other parameters, or of parameters that have taken unlike numbers of steps.
        """
        entries = [state["state"][number] for number in sorted(state["state"])]
        groups = [{**state["param_groups"][0], "params": [0], "fused": True}]
        if not entries:
            self.optimizer.load_state_dict({"state": {}, "param_groups": groups})
            return
        shapes = [tuple(entry["exp_avg"].shape) for entry in entries]
        if shapes != [tuple(parameter.shape) for parameter in self.parameters] or len(state["param_groups"]) != 1:
            raise ValueError("the state is that of other parameters")
        if len({float(entry["step"]) for entry in entries}) != 1:
            raise ValueError("the state is that of parameters which have taken unlike numbers of steps")
        joined: dict[str, Tensor] = {
            name: torch.cat([entry[name].reshape(-1) for entry in entries]) for name in ("exp_avg", "exp_avg_sq")
        }
        self.optimizer.load_state_dict({"state": {0: {"step": entries[0]["step"], **joined}}, "param_groups": groups})

    def _views(self, flat: Tensor) -> list[Tensor]:
        """Return the parts of a flat tensor, each in the shape of its parameter."""
        parts = flat.split([parameter.numel() for parameter in self.parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self.parameters, strict=True)]
