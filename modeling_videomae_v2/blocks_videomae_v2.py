# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The transformer block of encoder and decoder: attention, MLP, norms, stochastic depth.

Shapes are named as in `modeling_videomae_v2.py`.
"""

from collections.abc import Callable

import torch
from torch import nn
from transformers.activations import ACT2FN
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.processing_utils import Unpack
from transformers.utils import TransformersKwargs

from .configuration_videomae_v2 import VideoMAEv2Config
from .constants_videomae_v2 import VideoMAEv2Constants
from .cpu_attention_videomae_v2 import head_by_head_attention, suits_head_by_head, trains_with_plain_products


# Devices that accumulate the gradients of a norm's weight and bias in the type of its input; in bf16 they are 7% off
# after 5000 tokens.
INEXACT_NORM_DEVICES = ("cpu",)

# Rows of 16 bytes in half precision, which the fast products of a GPU want; the decoder of ViT-g has 2234 channels.
ALIGNED_CHANNELS = 8


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Unpack[TransformersKwargs],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of `(B, heads, K, head_dim)` tensors, spelt out; returns `(B, K, heads, head_dim)` and the weights."""
    weights = torch.matmul(query * scaling, key.transpose(2, 3))
    if attention_mask is not None:
        weights = weights + attention_mask
    weights = nn.functional.softmax(weights, dim=-1).to(value.dtype)  # in half precision it sums up in float32
    weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), weights


class VideoMAEv2LayerNorm(nn.LayerNorm):
    """Norm that, under autocast, gives the type that it takes and keeps no other; statistics are fp32.

    On a GPU, torch's norm under autocast is a conversion to fp32, a norm of that, and a conversion back wherever the
    result is used: three times the memory traffic, and twice what is kept for the backward pass.
    """

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        device, dtype = hidden_states.device.type, hidden_states.dtype
        if device == "meta" or not torch.is_autocast_enabled(device):  # meta has no autocast to ask for
            return super().forward(hidden_states)
        with torch.autocast(device, enabled=False):
            inexact = device in INEXACT_NORM_DEVICES and torch.is_grad_enabled()
            tokens = hidden_states.float() if inexact else hidden_states
            weight, bias = self.weight.to(tokens.dtype), self.bias.to(tokens.dtype)
            return nn.functional.layer_norm(tokens, self.normalized_shape, weight, bias, self.eps).to(dtype)


class VideoMAEv2Attention(nn.Module):
    """Joint space-time self-attention. Queries and values may have a bias; a key bias would cancel in the softmax."""

    def __init__(self, config: VideoMAEv2Config, hidden_size: int, num_attention_heads: int) -> None:
        super().__init__()
        self.config = config
        self.head_dim = hidden_size // num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.attention_dropout = config.attention_probs_dropout_prob
        self.is_causal = False
        self.q_proj = nn.Linear(hidden_size, hidden_size, bias=config.qkv_bias)
        self.k_proj = nn.Linear(hidden_size, hidden_size, bias=False)
        self.v_proj = nn.Linear(hidden_size, hidden_size, bias=config.qkv_bias)
        self.o_proj = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, hidden_states: torch.Tensor, num_outputs: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`(B, K, D)` to `(B, Q, D)` and the attention weights `(B, heads, Q, K)`, if the implementation has them.

        All tokens attend (Q = K), or the last `num_outputs` alone, to all of them.
        """
        heads_shape = (*hidden_states.shape[:-1], -1, self.head_dim)
        query, key, value = (tokens.view(heads_shape).transpose(1, 2) for tokens in self.project(hidden_states))
        if num_outputs is not None:
            query = query[:, :, -num_outputs:]

        output, weights = self._attention_function(query)(
            self,
            query,
            key,
            value,
            None,
            dropout=self.attention_dropout if self.training else 0.0,
            scaling=self.scaling,
        )
        # "sdpa" gives no weights, whatever stands in for it; "flex_attention" gives sums of them
        spelt_out = self.config._attn_implementation not in ("sdpa", "flex_attention")
        return self.o_proj(output.flatten(2)), weights if spelt_out else None

    def project(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Queries, keys and values of `(B, K, D)`, each of the same shape."""
        return self.q_proj(hidden_states), self.k_proj(hidden_states), self.v_proj(hidden_states)

    def _attention_function(self, query: torch.Tensor) -> Callable[..., tuple[torch.Tensor, torch.Tensor | None]]:
        """The configured implementation; for "sdpa" on a CPU, what is faster there."""
        implementation = self.config._attn_implementation
        function = ALL_ATTENTION_FUNCTIONS.get_interface(implementation, eager_attention_forward)
        if function is sdpa_attention_forward:  # and not what a user has put in its place
            if self.training and trains_with_plain_products(query):
                return eager_attention_forward
            if not self.training and suits_head_by_head(query):
                return head_by_head_attention
        return function


