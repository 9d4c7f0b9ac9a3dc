# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Random erasing: a box of the picture becomes noise, the same box in all frames of a clip."""

import numpy as np
import torch

from .data.chance import Purpose, generator, seed_from


AREA = (0.02, 1.0 / 3.0)  # share of the picture
ASPECT = (0.3, 1.0 / 0.3)  # height over width
TRIES = 10  # boxes that are drawn before a clip is let off


class RandomErasing:
    """Fills a random box of some clips with normal noise, each pixel of each frame with its own.

    Whether, where and with what depends on nothing but the seed and the number of the clip in the run (the noise also
    on the kind of device, which draws it).

    Args:
        prob: Share of the clips.
        seed: Seed of the run, not negative.
    """

    def __init__(self, prob: float, seed: int = 0) -> None:
        self.prob, self.seed = prob, seed
        self._noise: dict[torch.device, torch.Generator] = {}

    def __call__(self, pixel_values: torch.Tensor, first_clip: int) -> torch.Tensor:
        """Erase, in place.

        Args:
            pixel_values: Normalised clips `(B, T, C, H, W)` of mean 0 and variance 1, on any device.
            first_clip: Number in the run of the first clip; the others follow it.

        Returns:
            `pixel_values`.
        """
        if not self.prob:
            return pixel_values
        height, width = pixel_values.shape[-2:]
        device = pixel_values.device
        noise = self._noise.setdefault(device, torch.Generator(device))
        for i, clip in enumerate(range(first_clip, first_clip + len(pixel_values))):
            box = self.box(clip, height, width)
            if box is not None:
                noise.manual_seed(seed_from(self.seed, int(Purpose.ERASE), clip))
                top, left, bottom, right = box
                pixel_values[i, :, :, top:bottom, left:right].normal_(generator=noise)
        return pixel_values

    def box(self, clip: int, height: int, width: int) -> tuple[int, int, int, int] | None:
        """Top, left, bottom and right of the box of one clip, in pixels; None: it stays whole."""
        rng = generator(self.seed, Purpose.ERASE, clip)
        if rng.random() >= self.prob:
            return None
        area = rng.uniform(*AREA, size=TRIES) * height * width
        aspect = np.exp(rng.uniform(*np.log(ASPECT), size=TRIES))
        tall, wide = np.rint(np.sqrt(area * aspect)).astype(int), np.rint(np.sqrt(area / aspect)).astype(int)
        fitting = np.flatnonzero((tall < height) & (wide < width) & (tall > 0) & (wide > 0))
        if not len(fitting):
            return None
        tall, wide = int(tall[fitting[0]]), int(wide[fitting[0]])
        top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
        return top, left, top + tall, left + wide
