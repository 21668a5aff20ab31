"""Tools that train: DistributedDataParallel and FSDP in two processes, Opacus."""

import copy

import forked
import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from zoo import CASES, C, D, H, run

from contextual_rnn import MLP, ContextState, ContextualRNN, FixedGaussianHead, SequenceModel

DISTRIBUTED = [
    "ContextualRNN: nn.LSTM",
    "ContextualRNN: FastWeightsRNN",
    "Context",
    "JoinedState, mask",
    "SequenceModel: FixedGaussianHead",
    "SequenceModel: CategoryHead",
    "SequenceModel: GaussianHead",
    "EncoderDecoder: project, additive",
]
SHARDED = [name for name in DISTRIBUTED if name != "SequenceModel: CategoryHead"]


def loss(outputs):
    return sum(one.square().mean() for one in outputs if one.requires_grad)


def half(case, rank):
    return torch.utils._pytree.tree_map(lambda one: one[rank::2], case.arguments(4))


def in_a_process(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    found = {}
    for name in DISTRIBUTED:
        case = CASES[name]
        model = DistributedDataParallel(case.model())
        loss(run(model, half(case, rank))).backward()
        found[name] = [one.grad for one in model.parameters()]
    case = CASES["ContextualRNN: nn.LSTM"]
    model, (x, context) = case.model(), half(case, rank)
    carried = DistributedDataParallel(model, find_unused_parameters=True)
    carried(x, state=model.start(2, context))[0].square().mean().backward()
    found["state"] = [one.grad for one in model.core.parameters()]
    for name in SHARDED:
        sharded = fully_shard(CASES[name].model())
        outputs = run(sharded, half(CASES[name], rank))
        loss(outputs).backward()
        found[f"sharded {name}"] = [one.grad.full_tensor() for one in sharded.parameters()]
    if rank == 0:
        torch.save(found, f"{folder}/found.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    forked.start()
    multiprocessing.start_processes(in_a_process, args=(str(folder),), nprocs=2, start_method="forkserver")
    return torch.load(folder / "found.pt")


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_two_processes_have_the_gradient_of_the_mean_of_their_losses(name, found):
    case = CASES[name]
    model = case.model()
    sum(loss(run(model, half(case, rank))) / 2 for rank in range(2)).backward()
    torch.testing.assert_close(found[name], [one.grad for one in model.parameters()], rtol=1e-4, atol=1e-5)


def test_two_processes_carry_on_from_a_state(found):
    case = CASES["ContextualRNN: nn.LSTM"]
    model = case.model()
    for rank in range(2):
        x, context = half(case, rank)
        (model(x, state=model.start(2, context))[0].square().mean() / 2).backward()
    torch.testing.assert_close(found["state"], [one.grad for one in model.core.parameters()])


@pytest.mark.parametrize("name", SHARDED)
def test_fully_sharded_processes_have_the_gradient_of_replicated_ones(name, found):
    torch.testing.assert_close(found[f"sharded {name}"], found[name])


def private():
    """Return a model all of whose parameters are of layers that Opacus knows."""
    torch.manual_seed(0)
    core = nn.LSTM(D, H, batch_first=True)
    return SequenceModel(
        ContextualRNN(core, ContextState(core, MLP(C, [5]))), FixedGaussianHead(H, D, 0.5), start=False
    )


@pytest.mark.filterwarnings(
    "ignore:Full backward hook is firing", "ignore::FutureWarning", "ignore::DeprecationWarning"
)
def test_a_core_that_opacus_replaced_gives_the_same_and_its_gradients_are_those_of_each_example():
    opacus = pytest.importorskip("opacus", reason="not installed: pip install 'contextual-rnn[compatibility]'")
    from opacus.validators import ModuleValidator

    model = private()
    x, context = torch.randn(3, 6, D), torch.randn(3, C)
    expected = model.losses(x, context)
    fixed = ModuleValidator.fix(copy.deepcopy(model))
    assert type(fixed.rnn.core).__name__ == "DPLSTM"
    torch.testing.assert_close(fixed.losses(x, context), expected)
    wrapped = opacus.GradSampleModule(copy.deepcopy(fixed), loss_reduction="mean")
    wrapped(x, context).backward()
    for row in range(3):
        model.zero_grad()
        model(x[row : row + 1], context[row : row + 1]).backward()
        wanted = sorted(float(one.grad.norm()) for one in model.parameters())
        norms = sorted(float(one.grad_sample[row].norm()) for one in wrapped.parameters())
        assert norms == pytest.approx(wanted, rel=1e-4)  # in another order
