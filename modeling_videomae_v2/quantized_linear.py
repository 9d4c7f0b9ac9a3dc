# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What linear layers with 8-bit weights have in common, whatever the device. Does not travel to the Hub."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from .blocks_videomae_v2 import has_hooks, is_linear


SMALLEST = 1e-20  # keeps what a token or channel of zeros is divided by from being zero
IN_MEMORY_ONLY = (
    "The model has 8-bit layers, which live in memory alone: they cannot be {done}. Use the original model, and call "
    "`quantize_linear_layers` again where it is needed."
)


class QuantizedLinear(nn.Module):
    """In the place of an `nn.Linear`, for inference; lives in memory alone.

    Weights are no buffers: another precision of the model must not change them.

    Args:
        linear: The layer to take the place of.

    Attributes:
        steps: What the integers or floats of 8 bits are multiplied with, by output channel.
    """

    steps: torch.Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach(), persistent=False)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], *args: Any, **kwargs: Any) -> "QuantizedLinear":
        if fn(self.steps).device != self.steps.device:
            raise RuntimeError(IN_MEMORY_ONLY.format(done="moved to another device"))
        return super()._apply(fn, *args, **kwargs)

    def refuse_to_be_saved(self) -> None:
        """`RuntimeError`. Models ask before they write anything."""
        raise RuntimeError(IN_MEMORY_ONLY.format(done="saved"))

    def _save_to_state_dict(self, *_: Any) -> None:
        self.refuse_to_be_saved()

    def __getstate__(self) -> dict[str, Any]:
        raise RuntimeError(IN_MEMORY_ONLY.format(done="copied or pickled"))

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def is_replaceable(layer: nn.Module) -> bool:
    """Whether it is a linear layer, without adapter or hooks, not quantised yet, whose weight is not offloaded."""
    return is_linear(layer) and not has_hooks(layer) and not layer.weight.is_meta


def steps_of(values: torch.Tensor, levels: float) -> torch.Tensor:
    """What the rows of `(rows, columns)` are divided by, so that none exceeds `levels`: float32 `(rows, 1)`."""
    return values.abs().amax(dim=1, keepdim=True).float().clamp(min=SMALLEST) / levels


__all__ = ["QuantizedLinear", "is_replaceable", "steps_of"]
