"""A model that writes texts symbol by symbol, from what is known about them.

    v = network(context),  h_0 = W v + b,  h_t = f(h_{t-1}, embedding(x_{t-1})),  x_t ~ softmax(head(h_t))

The last symbol of a text is an end symbol. A context value that is not known is replaced by a learned vector.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..._core.choices import nearest
from ..._core.module_config import register
from ..._core.noise import TrajectorySeeds
from ..._core.settings import check_count, check_seed
from ...context import Context, Field, Label, Quantity
from ...cores import make_core
from ...data.fields import spelling
from ...data.frame import FrameColumns, make_frame
from ...data.held_out import hash_of
from ...data.table import Source, free_name, number
from ...data.units import join, pattern_of, split
from ...errors import DataWarning, InputError
from ...explore.explorable import Explorable
from ...explore.explored import Explored
from ...explore.page import Page
from ...export.field_columns import FieldColumns
from ...export.files import Graphs, program
from ...export.sequence_graphs import RESERVED, generator_graphs
from ...initial_state import ConstantState, ContextState
from ...mlp import MLP
from ...recurrent import ContextualRNN
from ...sequence_model import SequenceModel
from ...study.restored import Restored
from .batches import END, Encoded, TextBatch
from .data import Symbols, unknown_label
from .draw import Sampling, draw
from .settings import TextSettings
from .symbol_model import SymbolEmbedding, SymbolHead

CHUNK = 500  # texts drawn or scored at once
MOST_DRAWS = 20  # texts drawn for each one that is asked for, where texts that training saw are left out


@register
class TextModel(Restored, Explorable):
    """A sequence model of symbols with an end symbol, whose initial state or inputs are a function of the context.

    Args:
        settings: the model's columns and sizes.
        symbols: the distinct symbols of the training texts, in the order of their numbers, from 1.
        fields: a field for every context column.
        training_texts: the number of distinct training and validation texts, whose hashes the model keeps.
        usual_length: the number of symbols of the longest training text.

    Attributes:
        backend: the kind of data frame that `sample` returns, as narwhals names it.
    """

    purpose = "writes texts; use `sample` or `score`"

    seen: Tensor
    backend: Any = "polars"

    def __init__(
        self,
        settings: TextSettings | dict[str, Any],
        symbols: Sequence[str],
        fields: dict[str, Field] | None = None,
        training_texts: int = 0,
        usual_length: int = 100,
    ) -> None:
        super().__init__()
        given = settings if isinstance(settings, TextSettings) else TextSettings.from_json(settings)
        self.settings, self.symbols = given, list(symbols)
        self.training_texts, self.usual_length = training_texts, usual_length
        self.register_buffer("seen", torch.zeros(training_texts, dtype=torch.long))
        reads = given.context_in != "none"
        self.context = Context(**fields).requires_grad_(reads) if fields else None
        self.encoder = MLP(self.context.out_features, [given.context_hidden]) if self.context and reads else None
        joined = given.context_hidden if given.context_in in ("every-step", "both") else 0
        core = make_core(given.cell, given.embedding + joined, given.hidden, given.layers)
        h0: Any = ConstantState(core)
        if given.context_in in ("h0", "both"):
            h0 = ContextState(core, nn.Identity(), features=given.context_hidden)
        categories, drop = 1 + len(self.symbols), (given.dropout, given.variational)
        every_step = Joined(joined) if joined else None
        self.sequences = SequenceModel(
            ContextualRNN(core, h0),
            SymbolHead(given.hidden, categories, *drop),
            SymbolEmbedding(categories, given.embedding, *drop),
            every_step=every_step,
            end=END,
        )

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return self.seen.device

    @property
    def fields(self) -> dict[str, Field]:
        """The field of every context column."""
        if self.context is None:
            return {}
        found = dict(zip(self.context.names, self.context.fields, strict=True))
        return {name: found[name] for name in self.settings.context}  # type: ignore[misc]

    def features(self, context: dict[str, Any]) -> Tensor | None:
        """Return the features (B, F) of context columns; None if the model reads no context."""
        if self.context is None or self.encoder is None:
            return None
        given = {name: context[name] for name in self.context.names}
        known = {name: one.to(self.device) if isinstance(one, Tensor) else one for name, one in given.items()}
        for name, field in self.fields.items():
            if isinstance(field, Label) and isinstance(known[name], Tensor):  # of labels none of which is known
                known[name] = [None] * len(known[name])
        return self.encoder(self.context(known))

    def graphs(self) -> Graphs:
        """Return what `export` writes: graphs of whole texts, of the start and of a step, and a program that writes."""
        read = self.context if self.encoder else None
        fields: dict[str, Any] = dict(zip(read.names, read.fields, strict=True)) if read else {}
        columns = FieldColumns(fields, RESERVED, self.encoder)
        described: dict[str, Any] = {
            "job": "texts",
            "symbols": self.symbols,
            "unit": self.settings.unit,
            "labels": columns.labels,
        }
        described |= {"pattern": pattern_of(self.settings.unit), "usual_length": self.usual_length}
        specs = generator_graphs(self.sequences, columns, None)
        return Graphs(specs, {**described, "context": columns.names}, {"-sample.py": program("write")})

    @classmethod
    def page(cls, explored: Explored) -> Page:
        """Return the page of such models; see `explore`."""
        from .page import TextPage

        return TextPage(explored)

    def losses(self, batch: TextBatch) -> Tensor:
        """Return the negative log-likelihood of every symbol of a minibatch, the ends included, (B, T) in nats."""
        features = self.features(batch.context)
        return self.sequences.losses(batch.symbols.to(self.device), features, batch.lengths.to(self.device))

    @torch.no_grad()
    def log_likelihood(self, texts: Encoded) -> Tensor:
        """Return the log-likelihood of every text, (N,) in nats. The order of the texts is kept."""
        order = texts.lengths.argsort()
        found = torch.empty(len(texts))
        for rows in order.split(CHUNK):
            found[rows] = -self.losses(texts.batch(rows)).sum(1).cpu()
        return found

    def remember(self, hashes: Any) -> None:
        """Keep the sorted hashes (N,) of the distinct training and validation texts, which `novel` leaves out."""
        self.seen.copy_(torch.as_tensor(hashes))

    def is_seen(self, text: Symbols) -> bool:
        """Return whether a text is one of the training or validation texts, symbol by symbol.

        Models of version 0.2 and earlier know the texts alone that their weights were trained on.
        """
        wanted = torch.tensor(hash_of(text), device=self.device)
        place = int(torch.searchsorted(self.seen, wanted))
        return place < len(self.seen) and bool(self.seen[place] == wanted)

    def values(self, context: dict[str, Any], argument: str = "context") -> dict[str, Any]:
        """Return a number, a label or None for every context column. Warn of numbers outside the training range.

        Args:
            context: a value for some of the columns; None means that it is not known.
            argument: the name of the argument that holds the values, for errors and warnings.

        Raises:
            InputError: there is no such column, or the value is not one that the column allows.
        """
        for name in context:
            if name not in self.settings.context:
                known = self.settings.context
                if not known:
                    raise InputError(
                        f"`{argument}` names {name!r}, but the model has no context columns; leave `{argument}` out"
                    )
                hint = f"only {', '.join(map(repr, known))}{nearest(name, known)}"
                raise InputError(f"`{argument}`: the model has no context column {name!r}, {hint}")
        return {name: self._value(argument, name, field, context.get(name)) for name, field in self.fields.items()}

    def _value(self, argument: str, name: str, field: Field, value: Any) -> Any:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(field, Label):
            label = label_of(field, value)
            if label not in (field.names or ()):
                raise InputError(f"`{argument}` {name}: {unknown_label(field, value)}")
            return label
        found = number(str(value))
        if found is None or not math.isfinite(found):
            raise InputError(
                f"`{argument}` {name}: {value!r} is no finite number, and the training table has numbers there"
            )
        if isinstance(field, Quantity) and field.is_outside(found):
            assert field.observed is not None
            low, high = field.observed
            warnings.warn(
                f"`{argument}` {name}: {found:g} is outside the range of the training table, {low:g} to {high:g}",
                DataWarning,
                stacklevel=3,
            )
        return found

    def columns(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the context columns of several texts, from the `values` of each."""
        return {
            name: [row[name] for row in rows]
            if isinstance(field, Label)
            else torch.tensor([math.nan if row[name] is None else row[name] for row in rows], dtype=torch.float64)
            for name, field in self.fields.items()
        }

    @torch.no_grad()
    def draw(
        self,
        rows: Sequence[dict[str, Any]],
        how: Sampling,
        *,
        steps: int | None = None,
        seed: int = 0,
        prefix: str = "",
        first: int = 0,
    ) -> Iterator[tuple[Symbols, bool]]:
        """Yield a text, and whether it has ended, for every row of context values.

        Args:
            rows: the `values` of each text.
            how: how symbols are drawn.
            steps: the largest number of symbols; by default, twice that of the longest training text.
            seed: of the random numbers; text i of a seed does not depend on the number of rows.
            prefix: the text that every text starts with.
            first: the number of the first text.
        """
        start = self.prefix_numbers(prefix)
        most = max(1 + (steps or 2 * self.usual_length), len(start) + 1)
        for at in range(0, len(rows), CHUNK):
            part = rows[at : at + CHUNK]
            features = self.features(self.columns(part))
            seeds = TrajectorySeeds(seed, first + at)
            found, ended = draw(self.sequences, features, len(part), most, how, seeds, start)
            for numbers, end in zip(found.tolist(), ended.tolist(), strict=True):
                yield tuple(self.symbols[number - 1] for number in numbers if number != END), end

    def prefix_numbers(self, prefix: str) -> list[int]:
        """Return the numbers of the symbols that texts start with; raise InputError for an unknown symbol."""
        if not prefix:
            return []
        numbers = {symbol: place for place, symbol in enumerate(self.symbols, start=1)}
        symbols = split(prefix, self.settings.unit)
        for symbol in symbols:
            if symbol not in numbers:
                raise InputError(f"`prefix` has the symbol {symbol!r}, which the training texts lack")
        return [numbers[symbol] for symbol in symbols]

    def texts(
        self,
        context: dict[str, Any] | None = None,
        n: int = 100,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        prefix: str = "",
        novel: bool = False,
        steps: int | None = None,
        seed: int = 0,
    ) -> Iterator[tuple[str, bool]]:
        """Yield texts of one context one after the other, each with whether it has ended.

        The arguments are those of `sample`.
        """
        check_count(n=n, **({} if steps is None else {"steps": steps}))
        check_seed(seed)
        how, values, unit = Sampling(temperature, top_k, top_p), self.values(context or {}), self.settings.unit
        made = drawn = 0
        while made < n and drawn < (MOST_DRAWS * n if novel else n):
            size = max(CHUNK if drawn else min(n, CHUNK), 1) if novel else n
            for symbols, ended in self.draw([values] * size, how, steps=steps, seed=seed, prefix=prefix, first=drawn):
                if made < n and not (novel and self.is_seen(symbols)):
                    made += 1
                    yield join(symbols, unit), ended
            drawn += size

    def sample(self, context: dict[str, Any] | None = None, n: int = 100, *, like: Any = None, **options: Any) -> Any:
        """Write texts of one context.

        Args:
            context: values of context columns, such as `{"logp": 2.5}`; columns that are left out are not known.
            n: the number of texts.
            like: a data frame whose kind the result takes; None takes the kind of `backend`.
            options: `temperature` (1 samples from the model's distribution, 0 takes the most likely symbols), `top_k`
                (draw among the k most likely symbols), `top_p` (draw among the most likely symbols whose probabilities
                sum to p), `prefix` (the start of every text), `novel` (leave out texts that are equal, symbol by
                symbol, to a training or validation text; the same molecule in another SMILES is novel), `steps` (the
                largest number of symbols; by default, twice that of the longest training text), and `seed`.

        Returns:
            A data frame with one row per text, and the context columns that were given.

        Raises:
            InputError: a context column is unknown or has an invalid value, or an option is out of range.
        """
        backend = self.backend if like is None else FrameColumns(like, "`like`").frame.implementation
        found = [text for text, _ in self.texts(context, n, **options)]
        given = {name: [value] * len(found) for name, value in (context or {}).items()}
        return make_frame({free_name(self.settings.text, list(given)): found, **given}, backend)

    def score(self, inputs: Source, grid: Any = None, *, unseen: Any = "refuse") -> Any:
        """Return the log-likelihood of the texts of a table, also under each value of a context column.

        Args:
            inputs: a table with the column of texts. Context columns may be absent, or have empty cells, where a value
                is not known.
            grid: the context columns to vary, with their values. Every text is scored under every combination of these
                values, which replace the text's own; the other context columns keep the values of the text's row, or
                are not known. The forms are `"language"` (every label of a column), `"logp=1,2,3"`, a list of such
                texts, a dictionary such as `{"language": ["Greek", "Irish"], "logp": [1, 2, 3]}`, where an empty list
                is every label, or a tuple of one column and its values.
            unseen: what to do with texts that have a symbol that no training text has: `"refuse"` raises InputError,
                `"impossible"` gives them the log-likelihood minus infinity, and `"skip"` leaves their rows out. The
                last two warn with the number of such texts.

        Returns:
            A data frame of the kind of `inputs` with the texts, the context columns, `log_likelihood` in nats and
            `bits_per_symbol`, the end included. With a grid, it has one row per text and combination of values, and
            `probability`, that of the combination given the text, if all are equally likely at first; it is missing
            for an impossible text. Rows of pandas keep their index.

        Raises:
            InputError: a text, a value or the grid is invalid, or a text has an unseen symbol and `unseen` is
                `"refuse"`.
        """
        from .score import score

        return score(self, inputs, grid, unseen=unseen)


def label_of(field: Label, value: Any) -> str:
    """Return a value as the training table spells it: `7` for `7.0`."""
    return str(value) if str(value) in (field.names or ()) else spelling(str(value).strip())


@register
class Joined(nn.Identity):
    """Return features as they are, to be joined to every input of a core.

    Args:
        out_features: the width of the features.
    """

    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features
