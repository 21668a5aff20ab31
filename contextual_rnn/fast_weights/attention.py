"""Fast weights without the matrix: A_t q is computed as attention of q over the vectors written so far, in PyTorch.

    A_t q = decay^t A_0 q + rate sum_{i<=t} decay^(t-i) v_i (v_i . q)

(Ba et al., arXiv 1610.06258, section 4.2.) These functions run one chunk of time steps; `operation` calls them for each
chunk. The backward pass is also attention, over the queries of later steps, so no H x H matrix is stored per step.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn.functional import embedding

from .recurrence import Recurrence


@dataclasses.dataclass(frozen=True)
class Trace:
    """The tensors that the forward pass stores for the backward pass, time first. A slice is the trace of a chunk.

    Attributes:
        hidden: h_0 to h_T, (T + 1, B, H).
        queries: q_0 to q_{S-1} of every step, (T, S, B, H); q_0 is p.
        normalised: (u - mean) / deviation, (T, S, B, H), or empty without layer norm.
        deviation: the standard deviation of u, (T, S, B, 1), or empty without layer norm.
        scores: q_s . v_i, (T, S, B, longest chunk); undefined for v_i after the step.
    """

    hidden: Tensor
    queries: Tensor
    normalised: Tensor
    deviation: Tensor
    scores: Tensor

    @classmethod
    def empty(cls, like: Tensor, chunk: int, recurrence: Recurrence, *, rows_last: bool = False) -> Trace:
        """Allocate a trace for a sequence like `like`, (T, B, H); with `rows_last`, B comes last in memory."""
        T, B, H = like.shape
        S = recurrence.inner_steps
        norm = S if recurrence.layer_norm else 0

        def allocate(*shape: int) -> Tensor:
            if not rows_last:
                return like.new_empty(shape)
            return like.new_empty(*shape[:-2], shape[-1], shape[-2]).transpose(-1, -2)

        return cls(
            hidden=allocate(T + 1, B, H),
            queries=allocate(T, S, B, H),
            normalised=allocate(T, norm, B, H),
            deviation=allocate(T, norm, B, 1),
            scores=allocate(T, S, B, chunk),
        )

    def __getitem__(self, steps: slice) -> Trace:
        if steps == slice(0, len(self.queries)):
            return self
        return Trace(
            self.hidden[steps.start : steps.stop + 1],
            *(part[steps] for part in (self.queries, self.normalised, self.deviation, self.scores)),
        )

    def written(self, recurrence: Recurrence) -> Tensor:
        """Return v_1 to v_T, (T, B, H)."""
        return self.hidden[:-1] if recurrence.write == "final" else self.queries[:, 0]


def forward(
    projected: Tensor,
    weight_hh: Tensor,
    fast: Tensor | None,
    gain: Tensor | None,
    offset: Tensor | None,
    trace: Trace,
    recurrence: Recurrence,
) -> None:
    """Run a chunk from the state in `trace.hidden[0]`, and fill in the rest of `trace`.

    Args:
        projected: C x_t + b, (T, B, H).
        weight_hh: W, (H, H).
        fast: A before the chunk, (B, H, H), or None for zero.
        gain: the gain of LN, (H,), or None for 1.
        offset: the offset of LN, (H,), or None for 0.
        trace: the trace of the chunk, which this function fills in.
        recurrence: the settings.
    """
    written = trace.written(recurrence).transpose(0, 1)
    left = fading(len(projected), projected, recurrence)
    for t, projected_t in enumerate(projected):
        z = torch.addmm(projected_t, trace.hidden[t], weight_hh.T)
        trace.queries[t, 0] = _activate(z, recurrence)
        v = written[:, : t + 1]
        for s in range(recurrence.inner_steps):
            q = trace.queries[t, s]
            scores = torch.bmm(v, q.unsqueeze(2)).squeeze(2)
            trace.scores[t, s, :, : t + 1] = scores
            u = z + torch.bmm((scores * left[-t - 1 :]).unsqueeze(1), v).squeeze(1)
            if fast is not None:
                u += recurrence.decay ** (t + 1) * torch.bmm(fast, q.unsqueeze(2)).squeeze(2)
            if recurrence.layer_norm:
                u = _normalise(u, gain, offset, trace.normalised[t, s], trace.deviation[t, s], recurrence)
            following = trace.hidden[t + 1] if s + 1 == recurrence.inner_steps else trace.queries[t, s + 1]
            following.copy_(_activate(u, recurrence))


def backward(
    grad_hidden: Tensor | None,
    grad_last: Tensor | None,
    grad_fast: Tensor | None,
    weight_hh: Tensor,
    fast: Tensor | None,
    gain: Tensor | None,
    trace: Trace,
    recurrence: Recurrence,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Run the backward pass of a chunk.

    Args:
        grad_hidden: the gradient of the outputs h_1 to h_T, (T, B, H), or None for zero.
        grad_last: the gradient of the last state h_T, (B, H), or None for zero.
        grad_fast: the gradient of A after the chunk, (B, H, H), or None for zero.
        weight_hh: W, (H, H).
        fast: A before the chunk, (B, H, H), or None for zero.
        gain: the gain of LN, (H,), or None for 1.
        trace: the trace that the forward pass wrote.
        recurrence: the settings.

    Returns:
        The gradients of z_t (T, B, H), of h_0 (B, H), of u (T, S, B, H) for `write_backward`, of W (H, H), and of gain
        and offset (H,), which are None without a gain.
    """
    T, S, B, H = trace.queries.shape
    written = trace.written(recurrence).transpose(0, 1)
    left = fading(T, trace.hidden, recurrence)
    grad_z, grad_u = torch.empty_like(trace.queries[:, 0]), torch.empty_like(trace.queries)
    grad_written = trace.hidden.new_zeros(B, T, H)
    if grad_fast is not None:
        # The gradient of v_i through A after the chunk is rate decay^(T-i) (G + G^T) v_i.
        grad_written += torch.bmm(left.view(1, T, 1) * written, grad_fast + grad_fast.transpose(1, 2))
    grad_norm = trace.hidden.new_zeros(2, H)
    carried = trace.hidden.new_zeros(B, H) if grad_last is None else grad_last.clone()
    for t in reversed(range(T)):
        grad_q = carried if grad_hidden is None else carried + grad_hidden[t]
        v, faded = written[:, : t + 1], left[-t - 1 :]
        grad_z[t] = 0
        for s in reversed(range(S)):
            q = trace.queries[t, s]
            following = trace.hidden[t + 1] if s + 1 == S else trace.queries[t, s + 1]
            grad_y = _activation_gradient(grad_q, following, recurrence)
            if recurrence.layer_norm:
                normalised = trace.normalised[t, s]
                if gain is not None:
                    grad_norm += torch.stack([(grad_y * normalised).sum(0), grad_y.sum(0)])
                    grad_y = grad_y * gain
                grad_y = _through_norm(grad_y, normalised, trace.deviation[t, s])
            grad_u[t, s] = grad_y
            grad_z[t] += grad_y
            grad_scores = faded * torch.bmm(v, grad_y.unsqueeze(2)).squeeze(2)
            grad_q = torch.bmm(grad_scores.unsqueeze(1), v).squeeze(1)
            if fast is not None:
                grad_q += recurrence.decay ** (t + 1) * torch.bmm(grad_y.unsqueeze(1), fast).squeeze(1)
            factors = torch.stack([faded * trace.scores[t, s, :, : t + 1], grad_scores], dim=2)
            grad_written[:, : t + 1] += torch.bmm(factors, torch.stack([grad_y, q], dim=1))
        if recurrence.write == "preliminary":
            grad_q = grad_q + grad_written[:, t]
        grad_z[t] += _activation_gradient(grad_q, trace.queries[t, 0], recurrence)
        carried = grad_z[t] @ weight_hh
        if recurrence.write == "final":
            carried += grad_written[:, t]
    grad_weight = grad_z.flatten(0, 1).T @ trace.hidden[:-1].flatten(0, 1)
    return grad_z, carried, grad_u, grad_weight, *((None, None) if gain is None else grad_norm)


