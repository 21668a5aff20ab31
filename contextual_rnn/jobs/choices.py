"""The texts on choices that several jobs offer."""

from __future__ import annotations

BRIDGES = (
    "Map from the encoder's final state to the decoder's initial state: zero (ignore the encoder), project (linear map "
    "and tanh), concat (linear map of that projection and the state itself) or copy (the state itself, mapped linearly "
    "only where sizes differ)."
)
ATTENTIONS = "none, additive (Bahdanau) or multiplicative (Luong)"


def feeding_in_words(feeding: str, sampling: float, epochs: int) -> str:
    """Return what a decoder was fed in training, for a report.

    Args:
        feeding: one of `seq2seq.FEEDINGS`.
        sampling: the probability of feeding a prediction after the last epoch.
        epochs: the number of epochs over which the probability grows.
    """
    if feeding == "truth":
        return "feeding truth"
    return (
        f"feeding {feeding}, where the probability of feeding a prediction grows linearly from 0 to {sampling:g} in "
        f"epoch {epochs}"
    )
