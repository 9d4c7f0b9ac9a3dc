# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Blocks with float8 products, for GPUs that have them (Ada, Hopper and later). Does not travel to the Hub.

Weights get a scale per output channel, activations one per token at every call, so that no calibration is needed. A
compiler merges the rounding of activations into the norm or GELU before it, and into one pass over them; not compiled,
it costs more than the products gain. `torch._scaled_mm` is no public function of torch; it ran with torch 2.11.
"""

import torch
from torch import nn

from .blocks_videomae_v2 import VideoMAEv2Layer, VideoMAEv2MLP
from .quantized_attention import plain_class, quantize_projections
from .quantized_linear import QuantizedLinear, is_replaceable, steps_of


FLOAT8 = torch.float8_e4m3fn
LARGEST = torch.finfo(FLOAT8).max
ALIGNED_FEATURES = 16  # bytes that a row of a product must be a multiple of
CAPABILITY = (8, 9)
LEAST_OF_GELU = 0.17  # how far GELU goes below zero; above it, it gives no more than it takes


def can_multiply_float8(device: torch.device) -> bool:
    """Whether this is a GPU with float8 products."""
    return (
        device.type == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device) >= CAPABILITY
    )


class Float8Linear(QuantizedLinear):
    """`nn.Linear` with float8 weights, and activations rounded to float8 on the way in.

    Args:
        linear: The layer to take the place of, in bf16, with numbers of features that are multiples of 16. Elsewhere
            than on a GPU the rounded numbers are multiplied in float32: the same result, slowly.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        weight = linear.weight.detach().float()
        steps = steps_of(weight, LARGEST)
        self.weight, self.steps = (weight / steps).to(FLOAT8), steps.t()

    def forward(self, inputs: torch.Tensor, bound: torch.Tensor | None = None) -> torch.Tensor:
        """`(..., in_features)` to `(..., out_features)`, bf16.

        Args:
            inputs: What to multiply.
            bound: Float32 `(tokens, 1)`, above the absolute values of each token; None: the largest of them. As numbers
                with an exponent, inputs lose nothing by a bound that is some times too high.
        """
        tokens = inputs.flatten(0, -2)
        steps = steps_of(tokens, LARGEST) if bound is None else bound / LARGEST
        rounded = (tokens.float() * steps.reciprocal()).to(FLOAT8)
        if inputs.is_cuda:
            outputs = torch._scaled_mm(
                rounded, self.weight.t(), steps, self.steps, bias=self.bias, out_dtype=inputs.dtype, use_fast_accum=True
            )
        else:
            outputs = (rounded.float() @ self.weight.float().t() * steps * self.steps).to(inputs.dtype)
            outputs = outputs if self.bias is None else outputs + self.bias
        return outputs.view(*inputs.shape[:-1], self.out_features)


class Float8MLP(VideoMAEv2MLP):
    """MLP with float8 products."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        channels = self.fc1(hidden_states)
        bound = None
        if "gelu" in type(self.activation_fn).__name__.lower():
            # known before it, so that GELU is computed once and not once for the bound as well
            bound = channels.flatten(0, -2).amax(dim=1, keepdim=True).float().clamp(min=LEAST_OF_GELU)
        return self.fc2(self.activation_fn(channels), bound)


def to_float8(block: VideoMAEv2Layer) -> None:
    """Make attention and MLP of a block float8 ones, in place, where all of their linear layers fit."""
    attention, mlp = block.attention, block.mlp
    if fits(*attention.children()) and quantize_projections(attention, Float8Linear):
        attention.o_proj = Float8Linear(attention.o_proj)
    if plain_class(mlp) is VideoMAEv2MLP and fits(mlp.fc1, mlp.fc2):
        mlp.fc1, mlp.fc2 = Float8Linear(mlp.fc1), Float8Linear(mlp.fc2)
        mlp.__class__ = Float8MLP


def fits(*layers: nn.Module) -> bool:
    """Whether all of these are linear layers that can be replaced, of sizes that float8 products take."""
    return all(
        is_replaceable(layer)
        and layer.in_features % ALIGNED_FEATURES == 0
        and layer.out_features % ALIGNED_FEATURES == 0
        for layer in layers
    )


__all__ = ["Float8Linear", "Float8MLP", "can_multiply_float8", "to_float8"]
