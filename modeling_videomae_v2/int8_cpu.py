# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Linear layers with int8 products on a CPU: half the time of bf16, or of fp32 on older CPUs.

Weights are rounded once, with a scale per output channel; activations at every call, with a scale per token, so that no
calibration is needed. Products add up in int32; without VNNI instructions two of them first add up in 16 bits, so
weights get 7 bits there and nothing overflows. Scales are applied inside oneDNN's kernel.
"""

import torch
from torch import nn

from .blocks_videomae_v2 import VideoMAEv2Layer
from .quantized_attention import quantize_projections
from .quantized_linear import QuantizedLinear, is_replaceable, steps_of


LEVELS = 127
LEVELS_WITHOUT_VNNI = 63  # 2 * 255 * 63 fits into 16 bits
ZERO_POINT = 128  # oneDNN's fast products take activations as unsigned bytes


def can_multiply_int8() -> bool:
    """Whether this CPU has the instructions that int8 products need."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


# An operator of our own to a compiler, whose kernels for oneDNN's want weights that are constants of the graph. Not by
# `custom_op`, which asks weights in oneDNN's layout for their memory in PyTorch 2.6.
torch.library.define(
    "videomae_v2::int8_product",
    "(Tensor tokens, Tensor packed, Tensor steps, Tensor zero_points, ScalarType dtype) -> Tensor",
)


@torch.library.impl("videomae_v2::int8_product", "default")
def int8_product(
    tokens: torch.Tensor, packed: torch.Tensor, steps: torch.Tensor, zero_points: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """uint8 `(tokens, in_features)`, 128 for zero, times packed int8 weights: `(tokens, out_features)` of `dtype`.

    Args:
        tokens: What to multiply.
        packed: Weights in oneDNN's layout.
        steps: Float32 `(out_features,)`, what the weights of an output are multiplied with.
        zero_points: int64 `(out_features,)` of zeros.
        dtype: float32 or bfloat16.
    """
    return torch.ops.onednn.qlinear_pointwise(
        tokens, 1.0, ZERO_POINT, packed, steps, zero_points, None, 1.0, 0, dtype, "none", [], ""
    )


@torch.library.register_fake("videomae_v2::int8_product")
def _shape_of_product(
    tokens: torch.Tensor, packed: torch.Tensor, steps: torch.Tensor, zero_points: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    return tokens.new_empty(tokens.shape[0], steps.shape[0], dtype=dtype)  # `len` would make a constant of it


class Int8Linear(QuantizedLinear):
    """`nn.Linear` with int8 weights, and activations rounded to 8 bits on the way in.

    Args:
        linear: The layer to take the place of; on the CPU.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        weight = linear.weight.detach().float()
        steps = steps_of(weight, LEVELS if torch.cpu._is_vnni_supported() else LEVELS_WITHOUT_VNNI)
        rounded = (weight / steps).round().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)  # in a layout of oneDNN's own
        self.steps, self.zero_points = steps.flatten(), torch.zeros(self.out_features, dtype=torch.long)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """`(..., in_features)` to `(..., out_features)`, bf16 or fp32."""
        tokens = inputs.flatten(0, -2)
        steps = steps_of(tokens, LEVELS)
        shifted = tokens.to(torch.float32, copy=True).mul_(steps.reciprocal()).add_(ZERO_POINT + 0.5)
        rounded = shifted.to(torch.uint8)  # cuts off what is behind the point, which rounds because of the half
        outputs = torch.ops.videomae_v2.int8_product(rounded, self.packed, self.steps, self.zero_points, inputs.dtype)
        steps = steps.to(inputs.dtype)
        outputs = outputs.mul_(steps) if self.bias is None else torch.addcmul(self.bias, outputs, steps)
        return outputs.view(*inputs.shape[:-1], self.out_features)


def to_int8(block: VideoMAEv2Layer) -> None:
    """Replace the linear layers of a block, in place; not those of adapters, which are asked for their weights."""
    quantize_projections(block.attention, Int8Linear)
    for parent in (block.attention, block.mlp):
        for name, child in list(parent.named_children()):
            if is_replaceable(child):
                setattr(parent, name, Int8Linear(child))


__all__ = ["Int8Linear", "can_multiply_int8", "to_int8"]
