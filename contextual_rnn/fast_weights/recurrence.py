"""The settings of the fast-weights recurrence, which every form of it shares."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from .._core.choices import check_choice

Write = Literal["final", "preliminary"]
Activation = Literal["relu", "tanh"]


@dataclasses.dataclass(frozen=True)
class Recurrence:
    """What is fixed of the recurrence of Ba et al. (arXiv 1610.06258).

        z_t = W h_{t-1} + C x_t + b,   p_t = f(z_t)
        A_t = decay A_{t-1} + rate v_t v_t^T
        q_0 = p_t,   q_{s+1} = f(LN(z_t + A_t q_s)),   h_t = q_S

    v_t is what is written: with `write="final"` (theirs) h_{t-1}, with `"preliminary"` (the code of arXiv 1902.03455)
    p_t.

    Attributes:
        inner_steps: S, at least 1.
        decay: of the fast weights, a step.
        rate: of writing.
        write: `"final"` or `"preliminary"`.
        activation: f, `"relu"` or `"tanh"`.
        layer_norm: whether LN is there.
        epsilon: added to the variance that LN divides by.

    Raises:
        ValueError: one of them is out of range.
    """

    inner_steps: int = 1
    decay: float = 0.95
    rate: float = 0.5
    write: Write = "final"
    activation: Activation = "relu"
    layer_norm: bool = True
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if self.inner_steps < 1:
            raise ValueError(f"inner_steps must be at least 1; found {self.inner_steps}")
        check_choice(self.write, get_args(Write), "write")
        check_choice(self.activation, get_args(Activation), "activation")
