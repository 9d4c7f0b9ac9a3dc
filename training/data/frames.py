# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Frames of one video of a source: a file, bytes, an address, or a folder of pictures."""

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from transformers.video_utils import VideoMetadata

from modeling_videomae_v2.indexed_videos_videomae_v2 import DEEP_MODES
from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError, read_video

from .sources import Video, count_pictures


def read_frames(video: Video, choose: Callable[[int], np.ndarray]) -> torch.Tensor:
    """Decode some frames of a video.

    Args:
        video: Where it is, and which part of it counts.
        choose: Gets the number of frames, returns positions among them.

    Returns:
        uint8 `(len(positions), C, H, W)`.

    Raises:
        VideoDecodingError, OSError: It cannot be read.
    """
    return read_chosen_frames(video, lambda metadata: choose(metadata.total_num_frames))


def read_chosen_frames(video: Video, choose: Callable[[VideoMetadata], np.ndarray]) -> torch.Tensor:
    """As `read_frames`, where the choice needs to know more.

    Args:
        video: Where it is, and which part of it counts.
        choose: Gets `total_num_frames` of the part and, unless they are pictures, the coded `height` and `width`;
            returns positions among the frames.

    Returns:
        uint8 `(len(positions), C, H, W)`.

    Raises:
        VideoDecodingError, OSError: It cannot be read.
    """
    if isinstance(video.content, str) and os.path.isdir(video.content):
        return _read_pictures(video, choose)

    def choose_in_part(metadata: VideoMetadata) -> list[int]:
        total = metadata.total_num_frames - video.start
        if total < 1:
            reason = f"it has {metadata.total_num_frames} frames, and its part begins with frame {video.start}"
            raise VideoDecodingError(video.name, reason, "Correct the list.")
        part = replace(metadata, total_num_frames=min(total, video.total or total))
        return (video.start + choose(part)).tolist()

    if video.content is None:
        raise VideoDecodingError(video.name, "there is neither a path nor data", "Drop the row.")
    return read_video(video.content, choose_in_part, num_threads=1)[0]


def _read_pictures(video: Video, choose: Callable[[VideoMetadata], np.ndarray]) -> torch.Tensor:
    """Frames of a folder of pictures, numbered from 1."""
    total = video.total
    if total is None:
        total = count_pictures(video.content) - video.start
    if total < 1:
        reason = f"the folder has no pictures from number {video.start + 1} on"
        raise VideoDecodingError(video.name, reason, "Correct the list, or extract its frames again.")
    positions = choose(VideoMetadata(total_num_frames=total)) + video.start
    pictures: dict[int, np.ndarray] = {}
    for position in positions.tolist():
        if position not in pictures:
            path = os.path.join(video.content, video.pattern.format(position + 1))
            try:
                with Image.open(path) as picture:
                    pictures[position] = _rgb_values(picture)
            except FileNotFoundError:
                raise
            except Exception as error:  # Pillow has no class for damage: OSError, SyntaxError, ValueError, its own
                raise VideoDecodingError(video.name, f"{path} cannot be read ({error})", "Extract it anew.") from error
    sizes = {picture.shape for picture in pictures.values()}
    if len(sizes) > 1:
        raise VideoDecodingError(
            video.name, f"its pictures have different sizes, {sorted(sizes)}", "Extract them anew."
        )
    return torch.from_numpy(np.stack([pictures[i] for i in positions.tolist()])).permute(0, 3, 1, 2)


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


def unreadable_errors() -> tuple[type[Exception], ...]:
    """What an unreadable video raises; anything else is a fault of the program and is not caught."""
    kinds: list[type[Exception]] = [VideoDecodingError, OSError]
    try:
        from av.error import FFmpegError
    except ImportError:
        return tuple(kinds)
    return (*kinds, FFmpegError)
