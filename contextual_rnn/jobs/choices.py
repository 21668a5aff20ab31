"""The help texts of choices that several jobs offer."""

BRIDGES = (
    "Map from the encoder's final state to the decoder's initial state: zero (ignore the encoder), project (linear map "
    "and tanh), concat (linear map of that projection and the state itself) or copy (the state itself, mapped linearly "
    "only where sizes differ)."
)
ATTENTIONS = "none, additive (Bahdanau) or multiplicative (Luong)"
