# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Attention with 8-bit products, whatever the device. Does not travel to the Hub."""

import torch
from torch import nn

from .blocks_videomae_v2 import VideoMAEv2Attention
from .quantized_linear import QuantizedLinear, is_replaceable


class QuantizedAttention(VideoMAEv2Attention):
    """Attention whose queries, keys and values are one product, so that tokens are rounded once."""

    def project(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.qkv_proj(hidden_states).chunk(3, dim=-1)


def quantize_projections(attention: nn.Module, linear_class: type[QuantizedLinear]) -> bool:
    """Make the three layers before attention one with 8-bit weights, in place, if all of them can be replaced.

    It stays the same module of another class, for hooks on it, such as those of `output_attentions`.

    Args:
        attention: Of a block; a class of somebody else's is left as it is.
        linear_class: What the three layers become.

    Returns:
        Whether they did.
    """
    if plain_class(attention) is not VideoMAEv2Attention:
        return False
    layers = [attention.q_proj, attention.k_proj, attention.v_proj]
    if not all(map(is_replaceable, layers)):
        return False
    attention.qkv_proj = linear_class(in_one(layers))
    del attention.q_proj, attention.k_proj, attention.v_proj
    attention.__class__ = QuantizedAttention
    return True


def in_one(layers: list[nn.Linear]) -> nn.Linear:
    """One layer that gives what all of these give, one after the other."""
    num_outputs, has_bias = sum(layer.out_features for layer in layers), any(layer.bias is not None for layer in layers)
    one = nn.Linear(layers[0].in_features, num_outputs, bias=has_bias, device="meta")
    one.weight = nn.Parameter(torch.cat([layer.weight for layer in layers]), requires_grad=False)
    if has_bias:
        biases = [layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias for layer in layers]
        one.bias = nn.Parameter(torch.cat(biases), requires_grad=False)
    return one


def plain_class(module: nn.Module) -> type[nn.Module]:
    """Its class, without the kernels of training that `compile_model` may have brought."""
    return getattr(type(module), "plain_class", type(module))


__all__ = ["QuantizedAttention", "in_one", "plain_class", "quantize_projections"]
