"""Subwords of a text, by byte pair encoding (Sennrich et al. 2016, arXiv 1508.07909), with sentencepiece.

Frequent words are one subword, and rare words are several. A blank before a word is a part of its first subword, so
that a text can be restored from its subwords. The model is data, which a file of another model can hold.
"""

from __future__ import annotations

import base64
import functools
import io
import math
import re
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from .units import cleaned

MOST = 8000  # subwords of a side, where their number is not given
PER_ROOT = 24.0  # subwords of a side, for the square root of the number of training pairs
INSTALL = "pip install 'contextual-rnn[translation]'"


class Subwords:
    """A trained model that splits texts into subwords.

    Args:
        model: the model as sentencepiece writes it.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model

    @classmethod
    def train(cls, texts: Sequence[str], size: int, *, nearest: bool = False) -> Subwords:
        """Train a model on texts.

        Args:
            texts: the training texts alone; subwords of other texts are found by the same model.
            size: the number of subwords, those of single characters included.
            nearest: if the texts do not have so many subwords, take the nearest number that they have.

        Raises:
            InputError: sentencepiece is not installed, or the texts do not have so many subwords.
        """
        trainer, output = _sentencepiece().SentencePieceTrainer, io.BytesIO()
        try:
            trainer.train(
                sentence_iterator=map(cleaned, texts),
                model_writer=output,
                model_type="bpe",
                vocab_size=size,
                character_coverage=1.0,
                normalization_rule_name="identity",
                max_sentence_length=1 << 24,
                num_threads=1,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                minloglevel=2,
            )
        except RuntimeError as error:
            bound = _bounds(str(error))
            if nearest and bound:
                return cls.train(texts, max(bound))
            raise _wrong_size(size, str(error)) from None
        return cls(output.getvalue())

    @classmethod
    def from_text(cls, text: str) -> Subwords:
        """Return the model that `to_text` wrote."""
        return cls(base64.b64decode(text))

    def to_text(self) -> str:
        """Return the model as ASCII, for JSON."""
        return base64.b64encode(self.model).decode()

    @functools.cached_property
    def _processor(self) -> Any:
        try:
            found = _sentencepiece().SentencePieceProcessor(model_proto=self.model)
            found.encode("a")  # an empty model is refused here only
            return found
        except RuntimeError as error:
            raise InputError(f"the model of the subwords is damaged: {error}") from None

    def split(self, text: str) -> tuple[str, ...]:
        """Return the subwords of a text. Adjacent characters that no training text has are one subword."""
        return tuple(self._processor.encode(cleaned(text), out_type=str))

    def __len__(self) -> int:
        """Return the number of subwords, the unknown one included."""
        return int(self._processor.get_piece_size())

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same model."""
        return isinstance(other, Subwords) and self.model == other.model

    def __hash__(self) -> int:
        """Return the hash of the model."""
        return hash(self.model)

    def __getstate__(self) -> bytes:
        """Return what another process needs."""
        return self.model

    def __setstate__(self, model: bytes) -> None:
        """Take up what `__getstate__` returned."""
        self.model = model


def _sentencepiece() -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise InputError(f"the unit subwords needs sentencepiece: run {INSTALL}") from error
    return sentencepiece


def suitable_size(pairs: int) -> int:
    """Return the number of subwords that suits a number of training pairs: 480 for 400, 4087 for 29,000."""
    return min(round(PER_ROOT * math.sqrt(pairs)), MOST)


def _bounds(message: str) -> tuple[int, int] | None:
    """Return the least and the largest number of subwords, of which 0 is unknown, from the words of a refusal."""
    most = re.search(r"value <= (\d+)", message)
    least = re.search(r"smaller than required_chars\.\s*(\d+) vs (\d+)", message)
    if most is None and least is None:
        return None
    return int(least[2]) if least else 0, int(most[1]) if most else 0


def _wrong_size(size: int, message: str) -> InputError:
    """Return an error for a number of subwords that sentencepiece refused."""
    least, most = _bounds(message) or (0, 0)
    fits = "leave it out, and the number suits the pairs"
    if most:
        return InputError(
            f"`subwords` must be at most {most}, since the training texts have no more; found {size}; {fits}"
        )
    if least:
        return InputError(
            f"`subwords` must be at least {least}, the number of characters of the training texts; found {size}; {fits}"
        )
    return InputError(f"`subwords` {size} is refused by sentencepiece: {' '.join(message.split())}")