def empty(like: Tensor, chunk: int, recurrence: Recurrence) -> Trace:
    """Allocate a trace in the memory layout of these kernels."""
    return Trace.empty(like, chunk, recurrence)


def look_up(table: Tensor, symbols: Tensor) -> Tensor:
    """Return the rows of a table (K, H) for symbols (B, T): (B, T, H)."""
    return embedding(symbols, table)


def lay(steps: Tensor) -> Tensor:
    """Return steps (T, B, H) unchanged: these kernels have no special memory layout."""
    return steps


def write(fast: Tensor | None, trace: Trace, recurrence: Recurrence) -> Tensor:
    """Return A after a chunk, decay^T A + rate sum_i decay^(T-i) v_i v_i^T, (B, H, H)."""
    v = trace.written(recurrence).transpose(0, 1)
    faded = (v * fading(v.shape[1], v, recurrence).unsqueeze(1)).transpose(1, 2)
    if fast is None:
        return torch.bmm(faded, v)
    return torch.baddbmm(fast, faded, v, beta=recurrence.decay ** v.shape[1])


def write_backward(grad_fast: Tensor | None, grad_u: Tensor, trace: Trace, recurrence: Recurrence) -> Tensor:
    """Return the gradient of A before a chunk, decay^T G + sum_t decay^t sum_s u'_s q_s^T, (B, H, H).

    G is the gradient of A after the chunk, and u' the gradient of u (T, S, B, H) that `backward` returned.
    """
    steps = len(grad_u)
    decays = grad_u.new_tensor([recurrence.decay ** (t + 1) for t in range(steps)])
    left = (grad_u * decays.view(-1, 1, 1, 1)).permute(2, 3, 0, 1).flatten(2)
    right = trace.queries.permute(2, 0, 1, 3).flatten(1, 2)
    if grad_fast is None:
        return torch.bmm(left, right)
    return torch.baddbmm(grad_fast, left, right, beta=recurrence.decay**steps)


def fading(steps: int, like: Tensor, recurrence: Recurrence) -> Tensor:
    """Return rate * decay^(steps - 1 - i), (steps,): the factor of the vector of step i after the last step."""
    left = [recurrence.rate * recurrence.decay**age for age in range(steps - 1, -1, -1)]
    return torch.tensor(left, dtype=like.dtype, device=like.device)


def _activate(x: Tensor, recurrence: Recurrence) -> Tensor:
    return x.relu() if recurrence.activation == "relu" else x.tanh()


def _activation_gradient(grad: Tensor, output: Tensor, recurrence: Recurrence) -> Tensor:
    return grad * (output > 0) if recurrence.activation == "relu" else grad * (1 - output * output)


def _through_norm(grad: Tensor, normalised: Tensor, deviation: Tensor) -> Tensor:
    mean, along = grad.mean(1, keepdim=True), (grad * normalised).mean(1, keepdim=True)
    return (grad - mean - normalised * along) / deviation


def _normalise(
    u: Tensor, gain: Tensor | None, offset: Tensor | None, normalised: Tensor, deviation: Tensor, recurrence: Recurrence
) -> Tensor:
    variance, mean = torch.var_mean(u, dim=1, correction=0, keepdim=True)
    deviation.copy_((variance + recurrence.epsilon).sqrt())
    normalised.copy_((u - mean) / deviation)
    return normalised if gain is None or offset is None else torch.addcmul(offset, normalised, gain)
