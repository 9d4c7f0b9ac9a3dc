# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The same models computed the way research code for masked autoencoders does: what our speed is measured against.

Every cube is embedded by the convolution and most of them are thrown away; tokens are picked by boolean indexing, whose
result has a size that the host has to wait for; queries, keys and values come from one matrix with a bias put together
at every call; attention is spelt out; targets are made for all tokens. `load_ours` takes the weights of our models, so
that a test can show that both compute the same loss.
"""

import torch
from torch import nn
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from modeling_videomae_v2 import VideoMAEv2Config, running_cell_mask, tube_mask
from modeling_videomae_v2.embeddings_videomae_v2 import sin_cos_table


class ResearchAttention(nn.Module):
    """Attention over `(B, N, D)` with one matrix for queries, keys and values."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, count, dim = tokens.shape
        bias = torch.cat((self.q_bias, torch.zeros_like(self.v_bias), self.v_bias))
        qkv = nn.functional.linear(tokens, self.qkv.weight, bias)
        query, key, value = qkv.reshape(batch, count, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        mixed = weights.softmax(dim=-1) @ value
        return self.proj(mixed.transpose(1, 2).reshape(batch, count, dim))


class ResearchBlock(nn.Module):
    """Pre-norm block."""

    def __init__(self, dim: int, num_heads: int, intermediate: int, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = ResearchAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = nn.Sequential(nn.Linear(dim, intermediate), nn.GELU(), nn.Linear(intermediate, dim))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class ResearchEncoder(nn.Module):
    """All cubes embedded, then those that the mask keeps, then the blocks."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        cube = (config.tubelet_size, config.patch_size, config.patch_size)
        grid, dim = config.grid_size, config.hidden_size
        self.embed = nn.Conv3d(config.num_channels, dim, cube, stride=cube)
        self.register_buffer("positions", sin_cos_table(grid[0] * grid[1] * grid[2], dim), persistent=False)
        self.blocks = nn.ModuleList(
            ResearchBlock(dim, config.num_attention_heads, config.intermediate_size, config.layer_norm_eps)
            for _ in range(config.num_hidden_layers)
        )

    def forward(self, pixel_values: torch.Tensor, mask: torch.BoolTensor | None = None) -> torch.Tensor:
        """`(B, frames, channels, height, width)` and a mask `(B, N)`, True = dropped, to `(B, K, D)`."""
        tokens = self.embed(pixel_values.transpose(1, 2)).flatten(2).transpose(1, 2)
        tokens = tokens + self.positions.type_as(tokens)
        if mask is not None:
            tokens = tokens[~mask].reshape(len(tokens), -1, tokens.shape[-1])
        for block in self.blocks:
            tokens = block(tokens)
        return tokens


class ResearchPreTraining(nn.Module):
    """Masked autoencoder, dual-masked if the configuration says so; the loss alone comes out."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        self.config = config
        dim, grid, eps = config.decoder_hidden_size, config.grid_size, config.layer_norm_eps
        cube_values = config.tubelet_size * config.patch_size**2 * config.num_channels
        self.encoder = ResearchEncoder(config)
        self.norm = nn.LayerNorm(config.hidden_size, eps=eps)
        self.encoder_to_decoder = nn.Linear(config.hidden_size, dim, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("positions", sin_cos_table(grid[0] * grid[1] * grid[2], dim), persistent=False)
        self.decoder = nn.ModuleList(
            ResearchBlock(dim, config.decoder_num_attention_heads, config.decoder_intermediate_size, eps)
            for _ in range(config.decoder_num_hidden_layers)
        )
        self.decoder_norm = nn.LayerNorm(dim, eps=eps)
        self.head = nn.Linear(dim, cube_values)

    def draw_masks(self, batch: int, device: torch.device) -> tuple[torch.BoolTensor, torch.BoolTensor]:
        """Encoder and decoder mask `(B, N)`, True = dropped; drawn on the host and sent over."""
        config = self.config
        hidden = tube_mask(batch, config.grid_size, config.mask_ratio)
        dropped = ~hidden
        if config.decoder_mask_type is not None:
            dropped = running_cell_mask(batch, config.grid_size, config.decoder_mask_ratio)
        return hidden.to(device), dropped.to(device)

    @torch.no_grad()
    def make_targets(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Normalised cubes `(B, N, P)`, all of them; values are ordered frame, row, column, channel."""
        size, side = self.config.tubelet_size, self.config.patch_size
        mean, std = (
            torch.as_tensor(values, device=pixel_values.device).view(1, 1, -1, 1, 1)
            for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
        )
        video = pixel_values * std + mean
        batch, frames, channels, height, width = video.shape
        cubes = video.view(batch, frames // size, size, channels, height // side, side, width // side, side)
        cubes = cubes.permute(0, 1, 4, 6, 2, 5, 7, 3).reshape(batch, -1, size * side * side, channels)
        if self.config.norm_pix_loss:
            mean, deviation = cubes.mean(dim=-2, keepdim=True), cubes.var(dim=-2, unbiased=True, keepdim=True).sqrt()
            cubes = (cubes - mean) / (deviation + 1e-6)
        return cubes.flatten(2)

    def forward(
        self,
        pixel_values: torch.Tensor,
        bool_masked_pos: torch.BoolTensor | None = None,
        decoder_bool_masked_pos: torch.BoolTensor | None = None,
    ) -> torch.Tensor:
        """Loss `()` of clips `(B, frames, channels, height, width)`; masks `(B, N)` are drawn where not given."""
        batch = len(pixel_values)
        if bool_masked_pos is None:
            bool_masked_pos, decoder_bool_masked_pos = self.draw_masks(batch, pixel_values.device)
        if decoder_bool_masked_pos is None:
            decoder_bool_masked_pos = ~bool_masked_pos
        kept = ~decoder_bool_masked_pos
        latents = self.encoder_to_decoder(self.norm(self.encoder(pixel_values, bool_masked_pos)))
        positions = self.positions.type_as(latents).expand(batch, -1, -1)
        seen = latents + positions[~bool_masked_pos].reshape(latents.shape)
        asked = self.mask_token + positions[kept].reshape(batch, -1, latents.shape[-1])
        tokens = torch.cat((seen, asked), dim=1)
        for block in self.decoder:
            tokens = block(tokens)
        predicted = self.head(self.decoder_norm(tokens[:, -asked.shape[1] :]))
        targets = self.make_targets(pixel_values)[kept].reshape(predicted.shape)
        error = (predicted.float() - targets) ** 2
        unseen = bool_masked_pos[kept].reshape(error.shape[:2])
        return (error.mean(dim=-1) * unseen).sum() / unseen.sum()


class ResearchClassifier(nn.Module):
    """Encoder over all tokens, mean, norm, linear head: logits `(B, num_labels)`."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        self.encoder = ResearchEncoder(config)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.head = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.encoder(pixel_values).mean(dim=1)))


OUR_NAMES = (  # applied in order; queries, keys and values become one matrix before
    ("videomae_v2.embeddings.patch_embeddings.projection.", "encoder.embed."),
    ("videomae_v2.layers.", "encoder.blocks."),
    ("videomae_v2.layernorm.", "norm."), ("videomae_v2.fc_norm.", "norm."), ("decoder.layers.", "decoder."),
    ("decoder.mask_token", "mask_token"), ("decoder.norm.", "decoder_norm."), ("decoder.head.", "head."),
    ("classifier.", "head."), ("layernorm_before", "norm1"), ("layernorm_after", "norm2"), ("attention.", "attn."),
    ("o_proj", "proj"), ("q_proj.bias", "q_bias"), ("v_proj.bias", "v_bias"),
    ("mlp.fc1", "mlp.0"), ("mlp.fc2", "mlp.2"),
)  # fmt: skip


def load_ours(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Give a model of this file the weights of our model of the same kind.

    Args:
        model: `ResearchPreTraining` or `ResearchClassifier`.
        weights: State dict of `VideoMAEv2ForPreTraining` or `VideoMAEv2ForVideoClassification`.
    """
    weights, renamed = dict(weights), {}
    for name in [name for name in weights if name.endswith("q_proj.weight")]:
        parts = [weights.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        weights[name.replace("q_proj", "qkv")] = torch.cat(parts)
    for name, value in weights.items():
        for ours, theirs in OUR_NAMES:
            name = name.replace(ours, theirs)
        renamed[name] = value
    model.load_state_dict(renamed)
