# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Frames of one video of a source: a file, bytes, an address, or a folder of pictures."""

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from transformers.video_utils import VideoMetadata

from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError, read_video

from .picture_folders import read_pictures
from .sources import Video


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
        return read_pictures(video, choose)

    def choose_in_part(metadata: VideoMetadata) -> list[int]:
        total = metadata.total_num_frames - video.start
        if total < 1:
            count = metadata.total_num_frames
            reason = f"it has {count} frame{'s' * (count != 1)}, and its part begins with frame {video.start}"
            raise VideoDecodingError(video.name, reason, "Correct the list.")
        part = replace(metadata, total_num_frames=min(total, video.total or total))
        return (video.start + choose(part)).tolist()

    if video.content is None:
        raise VideoDecodingError(video.name, "there is neither a path nor data", "Drop the row.")
    return read_video(video.content, choose_in_part, num_threads=1)[0]


def unreadable_errors() -> tuple[type[Exception], ...]:
    """What an unreadable video raises; anything else is a fault of the program and is not caught."""
    kinds: list[type[Exception]] = [VideoDecodingError, OSError]
    try:
        from av.error import FFmpegError
    except ImportError:
        return tuple(kinds)
    return (*kinds, FFmpegError)
