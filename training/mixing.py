# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Mixup and cutmix of clips, with the soft targets that go with them (paper, Tables 9, 11 and 16).

Whether a clip is mixed, how, and how strongly depends on nothing but the seed and the number of the clip in the run, so
that a resumed run, or one on other processes, draws the same. Numbers are drawn in host memory, pixels are mixed where
they lie; nothing waits for a device.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from .data.chance import Purpose, generator
from .transfer import move


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mix:
    """What happens to the clips of a batch, in host memory.

    Attributes:
        share: float64 `(B,)`, share of the clip itself in the mix; the rest is its partner's. 1: not mixed.
        box: int64 `(B, 4)`, top, left, bottom, right of the part that comes from the partner; empty in mixup.
        partner: int64 `(B,)`, place of the partner in the batch.
    """

    share: torch.Tensor
    box: torch.Tensor
    partner: torch.Tensor

    @property
    def blend(self) -> torch.Tensor:
        """float64 `(B,)`, share of the clip in pixels outside its box."""
        boxed = self.box[:, 2] > self.box[:, 0]  # of a box without a width, the share is 1 anyway
        return torch.where(boxed, 1.0, self.share)


class Mixing:
    """Mixes each clip with another one of its batch, and labels with labels.

    A clip is mixed with probability `prob`: with `switch_prob` by cutmix (a box of the picture, in all frames, comes
    from the partner), otherwise by mixup (a weighted mean); if one of them is off, always by the other. The share of
    the clip itself comes from a beta distribution, Beta(mixup, mixup) or Beta(cutmix, cutmix). In cutmix it is then
    the share of the pixels that really are its own, the box being cut at the border.

    Partners are neighbouring videos of the order of the run, 0 with 1, 2 with 3, view by view. So they do not depend on
    how a batch is spread over processes and passes, as long as these hold an even number of videos; in an odd number,
    the one left over takes another clip of its batch. A video that is alone in its batch has nothing to be mixed with
    but its own views, which is logged once.

    Args:
        num_classes: Classes of the targets.
        mixup: Parameter of the beta distribution of mixup; 0: no mixup.
        cutmix: The same for cutmix.
        prob: Share of the clips that are mixed.
        switch_prob: Share of cutmix where there are both.
        label_smoothing: Share of the target that is spread over all classes.
        seed: Seed of the run, not negative.
        views: Clips of one video, side by side in a batch.
    """

    def __init__(
        self, num_classes: int, mixup: float, cutmix: float, prob: float = 1.0, switch_prob: float = 0.5,
        label_smoothing: float = 0.0, seed: int = 0, views: int = 1,
    ) -> None:  # fmt: skip
        self.num_classes, self.label_smoothing = num_classes, label_smoothing
        self.mixup, self.cutmix, self.prob, self.switch_prob = mixup, cutmix, prob, switch_prob
        self.seed, self.views = seed, views
        self._warned = False

    @property
    def active(self) -> bool:
        """Whether any clip is ever mixed."""
        return self.prob > 0.0 and max(self.mixup, self.cutmix) > 0.0

    def __call__(
        self, pixel_values: torch.Tensor, labels: torch.Tensor, first_clip: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix a batch.

        Args:
            pixel_values: Normalised clips `(B, T, C, H, W)`, on any device; left as they are.
            labels: int64 `(B,)` on the same device.
            first_clip: Number in the run of the first clip; the others follow it.

        Returns:
            The mixed clips, and soft targets fp32 `(B, num_classes)` on the device of `labels`.
        """
        targets = smoothed_one_hot(labels, self.num_classes, self.label_smoothing)
        if not self.active:
            return pixel_values, targets
        if len(labels) <= self.views and not self._warned:
            logger.warning("A batch holds a single video: mixup and cutmix need a batch_size of at least 2.")
            self._warned = True
        mix = self.draw(first_clip, len(labels), *pixel_values.shape[-2:])
        partner = move(mix.partner, pixel_values.device)
        share = move(mix.share.float(), pixel_values.device)[:, None]
        mixed = torch.lerp(pixel_values[partner], pixel_values, self._weight(mix, pixel_values))
        return mixed, torch.lerp(targets[partner], targets, share)

    def draw(self, first_clip: int, num_clips: int, height: int, width: int) -> Mix:
        """What is going to happen to the clips of a batch of this size of picture."""
        drawn = [self._draw(clip, height, width) for clip in range(first_clip, first_clip + num_clips)]
        share = torch.tensor([share for share, _ in drawn], dtype=torch.float64)
        box = torch.tensor([box for _, box in drawn])
        return Mix(share, box, self._partners(first_clip, num_clips))

    def _draw(self, clip: int, height: int, width: int) -> tuple[float, tuple[int, int, int, int]]:
        """Share and box of one clip."""
        rng = generator(self.seed, Purpose.MIX, clip)
        mixes, switches, row, column = rng.random(4)
        if mixes >= self.prob:
            return 1.0, (0, 0, 0, 0)
        cuts = self.cutmix > 0.0 and (self.mixup == 0.0 or switches < self.switch_prob)
        alpha = self.cutmix if cuts else self.mixup
        share = float(rng.beta(alpha, alpha))
        if not cuts:
            return share, (0, 0, 0, 0)
        side = np.sqrt(1.0 - share)
        tall, wide = int(height * side), int(width * side)
        top, left = int(row * height) - tall // 2, int(column * width) - wide // 2
        bottom, right = min(top + tall, height), min(left + wide, width)
        top, left = max(top, 0), max(left, 0)
        return 1.0 - (bottom - top) * (right - left) / (height * width), (top, left, bottom, right)

    def _partners(self, first_clip: int, num_clips: int) -> torch.Tensor:
        """Place in the batch of the partner of each clip."""
        clip = np.arange(first_clip, first_clip + num_clips)
        video = clip // self.views
        partner = clip + ((video ^ 1) - video) * self.views - first_clip
        elsewhere = (clip - first_clip + num_clips // 2) % num_clips
        return torch.from_numpy(np.where((partner >= 0) & (partner < num_clips), partner, elsewhere))

    def _weight(self, mix: Mix, pixel_values: torch.Tensor) -> torch.Tensor:
        """Share of the clip itself in each pixel, `(B, 1, 1, H, W)`, type and device of `pixel_values`."""
        height, width, device = *pixel_values.shape[-2:], pixel_values.device
        top, left, bottom, right = move(mix.box, device).T[:, :, None, None]
        rows, columns = torch.arange(height, device=device)[:, None], torch.arange(width, device=device)
        boxed = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        blend = move(mix.blend.to(pixel_values.dtype), device)[:, None, None]
        return torch.where(boxed, 0.0, blend)[:, None, None]


def smoothed_one_hot(labels: torch.Tensor, num_classes: int, smoothing: float = 0.0) -> torch.Tensor:
    """Soft targets fp32 `(B, num_classes)`: `smoothing` spread over all classes, the rest on the label.

    Args:
        labels: int64 `(B,)`.
        num_classes: How many classes there are.
        smoothing: Share that is spread.
    """
    classes = torch.arange(num_classes, device=labels.device)  # one_hot would look at the labels, and wait for them
    return torch.where(labels[:, None] == classes, 1.0 - smoothing + smoothing / num_classes, smoothing / num_classes)
