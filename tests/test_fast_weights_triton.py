"""The Triton kernels equal the explicit matrices: on a card where there is one, else in Triton's interpreter."""

import itertools
import os

import pytest
import torch
from test_fast_weights import arguments, results

from contextual_rnn import FastWeightsRNN
from contextual_rnn.fast_weights import backend
from contextual_rnn.fast_weights.recurrence import Recurrence
from contextual_rnn.fast_weights.reference import reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is imported

pytest.importorskip("triton", reason="Triton is not installed: its kernels were not checked (extra gpu)")
from contextual_rnn.fast_weights import triton_operation  # noqa: E402


@pytest.mark.parametrize("write", ["final", "preliminary"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("inner_steps", [1, 2])
@pytest.mark.parametrize("norm", ["none", "plain", "gain"])
def test_it_equals_the_matrices(write, activation, inner_steps, norm):
    recurrence = Recurrence(inner_steps, write=write, activation=activation, layer_norm=norm != "none", epsilon=0.1)
    long = 3 if norm == "none" else 7  # without a norm the state runs away
    for shape, with_fast in itertools.product([(1, 1, 1), (3, long, 5), (2, 3, 20)], [True, False]):
        given = arguments(shape, recurrence, with_fast=with_fast, with_gain=norm == "gain", dtype=torch.float32)
        given = [None if tensor is None else tensor.detach().to(DEVICE).requires_grad_() for tensor in given]
        for wanted in [(True, True, True), (False, True, False)]:
            right = results(lambda *a: reference(*a, recurrence), given, wanted)
            found = results(lambda *a: triton_operation.fast_weights(*a, recurrence), given, wanted)
            for a, b in zip(found, right, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * max(1, b.abs().max().item()))


def test_it_equals_the_matrices_past_what_is_kept():
    recurrence = Recurrence(write="final")
    given = arguments((2, 2 * 16 + 3, 6), recurrence, with_fast=True, with_gain=True, dtype=torch.float32)
    given = [tensor.detach().to(DEVICE).requires_grad_() for tensor in given]
    right = results(lambda *a: reference(*a, recurrence), given, (True, True, True))
    found = results(lambda *a: triton_operation.fast_weights(*a, recurrence), given, (True, True, True))
    for a, b in zip(found, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3 * max(1, b.abs().max().item()))


def test_the_state_alone_and_no_rows():
    recurrence = Recurrence()
    given = arguments((2, 4, 3), recurrence, with_fast=False, with_gain=True, dtype=torch.float32)
    given = [None if tensor is None else tensor.to(DEVICE) for tensor in given]
    _, last, fast = triton_operation.fast_weights(*given, recurrence, return_fast=False)
    assert fast is None
    torch.testing.assert_close(last, reference(*given, recurrence)[1], rtol=1e-3, atol=1e-4)
    empty = [tensor if tensor is None or tensor.dim() == 1 else tensor[:0] for tensor in given]
    assert triton_operation.fast_weights(empty[0], given[1], *empty[2:], recurrence)[0].shape == (0, 4, 3)


def test_it_is_chosen_on_cuda_alone():
    chosen = backend.choose("auto", torch.zeros(2, 3, device=DEVICE))
    assert (chosen is triton_operation) == (DEVICE == "cuda")
    with pytest.raises(ValueError, match=r"supports float32 on a CUDA device, up to 128 units; found torch\.float64"):
        FastWeightsRNN(3, 5, backend="triton").double()(torch.zeros(2, 4, 3).double())
