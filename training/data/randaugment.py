# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""RandAugment of clips: the same operations with the same arguments for all frames.

The default strength is that of the released fine-tuning script, which calls it `rand-m7-n4-mstd0.5-inc1`: 4 operations
out of 15, each carried out with probability 1/2, at magnitude 7 of 10 with normal noise of standard deviation 0.5, all
of them the stronger the higher the magnitude. Tables 9, 11 and 16 of the paper name RandAugment without its operations.

Frames stay uint8 and on the CPU. Operators are torchvision's where it has them. `auto_contrast`, `equalize` and
`contrast` take their statistics from each frame, as torchvision and Pillow do.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torchvision.transforms.v2.functional as F
from torchvision.transforms.v2 import InterpolationMode


MAX_MAGNITUDE = 10.0
FILL = 128  # grey value of what comes in from outside the picture

Argument = float | int | None


class Step(NamedTuple):
    """One operation on a clip: a key of `OPERATIONS`, and its argument in that operation's own unit."""

    name: str
    argument: Argument


class Operation(NamedTuple):
    """One operation of RandAugment.

    Attributes:
        argument: From a strength in [0, 1] and a sign, +1 or -1, to the argument of `apply`.
        apply: From uint8 frames `(T, C, H, W)` and the argument to frames of the same shape. Each operation brings them
            into the memory layout that it is fast in, if that matters.
    """

    argument: Callable[[float, int], Argument]
    apply: Callable[[torch.Tensor, Argument], torch.Tensor]


def auto_contrast(frames: torch.Tensor, _: None) -> torch.Tensor:
    """Stretch the values of each frame and channel to 0 ... 255."""
    return F.autocontrast(frames.contiguous())


def color(frames: torch.Tensor, factor: float) -> torch.Tensor:
    """Blend with a grey copy."""
    return F.adjust_saturation(frames.contiguous(), factor)


def solarize(frames: torch.Tensor, threshold: int) -> torch.Tensor:
    """Invert the values from `threshold` on; 256 changes nothing."""
    return F.solarize(frames, threshold) if threshold <= 255 else frames


def solarize_add(frames: torch.Tensor, amount: int) -> torch.Tensor:
    """Add `amount` to the values below 128, at most up to 255."""
    room = (255 - frames).clamp_(max=amount)
    return frames + room.mul_((frames < 128).view(torch.uint8))


def sharpness(frames: torch.Tensor, factor: float) -> torch.Tensor:
    """Blend with a smoothed copy; ten times as fast where the channels are the fastest axis in memory."""
    return F.adjust_sharpness(frames.contiguous(memory_format=torch.channels_last), factor)


def rotate(frames: torch.Tensor, degrees: float) -> torch.Tensor:
    """Rotate about the centre, bilinear."""
    return _on_grey(frames, lambda x: F.rotate(x, degrees, interpolation=InterpolationMode.BILINEAR))


def shear_x(frames: torch.Tensor, slope: float) -> torch.Tensor:
    """Shift each row by `slope` times its number, bilinear."""
    return _shear(frames, slope, 0.0)


def shear_y(frames: torch.Tensor, slope: float) -> torch.Tensor:
    """Shift each column by `slope` times its number, bilinear."""
    return _shear(frames, 0.0, slope)


def translate_x(frames: torch.Tensor, share: float) -> torch.Tensor:
    """Shift to the right by a share of the width, rounded to whole pixels."""
    return _translate(frames, share, -1)


def translate_y(frames: torch.Tensor, share: float) -> torch.Tensor:
    """Shift down by a share of the height, rounded to whole pixels."""
    return _translate(frames, share, -2)


def _shear(frames: torch.Tensor, slope_x: float, slope_y: float) -> torch.Tensor:
    degrees = [math.degrees(math.atan(slope_x)), math.degrees(math.atan(slope_y))]
    return _on_grey(frames, lambda x: F.affine(x, 0.0, [0, 0], 1.0, degrees, InterpolationMode.BILINEAR, center=[0, 0]))


