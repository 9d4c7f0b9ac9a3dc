# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of what a pre-training model makes of a clip: input, what the encoder sees of it, reconstruction."""

from pathlib import Path

import torch
from PIL import Image

from modeling_videomae_v2 import VideoMAEv2Config
from modeling_videomae_v2.patching_videomae_v2 import cut_cubes


GREY = 0.5
GAP = 2  # pixels between frames


def to_cubes(frames: torch.Tensor, config: VideoMAEv2Config) -> torch.Tensor:
    """Frames `(T, C, H, W)` to `(tokens, values, C)`: tokens by time, row, column; values by frame, row, column."""
    (cubes,) = cut_cubes(frames[None], config.tubelet_size, config.patch_size)
    return cubes.flatten(2).transpose(1, 2)


def from_cubes(cubes: torch.Tensor, config: VideoMAEv2Config) -> torch.Tensor:
    """The inverse of `to_cubes`."""
    time, rows, columns = config.grid_size
    t, p = config.tubelet_size, config.patch_size
    frames = cubes.reshape(time, rows, columns, t, p, p, -1).permute(0, 3, 6, 1, 4, 2, 5)
    return frames.reshape(time * t, -1, rows * p, columns * p)


def reconstruction_picture(
    frames: torch.Tensor, logits: torch.Tensor, mask: torch.BoolTensor, config: VideoMAEv2Config
) -> torch.Tensor:
    """Three rows of frames: the clip, the clip with hidden cubes in grey, the clip with hidden cubes reconstructed.

    Args:
        frames: `(T, C, H, W)`, pixels in [0, 1].
        logits: `(tokens, P)`, the model's cubes, one for every token of the grid.
        mask: Bool `(tokens,)`, the encoder mask, True = dropped.
        config: Grid, and whether the model predicts normalised cubes: each colour of these gets the mean and the
            deviation of the true cube, which the model does not know.

    Returns:
        uint8 `(3, height, width)`, one column per time step of the grid.
    """
    cubes = to_cubes(frames, config)
    predicted = logits.reshape(cubes.shape)
    if config.norm_pix_loss:
        std, mean = torch.std_mean(cubes, dim=1, correction=1, keepdim=True)
        predicted = predicted * (std + 1e-6) + mean
    hidden = mask.view(-1, 1, 1)
    rows = [cubes, torch.where(hidden, GREY, cubes), torch.where(hidden, predicted, cubes)]
    stacked = torch.stack([from_cubes(row, config)[:: config.tubelet_size] for row in rows])  # rows, frames, C, H, W
    stacked = torch.nn.functional.pad(stacked, (0, GAP, 0, GAP), value=1.0)
    picture = stacked.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)
    return (picture.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def save_picture(picture: torch.Tensor, path: Path) -> None:
    """Write a uint8 picture `(3, height, width)` as PNG, making the folders that are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(path)
