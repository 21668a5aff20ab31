"""Train a sequence model with Lightning; pass the number of processes, 1 if it is left out."""

import sys
import warnings

import lightning
import torch
from torch.utils.data import DataLoader, TensorDataset

from distributed import make_data, make_model


class Forecast(lightning.LightningModule):
    """A LightningModule around a model whose `forward` is its loss."""

    def __init__(self) -> None:
        super().__init__()
        self.model = make_model()

    def training_step(self, batch: list[torch.Tensor], number: int) -> torch.Tensor:
        x, context = batch
        loss = self.model(x, context)
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


def main(processes: int = 1) -> None:
    warnings.simplefilter("ignore")  # Lightning's advice on loggers, workers and checkpoints
    strategy = "auto" if processes == 1 else "ddp_spawn"
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = lightning.Trainer(
        max_epochs=20, accelerator="cpu", devices=processes, strategy=strategy, enable_model_summary=False, **quiet
    )
    trainer.fit(Forecast(), DataLoader(TensorDataset(*make_data()), batch_size=8 // processes))
    print(f"loss after {trainer.max_epochs} epochs: {trainer.callback_metrics['loss'].item():.6f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
