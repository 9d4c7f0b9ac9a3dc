# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Frames of a video that is a folder of numbered pictures."""

import os
import re
import string
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata

from modeling_videomae_v2.indexed_videos_videomae_v2 import DEEP_MODES, upright_picture
from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError

from .sources import Video, picture_names


_WAY_OUT = "Correct the list or `pattern`, or extract its frames again."


def read_pictures(video: Video, choose: Callable[[VideoMetadata], np.ndarray]) -> torch.Tensor:
    """Some frames of a video that is a folder of pictures, upright as their Exif says.

    Args:
        video: The folder, how its pictures are called, and which of them count.
        choose: Gets `total_num_frames`, returns positions among them.

    Returns:
        uint8 `(len(positions), 3, H, W)`.

    Raises:
        VideoDecodingError: Pictures are missing, damaged, of different sizes, or called otherwise.
    """
    numbers = _numbers_of_part(video)
    positions = choose(VideoMetadata(total_num_frames=len(numbers)))
    pictures: dict[int, np.ndarray] = {}
    for position in positions.tolist():
        if position not in pictures:
            path = _path_of(video, numbers[position])
            try:
                with Image.open(path) as picture:
                    pictures[position] = _rgb_values(upright_picture(picture))
            except FileNotFoundError as error:
                reason = f"there is no {path}, its frame {position} of {len(numbers)}"
                raise VideoDecodingError(video.name, reason, _WAY_OUT) from error
            except Exception as error:  # Pillow has no class for damage: OSError, SyntaxError, ValueError, its own
                raise VideoDecodingError(video.name, f"{path} cannot be read ({error})", "Extract it anew.") from error
    sizes = {picture.shape for picture in pictures.values()}
    if len(sizes) > 1:
        raise VideoDecodingError(
            video.name, f"its pictures have different sizes, {sorted(sizes)}", "Extract them anew."
        )
    return torch.from_numpy(np.stack([pictures[i] for i in positions.tolist()])).permute(0, 3, 1, 2)


def _path_of(video: Video, number: int) -> str:
    return os.path.join(video.content, video.pattern.format(number))


def _numbers_of_part(video: Video) -> range:
    """Numbers of the pictures that belong to a video: as a list counts them, or all that are there."""
    if video.total is None:
        numbers = _numbers_in(video)
        if video.start >= len(numbers):
            reason = f"the folder has no pictures from number {numbers.start + video.start} on"
            raise VideoDecodingError(video.name, reason, _WAY_OUT)
        return numbers[video.start :]
    begin = video.start + (not os.path.exists(_path_of(video, 0)))
    if video.start == 1 and not os.path.exists(_path_of(video, begin + video.total - 1)):
        begin = 1  # lists of the research code say there which number the first picture has
    return range(begin, begin + video.total)


def _numbers_in(video: Video) -> range:
    """Numbers of all pictures in the folder of a video; others may lie beside them.

    Raises:
        VideoDecodingError: There are none, or one between them is missing.
    """
    names, name_of = picture_names(video.content), video.pattern.format
    matches = [match for name in sorted(names) if (match := _numbered(video.pattern).fullmatch(name))]
    by_number = {int(match[1]): match[0] for match in matches}
    if not by_number:
        others = f", but {min(names)} is there" if names else ""
        reason = f"the folder has no pictures that are called like {name_of(1)}{others}"
        raise VideoDecodingError(video.name, reason, _WAY_OUT)
    there = {number for match in matches if match[0] == name_of(number := int(match[1]))}
    all_numbers = range(min(there or by_number), max(there or by_number) + 1)
    missing = next((number for number in all_numbers if number not in there), None)
    if missing is not None:
        other = f", but {by_number[missing]} is there" if missing in by_number else ""
        raise VideoDecodingError(video.name, f"the folder has no {name_of(missing)}{other}", _WAY_OUT)
    return all_numbers


@cache
def _numbered(pattern: str) -> re.Pattern[str]:
    """Finds the number in a name that a pattern makes, or would make with other zeros or another suffix."""
    parts = string.Formatter().parse(re.sub(r"\.\w+$", "", pattern))
    return re.compile("".join(re.escape(text) + r"(\d+)" * (field is not None) for text, field, *_ in parts) + r"\.\w+")


def _rgb_values(picture: Image.Image) -> np.ndarray:
    """uint8 `(H, W, 3)`; what has more than 8 bits is not cut off at white, for its scale is not known."""
    if picture.mode in DEEP_MODES:
        values = np.asarray(picture)
        low, high = values.min(), values.max()
        scaled = picture.mode == "F" and 0 < high <= 1
        if scaled or not (low >= 0 and high <= 255):
            raise ValueError(f"its pixels go from {low} to {high}, those of 8 bits from 0 to 255")
        picture = Image.fromarray(values.astype(np.uint8))
    return np.asarray(picture.convert("RGB"))
