"""Published data files: looked for in a folder of the user's, else fetched once into a cache, their hash checked.

The folder is what `--data` gives, else what the environment variable `CONTEXTUAL_RNN_DATA` names.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib

import pooch
import requests
from pooch import HTTPDownloader

from ..errors import InputError

VARIABLE = "CONTEXTUAL_RNN_DATA"
UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases"


@dataclasses.dataclass(frozen=True)
class PublishedFile:
    """A file that somebody publishes.

    Attributes:
        path: where it lies in a folder of data, such as `pendigits/pendigits.tra`.
        url: where it is fetched from.
        sha256: of its bytes.
    """

    path: str
    url: str
    sha256: str


PEN_DIGITS_TRAINING = PublishedFile(
    "pendigits/pendigits.tra",
    f"{UCI}/pendigits/pendigits.tra",
    "13a29b9cc1b40503c51030840092d32e0e99efcbd5331146f832a2e815bb4c35",
)
PEN_DIGITS_TEST = PublishedFile(
    "pendigits/pendigits.tes",
    f"{UCI}/pendigits/pendigits.tes",
    "70124fa8a06bc820d38591f297271c364b215174410d9711ffafcfc857ff945f",
)


def find(file: PublishedFile, folder: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """Return where the file is, after fetching it if it is nowhere yet.

    Args:
        file: which.
        folder: the folder of data to look in; None is the one that `CONTEXTUAL_RNN_DATA` names. The file lies there at
            its path, or at its bare name.

    Raises:
        InputError: the folder was given and does not hold it; or it cannot be fetched, or what came is another file.
    """
    named = folder or os.environ.get(VARIABLE)
    if named:
        for place in (pathlib.Path(named) / file.path, pathlib.Path(named) / pathlib.Path(file.path).name):
            if place.is_file():
                return place
    if folder:
        raise InputError(f"{folder} holds no {file.path}: give --data the folder that does, or leave it out")
    return _fetched(file)


def _fetched(file: PublishedFile) -> pathlib.Path:
    cache = pooch.os_cache("contextual-rnn") / pathlib.Path(file.path).parent
    loader = HTTPDownloader(timeout=30, progressbar=True)
    name = pathlib.Path(file.path).name
    elsewhere = f"fetch it by hand into a folder and give that as --data, or in {VARIABLE}"
    try:
        return pathlib.Path(pooch.retrieve(file.url, f"sha256:{file.sha256}", name, cache, downloader=loader))
    except (requests.RequestException, OSError) as error:
        raise InputError(f"{file.url} could not be fetched ({error}): {elsewhere}") from error
    except ValueError as error:  # pooch's word for a wrong hash
        raise InputError(f"{file.url} is not the file that was published ({error}): {elsewhere}") from error
