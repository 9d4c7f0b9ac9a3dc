# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the settings of the video processor may be; each message names the field, the value and the way out."""

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from .configuration_videomae_v2 import FROM_WHERE


SAMPLINGS = ("dense", "uniform")
RESAMPLINGS = range(4)  # of Pillow's six, those that torchvision can do with tensors
BRIGHTEST = 2.0  # of pixels from 0 to 1: resizing may go above 1, by less than half of it
# What people call settings that have a longer name.
ALIASES = {
    "clips": "num_clips", "crops": "num_crops", "frames": "num_frames", "mean": "image_mean", "std": "image_std",
    "crop": "crop_size", "image_size": "size", "frame_sampling_rate": "sampling_rate",
}  # fmt: skip
# Arguments of `from_pretrained` that are about loading.
LOADING = FROM_WHERE | {
    "user_agent", "return_unused_kwargs", "trust_remote_code", "code_revision", "backend", "use_fast", "config",
}  # fmt: skip


def refuse_unknown(owner: str, keys: Iterable[str], known: Collection[str], only_near: bool = False) -> None:
    """Refuse keywords that are no settings, naming the setting that was meant.

    Args:
        owner: Name of the processor's class.
        keys: The keywords.
        known: Names of the settings.
        only_near: Pass over what resembles no setting: the keys of files from other versions and tools.

    Raises:
        ValueError: A keyword is no setting.
    """
    for key in keys:
        if key in known or key.startswith("_"):
            continue
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.8)
        meant = near[0] if near else None if only_near else ALIASES.get(key)
        if meant or not only_near:
            hint = f"did you mean `{meant}`?" if meant else f"its settings are {', '.join(sorted(known))}."
            raise ValueError(f"`{owner}` has no setting `{key}`; {hint}")


def plain_numbers(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as transformers validates and saves them: nothing of NumPy, and means and deviations as `float`."""
    plain = {
        name: value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        for name, value in settings.items()
    }
    for name in ("image_mean", "image_std"):
        value = plain.get(name)
        if isinstance(value, (list, tuple)):
            plain[name] = [float(number) if type(number) is int else number for number in value]
        elif type(value) is int:
            plain[name] = float(value)
    return plain


def check_sampling(settings: Mapping[str, Any]) -> None:
    """Refuse numbers of frames, clips and crops that have no meaning (`ValueError`)."""
    for name in ("num_frames", "sampling_rate", "num_clips", "num_crops"):
        value = settings[name]
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
            raise ValueError(f"`{name}` must be a whole number of at least 1, got {value!r}.")
    if settings["sampling"] not in SAMPLINGS:
        raise ValueError(f'`sampling` must be "dense" or "uniform", got {settings["sampling"]!r}.')
    if settings["num_crops"] > 1 and not settings["do_center_crop"]:
        raise ValueError(
            f"`num_crops` = {settings['num_crops']} needs `do_center_crop` = True, got "
            f"{settings['do_center_crop']!r}. Turn it on, or set `num_crops` to 1."
        )
    fps = settings["fps"]
    if fps is not None and (isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps < np.inf):
        raise ValueError(f"`fps` must be a number above 0, got {fps!r}.")
    if fps is not None and settings["num_clips"] > 1:
        raise ValueError(
            f"`fps` ({fps}) takes frames from the whole video, so `num_clips` must be 1, got "
            f"{settings['num_clips']}. Leave out one of them."
        )


def check_pixels(settings: Mapping[str, Any]) -> None:
    """Refuse sizes, means and deviations that have no meaning (`ValueError`); sizes are mappings here."""
    for name, used in (("size", "do_resize"), ("crop_size", "do_center_crop")):
        sides = dict(settings[name] or {}) if settings[used] else {}
        if any(not isinstance(side, (int, np.integer)) or side < 1 for side in sides.values()):
            raise ValueError(f"`{name}` must hold whole numbers of at least 1, got {sides}.")
        if name == "crop_size" and sides and sides.keys() != {"height", "width"}:
            raise ValueError(f"`crop_size` must be a number, or have `height` and `width`, got {sides}.")
    resample = settings["resample"]
    if settings["do_resize"] and isinstance(resample, int) and resample not in RESAMPLINGS:
        raise ValueError(f"`resample` must be 0 (nearest), 1 (Lanczos), 2 (bilinear) or 3 (bicubic), got {resample}.")
    if settings["do_rescale"] and not _is_number(settings["rescale_factor"], nonzero=True):
        raise ValueError(
            f"`rescale_factor` must be a number other than 0, such as 1 / 255, got {settings['rescale_factor']!r}. Set "
            "`do_rescale` to False for pixels that need none."
        )
    if settings["do_normalize"]:
        for name in ("image_mean", "image_std"):
            _check_statistics(name, settings[name], bool(settings["do_convert_rgb"]))


def check_scale(
    pixels: torch.Tensor, do_rescale: bool | None, do_normalize: bool | None, image_mean: Any, image_std: Any
) -> None:
    """Refuse pixels from 0 to 255 that are to be normalised with statistics of pixels from 0 to 1 (`ValueError`)."""
    mean, std = np.atleast_1d(image_mean), np.atleast_1d(image_std)
    changes_nothing = not mean.any() and (std == 1).all()
    if do_rescale or not do_normalize or changes_nothing or max(np.abs(mean).max(), std.max()) > 1:
        return
    highest = pixels.max().item() if pixels.is_floating_point() else 255
    if highest > BRIGHTEST:
        raise ValueError(
            f"The pixels go up to {highest:.3g} and `do_rescale` is {do_rescale!r}, but `image_mean` {image_mean!r} "
            f"and `image_std` {image_std!r} are those of pixels from 0 to 1. Set `do_rescale` to True, give mean and "
            "deviation of pixels from 0 to 255, or set `do_normalize` to False."
        )


def _check_statistics(name: str, value: Any, colour: bool) -> None:
    """A number, or one for each channel; a deviation is not 0."""
    values = list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value]
    if not all(_is_number(number, nonzero=name == "image_std") for number in values):
        kind = "a number other than 0" if name == "image_std" else "a number"
        raise ValueError(f"`{name}` must be {kind}, or one for each channel, got {value!r}.")
    if len(values) not in ((1, 3) if colour else (len(values),)):
        raise ValueError(f"`{name}` must have 3 numbers, one for each colour, got {value!r}.")


def _is_number(value: Any, nonzero: bool) -> bool:
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and not (nonzero and value == 0)


__all__ = ["LOADING", "check_pixels", "check_sampling", "check_scale", "plain_numbers", "refuse_unknown"]
