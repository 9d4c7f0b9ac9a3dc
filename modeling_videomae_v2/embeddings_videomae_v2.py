# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""From clips to tokens: cube embedding and positions (section 3.1).

Shapes are named as in `modeling_videomae_v2.py`.
"""

import math
from functools import partial

import torch
from torch import nn

from .configuration_videomae_v2 import VideoMAEv2Config
from .constants_videomae_v2 import VideoMAEv2Constants
from .cpu_precision_videomae_v2 import warn_where_emulated
from .masking_videomae_v2 import Grid
from .patching_videomae_v2 import cut_cubes, kept_indices, num_visible, token_grid


def sin_cos_table(num_positions: int, dim: int) -> torch.FloatTensor:
    """Fixed position table `(num_positions, dim)` over the flattened token index: even columns sine, odd cosine."""
    # on the CPU whatever the default device is: Apple's GPUs know no float64
    even_column = torch.arange(0, dim, 2, dtype=torch.float64, device="cpu")
    position = torch.arange(num_positions, dtype=torch.float64, device="cpu")
    angle = position[:, None] / 10000 ** (even_column / dim)
    table = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :dim].float()
    return table.to(torch.empty(0).device)  # the default device; `get_default_device` of torch 2.6 sees no `with`


def resized_table(table: torch.Tensor, grid: Grid, new_grid: Grid) -> torch.Tensor:
    """Position table `(T*H*W, D)` of `grid` for another grid: bicubic over space, then linear over time."""
    resized = table.float().view(*grid, -1).permute(0, 3, 1, 2)  # T, D, H, W
    resized = nn.functional.interpolate(resized, size=new_grid[1:], mode="bicubic", align_corners=False)
    resized = resized.permute(2, 3, 1, 0).flatten(0, 1)  # H*W, D, T
    resized = nn.functional.interpolate(resized, size=new_grid[0], mode="linear", align_corners=False)
    return resized.permute(2, 0, 1).flatten(0, 1).to(table.dtype)


class VideoMAEv2PositionEmbeddings(VideoMAEv2Constants):
    """Fixed sin-cos position table of a token grid, and what other grids take from it.

    Args:
        grid: Tokens along time, height and width of the clips that are expected.
        dim: Width `D`.
        table_grid: Grid that the sin-cos table is of.
    """

    def __init__(self, grid: Grid, dim: int, table_grid: Grid) -> None:
        super().__init__()
        self.grid, self.table_grid = grid, table_grid
        self.dim = dim
        self.register_constants()

    def constants(self) -> dict[str, torch.Tensor]:
        table = sin_cos_table(math.prod(self.table_grid), self.dim)
        if self.grid == self.table_grid:
            return {"table": table}
        return {"table": table, "expected": resized_table(table, self.table_grid, self.grid)}  # once, not in every pass

    def forward(self, grid: Grid) -> torch.Tensor:
        """Positions `(N, D)` of a grid."""
        if grid == self.table_grid:
            return self.table
        return self.expected if grid == self.grid else resized_table(self.table, self.table_grid, grid)


class VideoMAEv2CubeProjection(nn.Conv3d):
    """The convolution whose kernel and stride are one cube, of single cubes: a linear map.

    Shapes are those of a convolution, so that adapters, which run convolutions beside this one, get what they expect.
    """

    def forward(self, cubes: torch.Tensor) -> torch.Tensor:
        """`(cubes, channels, tubelet_size, patch_size, patch_size)` to `(cubes, D, 1, 1, 1)`."""
        tokens = nn.functional.linear(cubes.flatten(1).to(self.weight.dtype), self.weight.flatten(1), self.bias)
        return tokens[..., None, None, None]


class VideoMAEv2PatchEmbeddings(nn.Module):
    """Cube embedding, of the visible cubes and of no others."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        self.tubelet_size, self.patch_size = config.tubelet_size, config.patch_size
        cube = (config.tubelet_size, config.patch_size, config.patch_size)
        self.projection = VideoMAEv2CubeProjection(config.num_channels, config.hidden_size, cube, stride=cube)

    def forward(self, pixel_values: torch.Tensor, visible: torch.LongTensor | None = None) -> torch.Tensor:
        """`(B, frames, channels, height, width)` to `(B, K, D)`; `visible` are token indices `(B, K)`, default all."""
        cubes = cut_cubes(pixel_values, self.tubelet_size, self.patch_size, visible)
        return self.projection(cubes.flatten(0, 1)).view(*cubes.shape[:2], -1)


class VideoMAEv2Embeddings(nn.Module):
    """Cube embeddings plus positions."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__()
        self.config = config
        self.patch_embeddings = VideoMAEv2PatchEmbeddings(config)
        self.position_embeddings = VideoMAEv2PositionEmbeddings(config.grid_size, config.hidden_size, config.table_grid)

    def forward(self, pixel_values: torch.Tensor, bool_masked_pos: torch.BoolTensor | None = None) -> torch.Tensor:
        """`(B, frames, channels, height, width)` to `(B, K, D)`."""
        grid = token_grid(pixel_values, self.config)
        positions = self.position_embeddings(grid)
        visible = None
        if bool_masked_pos is not None:
            expected = partial(num_visible, self.config, grid)
            visible = kept_indices("bool_masked_pos", bool_masked_pos, pixel_values, grid, expected)
            positions = positions[visible]
        tokens = self.patch_embeddings(pixel_values, visible)
        warn_where_emulated(tokens)
        return tokens + positions.to(tokens)
