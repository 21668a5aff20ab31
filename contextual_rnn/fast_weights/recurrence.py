"""The settings of the fast-weights recurrence, shared by all its implementations."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from .._core.choices import check_choice

NO_SECOND_DERIVATIVE = "second derivatives of fast weights need backend='reference'"
Write = Literal["final", "preliminary"]
Activation = Literal["relu", "tanh"]


@dataclasses.dataclass(frozen=True)
class Recurrence:
    """The settings of the fast-weights recurrence of Ba et al. (arXiv 1610.06258).

        z_t = W h_{t-1} + C x_t + b,   p_t = f(z_t)
        A_t = decay A_{t-1} + rate v_t v_t^T
        q_0 = p_t,   q_{s+1} = f(LN(z_t + A_t q_s)),   h_t = q_S

    The written vector v_t is h_{t-1} with `write="final"` (as in the paper), and p_t with `write="preliminary"` (as in
    the code of arXiv 1902.03455).

    Attributes:
        inner_steps: S, the number of times that a step reads the fast weights; at least 1.
        decay: the factor by which the fast weights decay per step.
        rate: the rate at which v_t v_t^T is added to the fast weights.
        write: the vector that is written, `"final"` or `"preliminary"`.
        activation: f, `"relu"` or `"tanh"`.
        layer_norm: whether LN is applied.
        epsilon: the number that LN adds to the variance.

    Raises:
        ValueError: `inner_steps` is less than 1, or a name is not one of these.
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
