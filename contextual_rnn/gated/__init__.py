"""GRU, LSTM and RNN that run compiled loops on the CPU if these are supported, and PyTorch's own code otherwise."""

from .backend import Backend
from .modules import GatedGRU, GatedLSTM, GatedRNN, from_torch, to_torch

GRU, LSTM, RNN = GatedGRU, GatedLSTM, GatedRNN

__all__ = ["GRU", "LSTM", "RNN", "Backend", "GatedGRU", "GatedLSTM", "GatedRNN", "from_torch", "to_torch"]
