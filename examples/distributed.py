"""Train a sequence model in two processes with DistributedDataParallel, which calls its `forward`, the loss."""

import tempfile

import torch
import torch.distributed as dist
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from contextual_rnn import MLP, ContextState, ContextualRNN, GaussianHead, SequenceModel


def make_model() -> SequenceModel:
    torch.manual_seed(0)
    core = nn.LSTM(1, 16, batch_first=True)
    return SequenceModel(ContextualRNN(core, ContextState(core, MLP(1, [8]))), GaussianHead(16, 1))


def make_data() -> tuple[torch.Tensor, torch.Tensor]:
    """Return decays x (8, 20, 1) from different levels, and these levels (8, 1)."""
    level = torch.linspace(0.5, 2.0, 8).unsqueeze(1)
    return level.unsqueeze(1) * 0.9 ** torch.arange(20.0).view(1, 20, 1), level


def train(rank: int, processes: int, file: str, updates: int) -> None:
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=processes)
    x, context = make_data()
    mine = slice(rank, None, processes)
    model = DistributedDataParallel(make_model())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for update in range(updates):
        loss = model(x[mine], context[mine])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        mean = loss.detach() / processes
        dist.all_reduce(mean)
        if rank == 0 and update in (0, updates - 1):
            print(f"update {update + 1}: loss {mean.item():.6f}", flush=True)
    dist.destroy_process_group()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(train, args=(2, f"{folder}/rendezvous", 20), nprocs=2)


if __name__ == "__main__":
    main()
