"""What records a graph of a model, so that its recurrent cores and its loops over time become operators of the graph.

Code that would run a core or a loop asks `recorder()`. While `contextual_rnn.export` traces a model, it returns a
recorder; at all other times it returns None.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch import Tensor, nn

Tensors = list[Tensor]
Body = Callable[[nn.Module, Tensors, Tensors, Tensors], tuple[Tensors, Tensors]]


class Recorder(Protocol):
    """Records cores and loops as operators."""

    def run_core(self, core: nn.Module, contract: Any, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        """Return `(output, state)` of a core, as `CoreContract.call_in_own_layout` does.

        With `lengths` (B,), the outputs past the end of a row are 0, and the state is that after its last step.
        """

    def scan(
        self, body: Body, steps: Tensors, carry: Tensors, fixed: Tensors, owner: nn.Module
    ) -> tuple[Tensors, Tensors]:
        """Call `body(owner, step, carry, fixed) -> (outputs, carry)` for every step.

        Args:
            body: one step of the loop.
            steps: tensors (T, ...), of which the body gets one row.
            carry: tensors that each step changes.
            fixed: tensors that every step reads.
            owner: the module whose weights the body reads.

        Returns:
            The outputs of all steps, (T, ...), and the last carry.
        """


_active: Recorder | None = None


def recorder() -> Recorder | None:
    """Return the recorder of the graph that is being traced; None if no graph is."""
    return _active


@contextlib.contextmanager
def recording(active: Recorder | None) -> Iterator[None]:
    """Record with `active` until the end of the block; None lets cores and loops run as usual."""
    global _active
    before, _active = _active, active
    try:
        yield
    finally:
        _active = before
