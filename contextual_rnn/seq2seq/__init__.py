"""Sequence-to-sequence models: the encoder's final state starts the decoder, with attention and scheduled sampling."""

from .._core.module_config import register
from .attention import ATTENTIONS, AdditiveAttention, Attention, MultiplicativeAttention, make_attention
from .bridge import BRIDGES, ConcatBridge, CopyBridge, ProjectBridge, make_bridge
from .decoder import Decoded, Decoder, Memory
from .dropout import VariationalDropout
from .encoder import Encoded, Encoder
from .feeding import FEEDINGS, ScheduledSampling, make_feeding
from .model import EncoderDecoder
from .schedules import constant, exponential, inverse_sigmoid, linear
from .search import Found, beam, better, greedy, sample
from .step import Ensemble, Step, coverage_penalty

__all__ = [
    "ATTENTIONS",
    "BRIDGES",
    "FEEDINGS",
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
    "VariationalDropout",
    "beam",
    "better",
    "constant",
    "coverage_penalty",
    "exponential",
    "greedy",
    "inverse_sigmoid",
    "linear",
    "make_attention",
    "make_bridge",
    "make_feeding",
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
