"""`Explored`: the trained models of a run folder, and what the folder says about them."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ..data.series import names_of
from ..data.table import Source, Table
from ..errors import InputError
from ..serialization import MODEL, load
from ..study.run_folder import read_json

ROLES = {"train": "training"}  # what tables are called
SEED = "-seed-0"  # the end of the name of a comparison's first run of a kind


@dataclasses.dataclass(frozen=True)
class Explored:
    """Trained models to explore.

    Attributes:
        models: by name: one, or the first of every kind that a comparison trained.
        name: of the run folder or the model file.
        folder: the run folder, if there is one.
        config: the settings of the run; empty without a folder.
        verdict: what a comparison found, in sentences.
        data: a table to show, instead of those that the run was made with.
    """

    models: Mapping[str, Any]
    name: str = "a model"
    folder: pathlib.Path | None = None
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    verdict: str = ""
    data: Source | None = None

    @property
    def first(self) -> Any:
        """The first model."""
        return next(iter(self.models.values()))

    def table(self, *roles: str) -> tuple[Table | None, str]:
        """Return the table to show and a sentence on it; None, and why, if there is none.

        Args:
            roles: the tables of the run that may be shown, the preferred one first, such as "test".
        """
        columns = self.first.settings
        if self.data is not None:
            return Table(
                self.data, "`data`", columns
            ), "Data: the table that was given as data. Values are in its units."
        files, hashes = self.config.get("files") or {}, self.config.get("sha256") or {}
        reasons = []
        for role in roles:
            if role not in hashes:
                continue
            path = files.get(role)
            if path is None:
                reasons.append(f"The {ROLES.get(role, role)} table of the run was a data frame or several files")
                continue
            table, reason = self._unchanged(path, hashes[role], columns)
            if table is not None:
                return table, f"Data: {path}, the {ROLES.get(role, role)} table of the run. Values are in its units."
            reasons.append(f"The {ROLES.get(role, role)} table, {path}, {reason}")
        return None, f"{'. '.join(reasons) or 'The run names no table'}; give a table as data to see it here."

    def _unchanged(self, name: str, wanted: str, columns: Any) -> tuple[Table | None, str]:
        """Return the table of a path, from here or from a folder above the run, if its content is that of the run."""
        above = [] if self.folder is None else [*self.folder.resolve().parents]
        places = [place for place in dict.fromkeys([pathlib.Path(), *above]) if (place / name).is_file()]
        for place in places:
            try:
                table = Table(place / name, "the table", columns)
                if table.fingerprint(names_of(columns)) == wanted:
                    return table, ""
            except InputError:
                continue
        return None, "has changed since" if places else "is not there any more"


def open_run(run: str | os.PathLike[str], kind: type, data: Source | None = None) -> Explored:
    """Return the models of a run folder of `fit` or `compare`, or of a model file.

    Args:
        run: the path.
        kind: the class of models that have a page.
        data: a table to show, instead of those that the run was made with.

    Raises:
        InputError: there is no run, it is not finished, or its models cannot be explored.
    """
    path = pathlib.Path(run)
    if not path.is_dir() or (path / MODEL).exists() or not (path / "config.json").exists():
        folder = path if path.is_dir() else path.parent
        config = _config(folder) if (folder / "config.json").exists() else {}
        return Explored({"model": _explorable(path, kind)}, str(path), folder, config, data=data)
    config = _config(path)
    if not (path / "results.json").exists():
        raise InputError(f"the run in {path} is not finished; give `resume` to the command that made it")
    names = sorted(one.name for one in path.glob(f"runs/*{SEED}") if (one / MODEL).exists())
    if not names:
        raise InputError(f"{path} holds no trained model; give a folder that `fit` or `compare` made")
    kept, order = read_json(path / "results.json"), list(config.get("candidates") or {})
    kinds = [name.removesuffix(SEED) for name in names]
    kinds.sort(key=lambda one: order.index(one) if one in order else len(order))
    models = {one: _explorable(path / "runs" / f"{one}{SEED}", kind) for one in kinds}
    verdict = kept.get("verdict") if isinstance(kept, dict) else None
    return Explored(models, str(path), path, config, verdict if isinstance(verdict, str) else "", data)


def _config(folder: pathlib.Path) -> dict[str, Any]:
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise InputError(f"{folder / 'config.json'} does not hold the settings of a run")
    return config


def _explorable(path: pathlib.Path, kind: type) -> Any:
    model = load(path)
    if not isinstance(model, kind):
        raise InputError(f"{path} holds a {type(model).__name__}, which no job trains, so that it has no page")
    return model
