"""The extras of the package: which packages each needs, and the sentence that names what is not installed."""

from __future__ import annotations

import importlib.util

from ..errors import InputError

# The names by which packages are imported; pyproject.toml has the names by which they are installed.
EXTRAS = {
    "jobs": (
        *("polars", "narwhals", "matplotlib", "tyro", "rich", "yaml", "tqdm", "joblib", "filelock"),
        *("lightning_fabric", "pooch"),
    ),
    "matlab": ("scipy",),
    "pairs": ("rapidfuzz", "regex"),
    "translation": ("sentencepiece", "sacrebleu"),
    "cluster": ("distributed",),
    "digits": ("sklearn",),
    "export": ("onnx", "onnxruntime"),
    "explore": ("starlette", "uvicorn"),
    "molecules": ("rdkit",),
}


class MissingPackage(InputError, ImportError):
    """A package of an extra is not installed."""


def require(extra: str, what: str) -> None:
    """Check that the packages of an extra are installed, without importing them.

    Args:
        extra: such as "jobs".
        what: needs it, as a sentence begins, such as "The command line".

    Raises:
        MissingPackage: a package is not installed.
    """
    missing = [package for package in EXTRAS[extra] if not is_installed(package)]
    if missing:
        raise MissingPackage(
            f"{what} needs {', '.join(missing)}, not installed here: run pip install 'contextual-rnn[{extra}]'"
        )


def is_installed(package: str) -> bool:
    """Return whether a package can be found."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # such as None in sys.modules
        return False
