"""Save a model to a local folder as the Hugging Face Hub stores it, and load it again."""

import tempfile

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import nn

from contextual_rnn import MLP, ContextState, ContextualRNN, GaussianHead, SequenceModel


class Decay(SequenceModel, PyTorchModelHubMixin, library_name="contextual-rnn"):
    """A model that is built from numbers, which the Hub stores in config.json."""

    def __init__(self, hidden: int = 16, context: int = 1) -> None:
        core = nn.LSTM(1, hidden, batch_first=True)
        super().__init__(ContextualRNN(core, ContextState(core, MLP(context, [8]))), GaussianHead(hidden, 1))


def main() -> None:
    model = Decay(hidden=12).eval()
    context = torch.tensor([[0.5], [2.0]])
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = Decay.from_pretrained(folder)
    before, after = (one.sample(context, steps=5).elements for one in (model, loaded))
    print("the loaded model generates the same:", torch.equal(before, after))


if __name__ == "__main__":
    main()
