"""Cores with fast weights: `FastWeightsRNN` over sequences, `FastWeightsCell` for one step."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .._core.choices import check_choice
from .._core.state import check_state
from .._core.tracing import is_eager, needs_plain_operations, shapes_are_traced
from .attention import look_up
from .backend import BACKENDS, Backend, choose
from .graph_operation import graph_fast_weights
from .operation import attention_scores, fast_weights
from .recurrence import Activation, Recurrence, Write
from .reference import reference

State = tuple[Tensor, Tensor]


class _FastWeights(nn.Module):
    """The weights and settings of `FastWeightsRNN` and `FastWeightsCell`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        inner_steps: int = 1,
        decay: float = 0.95,
        rate: float = 0.5,
        write: Write = "final",
        layer_norm: bool = True,
        activation: Activation = "relu",
        *,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.recurrence = Recurrence(inner_steps, decay, rate, write, activation, layer_norm, epsilon)
        self.weight_ih = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.layer_norm: nn.LayerNorm | None = nn.LayerNorm(hidden_size, eps=epsilon) if layer_norm else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set W to 0.05 times the identity (Ba et al.); draw C and b uniformly within 1 / sqrt(H), as `nn.RNN` does."""
        bound = self.hidden_size**-0.5
        nn.init.uniform_(self.weight_ih, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        with torch.no_grad():
            nn.init.eye_(self.weight_hh).mul_(0.05)
        if self.layer_norm is not None:
            self.layer_norm.reset_parameters()

    causal = True

    @property
    def state_shapes(self) -> tuple[tuple[int], tuple[int, int]]:
        """The shapes of h and A for one example, (H,) and (H, H)."""
        return (self.hidden_size,), (self.hidden_size, self.hidden_size)

    def config(self) -> dict[str, Any]:
        """Return the arguments of `__init__`, to save them in a file."""
        return {"input_size": self.input_size, "hidden_size": self.hidden_size, **dataclasses.asdict(self.recurrence)}

    def extra_repr(self) -> str:
        """Show the sizes and settings."""
        return ", ".join(f"{key}={value!r}" for key, value in self.config().items())

    def _norm(self) -> tuple[Tensor | None, Tensor | None]:
        return (None, None) if self.layer_norm is None else (self.layer_norm.weight, self.layer_norm.bias)


class FastWeightsCell(_FastWeights):
    """Take one step of the fast-weights recurrence of Ba et al. (arXiv 1610.06258); `Recurrence` has the equations.

    Args:
        input_size: D, the width of the inputs.
        hidden_size: H, the number of hidden units.
        inner_steps: S, the number of times that a step reads the fast weights.
        decay: the factor by which the fast weights decay per step.
        rate: the rate at which a step writes to the fast weights.
        write: the vector that a step writes: `"final"` for the hidden state of the previous step (Ba et al.),
            `"preliminary"` for its own hidden state before it reads (the code of arXiv 1902.03455).
        layer_norm: whether a layer norm with a learned gain and offset is applied after each read.
        activation: `"relu"` or `"tanh"`.
        epsilon: the number that the layer norm adds to the variance.
    """

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Take a step.

        Args:
            x: the input, (B, D).
            state: h (B, H) and A (B, H, H); None is zero.

        Returns:
            The output (B, H), which is the new h, and the new state.

        Raises:
            ValueError: the state has other shapes.
        """
        if state is not None:
            check_state(state, self.state_shapes, x.shape[0])
        h, fast = (x.new_zeros(x.shape[0], self.hidden_size), None) if state is None else state
        projected = linear(x, self.weight_ih, self.bias).unsqueeze(1)
        _, h, fast = reference(projected, self.weight_hh, h, fast, *self._norm(), self.recurrence)
        return h, (h, fast)