class VideoMAEv2MLP(nn.Module):
    def __init__(self, config: VideoMAEv2Config, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, intermediate_size)
        self.activation_fn = ACT2FN[config.hidden_act]
        self.fc2 = nn.Linear(intermediate_size, hidden_size)
        self.missing_channels = -intermediate_size % ALIGNED_CHANNELS

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        if self.missing_channels and hidden_states.is_cuda and is_plain(self.fc1) and is_plain(self.fc2):
            return self.forward_with_more_channels(hidden_states, self.missing_channels)
        return self.fc2(self.activation_fn(self.fc1(hidden_states)))

    def forward_with_more_channels(self, hidden_states: torch.Tensor, count: int) -> torch.Tensor:
        """The same result with `count` channels more in between."""
        weight, bias, weight2 = self.weights_with_more_channels(count)
        channels = self.activation_fn(nn.functional.linear(hidden_states, weight, bias))
        return nn.functional.linear(channels, weight2, self.fc2.bias)

    def weights_with_more_channels(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Weight and bias of the first product and weight of the second, for `count` channels more of zeros."""
        if not count:
            return self.fc1.weight, self.fc1.bias, self.fc2.weight
        pad = nn.functional.pad
        return pad(self.fc1.weight, (0, 0, 0, count)), pad(self.fc1.bias, (0, count)), pad(self.fc2.weight, (0, count))


def is_linear(layer: nn.Module) -> bool:
    """Whether it is an `nn.Linear` with its weight: no adapter, no quantised weight."""
    return type(layer) is nn.Linear and not hasattr(layer.weight, "__tensor_flatten__")


def has_hooks(layer: nn.Module) -> bool:
    """Whether functions were registered to be called with what goes through it, or comes back."""
    return any((layer._forward_pre_hooks, layer._forward_hooks, layer._backward_pre_hooks, layer._backward_hooks))


def is_plain(layer: nn.Module) -> bool:
    """Whether a linear layer is just that, without hooks, too (one may bring its weight)."""
    return is_linear(layer) and not has_hooks(layer) and not hasattr(layer, "_hf_hook")


class VideoMAEv2LayerScale(nn.Module):
    """Learned scale per channel of a residual branch."""

    def __init__(self, config: VideoMAEv2Config, hidden_size: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.full((hidden_size,), float(config.layer_scale_init_value)))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states * self.lambda1.to(hidden_states.dtype)


class VideoMAEv2DropPath(VideoMAEv2Constants):
    """Stochastic depth: in training, a residual branch is left out for whole clips and scaled up for the others.

    The rate is a tensor, so that blocks which differ in nothing else share one compiled graph.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.register_constants()

    def constants(self) -> dict[str, torch.Tensor]:
        return {"keep": torch.tensor(1.0 - self.rate, dtype=torch.float32)}

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return hidden_states
        clips = torch.rand(hidden_states.shape[0], 1, 1, device=hidden_states.device) < self.keep
        return hidden_states * (clips / self.keep).to(hidden_states.dtype)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class VideoMAEv2Layer(GradientCheckpointingLayer):
    """Pre-norm transformer block."""

    def __init__(
        self,
        config: VideoMAEv2Config,
        hidden_size: int,
        num_attention_heads: int,
        intermediate_size: int,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.layernorm_before = VideoMAEv2LayerNorm(hidden_size, eps=config.layer_norm_eps)
        self.attention = VideoMAEv2Attention(config, hidden_size, num_attention_heads)
        self.layernorm_after = VideoMAEv2LayerNorm(hidden_size, eps=config.layer_norm_eps)
        self.mlp = VideoMAEv2MLP(config, hidden_size, intermediate_size)
        scaled = config.layer_scale_init_value > 0
        self.layer_scale1 = VideoMAEv2LayerScale(config, hidden_size) if scaled else nn.Identity()
        self.layer_scale2 = VideoMAEv2LayerScale(config, hidden_size) if scaled else nn.Identity()
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.drop_path = VideoMAEv2DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()

    def forward(self, hidden_states: torch.Tensor, num_outputs: int | None = None) -> torch.Tensor:
        """`(B, K, D)` to `(B, K, D)`, or to `(B, num_outputs, D)`, the last tokens alone."""
        attended, _ = self.attention(self.layernorm_before(hidden_states), num_outputs)
        if num_outputs is not None:
            hidden_states = hidden_states[:, -num_outputs:]
        hidden_states = hidden_states + self.drop_path(self.layer_scale1(self.dropout(attended)))
        mapped = self.mlp(self.layernorm_after(hidden_states))
        return hidden_states + self.drop_path(self.layer_scale2(self.dropout(mapped)))


def build_layers(
    config: VideoMAEv2Config, depth: int, hidden_size: int, num_attention_heads: int, intermediate_size: int
) -> nn.ModuleList:
    """Blocks of the encoder or of the decoder, their stochastic depth rising linearly from 0 to `drop_path_rate`."""
    rates = [config.drop_path_rate * i / max(depth - 1, 1) for i in range(depth)]
    return nn.ModuleList(
        VideoMAEv2Layer(config, hidden_size, num_attention_heads, intermediate_size, rate) for rate in rates
    )
