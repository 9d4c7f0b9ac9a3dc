# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Views of a clip: multi-scale crop and flip, on uint8 frames, the same for all frames of a view."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F


SCALES = (1.0, 0.875, 0.75, 0.66)
# Places of a crop, in quarters of the room that it leaves (rows, columns): corners, sides, centre, and between these.
PLACES = (
    (0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3),
)  # fmt: skip
# A crop within so many pixels of the wanted size is taken at that size, without scaling.
SNAP = 3


@dataclass(frozen=True)
class Crop:
    """Part of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


def multi_scale_crop(
    height: int, width: int, size: int, rng: np.random.Generator, scales: Sequence[float] = SCALES, max_step: int = 1
) -> Crop:
    """Draw the crop of a view: MultiScaleCrop of Tables 9 and 10.

    Height and width are each one of `scales` of the shorter side of the frame, at most `max_step` apart in that list;
    the place is one of 13.

    Args:
        height: Height of the frame.
        width: Width of the frame.
        size: Side that the crop is going to be scaled to.
        rng: Where chance comes from.
        scales: Sides of a crop as shares of the shorter side of the frame, descending.
        max_step: How far apart in `scales` height and width may be.
    """
    sides = [max(int(min(height, width) * scale), 1) for scale in scales]
    sides = [size if abs(side - size) < SNAP and size <= min(height, width) else side for side in sides]
    steps = range(len(sides))
    pairs = [(sides[i], sides[j]) for i in steps for j in steps if abs(i - j) <= max_step]
    crop_height, crop_width = pairs[rng.integers(len(pairs))]
    down, right = PLACES[rng.integers(len(PLACES))]
    return Crop(down * ((height - crop_height) // 4), right * ((width - crop_width) // 4), crop_height, crop_width)


def centre_crop(height: int, width: int) -> Crop:
    """The largest square in the middle of the frame."""
    side = min(height, width)
    return Crop((height - side) // 2, (width - side) // 2, side, side)


def resized_crop(frames: torch.Tensor, crop: Crop, size: int) -> torch.Tensor:
    """Cut out `crop` and scale it, bilinear and antialiased.

    Args:
        frames: uint8 `(T, C, H, W)`; fast where the channels are the fastest axis in memory.
        crop: What to cut out.
        size: Side of the result.

    Returns:
        uint8 `(T, C, size, size)`.
    """
    rows, columns = slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)
    part = frames[:, :, rows, columns]
    if (crop.height, crop.width) == (size, size):
        return part
    if part.stride(1) != 1:
        part = part.contiguous(memory_format=torch.channels_last)
    return F.interpolate(part, size=(size, size), mode="bilinear", antialias=True)


@dataclass(frozen=True)
class ViewMaker:
    """Cuts the views of repeated augmentation out of the frames of one clip.

    Attributes:
        size: Side of a view, in pixels.
        views: How many.
        multi_scale: Random crops; otherwise the centre.
        flip: Mirror each view with probability 1/2.
    """

    size: int = 224
    views: int = 1
    multi_scale: bool = True
    flip: bool = False

    def __call__(self, frames: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Cut the views.

        Args:
            frames: uint8 `(T, C, H, W)`.
            rng: Where chance comes from.

        Returns:
            uint8 `(views, T, C, size, size)`, laid out in memory with the channels last.
        """
        count, channels, height, width = frames.shape
        views = torch.empty((self.views, count, self.size, self.size, channels), dtype=frames.dtype)
        views = views.permute(0, 1, 4, 2, 3)
        for view in views:
            crop = multi_scale_crop(height, width, self.size, rng) if self.multi_scale else centre_crop(height, width)
            cut = resized_crop(frames, crop, self.size)
            view.copy_(cut.flip(-1) if self.flip and rng.random() < 0.5 else cut)
        return views
