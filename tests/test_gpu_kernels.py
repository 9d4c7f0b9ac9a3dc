# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Kernels of our own, on a GPU or in Triton's interpreter, beside the same in float64."""

import copy
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from tiny import tiny_config
from torch import nn

from modeling_videomae_v2.blocks_videomae_v2 import VideoMAEv2Attention, VideoMAEv2MLP


pytest.importorskip("triton", minversion="3.6")

INTERPRETED = """
import test_gpu_kernels as tests
for tokens, width in ((160, 64), (37, 24)):
    for tilings in tests.all_tilings():
        tests.compare_attention(tokens, width, tilings, "cpu", tests.torch.float16)
    tests.compare_attention(tokens, width, tests.all_tilings()[0], "cpu", tests.torch.float32, opposed=True)
tests.compare_gelu_of_strided_tensors()
tests.compare_blocks("cpu", tests.torch.float16)
tests.compare_blocks("cpu", tests.torch.float32, backend="aot_eager")
"""
BOUNDS = {torch.float32: 1e-4, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def all_tilings() -> list[tuple[object, object]]:
    from modeling_videomae_v2.short_attention_gpu import NARROW, WIDE

    return [NARROW, WIDE]


def error(result: torch.Tensor, exact: torch.Tensor) -> float:
    """Distance as a share of the norm of what is exact."""
    return ((result.double() - exact).norm() / exact.norm()).item()


def compare_attention(
    tokens: int,
    width: int,
    tilings: tuple[object, object] | None,
    device: str,
    dtype: torch.dtype,
    heads: int = 2,
    opposed: bool = False,
) -> None:
    """Results and gradients of the kernels must be as near to float64 as their precision is.

    Where keys are opposed to the queries, all scores are far below those of keys that are not there, which are 0.
    """
    from modeling_videomae_v2.short_attention_gpu import short_attention

    draw = torch.Generator().manual_seed(tokens)
    inputs = [torch.randn(1, heads, tokens, width, generator=draw).to(device, dtype).transpose(1, 2) for _ in range(4)]
    if opposed:
        inputs[0], inputs[1] = inputs[0] + 4, inputs[1] - 10
    *qkv, gradient = inputs
    ours = torch.stack(qkv, 2).requires_grad_()
    result = short_attention(ours, width**-0.5, tilings)
    exact = [tensor.double().requires_grad_() for tensor in qkv]
    expected = nn.functional.scaled_dot_product_attention(*(tensor.transpose(1, 2) for tensor in exact))
    expected = expected.transpose(1, 2)
    found = [result, *torch.autograd.grad(result, ours, gradient)[0].unbind(2)]
    wanted = [expected, *torch.autograd.grad(expected, exact, gradient.double())]
    errors = [error(one.detach(), other.detach()) for one, other in zip(found, wanted, strict=True)]
    assert all(error < BOUNDS[dtype] for error in errors), (tokens, width, tilings, errors)


def compare_gelu_of_strided_tensors() -> None:
    """Neither inputs nor gradients lie in memory as the kernel reads them."""
    from modeling_videomae_v2.bias_gelu_gpu import BiasGELU

    inputs, bias = torch.randn(300, 5, 2).permute(2, 1, 0).requires_grad_(), torch.randn(300, requires_grad=True)
    gradient = torch.randn(300).expand(2, 5, 300)
    found = torch.autograd.grad(BiasGELU.apply(inputs, bias), (inputs, bias), gradient)
    exact = inputs.double(), bias.double()
    wanted = torch.autograd.grad(nn.functional.gelu(exact[0] + exact[1]), exact, gradient.double())
    errors = [error(one, other) for one, other in zip(found, wanted, strict=True)]
    assert all(error < BOUNDS[torch.float32] for error in errors), errors


def compare_blocks(device: str, dtype: torch.dtype, backend: str | None = None) -> None:
    """Attention of 6 heads, an MLP of 270 channels, which are padded, and their gradients must be as near to float64 as
    their precision is.
    """
    from modeling_videomae_v2.training_kernels import use_training_kernels

    config = tiny_config()
    torch.manual_seed(0)
    attention, mlp = VideoMAEv2Attention(config, 48, 6), VideoMAEv2MLP(config, 48, 270)
    for exact in (attention, mlp):
        for parameter in exact.parameters():
            nn.init.normal_(parameter, std=0.2)  # biases as well
        exact.double()
        ours = copy.deepcopy(exact).to(device, dtype)
        use_training_kernels(ours)
        with torch.no_grad():
            for rounded, parameter in zip(ours.parameters(), exact.parameters(), strict=True):
                parameter.copy_(rounded)
        exact.to(device)
        tokens, gradient = (torch.randn(3, 50, 48).to(device, dtype) for _ in range(2))
        forward = ours.forward_short if exact is attention else ours.forward_bias_gelu
        compiled = torch.compile(forward, backend=backend) if backend else forward
        found, wanted = [], []
        for module, call, results in ((ours, compiled, found), (exact, exact, wanted)):
            inputs = tokens.to(next(module.parameters()).dtype).requires_grad_()
            output = call(inputs)
            output = output[0] if isinstance(output, tuple) else output
            results += [output, *torch.autograd.grad(output, (inputs, *module.parameters()), gradient.to(output.dtype))]
        errors = [error(one.detach(), other.detach()) for one, other in zip(found, wanted, strict=True)]
        assert all(error < 2 * BOUNDS[dtype] for error in errors), errors


@pytest.mark.slow
def test_kernels_are_as_exact_as_their_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, for triton decides once whether it interprets."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setenv("PYTHONPATH", ":".join(path for path in sys.path if path))
    done = subprocess.run([sys.executable, "-c", INTERPRETED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("tokens", "width"), [(160, 64), (160, 80), (208, 88), (37, 32), (256, 64), (256, 80)])
def test_attention_on_a_gpu(tokens: int, width: int) -> None:
    compare_attention(tokens, width, None, "cuda", torch.bfloat16, heads=12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_blocks_on_a_gpu() -> None:
    compare_blocks("cuda", torch.bfloat16)


def test_what_does_not_suit_is_refused() -> None:
    from modeling_videomae_v2.short_attention_gpu import short_attention

    with pytest.raises(ValueError, match=r"up to 256 tokens.*\(1, 300, 3, 2, 64\)"):
        short_attention(torch.zeros(1, 300, 3, 2, 64), 0.125)


def test_any_number_of_clips_can_be_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA takes 65535 programs at most along any axis but the first."""
    from modeling_videomae_v2 import short_attention_gpu

    grids = []

    class NoKernel:
        def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
            grids.append(grid)
            return lambda *args, **options: None

    monkeypatch.setattr(short_attention_gpu, "_attention_forward_kernel", NoKernel())
    monkeypatch.setattr(short_attention_gpu, "_attention_backward_kernel", NoKernel())
    qkv = torch.zeros(30_000, 1, 3, 16, 2, requires_grad=True)
    short_attention_gpu.short_attention(qkv, 1.0).sum().backward()
    assert grids == [(30_000 * 16,)] * 2
