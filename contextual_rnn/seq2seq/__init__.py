"""Sequence to sequence: the encoder's final state starts the decoder, with attention and scheduled sampling."""

from .._core.module_config import register
from .attention import AdditiveAttention, Attention, MultiplicativeAttention
from .bridge import ConcatBridge, CopyBridge, ProjectBridge
from .decoder import Decoded, Decoder, Memory
from .encoder import Encoded, Encoder
from .feeding import ScheduledSampling, constant, exponential, inverse_sigmoid, linear
from .model import EncoderDecoder, Ensemble, Step
from .search import Found, beam, better, greedy, sample

__all__ = [
    "AdditiveAttention",
    "Attention",
    "ConcatBridge",
    "CopyBridge",
    "Decoded",
    "Decoder",
    "Encoded",
    "Encoder",
    "EncoderDecoder",
    "Ensemble",
    "Found",
    "Memory",
    "MultiplicativeAttention",
    "ProjectBridge",
    "ScheduledSampling",
    "Step",
    "beam",
    "better",
    "constant",
    "exponential",
    "greedy",
    "inverse_sigmoid",
    "linear",
    "sample",
]

for _cls in (
    AdditiveAttention,
    ConcatBridge,
    CopyBridge,
    Decoder,
    Encoder,
    EncoderDecoder,
    MultiplicativeAttention,
    ProjectBridge,
):
    register(_cls)
