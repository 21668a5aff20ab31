"""GRU, LSTM and RNN that run as compiled loops on the CPU, where they do, and as PyTorch's own elsewhere."""

from .backend import Backend
from .modules import GatedGRU, GatedLSTM, GatedRNN, from_torch, to_torch

GRU, LSTM, RNN = GatedGRU, GatedLSTM, GatedRNN

__all__ = ["GRU", "LSTM", "RNN", "Backend", "GatedGRU", "GatedLSTM", "GatedRNN", "from_torch", "to_torch"]