def _on_grey(frames: torch.Tensor, transform: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Apply a linear transform that brings in zeros, such that it brings in `FILL`.

    The operators' own argument `fill` costs a fourth channel, and darkens the edge of the picture.
    """
    return transform(frames.contiguous().float().sub_(FILL)).add_(FILL).round_().to(torch.uint8)


def _translate(frames: torch.Tensor, share: float, dim: int) -> torch.Tensor:
    length = frames.shape[dim]
    shift = round(share * length)
    moved = torch.full_like(frames, FILL)
    kept = length - abs(shift)
    moved.narrow(dim, max(shift, 0), kept).copy_(frames.narrow(dim, max(-shift, 0), kept))
    return moved


def _plain(strength: float, sign: int) -> None:
    """No argument."""


def _enhancement(strength: float, sign: int) -> float:
    """Factor on colour, contrast, brightness or sharpness; 1 leaves them."""
    return 1.0 + sign * strength * 0.9


def _signed(largest: float) -> Callable[[float, int], float]:
    return lambda strength, sign: sign * strength * largest


OPERATIONS = {
    "auto_contrast": Operation(_plain, auto_contrast),
    "equalize": Operation(_plain, lambda frames, _: F.equalize(frames)),
    "invert": Operation(_plain, lambda frames, _: F.invert(frames)),
    "rotate": Operation(_signed(30.0), rotate),  # degrees
    "posterize": Operation(lambda strength, sign: 4 - int(strength * 4), F.posterize),  # bits that are kept
    "solarize": Operation(lambda strength, sign: 256 - int(strength * 256), solarize),  # threshold
    "solarize_add": Operation(lambda strength, sign: int(strength * 110), solarize_add),
    "color": Operation(_enhancement, color),
    "contrast": Operation(_enhancement, F.adjust_contrast),
    "brightness": Operation(_enhancement, F.adjust_brightness),
    "sharpness": Operation(_enhancement, sharpness),
    "shear_x": Operation(_signed(0.3), shear_x),  # pixels per row
    "shear_y": Operation(_signed(0.3), shear_y),
    "translate_x": Operation(_signed(0.45), translate_x),  # share of the width
    "translate_y": Operation(_signed(0.45), translate_y),
}
NAMES = tuple(OPERATIONS)


@dataclass(frozen=True)
class RandAugment:
    """Draws operations for a clip and carries them out.

    Attributes:
        num_ops: Operations that are drawn, with replacement.
        magnitude: Strength, from 0 to 10.
        noise_std: Standard deviation of the normal noise on the magnitude, drawn anew for each operation.
        prob: Share of the drawn operations that are carried out.
    """

    num_ops: int = 4
    magnitude: float = 7.0
    noise_std: float = 0.5
    prob: float = 0.5

    def draw(self, rng: np.random.Generator) -> list[Step]:
        """Operations to carry out, in order; always takes as much from `rng`."""
        names = rng.integers(len(NAMES), size=self.num_ops)
        happens = rng.random(self.num_ops) < self.prob
        levels = np.clip(self.magnitude + self.noise_std * rng.standard_normal(self.num_ops), 0.0, MAX_MAGNITUDE)
        signs = rng.integers(2, size=self.num_ops) * 2 - 1
        return [
            self.step(NAMES[name], float(level), int(sign))
            for name, level, sign, real in zip(names, levels, signs, happens)
            if real
        ]

    @staticmethod
    def step(name: str, level: float, sign: int = 1) -> Step:
        """What an operation does at a magnitude.

        Args:
            name: Key of `OPERATIONS`.
            level: Magnitude, in [0, 10].
            sign: +1 or -1, where there are two directions.
        """
        return Step(name, OPERATIONS[name].argument(level / MAX_MAGNITUDE, sign))

    def __call__(self, frames: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        """Augment the frames of a clip.

        Args:
            frames: uint8 `(T, 3, H, W)` in any memory layout; left as they are.
            rng: Where chance comes from.

        Returns:
            uint8 `(T, 3, H, W)`.
        """
        for name, argument in self.draw(rng):
            frames = OPERATIONS[name].apply(frames, argument)
        return frames
