"""`Restored`, the base of the models of `fit`: loaded from the folder of its run, a model has its report again."""

from __future__ import annotations

import os
import pathlib
from typing import Self

from ..serialization import SavedModel


class Restored(SavedModel):
    """A model whose `load` restores the report of `fit` from a run folder."""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that `save` wrote, or that of a run folder of `fit`, in evaluation mode.

        Args:
            path: of the file, or of the folder. Only a folder has the report, so `report` is None for a file, and for
                the folder of a version that did not keep it.

        Raises:
            InputError: there is no such model, or the results in the folder cannot be read.
        """
        model = super().load(path)
        folder = pathlib.Path(path)
        if (folder / "results.json").is_file():
            from .report import FitReport

            model.report = FitReport.read(folder)
        return model
