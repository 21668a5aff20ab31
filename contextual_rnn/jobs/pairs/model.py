"""A model that writes the target of a source text, such as the pronunciation of a spelling."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..._core.module_config import register
from ...explore.explorable import Explorable
from ...explore.explored import Explored
from ...explore.page import Page
from ...study.restored import Restored
from .decode import Target
from .network import PairNetwork
from .transcribe import search_targets, transcribe

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@register
class PairModel(Restored, PairNetwork, Explorable):
    """A `PairNetwork` that transcribes sources and reads files of version 0.1."""

    @classmethod
    def upgrade(cls, arguments: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
        """Convert constructor arguments saved by version 0.1; return current ones unchanged."""
        if "config" not in arguments:
            return arguments
        settings = dict(arguments["config"])
        if settings.get("attention") == "none":  # it had no effect without attention, and is refused now
            settings["input_feeding"] = False
        others = {name: value for name, value in arguments.items() if name != "config"}
        return {"settings": settings, **others}

    @classmethod
    def page(cls, explored: Explored) -> Page:
        """Return the page of such models; see `explore`."""
        from .page import PairPage

        return PairPage(explored)

    def transcribe(
        self,
        sources: Iterable[str] | str,
        *,
        label: str | Sequence[str] | None = None,
        beam: int = 5,
        n_best: int = 1,
        alpha: float = 0.0,
        coverage: float = 0.0,
        longest: int = 100,
        scores: bool = False,
    ) -> list[str] | list[list[Target]]:
        """Write the targets of sources. Warns of symbols that the model does not know, and of truncated targets.

        Args:
            sources: a list of texts, or a single text.
            label: of all sources, or a list of one for each, for a model that reads labels.
            beam: the width of the beam search; 1 is greedy search.
            n_best: the number of targets per source, at most `beam`.
            alpha: the exponent of the length penalty: the score is the log probability over the length to this power.
            coverage: the weight of the coverage penalty, which lowers the score of a target that leaves parts of its
                source without attention.
            longest: the largest number of symbols of a target.
            scores: return targets with their scores, even if `n_best` is 1.

        Returns:
            The target of every source. If `n_best` is greater than 1 or `scores` is true: for every source a list of
            `Target`, the best first, each with `text`, `symbols`, `score` and `ended`. An empty source has an empty
            target.

        Raises:
            InputError: if an argument or a source is invalid.
        """
        return transcribe(
            [self],
            sources,
            label=label,
            beam=beam,
            n_best=n_best,
            alpha=alpha,
            coverage=coverage,
            longest=longest,
            scores=scores,
        )

    translate = transcribe  # the same

    def plot_attention(
        self,
        sources: Iterable[str] | str,
        *,
        label: str | Sequence[str] | None = None,
        beam: int = 5,
        alpha: float = 0.0,
        coverage: float = 0.0,
        longest: int = 100,
    ) -> Figure:
        """Draw which symbols of its source each symbol of a target reads: the attention weights, one panel a source.

        Args:
            sources: a single text, or a list of at most 20 texts.
            label: as for `transcribe`, as are `beam`, `alpha`, `coverage` and `longest`. The target is the one that
                `transcribe` writes with them.
            beam: the width of the beam search.
            alpha: the exponent of the length penalty.
            coverage: the weight of the coverage penalty.
            longest: the largest number of symbols of a target.

        Returns:
            A matplotlib figure. A row is a symbol of the target, a column a symbol of the source, and the weights of a
            row sum to 1.

        Raises:
            InputError: the model has no attention, or an argument or a source is invalid.

        Example:
            model.plot_attention("A dog sleeps.").savefig("attention.png")
        """
        from .figures import check_attention, draw_attention, written_pairs

        check_attention(self)
        search: dict[str, Any] = {"beam": beam, "alpha": alpha, "coverage": coverage, "longest": longest}
        return draw_attention(self, written_pairs(search_targets([self], sources, label=label, **search)))
