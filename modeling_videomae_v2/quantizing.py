# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Inference with 8-bit products: int8 on a CPU, float8 on a GPU. Does not travel to the Hub.

    model = VideoMAEv2ForVideoClassification.from_pretrained(folder, dtype=torch.bfloat16).eval()
    quantize_linear_layers(model)

What stays in the precision of the model: embedding, norms, attention products, classifier. A model that was changed so
lives in memory: save the original. `torchao` has the same arithmetic as a recipe for many models and devices; this is
the part that pays here (`docs/performance.md` compares the two, and says how far results are off).
"""

from collections.abc import Callable

import torch
from torch import nn

from .blocks_videomae_v2 import VideoMAEv2Layer
from .float8_gpu import can_multiply_float8, to_float8
from .int8_cpu import can_multiply_int8, to_int8
from .quantized_linear import QuantizedLinear


@torch.no_grad()
def quantize_linear_layers(model: nn.Module) -> nn.Module:
    """Replace the linear layers of all blocks by 8-bit ones, in place; for inference alone.

    Args:
        model: Any model of this package: on an x86 CPU with AVX2, in what is fast there (bf16, or fp32 where the CPU
            has no instructions for bf16), which becomes int8; or in bf16 on an NVIDIA GPU of the Ada or Hopper
            generation or later, which becomes float8. On a GPU it pays with `torch.compile` alone, and layers whose
            sizes are no multiples of 16 stay as they are. So do layers with adapters (merge these first) or with hooks
            (remove these first), and weights that are offloaded or quantised already.

    Returns:
        The same model.

    Raises:
        ValueError: The model is elsewhere, of another precision, or without blocks of this package; this CPU has no
            AVX2, or this GPU no float8 products; none of its layers can be replaced.
    """
    blocks = [module for module in model.modules() if isinstance(module, VideoMAEv2Layer)]
    if not blocks:
        raise ValueError(f"{type(model).__name__} has no blocks of VideoMAE V2 to quantize.")
    replace = _way_for(next(blocks[0].parameters()))
    for block in blocks:
        replace(block)
    if not any(isinstance(module, QuantizedLinear) for module in model.modules()):
        raise ValueError(
            f"No linear layer of {type(model).__name__} can be an 8-bit one: they have adapters (merge them first, "
            "with `merge_and_unload()`) or hooks, are offloaded or quantised, or, on a GPU, have sizes that are no "
            "multiples of 16. Use the model as it is."
        )
    return model.eval().requires_grad_(False)


def _way_for(weight: torch.Tensor) -> Callable[[VideoMAEv2Layer], None]:
    """What replaces the layers of a block, for models whose weights are like this one."""
    device, dtype = weight.device, weight.dtype
    if device.type == "cpu" and dtype in (torch.bfloat16, torch.float32):
        if not can_multiply_int8():
            raise ValueError("This CPU has no AVX2 instructions, which int8 products need. Use bf16 or fp32.")
        return to_int8
    if device.type == "cuda" and dtype == torch.bfloat16:
        if not can_multiply_float8(device):
            raise ValueError(f"{torch.cuda.get_device_name(device)} has no float8 products. Use bf16.")
        return to_float8
    raise ValueError(
        f"8-bit layers are for models on the CPU in bf16 or fp32, or on an NVIDIA GPU in bf16, not on {device} in "
        f"{dtype}: call `model.to('cpu', torch.bfloat16)` or `model.to('cuda', torch.bfloat16)` first (in a shell: "
        "--device and --dtype)."
    )


__all__ = ["quantize_linear_layers"]
