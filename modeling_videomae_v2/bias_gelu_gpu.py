# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""GELU that adds the bias of the product before it, and sums up the gradient of the bias on the way back.

A product is faster without a bias. A compiler sums up the gradient of the bias in a pass of its own over the widest
tensor of the block; the Triton kernel here does so while it computes that tensor. Does not travel to the Hub.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import nn


TOKENS, CHANNELS, AT_ONCE = 128, 256, 8  # of a program, and tokens that it has at a time
SQRT_HALF = tl.constexpr(0.7071067811865476)
DENSITY_AT_0 = tl.constexpr(0.3989422804014327)  # of the normal distribution


@triton.jit
def _gelu_backward_kernel(
    gradient_at, input_at, bias_at, input_gradient_at, bias_gradient_at, num_tokens,
    WIDTH: tl.constexpr, TOKENS: tl.constexpr, CHANNELS: tl.constexpr, AT_ONCE: tl.constexpr,
):  # fmt: skip
    """Gradient of GELU(input + bias) for some tokens and channels, and its sum over these tokens."""
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    exist = channels < WIDTH
    bias = tl.load(bias_at + channels, mask=exist, other=0.0).to(tl.float32)
    total = tl.zeros([AT_ONCE, CHANNELS], tl.float32)  # warps meet once, at the end
    for first in range(0, TOKENS, AT_ONCE):
        tokens = tl.program_id(0) * TOKENS + first + tl.arange(0, AT_ONCE)
        at = tokens[:, None].to(tl.int64) * WIDTH + channels[None, :]
        there = (tokens[:, None] < num_tokens) & exist[None, :]
        value = tl.load(input_at + at, mask=there, other=0.0).to(tl.float32) + bias[None, :]
        gradient = tl.load(gradient_at + at, mask=there, other=0.0).to(tl.float32)
        slope = 0.5 + 0.5 * tl.erf(value * SQRT_HALF) + value * DENSITY_AT_0 * tl.exp(-0.5 * value * value)
        gradient *= slope
        tl.store(input_gradient_at + at, gradient.to(input_gradient_at.dtype.element_ty), mask=there)
        total += gradient
    tl.store(bias_gradient_at + tl.program_id(0) * WIDTH + channels, tl.sum(total, 0), mask=exist)


@torch.library.custom_op("videomae_v2::bias_gelu_backward", mutates_args=())
def bias_gelu_backward(
    gradient: torch.Tensor, inputs: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of inputs `(..., channels)` and of the bias `(parts, channels)`, as float32 sums of `TOKENS` tokens."""
    inputs, channels = inputs.contiguous(), len(bias)
    tokens = inputs.numel() // channels
    parts = triton.cdiv(tokens, TOKENS)
    input_gradient = torch.empty_like(inputs)
    bias_gradients = bias.new_empty((parts, channels), dtype=torch.float32)
    with torch.cuda.device_of(inputs):
        _gelu_backward_kernel[parts, triton.cdiv(channels, CHANNELS)](
            gradient.contiguous(), inputs, bias, input_gradient, bias_gradients, tokens, channels,
            TOKENS, CHANNELS, AT_ONCE, num_warps=4,
        )  # fmt: skip
    return input_gradient, bias_gradients


@bias_gelu_backward.register_fake
def _(gradient: torch.Tensor, inputs: torch.Tensor, bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    parts = triton.cdiv(inputs.numel() // len(bias), TOKENS)
    return inputs.new_empty(inputs.shape), bias.new_empty((parts, len(bias)), dtype=torch.float32)


class BiasGELU(torch.autograd.Function):
    """GELU of `(..., channels)` inputs and a bias `(channels,)`, in the type of the inputs.

    The way forward is left to a compiler.
    """

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(inputs, bias)
        # Where `to` has nothing to do, as in fp32, what torch 2.11 compiles has gradients of 0: hence the copy.
        return nn.functional.gelu(inputs.float() + bias.float()).to(inputs.dtype, copy=True)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, bias = ctx.saved_tensors
        input_gradient, bias_gradients = bias_gelu_backward(gradient, inputs, bias)
        return input_gradient, bias_gradients.sum(0).to(bias.dtype)
