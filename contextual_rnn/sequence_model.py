"""`SequenceModel`: a `ContextualRNN` and a head, which predict the next element of a sequence and generate new ones."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from ._core.contract import input_size, output_size
from ._core.evaluation import evaluation_mode
from ._core.noise import TrajectorySeeds
from ._core.rows import count_rows, map_columns, repeat_row, take_rows
from ._core.state import State
from ._core.tracing import values_are_known
from .export.files import Exported, Format, Graphs, export
from .heads import Head
from .recurrent import ContextualRNN, check_lengths

_STEP_STREAMS = 1 << 32  # the lower streams of random numbers of a trajectory are for h0, the others for its steps


class Samples(NamedTuple):
    """Generated sequences.

    Attributes:
        elements: (n, T, D), or (n, T) of categories; 0 past the end of a sequence.
        lengths: (n,) the number of elements of each sequence.
    """

    elements: Tensor
    lengths: Tensor


class SequenceModel(nn.Module):
    """Predict every element of a sequence from the previous elements and the context.

        output_t = rnn(embedding(x_{t-1})), p(x_t | x_{<t}, context) = head(output_t, x_{t-1})

    Calling the model returns its loss, so that it can be wrapped by `torch.compile`, `DistributedDataParallel` or a
    LightningModule.

    Args:
        rnn: a `ContextualRNN`, batch first.
        head: the distribution, or the point prediction, of the next element; see `heads`.
        embedding: a module from elements to the inputs of the core, such as `nn.Embedding`; None uses vectors as they
            are.
        start: whether to predict the first element too, from a learned input. If False, the first element is given.
        every_step: a network from the context to a vector (B, C) that is concatenated to every input of the core. It
            is a control for the use of the context in h0.
        end: how a sequence ends: the category that ends it; True for a flag that is predicted with every element; None
            for sequences without an end.

    For a head that predicts changes, the element before the first is 0.

    Raises:
        ValueError: the core is not batch first, or is bidirectional; `end` is of a kind that the head does not predict;
            or the widths of head, core and embedding do not agree.
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
        if rnn.bidirectional:
            raise ValueError(
                "the core must not be bidirectional: its backward direction would read the elements to be predicted"
            )
        if (head.is_category and end is True) or (not head.is_category and end not in (None, True)):
            raise ValueError(
                f"end must be a category or None for a head of categories, and True or None for others; found {end}"
            )
        self.rnn, self.head, self.embedding, self.every_step, self.end = rnn, head, embedding, every_step, end
        width = _out_width(embedding) or head.size
        self._check_widths(width)
        self.start = nn.Parameter(torch.zeros(width)) if start else None
        self.flag = nn.Linear(self._hidden_width(), 1) if end is True else None

    def _check_widths(self, width: int) -> None:
        hidden, reads = output_size(self.rnn.core), self.head.hidden_features
        if hidden is not None and reads is not None and hidden != reads:
            raise ValueError(f"the head reads outputs of width {reads}; the outputs of the core have width {hidden}")
        control = 0 if self.every_step is None else _out_width(self.every_step)
        if control is None or (self.embedding is not None and _out_width(self.embedding) is None):
            return
        takes = input_size(self.rnn.core)
        if takes is not None and takes != width + control:
            parts = f"{width}" + f" + {control} of every_step" * bool(control)
            raise ValueError(f"the core's input_size is {takes}; the width of its inputs is {parts}")

    def _hidden_width(self) -> int:
        linear = (module.in_features for module in self.head.modules() if isinstance(module, nn.Linear))
        width = self.head.hidden_features or next(linear, None) or output_size(self.rnn.core)
        if width is None:
            raise ValueError("end=True needs the width of the hidden state: give the head an attribute hidden_features")
        return width

    def forward(self, x: Tensor, context: Any = None, lengths: Tensor | None = None) -> Tensor:
        """Return the loss that training minimises; see `loss`."""
        return self.loss(x, context, lengths)

    def loss(self, x: Tensor, context: Any = None, lengths: Tensor | None = None) -> Tensor:
        """Return the mean loss of the predicted elements; the arguments are those of `losses`.

        Raises:
            ValueError: the batch has no element to predict.
        """
        losses = self.losses(x, context, lengths)
        first = 0 if self.start is not None else 1
        if lengths is None:
            count: Any = losses.numel()
        else:
            count = (torch.as_tensor(lengths) - first).clamp(min=0).sum()
        if values_are_known() and not count:
            least = "one element" if first == 0 else "two elements, since the model has no learned start"
            raise ValueError(f"the batch has no element to predict: no sequence has {least}")
        return losses.sum() / count

    def losses(
        self, x: Tensor, context: Any = None, lengths: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """Return the loss of every predicted element, given the true elements before it.

        Args:
            x: (B, T, D), or (B, T) of categories.
            context: the context of each sequence, B rows.
            lengths: (B,) the number of elements of each sequence; None is T.
            known: (B, T, D), true where a feature of a vector is known; None if all are. The other values of x are
                read, but not predicted: the head's loss is 0 where any feature of the element is unknown. The
                embedding is called as `embedding(x, known)`.

        Returns:
            (B, T) with a learned start, else (B, T - 1); 0 past the end of a row. Where the head is a distribution,
            the negative log likelihood in nats, which includes that of the end flag.

        Raises:
            ValueError: lengths are not B integers from 0 to T, or T is 0.
        """
        size, steps = x.shape[:2]
        if not steps:
            raise ValueError(f"x must have at least one time step; found shape {tuple(x.shape)}")
        if lengths is None:
            lengths = torch.full((size,), steps, device=x.device)
        else:
            lengths = check_lengths(lengths, size, steps, x.device)
        inside = torch.arange(steps, device=x.device) < lengths.unsqueeze(1)
        x = torch.where(inside.view(*inside.shape, *[1] * (x.dim() - 2)), x, 0)
        if self.start is None and steps == 1:
            return next(self.parameters()).new_zeros(size, 0)
        output, last = self.teacher_forced(x, context, known=known)
        target = x if self.start is not None else x[:, 1:]
        inside = inside if self.start is not None else inside[:, 1:]
        losses = self.head.loss(output, target, last)
        if known is not None:
            losses = torch.where(known.all(2)[:, -losses.shape[1] :], losses, 0)
        if self.flag is not None:
            ends = torch.zeros_like(losses)
            ends[:, :-1] = (inside[:, :-1] & ~inside[:, 1:]).to(losses)
            ends[:, -1] = inside[:, -1].to(losses)
            losses = losses + binary_cross_entropy_with_logits(self.flag(output).squeeze(2), ends, reduction="none")
        return torch.where(inside, losses, 0)

    def teacher_forced(
        self, x: Tensor, context: Any = None, state: State | None = None, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Run the core on the true elements.

        Args:
            x: (B, T, D), or (B, T) of categories.
            context: the context of each sequence, B rows.
            state: a state to start from, instead of the initial state.
            known: as in `losses`.

        Returns:
            The outputs that predict the elements, (B, T, H), and the element before each, (B, T, D) or (B, T). Without
            a learned start the first element is not predicted, and both have T - 1 steps.
        """
        last = x[:, :-1]
        inputs = self.inputs(last) if known is None else self.embedding(last, known[:, :-1])  # type: ignore[misc]
        if self.start is not None:
            inputs = torch.cat([self.start.expand(x.shape[0], 1, -1), inputs], dim=1)
            last = torch.cat([torch.zeros_like(x[:, :1]), last], dim=1)
        control = self.control(context)
        if control is not None:
            inputs = torch.cat([inputs, control.unsqueeze(1).expand(-1, inputs.shape[1], -1)], dim=2)
        output, _ = self.rnn(inputs, context) if state is None else self.rnn(inputs, state=state)
        return output, last

    def graphs(self, context: Any = None) -> Graphs:
        """Return what `export` writes; see `export.sequence_graphs`."""
        from .export.sequence_graphs import sequence_graphs

        specs, labels = sequence_graphs(self, context)
        return Graphs(specs, {"labels": labels})

    def export(
        self, out: str | os.PathLike[str], *, format: Format = "onnx", int8: bool = False, context: Any = None
    ) -> Exported:
        """Write the model to files that run without this library; see `export.files.export`.

        Args:
            out: the path that the files' names begin with, such as `model.onnx` for `model-start.onnx` and
                `model-step.onnx`.
            format: of the files: onnx (`.onnx`), or torch (`.pt2`), a program of `torch.export`.
            int8: whether ONNX files have weights of 8 bits.
            context: an example of the context, if its network does not state what it reads.
        """
        return export(self, out, format=format, int8=int8, context=context)

    def log_likelihood(self, x: Tensor, context: Any = None, lengths: Tensor | None = None) -> Tensor:
        """Return the log likelihood of every sequence (B,) in nats, where the head is a distribution.

        Where h0 is a distribution too, this is the likelihood given the mode of h0, in evaluation mode; it is not
        the marginal likelihood of the sequence.
        """
        return -self.losses(x, context, lengths).sum(1)

    def sample(
        self,
        context: Any = None,
        n: int | None = None,
        steps: int = 100,
        *,
        temperature: float = 1.0,
        seed: int | TrajectorySeeds = 0,
        first: Tensor | None = None,
        batch_size: int = 4000,
        stop: bool = True,
        state: State | None = None,
    ) -> Samples:
        """Generate sequences; the arguments are those of `samples`, which returns them batch by batch."""
        options: dict[str, Any] = {"temperature": temperature, "seed": seed, "first": first, "batch_size": batch_size}
        options["state"] = state
        return Samples(*map(torch.cat, zip(*self.samples(context, n, steps, stop=stop, **options), strict=True)))

    @torch.no_grad()
    def samples(
        self,
        context: Any = None,
        n: int | None = None,
        steps: int = 100,
        *,
        temperature: float = 1.0,
        seed: int | TrajectorySeeds = 0,
        first: Tensor | None = None,
        batch_size: int = 4000,
        stop: bool = True,
        state: State | None = None,
    ) -> Iterator[Samples]:
        """Generate sequences, `batch_size` at a time.

        The model generates in evaluation mode, without dropout, even if it is in training mode.

        Args:
            context: the context of the sequences: n rows, or one row for all.
            n: the number of sequences; None is the number of rows of the context.
            steps: the number of elements of each, at most.
            temperature: the temperature of the head. 1 samples from the model; at 0, h0 and every element are the mode.
            seed: the seed of the random numbers, or what draws them. Trajectory i of a seed is the same for every
                `batch_size`.
            first: the first elements (n, D), or one for all sequences. It is required by a model without a learned
                start, and not accepted by others.
            batch_size: the number of sequences that are generated at once.
            stop: whether sequences stop at their end; if False, all have `steps` elements.
            state: a state to start from instead of the initial state, batch first: n rows, or one row for all. The
                context is then read by `every_step` only.

        Raises:
            ValueError: the context or the state does not have n rows or one row, or the state is not one of the core;
                or `first` is missing, or not accepted.
        """
        if (first is None) != (self.start is not None):
            raise ValueError("first is required by a model without a learned start, and not accepted by one with it")
        count = number_of_sequences(context, first, state) if n is None else n
        for at in range(0, count, batch_size):
            size = min(batch_size, count - at)
            known, given, own = (select_batch(part, at, size, count) for part in (context, first, state))
            seeds = (
                dataclasses.replace(seed, first=at) if isinstance(seed, TrajectorySeeds) else TrajectorySeeds(seed, at)
            )
            with evaluation_mode(self):
                h0 = own if state is not None else self.rnn.start(size, known, sample=temperature > 0, generator=seeds)
                batch = self._generate(h0, known, given, size, steps, temperature, seeds, stop)
            yield batch

    def _generate(
        self,
        h0: State,
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
        found = torch.zeros(steps, size, *shape, dtype=dtype, device=like.device)  # each step is contiguous
        lengths = torch.full((size,), steps, device=like.device)
        running = torch.ones(size, dtype=torch.bool, device=like.device)
        last = torch.zeros_like(found[0]) if first is None else first.to(found)
        if first is not None:
            found[0] = last
        inputs = self.start.expand(size, -1) if self.start is not None else self.inputs(last)
        step = self.rnn.stepper(h0)
        control = self.control(context)
        for t in range(0 if first is None else 1, steps):
            hidden = step(inputs if control is None else torch.cat([inputs, control], dim=1))
            uniform = self.uniform(seeds, t, size)
            last = self.head.sample(hidden, last, uniform[:, 1:], temperature)
            found[t] = torch.where(running.view(-1, *[1] * len(shape)), last, 0)
            if stop and self.end is not None:
                ends = running & self._ends(hidden, last, uniform[:, 0], temperature)
                lengths = torch.where(ends, t + 1, lengths)
                running = running & ~ends
                if not running.any():
                    break
            inputs = self.inputs(last)
        return Samples(found.transpose(0, 1), lengths)

    def uniform(self, seeds: TrajectorySeeds, step: int, size: int) -> Tensor:
        """Return the random numbers of a step, (size, 1 + head.draws) in (0, 1). The first is for the end flag."""
        like = next(self.parameters())
        if not self.head.draws and self.flag is None:
            return like.new_zeros(size, 1)  # not used
        return (
            seeds.next_stream(_STEP_STREAMS + step)
            .uniform(size, 1 + self.head.draws)
            .to(like.device, torch.promote_types(like.dtype, torch.float32))
        )

    def _ends(self, hidden: Tensor, last: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        if self.flag is None:
            return torch.eq(last, -1 if self.end is None else int(self.end))
        probability = self.flag(hidden).squeeze(1).sigmoid()
        return probability > (uniform if temperature else 0.5)

    def inputs(self, elements: Tensor) -> Tensor:
        """Convert elements (N, D), or (N,) of categories, to inputs of the core."""
        return elements if self.embedding is None else self.embedding(elements)

    def control(self, context: Any) -> Tensor | None:
        """Return the vector that is concatenated to every input, (B, C), or None."""
        return None if self.every_step is None else self.every_step(context)


def number_of_sequences(*parts: Any) -> int:
    """Return the number of rows of the first of several parts that is there, such as the context."""
    for part in parts:
        count = count_rows(part)
        if count is not None:
            return count
    raise ValueError("n, the number of sequences, is required without a context")


def select_batch(part: Any, at: int, size: int, count: int) -> Any:
    """Return `size` rows of a context of `count` rows, from row `at`; a context of one row is repeated.

    Raises:
        ValueError: the context has neither one row nor `count` rows.
    """

    def select(column: Any) -> Any:
        found = count_rows(column)
        if found == count:
            return take_rows(column, slice(at, at + size))
        if found != 1:
            raise ValueError(
                f"the context, first or state has {found} rows; expected {count}, or one row for all sequences"
            )
        return repeat_row(column, size)

    return map_columns(select, part)


def _out_width(module: nn.Module | None) -> int | None:
    """Return the width of the output of a network, or None if none of its attributes states it."""
    for layer in [module, *(reversed(module) if isinstance(module, nn.Sequential) else ())]:
        for name in ("embedding_dim", "out_features"):
            width = getattr(layer, name, None)
            if isinstance(width, int) and width:
                return width
    return None
