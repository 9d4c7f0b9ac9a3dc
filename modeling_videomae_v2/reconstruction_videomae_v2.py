# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What pre-training adds to the encoder: decoder, targets and loss (sections 3.1 and 3.2).

Shapes are named as in `modeling_videomae_v2.py`.
"""

import math

import torch
from torch import nn
from transformers.utils.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

from .blocks_videomae_v2 import VideoMAEv2LayerNorm, build_layers
from .configuration_videomae_v2 import VideoMAEv2Config
from .constants_videomae_v2 import VideoMAEv2Constants
from .embeddings_videomae_v2 import VideoMAEv2PositionEmbeddings
from .masking_videomae_v2 import Grid
from .patching_videomae_v2 import cut_cubes


def at_least_fp32(tensor: torch.Tensor) -> torch.Tensor:
    """What a loss is computed from: half precision becomes float32, float64 stays what it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


class VideoMAEv2Decoder(nn.Module):
    """Shallow transformer that reconstructs the cubes which the decoder mask keeps (section 3.2)."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        dim = config.decoder_hidden_size
        cube_values = config.tubelet_size * config.patch_size**2 * config.num_channels
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position_embeddings = VideoMAEv2PositionEmbeddings(config.grid_size, dim, config.table_grid)
        self.layers = build_layers(
            config,
            config.decoder_num_hidden_layers,
            dim,
            config.decoder_num_attention_heads,
            config.decoder_intermediate_size,
        )
        self.norm = VideoMAEv2LayerNorm(dim, eps=config.layer_norm_eps)
        self.head = nn.Linear(dim, cube_values)

    def forward(
        self, latents: torch.Tensor, grid: Grid, visible: torch.LongTensor, kept: torch.LongTensor
    ) -> torch.Tensor:
        """Reconstruct cubes.

        Args:
            latents: `(B, K, D)`, the encoder's tokens at the width of the decoder.
            grid: Token grid of the clips.
            visible: `(B, K)` token indices of `latents`.
            kept: `(B, M)` indices of the tokens to reconstruct.

        Returns:
            `(B, M, P)`.
        """
        positions = self.position_embeddings(grid).to(latents.dtype)
        queries = self.mask_token.to(latents.dtype) + positions[kept]
        hidden_states = torch.cat([latents + positions[visible], queries], dim=1)
        for layer in self.layers[:-1]:
            hidden_states = layer(hidden_states)
        for layer in self.layers[-1:]:  # what it makes of the latents nobody reads
            hidden_states = layer(hidden_states, num_outputs=kept.shape[1])
        return self.head(self.norm(hidden_states[:, -kept.shape[1] :]))


class VideoMAEv2PixelTargets(VideoMAEv2Constants):
    """Reconstruction targets: the pixels of cubes, each colour normalised within its cube (section 3.1)."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        self.config = config
        self.register_constants()

    def constants(self) -> dict[str, torch.Tensor]:
        if self.config.num_channels != len(IMAGENET_DEFAULT_MEAN):  # statistics unknown: take the values as they are
            mean, std = [0.0] * self.config.num_channels, [1.0] * self.config.num_channels
        else:
            mean, std = IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
        # not in the default type, which is the model's where it is made for half precision
        return {name: torch.tensor(x, dtype=torch.float32) for name, x in (("pixel_mean", mean), ("pixel_std", std))}

    def forward(self, pixel_values: torch.Tensor, index: torch.LongTensor) -> torch.FloatTensor:
        """Targets `(B, M, P)` of the cubes `index` `(B, M)`; values are ordered frame, row, column, channel."""
        return self.by_channel(pixel_values, index).transpose(2, 3).flatten(2)

    @torch.no_grad()
    def by_channel(self, pixel_values: torch.Tensor, index: torch.LongTensor) -> torch.FloatTensor:
        """The same targets as `(B, M, channels, pixels)`, the order in which they are computed."""
        cubes = cut_cubes(pixel_values, self.config.tubelet_size, self.config.patch_size, index)
        cubes = at_least_fp32(cubes.flatten(3))  # B, M, channels, pixels
        pixel_std = self.pixel_std.float()[:, None]
        if self.config.norm_pix_loss:
            # Undoing mean and std cancels here, except that it scales the epsilon. Subtracting the first pixel changes
            # nothing but rounding: without it, a cube of one colour would get rounding noise as its target.
            cubes = cubes - cubes[..., :1]
            cubes = cubes - cubes.mean(dim=-1, keepdim=True)
            std = torch.linalg.vector_norm(cubes, dim=-1, keepdim=True) / math.sqrt(cubes.shape[-1] - 1)
            cubes = cubes / (std + 1e-6 / pixel_std)
        else:
            cubes = cubes * pixel_std + self.pixel_mean.float()[:, None]  # back to [0, 1]
        return cubes


class VideoMAEv2ReconstructionLoss(nn.Module):
    """Squared error of reconstructed cubes; all of its elementwise work, so that it compiles as one.

    As equation 2, but divided by the number of cubes in the sum (kept, and not seen by the encoder), as in the research
    code; the paper divides by the number of all kept ones.
    """

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        self.config = config
        self.targets = VideoMAEv2PixelTargets(config)

    def forward(
        self,
        logits: torch.Tensor,
        pixel_values: torch.Tensor,
        kept: torch.LongTensor,
        bool_masked_pos: torch.BoolTensor,
    ) -> torch.Tensor:
        """Mean over values and cubes, `()`.

        Args:
            logits: `(B, M, P)`.
            pixel_values: The clips.
            kept: `(B, M)` indices of the tokens that `logits` reconstruct.
            bool_masked_pos: `(B, N)`, True = not seen by the encoder; on the device of the clips.
        """
        targets = self.targets.by_channel(pixel_values, kept)
        channels, pixels = targets.shape[2:]
        # ordered as the targets, so that a compiler computes these, and the error, in one go over the pixels
        values = at_least_fp32(logits).unflatten(2, (pixels, channels)).transpose(2, 3)
        error = (values - targets.to(values.dtype)).square().sum(dim=-1).sum(dim=-1) / (channels * pixels)  # B, M
        if self.config.decoder_loss_on == "all":
            return error.mean()
        unseen = bool_masked_pos.gather(1, kept)
        return (error * unseen).sum() / unseen.sum().clamp(min=1)
