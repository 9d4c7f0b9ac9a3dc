# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Blocks that train with kernels of our own, on Hopper GPUs. Needs Triton; does not travel to the Hub."""

import torch
from torch import nn
from transformers.activations import GELUActivation

from .bias_gelu_gpu import BiasGELU
from .blocks_videomae_v2 import VideoMAEv2Attention, VideoMAEv2MLP, is_plain
from .cpu_precision_videomae_v2 import HALF_TYPES
from .short_attention_gpu import MAX_TOKENS, short_attention


MAX_HEAD_WIDTH = 80  # wider ones, those of ViT-g, cuDNN computes as fast


def use_training_kernels(model: nn.Module) -> None:
    """Let attention and MLPs of a model that is going to be compiled take the kernels in training, in place.

    Where they do not suit (inference, fp32, longer sequences, dropout, adapters, another activation), all is computed
    as before. Parameters keep their names.
    """
    for module in model.modules():
        if type(module) is VideoMAEv2Attention:
            module.__class__ = ShortAttention
        elif type(module) is VideoMAEv2MLP and type(module.activation_fn) is GELUActivation:
            module.__class__ = BiasGELUMLP


def trains_in_half_precision(module: nn.Module, hidden_states: torch.Tensor) -> bool:
    """Whether products of these tokens will be in half precision, on a GPU, in training."""
    if not (module.training and hidden_states.is_cuda):
        return False
    autocast = torch.is_autocast_enabled("cuda")
    return (torch.get_autocast_dtype("cuda") if autocast else hidden_states.dtype) in HALF_TYPES


class ShortAttention(VideoMAEv2Attention):
    """The same attention; few tokens take the kernels of `short_attention_gpu.py`."""

    plain_class = VideoMAEv2Attention

    def forward(
        self, hidden_states: torch.Tensor, num_outputs: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if num_outputs is None and self._suits(hidden_states):
            return self.forward_short(hidden_states), None
        return super().forward(hidden_states, num_outputs)

    def _suits(self, hidden_states: torch.Tensor) -> bool:
        return (
            trains_in_half_precision(self, hidden_states)
            and hidden_states.shape[1] <= MAX_TOKENS
            and self.head_dim <= MAX_HEAD_WIDTH
            and self.config._attn_implementation == "sdpa"
            and not self.attention_dropout
            and all(map(is_plain, (self.q_proj, self.k_proj, self.v_proj)))
        )

    def forward_short(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """`(B, K, D)` to `(B, K, D)`; queries, keys and values are one product."""
        query, key, value = self.q_proj, self.k_proj, self.v_proj
        weight = torch.cat([query.weight, key.weight, value.weight])
        bias = None if query.bias is None else torch.cat([query.bias, torch.zeros_like(query.bias), value.bias])
        tokens = nn.functional.linear(hidden_states, weight, bias)
        qkv = tokens.view(*hidden_states.shape[:2], 3, -1, self.head_dim)
        return self.o_proj(short_attention(qkv, self.scaling).flatten(2))


class BiasGELUMLP(VideoMAEv2MLP):
    """The same MLP; compiled, it takes the kernel of `bias_gelu_gpu.py`."""

    plain_class = VideoMAEv2MLP

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        suits = torch.compiler.is_compiling() and trains_in_half_precision(self, hidden_states)
        if suits and is_plain(self.fc1) and is_plain(self.fc2):
            return self.forward_bias_gelu(hidden_states)
        return super().forward(hidden_states)

    def forward_bias_gelu(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """The same result, where GELU adds the bias of the product before it."""
        weight, bias, weight2 = self.weights_with_more_channels(self.missing_channels)
        channels = BiasGELU.apply(nn.functional.linear(hidden_states, weight), bias)
        return nn.functional.linear(channels, weight2, self.fc2.bias)


__all__ = ["use_training_kernels"]
