"""Series without inputs: generate the targets from what is known of the whole series.

    h_0 = initial state,  h_t = f(h_{t-1}, y_{t-1}),  y_t ~ y_{t-1} + mixture of Gaussians(h_t)

After every step a flag says whether the series ends.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from ..._core.module_config import register
from ...data.standardise import mean_and_scale
from ...heads import MixtureHead
from ...initial_state import ConstantState
from ...recurrent import ContextualRNN
from ...sequence_model import Samples, SequenceModel
from ...study.calibration import crps
from ..series.model import core_of, initial_state_of
from ..series.train import Record, collate

GeneratorKind = Literal["zero", "free", "error-noise", "every-step", "context", "gaussian"]
GENERATOR_KINDS: tuple[GeneratorKind, ...] = get_args(GeneratorKind)
SCORED_AT_ONCE = 64  # series whose samples are scored at once, so that memory does not grow with their number


@dataclasses.dataclass(frozen=True)
class GeneratorConfig:
    """A model that generates series.

    Attributes:
        initial_state: one of `GENERATOR_KINDS`; the control `every-step` starts from zero.
        cell: lstm, gru, rnn, or fast-weights, which has one layer.
        hidden: units of each layer.
        layers: of the core.
        components: Gaussians in the mixture over the next step.
        context_hidden: units of the context network's hidden layer.
        window: none; it is here because models with inputs may have one.
    """

    initial_state: str = "context"
    cell: str = "gru"
    hidden: int = 32
    layers: int = 1
    components: int = 5
    context_hidden: int = 32
    window: int = 0


@register
class SeriesGenerator(nn.Module):
    """A sequence model of standardised targets, with an end flag, and what turns its series back into their units.

    Args:
        config: the model.
        targets: Y, the number of target columns.
        context: C, the width of the vector known of a whole series.
    """

    target_mean: Tensor
    target_scale: Tensor

    def __init__(self, config: GeneratorConfig | dict[str, Any], targets: int, context: int = 0) -> None:
        super().__init__()
        self.settings = config if isinstance(config, GeneratorConfig) else GeneratorConfig(**config)
        self.sizes = {"targets": targets, "context": context}
        settings = self.settings
        told = settings.initial_state == "every-step"
        core = core_of(settings.cell, targets + told * context, settings.hidden, settings.layers)
        h0 = ConstantState(core) if told else initial_state_of(settings, core, context)
        head = MixtureHead(settings.hidden, targets, settings.components, change=True, floor=0.01)
        every_step = nn.Identity() if told else None
        self.sequences = SequenceModel(ContextualRNN(core, h0), head, every_step=every_step, end=True)
        self.register_buffer("target_mean", torch.zeros(targets))
        self.register_buffer("target_scale", torch.ones(targets))

    def config(self) -> dict[str, Any]:
        """Return the arguments that build it again."""
        return {"config": dataclasses.asdict(self.settings), **self.sizes}

    def standardise(self, targets: Tensor) -> None:
        """Take means and scales from training steps, targets (N, Y)."""
        mean, scale = mean_and_scale(targets)
        self.target_mean.copy_(mean)
        self.target_scale.copy_(scale)

    def losses(self, targets: Tensor, context: Tensor, lengths: Tensor) -> Tensor:
        """Return the negative log likelihood of every step, end flag included, nats, of targets in their own units.

        Args:
            targets: (B, T, Y), padded.
            context: (B, C).
            lengths: (B,).

        Returns:
            (B, T), 0 past the ends.
        """
        found = self.sequences.losses((targets - self.target_mean) / self.target_scale, context, lengths)
        inside = torch.arange(targets.shape[1], device=targets.device) < lengths.unsqueeze(1)
        return torch.where(inside, found + self.target_scale.log().sum(), 0)

    def sample(self, context: Tensor, n: int, steps: int, **options: Any) -> Samples:
        """Generate n series of `steps` steps at most, in the targets' units; context (n, C), or (1, C) for all.

        The other arguments are those of `SequenceModel.samples`.
        """
        found = self.sequences.sample(context, n, steps, **options)
        inside = torch.arange(steps, device=found.lengths.device) < found.lengths.unsqueeze(1)
        elements = found.elements * self.target_scale + self.target_mean
        return Samples(torch.where(inside.unsqueeze(2), elements, 0), found.lengths)


GeneratorBatch = tuple[Tensor, Tensor, Tensor]


def generator_loss(model: SeriesGenerator, batch: GeneratorBatch) -> Tensor:
    """Return the mean negative log likelihood of a step, nats."""
    lengths = batch[2]
    return model.losses(*batch).sum() / lengths.sum()


def shuffled_series(records: Sequence[Record], size: int) -> Callable[[], Iterator[GeneratorBatch]]:
    """Return what gives an epoch's batches: all series, shuffled."""

    def batches() -> Iterator[GeneratorBatch]:
        for rows in torch.randperm(len(records)).split(size):
            _, targets, context, lengths = collate([records[row] for row in rows.tolist()])
            yield targets, context, lengths

    return batches


@torch.no_grad()
def negative_log_likelihoods(model: SeriesGenerator, records: Sequence[Record]) -> Tensor:
    """Return that of every series, a mean over its steps (N,), nats a step."""
    device, found = model.target_mean.device, []
    for start in range(0, len(records), SCORED_AT_ONCE):
        _, targets, context, lengths = collate(records[start : start + SCORED_AT_ONCE])
        losses = model.losses(targets.to(device), context.to(device), lengths.to(device))
        found.append(losses.sum(1).cpu() / lengths)
    return torch.cat(found)


def ranked_scores(model: SeriesGenerator, records: Sequence[Record], samples: int = 50) -> Tensor:
    """Return the CRPS of every series (N,) in deviations of the targets: a mean over its steps and targets.

    What is scored at a step is the distribution given the context alone, by trajectories sampled from the start.
    """
    device, found = model.target_mean.device, []
    for start in range(0, len(records), SCORED_AT_ONCE):
        _, targets, context, lengths = collate(records[start : start + SCORED_AT_ONCE])
        told = context.to(device).repeat_interleave(samples, dim=0)
        drawn = model.sample(told, len(told), targets.shape[1], seed=start, stop=False).elements
        drawn = drawn.unflatten(0, (-1, samples))
        scores = (crps(drawn.cpu(), targets) / model.target_scale.cpu()).mean(2)
        inside = torch.arange(targets.shape[1]) < lengths.unsqueeze(1)
        found.append(torch.where(inside, scores, 0).sum(1) / lengths)
    return torch.cat(found)
