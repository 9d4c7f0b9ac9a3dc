# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The video processor of a checkpoint, or the knowledge that it has none, and what it makes of pixel values."""

import math
import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import RemoteEntryNotFoundError
from transformers.utils import PROCESSOR_NAME

from modeling_videomae_v2 import VideoMAEv2VideoProcessor
from modeling_videomae_v2.model_files import PROCESSOR_FILES, read_json
from modeling_videomae_v2.processor_settings_videomae_v2 import check_scale


CHANNELS = 3  # of the frames in training


def find_processor(start: str, **settings: Any) -> VideoMAEv2VideoProcessor | None:
    """The video processor of a checkpoint; None where the checkpoint has none.

    Args:
        start: Folder or Hub repository.
        settings: Settings of the processor that are to be others.

    Raises:
        OSError: There may be one, but it cannot be had, as when the Hub does not answer.
        ValueError: Its settings have no meaning.
    """
    try:
        return VideoMAEv2VideoProcessor.from_pretrained(start, **settings)
    except OSError as error:  # of a Hub that does not answer, transformers says the same as of a file that is not there
        if all(_holds_none(start, name) for name in PROCESSOR_FILES):
            return None
        raise OSError(
            f"The video processor of {start} cannot be loaded, so that frames, mean and deviation are not known; try "
            "again when the Hub can be reached and the files can be read, or download the repository and name its "
            f"folder. ({str(error).splitlines()[0]})"
        ) from error


def pixel_statistics(processor: VideoMAEv2VideoProcessor) -> dict[str, list[float]]:
    """What a processor does to pixel values, as one mean and one deviation of frames in [0, 1].

    Args:
        processor: Its `do_rescale`, `rescale_factor`, `do_normalize`, `image_mean` and `image_std` count; where it
            rescales by 1/255 and normalises, its own numbers come back.

    Returns:
        `image_mean` and `image_std` of a processor that does rescale by 1/255 and does normalise, a number for each
        colour: with them it makes the same of uint8 frames.

    Raises:
        ValueError: There are numbers for other channels than the three colours, or it would refuse uint8 frames.
    """
    check_scale(
        torch.zeros(1, dtype=torch.uint8), processor.do_rescale, processor.do_normalize, processor.image_mean,
        processor.image_std,
    )  # fmt: skip
    factor = 255 * processor.rescale_factor if processor.do_rescale else 255.0  # of pixels in [0, 1]
    if math.isclose(factor, 1.0, rel_tol=1e-6):  # files have 1/255 in fp32, or with fewer digits
        factor = 1.0
    found = {}
    for name, unused in (("image_mean", 0.0), ("image_std", 1.0)):
        value = getattr(processor, name) if processor.do_normalize else unused
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        if len(values) not in (1, CHANNELS):
            raise ValueError(f"`{name}` must have {CHANNELS} numbers, one for each colour, got {value!r}.")
        found[name] = [_divided(number, factor) for number in values] * (CHANNELS // len(values))
    return found


def _divided(number: float, factor: float) -> float:
    """A quotient without the rounding of floats: 57.12 / 255 is 0.224, and compared with it; 1 leaves all digits."""
    return float(number) if factor == 1.0 else float(f"{number / factor:.12g}")


def _holds_none(start: str, name: str) -> bool:
    """Whether it is certain that a checkpoint has no such file, or one that is about processors of other kinds."""
    if os.path.isdir(start):
        path = os.path.join(start, name)
        if not os.path.exists(path):
            return True
    else:
        path = try_to_load_from_cache(start, name)
        if path is _CACHED_NO_EXIST:
            return True
        if path is None:
            try:
                path = hf_hub_download(start, name)
            except OSError as error:
                return isinstance(error, RemoteEntryNotFoundError)  # the Hub itself says so
    try:
        return name == PROCESSOR_NAME and "video_processor" not in read_json(Path(path))
    except (OSError, ValueError):  # it cannot be read, or is damaged
        return False
