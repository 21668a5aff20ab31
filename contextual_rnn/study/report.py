"""`FitReport`: what training one model found, as a table and a figure."""

from __future__ import annotations

import dataclasses
import html
import io
import pathlib
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .differences import Metric

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass
class FitReport:
    """What `fit` found. Printing it shows what was trained and a table of metrics.

    Attributes:
        sentences: what was trained, and what was inferred or chosen.
        metrics: the columns of the table.
        rows: the rows: metrics by their key, of the model and of baselines on each table.
        history: the metrics of every epoch.
        validation: the validation metrics of every candidate, where several settings were tried.
        out: the run folder; None where nothing was kept on disk.
        files: further files of the run folder to name, by what they hold.
    """

    sentences: list[str]
    metrics: Sequence[Metric]
    rows: dict[str, dict[str, float]]
    history: list[dict[str, Any]]
    validation: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    out: pathlib.Path | None = None
    files: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)

    def table(self, width: int = 80) -> str:
        """Return the metrics as a table."""
        from rich.console import Console
        from rich.table import Table

        rows = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        rows.add_column("")
        for metric in self.metrics:
            rows.add_column(f"{metric.name}{f' ({metric.unit})' if metric.unit else ''}", justify="right")
        for name, values in self.rows.items():
            rows.add_row(name, *(_shown(values.get(metric.key)) for metric in self.metrics))
        text = io.StringIO()
        Console(file=text, width=width, color_system=None, markup=False, emoji=False).print(rows)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def plot_history(self) -> Figure:
        """Draw the training loss, and every validation metric, by epoch."""
        from .figures import plot_history

        return plot_history(self.history)

    def __str__(self) -> str:
        """Return the sentences, the table, and where the files are."""
        parts = [
            textwrap.fill(" ".join(self.sentences), 80, break_on_hyphens=False),
            *([self.table()] if self.rows else []),
        ]
        if self.out is not None:
            drawn = ", ".join(sorted(path.name for path in (self.out / "figures").glob("*.png")))
            figures = f"\nFigures: {self.out / 'figures'} ({drawn})" if drawn else ""
            others = "".join(f"\n{name}: {path}" for name, path in self.files.items())
            parts.append(f"Model:   {self.out / 'model.safetensors'}{others}{figures}")
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(metric.name)}</th>" for metric in self.metrics)
        body = "".join(
            f"<tr><td>{html.escape(name)}</td>"
            + "".join(f"<td>{_shown(values.get(metric.key))}</td>" for metric in self.metrics)
            + "</tr>"
            for name, values in self.rows.items()
        )
        said = html.escape(" ".join(self.sentences))
        return f"<p>{said}</p><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
