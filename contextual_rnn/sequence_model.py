"""`SequenceModel`: a `ContextualRNN` and a head, which predict the next element of a sequence and generate new ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ._core.noise import TrajectorySeeds
from ._core.state import State
from ._core.stepping import stepper
from .heads import Head
from .recurrent import ContextualRNN, check_lengths

_STEPS = 1 << 32  # streams of a trajectory's numbers: below it those of h0, from it on those of the steps


class Samples(NamedTuple):
    """Generated sequences.

    Attributes:
        elements: (n, T, D), or (n, T) of categories; 0 past a sequence's end.
        lengths: (n,) how many elements each has.
    """

    elements: Tensor
    lengths: Tensor


class SequenceModel(nn.Module):
    """Predicts every element of a sequence from those before it and from its context.

        output_t = rnn(embedding(x_{t-1})), p(x_t | x_{<t}, context) = head(output_t, x_{t-1})

    Args:
        rnn: a `ContextualRNN`, batch first.
        head: what its output says of the next element; see `heads`.
        embedding: a module from elements to the core's inputs, such as `nn.Embedding`; None takes vectors as they are.
        start: whether the first element is predicted too, from an input that is learned; else it must be given.
        every_step: a network from the context to a vector that is joined to every input, as a control for h0.
        end: what ends a sequence: a category; or True, a flag that is predicted beside every element; or None, nothing.

    Where there is no element before the first, a head that predicts changes takes it to be 0.

    Raises:
        ValueError: the core is not batch first, or goes both ways, or `end` does not suit the head.
    """

    def __init__(
        self,
        rnn: ContextualRNN,
        head: Head,
        embedding: nn.Module | None = None,
        start: bool = True,
        every_step: nn.Module | None = None,
        end: int | bool | None = None,
    ) -> None:
        super().__init__()
        if not rnn.batch_first:
            raise ValueError("the core must be batch first: make it with batch_first=True")
        if getattr(rnn.core, "bidirectional", False):
            raise ValueError("the core must be of one direction: the other reads the elements that are to be predicted")
        if (head.is_category and end is True) or (not head.is_category and end not in (None, True)):
            raise ValueError(
                "end is a category where the head predicts categories, else True or None; found " + f"{end}"
            )
        self.rnn, self.head, self.embedding, self.every_step, self.end = rnn, head, embedding, every_step, end
        width = int(getattr(embedding, "embedding_dim", 0) or getattr(embedding, "out_features", 0) or head.size)
        self.start = nn.Parameter(torch.zeros(width)) if start else None
        self.flag = nn.Linear(self._hidden(), 1) if end is True else None

    def _hidden(self) -> int:
        return next(module.in_features for module in self.head.modules() if isinstance(module, nn.Linear))

    def losses(self, x: Tensor, context: Any = None, lengths: Tensor | None = None) -> Tensor:
        """Return the loss of every element that is predicted, each given the true ones before it.

        Args:
            x: (B, T, D), or (B, T) of categories.
            context: what is known of each, B rows.
            lengths: (B,) how many elements each has; None is all T.

        Returns:
            (B, T) with a learned start, else (B, T - 1); 0 past the end of a row. In nats, where the head is a
            distribution; the end flag's negative log likelihood is in it.

        Raises:
            ValueError: lengths are not B integers in 0 to T.
        """
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1], device=x.device)
        else:
            lengths = check_lengths(lengths, len(x), x.shape[1], x.device)
        inside = torch.arange(x.shape[1], device=x.device) < lengths.unsqueeze(1)
        x = torch.where(inside.view(*inside.shape, *[1] * (x.dim() - 2)), x, 0)
        output, last = self.teacher_forced(x, context)
        target = x if self.start is not None else x[:, 1:]
        inside = inside if self.start is not None else inside[:, 1:]
        found = self.head.loss(output, target, last)
        if self.flag is not None:
            ends = torch.zeros_like(found)
            ends[:, :-1] = (inside[:, :-1] & ~inside[:, 1:]).to(found)
            ends[:, -1] = inside[:, -1].to(found)
            found = found + binary_cross_entropy_with_logits(self.flag(output).squeeze(2), ends, reduction="none")
        return torch.where(inside, found, 0)

    def teacher_forced(self, x: Tensor, context: Any = None, state: State | None = None) -> tuple[Tensor, Tensor]:
        """Return the output that predicts every element, and the element before it, both (B, T, ...).

        Args:
            x: (B, T, D), or (B, T) of categories. Without a learned start the first is not predicted, and T is less 1.
            context: what is known of each, B rows.
            state: to start from, instead of the initial state.
        """
        inputs, last = self.inputs(x[:, :-1]), x[:, :-1]
        if self.start is not None:
            inputs = torch.cat([self.start.expand(len(x), 1, -1), inputs], dim=1)
            last = torch.cat([torch.zeros_like(x[:, :1]), last], dim=1)
        control = self.control(context)
        if control is not None:
            inputs = torch.cat([inputs, control.unsqueeze(1).expand(-1, inputs.shape[1], -1)], dim=2)
        output, _ = self.rnn(inputs, context) if state is None else self.rnn(inputs, state=state)
        return output, last

    def loss(self, x: Tensor, context: Any = None, lengths: Tensor | None = None) -> Tensor:
        """Return the mean loss of a predicted element; see `losses`."""
        found = self.losses(x, context, lengths)
        first = 0 if self.start is not None else 1
        return found.sum() / (
            found.numel() if lengths is None else (torch.as_tensor(lengths) - first).clamp(min=0).sum()
        )

    def log_likelihood(self, x: Tensor, context: Any = None, lengths: Tensor | None = None) -> Tensor:
        """Return the log likelihood of every sequence (B,), nats, where the head is a distribution.

        Where h0 is a distribution too this is that of its mode in evaluation, not the sequence's own.
        """
        return -self.losses(x, context, lengths).sum(1)

    def sample(
        self,
        context: Any = None,
        n: int | None = None,
        steps: int = 100,
        *,
        temperature: float = 1.0,
        seed: int = 0,
        first: Tensor | None = None,
        batch_size: int = 4000,
        stop: bool = True,
    ) -> Samples:
        """Generate sequences; `samples` gives them batch by batch, with its arguments."""
        options: dict[str, Any] = {"temperature": temperature, "seed": seed, "first": first, "batch_size": batch_size}
        return Samples(*map(torch.cat, zip(*self.samples(context, n, steps, stop=stop, **options), strict=True)))

    @torch.no_grad()
    def samples(
        self,
        context: Any = None,
        n: int | None = None,
        steps: int = 100,
        *,
        temperature: float = 1.0,
        seed: int = 0,
        first: Tensor | None = None,
        batch_size: int = 4000,
        stop: bool = True,
    ) -> Iterator[Samples]:
        """Generate sequences, `batch_size` at a time.

        Args:
            context: what is known: n rows, or one, which all have.
            n: how many sequences; None is as many as the context has rows.
            steps: how many elements each has, at most.
            temperature: of the head: 1 is the model itself; at 0 every element, and h0, is its mode.
            seed: trajectory i of a seed is the same whatever the batches.
            first: the first elements (n, D), or one for all, which a model without a learned start needs.
            batch_size: how many are generated at once.
            stop: whether sequences stop where they end; else all go on for `steps`.

        Raises:
            ValueError: n does not agree with the rows of the context, or `first` with the model.
        """
        if (first is None) != (self.start is not None):
            raise ValueError("first is for a model without a learned start, which needs it")
        count = rows_of(context, first) if n is None else n
        for at in range(0, count, batch_size):
            size = min(batch_size, count - at)
            told, given = (select_batch(part, at, size, count) for part in (context, first))
            yield self._generate(told, given, size, steps, temperature, TrajectorySeeds(seed, at), stop)

    def _generate(
        self,
        context: Any,
        first: Tensor | None,
        size: int,
        steps: int,
        temperature: float,
        seeds: TrajectorySeeds,
        stop: bool,
    ) -> Samples:
        like = next(self.parameters())
        shape, dtype = ((), torch.long) if self.head.is_category else ((self.head.size,), like.dtype)
        found = torch.zeros(steps, size, *shape, dtype=dtype, device=like.device)  # a step is one stretch of memory
        lengths = torch.full((size,), steps, device=like.device)
        going = torch.ones(size, dtype=torch.bool, device=like.device)
        last = torch.zeros_like(found[0]) if first is None else first.to(found)
        if first is not None:
            found[0] = last
        inputs = self.start.expand(size, -1) if self.start is not None else self.inputs(last)
        step = stepper(self.rnn.core, self.rnn.start(size, context, sample=temperature > 0, generator=seeds))
        control = self.control(context)
        for t in range(0 if first is None else 1, steps):
            hidden = step(inputs if control is None else torch.cat([inputs, control], dim=1))
            uniform = self.uniform(seeds, t, size)
            last = self.head.sample(hidden, last, uniform[:, 1:], temperature)
            found[t] = torch.where(going.view(-1, *[1] * len(shape)), last, 0)
            if stop and self.end is not None:
                ends = going & self._ends(hidden, last, uniform[:, 0], temperature)
                lengths = torch.where(ends, t + 1, lengths)
                going = going & ~ends
                if not going.any():
                    break
            inputs = self.inputs(last)
        return Samples(found.transpose(0, 1), lengths)

    def uniform(self, seeds: TrajectorySeeds, step: int, size: int) -> Tensor:
        """Return what a step draws by, (size, 1 + head.draws) numbers in (0, 1), the first for the end."""
        like = next(self.parameters())
        if not self.head.draws and self.flag is None:
            return like.new_zeros(size, 1)  # nobody reads it
        return (
            seeds.next_stream(_STEPS + step)
            .uniform(size, 1 + self.head.draws)
            .to(like.device, torch.promote_types(like.dtype, torch.float32))
        )

    def _ends(self, hidden: Tensor, last: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        if self.flag is None:
            return torch.eq(last, -1 if self.end is None else int(self.end))
        share = self.flag(hidden).squeeze(1).sigmoid()
        return share > (uniform if temperature else 0.5)

    def inputs(self, elements: Tensor) -> Tensor:
        """Return what elements (N, D), or (N,) of categories, are to the core."""
        return elements if self.embedding is None else self.embedding(elements)

    def control(self, context: Any) -> Tensor | None:
        """Return what is joined to every input, (B, C), or None."""
        return None if self.every_step is None else self.every_step(context)


def rows_of(context: Any, first: Tensor | None) -> int:
    """Return how many rows the context has, or the first elements where there is none."""
    if isinstance(context, dict):
        context = next((value for value in context.values() if value is not None), None)
    for part in (context, first):
        if part is not None:
            return len(part)
    raise ValueError("n, the number of sequences, is needed where there is no context to count")


def select_batch(part: Any, at: int, size: int, count: int) -> Any:
    """Return the rows of one batch; of one row, as many copies.

    Raises:
        ValueError: it has neither one row nor `count`.
    """
    if part is None:
        return None
    if isinstance(part, dict):
        return {name: select_batch(value, at, size, count) for name, value in part.items()}
    if len(part) not in (1, count):
        raise ValueError(f"the context or the first elements have {len(part)} rows where {count}, or one, is right")
    if len(part) == count:
        return part[at : at + size]
    return part.expand(size, *part.shape[1:]) if isinstance(part, Tensor) else part * size
