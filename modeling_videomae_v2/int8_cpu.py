# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Inference with 8-bit products on a CPU: half the time of bf16 for the linear layers, or of fp32 on older CPUs.

    model = VideoMAEv2ForVideoClassification.from_pretrained(folder, dtype=torch.bfloat16).eval()
    quantize_linear_layers(model)

Weights are rounded once, with a scale per output channel; activations at every call, with a scale per token, so that no
calibration is needed. Products add up in int32; without VNNI instructions two of them first add up in 16 bits, so
weights get 7 bits there and nothing overflows. What stays in the precision of the model: embedding, norms, attention
products, classifier. A model that was changed so lives in memory: save the original.

`torchao` has the same arithmetic as a recipe for many models and devices; this is the part that pays here, with the
scales applied inside oneDNN's kernel (`docs/performance.md` compares the two).
"""

from typing import Any

import torch
from torch import nn

from .blocks_videomae_v2 import VideoMAEv2Layer


LEVELS = 127
LEVELS_WITHOUT_VNNI = 63  # 2 * 255 * 63 fits into 16 bits
ZERO_POINT = 128  # oneDNN's fast products take activations as unsigned bytes
IN_MEMORY_ONLY = (
    "The model has int8 layers, which live in memory alone: they cannot be {done}. Use the original model, and call "
    "`quantize_linear_layers` again where it is needed."
)


def can_multiply_int8() -> bool:
    """Whether this CPU has the instructions that int8 products need."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


class Int8Linear(nn.Module):
    """`nn.Linear` with int8 weights, and activations rounded to 8 bits on the way in.

    Args:
        linear: The layer to take the place of; on the CPU.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach().float()
        levels = LEVELS if torch.cpu._is_vnni_supported() else LEVELS_WITHOUT_VNNI
        scale = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / levels
        rounded = (weight / scale[:, None]).round().to(torch.int8)
        # no buffers: another precision or device of the model must not change them
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)  # in a layout of oneDNN's own
        self.scale, self.zero_points = scale, torch.zeros(self.out_features, dtype=torch.long)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach(), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """`(..., in_features)` to `(..., out_features)`, bf16 or fp32."""
        tokens = inputs.flatten(0, -2)
        step = tokens.abs().amax(dim=1, keepdim=True).float().clamp_min_(1e-20).div_(LEVELS)
        shifted = tokens.to(torch.float32, copy=True).mul_(step.reciprocal()).add_(ZERO_POINT + 0.5)
        rounded = shifted.to(torch.uint8)  # cuts off what is behind the point, which rounds because of the half
        outputs = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, ZERO_POINT, self.packed, self.scale, self.zero_points, None, 1.0, 0, inputs.dtype,
            "none", [], "",
        )  # fmt: skip
        step = step.to(inputs.dtype)
        outputs = outputs.mul_(step) if self.bias is None else torch.addcmul(self.bias, outputs, step)
        return outputs.view(*inputs.shape[:-1], self.out_features)

    def _save_to_state_dict(self, *_: Any) -> None:
        raise RuntimeError(IN_MEMORY_ONLY.format(done="saved"))

    def __getstate__(self) -> dict[str, Any]:
        raise RuntimeError(IN_MEMORY_ONLY.format(done="copied or pickled"))

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


@torch.no_grad()
def quantize_linear_layers(model: nn.Module) -> nn.Module:
    """Replace the linear layers of all blocks by `Int8Linear`, in place; for inference alone.

    Args:
        model: Any model of this package on an x86 CPU with AVX2, in what is fast there: bf16, or fp32 where the CPU has
            no instructions for bf16.

    Returns:
        The same model.

    Raises:
        ValueError: The model is elsewhere, of another precision, or without blocks of this package.
        RuntimeError: This CPU has no AVX2.
    """
    blocks = [module for module in model.modules() if isinstance(module, VideoMAEv2Layer)]
    if not blocks:
        raise ValueError(f"{type(model).__name__} has no blocks of VideoMAE V2 to quantize.")
    weight = next(blocks[0].parameters())
    if weight.device.type != "cpu" or weight.dtype not in (torch.bfloat16, torch.float32):
        raise ValueError(
            f"The model must be on the CPU in bf16 or fp32, not on {weight.device} in {weight.dtype}: call "
            "`model.to('cpu', torch.bfloat16)` first."
        )
    if not can_multiply_int8():
        raise RuntimeError("This CPU has no AVX2 instructions, which int8 products need. Use bf16 or fp32.")
    for block in blocks:
        for parent in block.modules():
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear:
                    setattr(parent, name, Int8Linear(child))
    return model.eval().requires_grad_(False)


__all__ = ["Int8Linear", "can_multiply_int8", "quantize_linear_layers"]
