"""`FastWeightsRNN` and `FastWeightsCell`: a core of fast weights, over sequences and by the step."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .._core.choices import check_choice
from .._core.plain_operations import is_eager, needs_plain_operations
from .._core.state import check_state
from .._core.tracing import shapes_are_traced
from .attention import look_up
from .backend import BACKENDS, Backend, choose
from .graph_operation import graph_fast_weights
from .operation import attention_scores, fast_weights
from .recurrence import Activation, Recurrence, Write
from .reference import reference

State = tuple[Tensor, Tensor]


class _FastWeights(nn.Module):
    """The weights of both, and their settings."""

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
        """W starts at .05 times the identity (Ba et al.); C and b, as in `nn.RNN`, uniform within 1 / sqrt(H)."""
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
        """The shapes of h and A of one example: (H,) and (H, H)."""
        return (self.hidden_size,), (self.hidden_size, self.hidden_size)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"input_size": self.input_size, "hidden_size": self.hidden_size, **dataclasses.asdict(self.recurrence)}

    def extra_repr(self) -> str:
        """Show the sizes and settings."""
        return ", ".join(f"{key}={value!r}" for key, value in self.config().items())

    def _norm(self) -> tuple[Tensor | None, Tensor | None]:
        return (None, None) if self.layer_norm is None else (self.layer_norm.weight, self.layer_norm.bias)


class FastWeightsCell(_FastWeights):
    """One step of the fast-weights recurrence of Ba et al. (arXiv 1610.06258); `Recurrence` has the equations.

    Args:
        input_size: D.
        hidden_size: H.
        inner_steps: how many times a step reads the fast weights.
        decay: of the fast weights, a step.
        rate: of writing.
        write: `"final"`, the state that the last step ended in (Ba et al.), or `"preliminary"`, what this step is
            before it reads (the code of arXiv 1902.03455).
        layer_norm: whether what is read is normalised, with a gain and an offset that are learned.
        activation: `"relu"` or `"tanh"`.
        epsilon: added to the variance that the layer norm divides by.
    """

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Take a step.

        Args:
            x: the input, (B, D).
            state: h (B, H) and A (B, H, H); None is zero.

        Returns:
            The output (B, H) and the state, whose h it is.

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
    """The fast-weights recurrence of Ba et al. (arXiv 1610.06258) over sequences, called as `nn.RNN` is.

    Memory and time grow with T, not with T times H x H: within a stretch of steps what was written is attended to, and
    no matrix is there.

    Args:
        input_size: D.
        hidden_size: H.
        inner_steps: how many times a step reads the fast weights.
        decay: of the fast weights, a step.
        rate: of writing.
        write: `"final"`, the state that the last step ended in (Ba et al.), or `"preliminary"`, what this step is
            before it reads (the code of arXiv 1902.03455).
        layer_norm: whether what is read is normalised, with a gain and an offset that are learned.
        activation: `"relu"` or `"tanh"`.
        batch_first: whether inputs and outputs are (B, T, ...); states are batch first either way.
        epsilon: added to the variance that the layer norm divides by.
        backend: `"auto"` takes the fastest that is installed; `"reference"` keeps the matrix of every step;
            `"attention"` is plain PyTorch; `"numba"` is compiled for the CPU (float32 and float64; run
            `pip install 'contextual-rnn[fast]'`); `"triton"` for CUDA (float32, H up to 128; run
            `pip install 'contextual-rnn[gpu]'`), checked in its interpreter but not yet on a card. It is no part of
            what is saved. Only the reference has second derivatives.

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
            x: inputs (B, T, D), or (T, B, D) where not `batch_first`.
            state: h (B, H) and A (B, H, H) to start from; None is zero.
            return_attention: whether to return the attention too.

        Returns:
            The outputs h_1 to h_T, laid out as x is; the state (h_T, A_T); and, if asked for, the attention
            (B, S, T, T): entry (s, t, i) is rate decay^(t-i) q_s . v_i, how much of what step i wrote is added to
            step t. It carries no gradient, and what A_0 adds is no part of it.

        Raises:
            ValueError: x has no three dimensions, no step, or other features than D.
        """
        if x.dim() != 3 or (not shapes_are_traced() and x.shape[2] != self.input_size):
            raise ValueError(
                f"x must have three dimensions, the last of {self.input_size} features; found shape {tuple(x.shape)}"
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
        """Return C e(x_t) + b (B, T, H) for symbols (B, T) of an embedding (K, D); for `run`.

        The K rows of the embedding are projected, not the B x T steps.
        """
        table = linear(embedding, self.weight_ih, self.bias)
        if self.backend == "reference" or not is_eager():
            return look_up(table, symbols)
        return choose(self.backend, table).look_up(table, symbols)

    def run(
        self, projected: Tensor, state: State | None = None, *, return_fast: bool = True
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Run over inputs that are projected already, as from a table of projected symbols.

        Args:
            projected: C x_t + b, (B, T, H).
            state: as in `forward`.
            return_fast: whether A_T is wanted: it costs as much as a step of a short sequence.

        Returns:
            h_1 to h_T (B, T, H), h_T (B, H), and A_T (B, H, H) or None.
        """
        if not shapes_are_traced() and not projected.shape[1]:
            raise ValueError(f"there must be at least one time step; found shape {tuple(projected.shape)}")
        device = projected.device.type
        if torch.is_autocast_enabled(device):  # the gradients derived by hand are of one dtype, the weights'
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
        check_state(
            state, self.state_shapes, projected.shape[0]
        )  # compiled loops would read past the end of a smaller one
        h, fast = state
        if not is_eager():
            return h, fast
        # One zero matrix tiled over the batch, as a constant state gives it, is none: that costs nothing to read.
        tiled = fast.device.type == "cpu" and not fast.requires_grad and len(fast) > 0 and fast.stride(0) == 0
        return h, (None if tiled and not fast[0].any() else fast)

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {**super().config(), "batch_first": self.batch_first}