class FastWeightsRNN(_FastWeights):
    """Run the fast-weights recurrence of Ba et al. (arXiv 1610.06258) over sequences; it is called like `nn.RNN`.

    Memory grows with T H instead of T H^2: within a chunk of steps, a step attends to the vectors that earlier steps
    wrote, and no matrix is computed. `Recurrence` has the equations.

    Under the transforms of `torch.func`, and in graphs that `torch.export`, `torch.onnx` and `torch.jit.trace` record,
    the backend `"reference"` always runs.

    Args:
        input_size: D, the width of the inputs.
        hidden_size: H, the number of hidden units.
        inner_steps: S, the number of times that a step reads the fast weights.
        decay: the factor by which the fast weights decay per step.
        rate: the rate at which a step writes to the fast weights.
        write: the vector that a step writes: `"final"` for the hidden state of the previous step (Ba et al.),
            `"preliminary"` for its own hidden state before it reads (the code of arXiv 1902.03455).
        layer_norm: whether a layer norm with a learned gain and offset is applied after each read.
        activation: `"relu"` or `"tanh"`.
        batch_first: whether inputs and outputs are (B, T, ...); states are always batch first.
        epsilon: the number that the layer norm adds to the variance.
        backend: the implementation; it is not saved with the model. `"auto"` is the fastest that is installed and
            supports the inputs; only `"reference"`, which computes the matrix of every step, has second derivatives;
            `"attention"` is plain PyTorch; `"numba"` is compiled for the CPU (float32 and float64; run
            `pip install 'contextual-rnn[fast]'`); `"triton"` is for CUDA (float32, H up to 128; run
            `pip install 'contextual-rnn[gpu]'`).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from contextual_rnn import ContextState, ContextualRNN, FastWeightsRNN
        >>> core = FastWeightsRNN(100, 50)
        >>> rnn = ContextualRNN(core, ContextState(core, nn.Linear(100, 32)))
        >>> output, (h, A) = rnn(torch.zeros(8, 11, 100), context=torch.zeros(8, 100))
        >>> output.shape, h.shape, A.shape
        (torch.Size([8, 11, 50]), torch.Size([8, 50]), torch.Size([8, 50, 50]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        inner_steps: int = 1,
        decay: float = 0.95,
        rate: float = 0.5,
        write: Write = "final",
        layer_norm: bool = True,
        activation: Activation = "relu",
        batch_first: bool = True,
        *,
        epsilon: float = 1e-5,
        backend: Backend = "auto",
    ) -> None:
        super().__init__(
            input_size, hidden_size, inner_steps, decay, rate, write, layer_norm, activation, epsilon=epsilon
        )
        check_choice(backend, BACKENDS, "backend")
        self.batch_first = batch_first
        self.backend = backend

    def forward(self, x: Tensor, state: State | None = None, *, return_attention: bool = False) -> tuple:
        """Run over sequences.

        Args:
            x: inputs (B, T, D), or (T, B, D) if `batch_first` is False.
            state: h (B, H) and A (B, H, H) to start from; None is zero.
            return_attention: whether to return the attention scores as well.

        Returns:
            The outputs h_1 to h_T, in the layout of x; the state (h_T, A_T); and, with `return_attention`, the scores
            (B, S, T, T). Score (s, t, i) is rate decay^(t-i) q_s . v_i, the factor by which step t multiplies the
            vector that step i wrote. No gradient passes through the scores, and they do not include the effect of A_0.

        Raises:
            ValueError: x does not have three dimensions, has no steps, or its width is not D.
        """
        if x.dim() != 3 or (not shapes_are_traced() and x.shape[2] != self.input_size):
            raise ValueError(
                f"x must have three dimensions, the last of size {self.input_size}; found shape {tuple(x.shape)}"
            )
        projected = linear(x, self.weight_ih, self.bias)
        projected = projected if self.batch_first else projected.transpose(0, 1)
        output, h, fast = self.run(projected, state)
        output = output if self.batch_first else output.transpose(0, 1)
        if not return_attention:
            return output, (h, fast)
        h0, fast0 = self._start(projected, state)
        scores = attention_scores(projected, self.weight_hh, h0, fast0, *self._norm(), self.recurrence)
        return output, (h, fast), scores

    def project(self, embedding: Tensor, symbols: Tensor) -> Tensor:
        """Return C e(x_t) + b (B, T, H), the input of `run`, for symbols x (B, T) and an embedding e (K, D).

        This projects the K rows of the embedding instead of B T steps.
        """
        table = linear(embedding, self.weight_ih, self.bias)
        if self.backend == "reference" or not is_eager():
            return look_up(table, symbols)
        return choose(self.backend, table).look_up(table, symbols)

    def run(
        self, projected: Tensor, state: State | None = None, *, return_fast: bool = True
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Run over inputs that are already projected, such as those that `project` returns.

        Args:
            projected: C x_t + b, (B, T, H).
            state: as in `forward`.
            return_fast: whether to compute A_T, which costs as much as a step of a short sequence.

        Returns:
            h_1 to h_T (B, T, H), h_T (B, H), and A_T (B, H, H) or None.
        """
        if not shapes_are_traced() and not projected.shape[1]:
            raise ValueError(f"x must have at least one time step; found shape {tuple(projected.shape)}")
        device = projected.device.type
        if torch.is_autocast_enabled(device):  # the hand-written gradients support only the dtype of the weights
            with torch.autocast(device, enabled=False):
                wide = None if state is None else (state[0].to(self.weight_hh), state[1].to(self.weight_hh))
                return self.run(projected.to(self.weight_hh), wide, return_fast=return_fast)
        arguments = (projected, self.weight_hh, *self._start(projected, state), *self._norm(), self.recurrence)
        if self.backend == "reference" or needs_plain_operations():
            return reference(*arguments)
        if torch.compiler.is_compiling():
            return graph_fast_weights(*arguments, backend=self.backend)
        return fast_weights(*arguments, kernels=choose(self.backend, projected), return_fast=return_fast)

    def _start(self, projected: Tensor, state: State | None) -> tuple[Tensor, Tensor | None]:
        if state is None:
            return projected.new_zeros(projected.shape[0], self.hidden_size), None
        check_state(state, self.state_shapes, projected.shape[0])  # compiled loops read past the end of smaller states
        h, fast = state
        if not is_eager():
            return h, fast
        # A zero matrix that is expanded over the batch, as from ConstantState, is treated as None, which is free.
        expanded = fast.device.type == "cpu" and not fast.requires_grad and len(fast) > 0 and fast.stride(0) == 0
        return h, (None if expanded and not fast[0].any() else fast)

    def config(self) -> dict[str, Any]:
        """Return the arguments of `__init__`, to save them in a file."""
        return {**super().config(), "batch_first": self.batch_first}
