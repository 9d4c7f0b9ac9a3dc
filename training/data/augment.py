# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Views of a clip: random crop, flip and RandAugment, on uint8 frames, the same for all frames of a view."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .randaugment import RandAugment


SCALES = (1.0, 0.875, 0.75, 0.66)
# Places of a crop, in quarters of the room that it leaves (rows, columns): corners, sides, centre, and between these.
PLACES = (
    (0, 0), (0, 4), (4, 0), (4, 4), (2, 2), (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3),
)  # fmt: skip
# A crop within so many pixels of the wanted size is taken at that size, without scaling.
SNAP = 3
# Crops of random area and aspect that are drawn before the largest one in the middle is taken.
TRIES = 10


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


@dataclass(frozen=True)
class RandomResizedCrop:
    """Draws crops of random area, aspect and place.

    Attributes:
        area: Smallest and largest share of the frame.
        aspect: Smallest and largest width over height; its logarithm is spread evenly.
    """

    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)

    def __call__(self, height: int, width: int, rng: np.random.Generator) -> Crop:
        """Draw a crop of a frame of this size."""
        area = rng.uniform(*self.area, size=TRIES) * height * width
        aspect = np.exp(rng.uniform(*np.log(self.aspect), size=TRIES))
        wide, tall = np.rint(np.sqrt(area * aspect)).astype(int), np.rint(np.sqrt(area / aspect)).astype(int)
        fitting = np.flatnonzero((wide > 0) & (wide <= width) & (tall > 0) & (tall <= height))
        if len(fitting):
            high, broad = int(tall[fitting[0]]), int(wide[fitting[0]])
            top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - broad + 1))
            return Crop(top, left, high, broad)
        nearest = min(max(width / height, self.aspect[0]), self.aspect[1])
        broad = max(min(width, round(height * nearest)), 1)
        high = max(min(height, round(broad / nearest)), 1)
        return Crop((height - high) // 2, (width - broad) // 2, high, broad)


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
        multi_scale: Crops of random scale, as in pre-training; otherwise the centre.
        flip: Mirror each view with probability 1/2.
        random_resized: Crops of random area instead.
        rand_augment: What happens to each view after crop and flip.
    """

    size: int = 224
    views: int = 1
    multi_scale: bool = True
    flip: bool = False
    random_resized: RandomResizedCrop | None = None
    rand_augment: RandAugment | None = None

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
            cut = resized_crop(frames, self._crop(height, width, rng), self.size)
            if self.flip and rng.random() < 0.5:
                cut = cut.flip(-1)
            view.copy_(cut if self.rand_augment is None else self.rand_augment(cut, rng))
        return views

    def _crop(self, height: int, width: int, rng: np.random.Generator) -> Crop:
        if self.random_resized is not None:
            return self.random_resized(height, width, rng)
        return multi_scale_crop(height, width, self.size, rng) if self.multi_scale else centre_crop(height, width)
