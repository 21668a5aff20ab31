"""Published data files, from a folder of the user or downloaded once into a cache.

The folder is the argument `data`, or else the one that the environment variable `CONTEXTUAL_RNN_DATA` names. The hash
of a downloaded file is checked.
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
    """A published file.

    Attributes:
        path: its path in a folder of data, such as `pendigits/pendigits.tra`.
        url: the address to download it from.
        sha256: the SHA-256 of its bytes.
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
    """Return the path of a file, and download it first if necessary.

    Args:
        file: the file.
        folder: the folder to look in, at the file's path or directly; None is the one that `CONTEXTUAL_RNN_DATA` names.
            If None and the file is not there, it is downloaded.

    Raises:
        InputError: the given folder does not hold the file, the download fails, or another file was downloaded.
    """
    named = folder or os.environ.get(VARIABLE)
    if named:
        for place in (pathlib.Path(named) / file.path, pathlib.Path(named) / pathlib.Path(file.path).name):
            if place.is_file():
                return place
    if folder:
        raise InputError(f"{folder} holds no {file.path}: give `data` the folder that holds it, or leave it out")
    return _download(file)


def _download(file: PublishedFile) -> pathlib.Path:
    cache = pooch.os_cache("contextual-rnn") / pathlib.Path(file.path).parent
    loader = HTTPDownloader(timeout=30, progressbar=True)
    name = pathlib.Path(file.path).name
    remedy = f"download it into a folder, and give the folder as `data` or in the variable {VARIABLE}"
    try:
        return pathlib.Path(pooch.retrieve(file.url, f"sha256:{file.sha256}", name, cache, downloader=loader))
    except (requests.RequestException, OSError) as error:
        raise InputError(f"{file.url} could not be downloaded ({error}): {remedy}") from error
    except ValueError as error:  # pooch raises it for a wrong hash
        raise InputError(f"{file.url} is not the published file ({error}): {remedy}") from error
