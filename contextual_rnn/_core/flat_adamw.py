"""AdamW with clipped gradients over one buffer of all parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

MOMENTS = ("exp_avg", "exp_avg_sq")


class FlatAdamW:
    """AdamW (Loshchilov and Hutter 2019) whose parameters are views of one tensor; it clips the norm of the gradient.

    It computes what `torch.nn.utils.clip_grad_norm_` and `torch.optim.AdamW(fused=True)` compute, in a few operations
    however many parameters there are. Its `state_dict` is that of `torch.optim.AdamW`, parameter by parameter. It calls
    the function `torch.optim.adamw.adamw`, since the class imports PyTorch's compiler, which takes seconds.

    AdamW leaves a parameter without a gradient alone, which one tensor cannot do. From the first step in which a
    parameter has no gradient, and for parameters of several dtypes or on a GPU, the optimiser steps them one by one:
    there one fused operation does so, and cuDNN has its own order for the weights of a recurrent layer.

    Args:
        parameters: the parameters; each becomes a view of the common tensor until `release` is called. Those that need
            no gradient are left out. Do not move the module to another dtype or device in the meantime.
        lr: learning rate.
        max_norm: the norm to which the gradient of all parameters is clipped; None clips nothing.
        weight_decay: of all parameters.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        max_norm: float | None = None,
        weight_decay: float = 0.01,
    ) -> None:
        given = list(parameters)
        self.numbers = [number for number, parameter in enumerate(given) if parameter.requires_grad]
        self.parameters = [given[number] for number in self.numbers]
        self.max_norm = max_norm
        self.param_groups = [_settings(lr, weight_decay, len(given))]
        self.state: dict[int, dict[str, Tensor]] = {}  # by the number of the parameter
        self.flat: nn.Parameter | None = None
        self.joined = False  # whether the parameters are views of one tensor
        kinds = {(parameter.device.type, parameter.dtype) for parameter in self.parameters}
        if len(kinds) == 1 and next(iter(kinds))[0] == "cpu":
            self._join()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Clip the gradients and take a step."""
        moved = [place for place, parameter in enumerate(self.parameters) if parameter.grad is not None]
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if len(moved) < len(self.parameters):
            self._separate()
        if self.flat is not None:
            torch._foreach_copy_(self._gradients, gradients)
            self._update([self.flat], [self._state])
        else:
            numbers = [self.numbers[place] for place in moved]
            for number, place in zip(numbers, moved, strict=True):
                self.state.setdefault(number, _zeros(self.parameters[place]))
            self._update([self.parameters[place] for place in moved], [self.state[number] for number in numbers])

    def _update(self, parameters: list[nn.Parameter], states: list[dict[str, Tensor]]) -> None:
        if self.max_norm is not None:
            nn.utils.clip_grad_norm_(parameters, self.max_norm)
        (group,) = self.param_groups
        adamw(
            list[Tensor](parameters),
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state[MOMENTS[0]] for state in states],
            [state[MOMENTS[1]] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=group["amsgrad"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=group["maximize"],
        )

    @property
    def updates(self) -> int:
        """The number of steps taken; the largest, if some parameters had no gradient in some steps."""
        states = [self._state] if self.flat is not None else list(self.state.values())
        return int(max((float(state["step"]) for state in states), default=0))

    def release(self) -> None:
        """Give each parameter memory of its own again; take no step afterwards."""
        if not self.joined:
            return
        for parameter in self.parameters:
            parameter.data = parameter.detach().clone()

    def state_dict(self) -> dict[str, Any]:
        """Return the state in the layout of `torch.optim.AdamW` over the same parameters."""
        state = self.state if self.flat is None else self._parts()
        return {"state": {number: dict(entry) for number, entry in state.items()}, "param_groups": self.param_groups}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that this class or `torch.optim.AdamW` over the same parameters returned.

        Raises:
            ValueError: it is the state of other parameters.
        """
        entries, groups = state["state"], state["param_groups"]
        parameters = dict(zip(self.numbers, self.parameters, strict=True))
        for number, entry in entries.items():
            if len(groups) != 1 or number not in parameters or not _fits(entry, parameters[number]):
                raise ValueError("the state is that of other parameters")
        self.param_groups = [{**groups[0], "fused": True}]
        if self.flat is not None and not entries:
            self._state = _zeros(self.flat)
        if self.flat is not None and entries:
            steps = {float(entry["step"]) for entry in entries.values()}
            if len(entries) == len(self.parameters) and len(steps) == 1:
                for name in MOMENTS:
                    joined = torch.cat([entries[number][name].reshape(-1) for number in self.numbers])
                    self._state[name].copy_(joined)
                self._state["step"].fill_(steps.pop())
                return
            self.flat = None  # some had no gradient
        if self.flat is None:
            self.state = {number: _copied(entry, parameters[number]) for number, entry in entries.items()}

    def _join(self) -> None:
        """Make the parameters views of one tensor."""
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters])
        for parameter, view in zip(self.parameters, self._views(flat), strict=True):
            parameter.data = view
        self.joined = True
        self.flat = nn.Parameter(flat)
        self.flat.grad = torch.zeros_like(flat)
        self._gradients = self._views(self.flat.grad)
        self._state = _zeros(self.flat)

    def _separate(self) -> None:
        """Go on with the parameters one by one, from the same state."""
        if self.flat is not None:
            self.state, self.flat = self._parts(), None

    def _parts(self) -> dict[int, dict[str, Tensor]]:
        """Return the state of each parameter; empty before the first step."""
        if not float(self._state["step"]):
            return {}
        views = {name: self._views(self._state[name]) for name in MOMENTS}
        return {
            number: {"step": self._state["step"].clone(), **{name: views[name][place] for name in MOMENTS}}
            for place, number in enumerate(self.numbers)
        }

    def _views(self, flat: Tensor) -> list[Tensor]:
        """Return the parts of a flat tensor, each in the shape of its parameter."""
        parts = flat.split([parameter.numel() for parameter in self.parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self.parameters, strict=True)]


def _settings(lr: float, weight_decay: float, parameters: int) -> dict[str, Any]:
    """Return the settings in the layout of `torch.optim.AdamW`, with its defaults."""
    switches = {"amsgrad": False, "maximize": False, "foreach": None, "capturable": False, "differentiable": False}
    group = {"lr": lr, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": weight_decay, **switches}
    return {**group, "fused": True, "decoupled_weight_decay": True, "params": list(range(parameters))}


def _zeros(parameter: Tensor) -> dict[str, Tensor]:
    """Return the state of a parameter before its first step."""
    step = torch.zeros((), device=parameter.device)
    return {"step": step, **{name: torch.zeros_like(parameter, requires_grad=False) for name in MOMENTS}}


def _copied(entry: dict[str, Tensor], parameter: Tensor) -> dict[str, Tensor]:
    """Return a state in memory of its own, of the parameter's dtype and device."""
    state = _zeros(parameter)
    for name, value in state.items():
        value.copy_(entry[name])
    return state


def _fits(entry: dict[str, Any], parameter: Tensor) -> bool:
    """Return whether a state has the moments of a parameter, in its shape and dtype, and the number of steps."""
    kinds = {name: (value.shape, value.dtype) for name, value in entry.items() if isinstance(value, Tensor)}
    step = kinds.pop("step", None)
    of_step = step is not None and step[0].numel() == 1 and float(entry["step"]) >= 0
    return of_step and kinds == dict.fromkeys(MOMENTS, (parameter.shape, parameter.dtype))
