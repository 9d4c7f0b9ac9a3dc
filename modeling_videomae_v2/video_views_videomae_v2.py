# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which frames and which places of a video its views are: the clips and crops of the multi-view test protocol."""

import numpy as np
import torch


def dense_indices(total: int, num_frames: int, sampling_rate: int, num_clips: int = 1) -> np.ndarray:
    """Frames of clips with a fixed distance between frames.

    One clip lies in the middle of the video. Several clips start at equal distances in the list of every
    `sampling_rate`-th frame of the video, the first at its start and the last at its end. The last sampled frame is
    repeated where the video is too short.

    Args:
        total: Frames in the video, at least 1.
        num_frames: Frames in a clip.
        sampling_rate: Distance between frames of a clip.
        num_clips: Number of clips.

    Returns:
        int64 array `(num_clips, num_frames)`, each row ascending.
    """
    if num_clips == 1:
        start = max((total - (num_frames - 1) * sampling_rate - 1) // 2, 0)
        last = start + (total - 1 - start) // sampling_rate * sampling_rate
        return np.minimum(start + sampling_rate * np.arange(num_frames)[None], last)
    frames = np.arange(0, total, sampling_rate)
    frames = np.pad(frames, (0, max(num_frames - len(frames), 0)), mode="edge")
    step = (len(frames) - num_frames) / (num_clips - 1)
    # rounded as the reference rounds, which is one frame early where the product falls just below a whole number
    return np.stack([frames[int(i * step) :][:num_frames] for i in range(num_clips)])


def uniform_indices(total: int, num_frames: int, num_clips: int = 1) -> np.ndarray:
    """Frames at the starts of `num_frames` equal segments; clip `j` of `k` lies `j / k` of a segment later.

    Args:
        total: Frames in the video, at least 1; where there are fewer than `num_frames`, frames repeat.
        num_frames: Segments, each giving one frame.
        num_clips: Number of clips.

    Returns:
        int64 array `(num_clips, num_frames)`, each row ascending.
    """
    segment = total / num_frames
    clips, frames = np.arange(num_clips)[:, None], np.arange(num_frames)[None]
    return (segment * frames + clips * segment / num_clips).astype(np.int64)


def crop_views(frames: torch.Tensor, crop_size: tuple[int, int], num_crops: int) -> torch.Tensor:
    """Crops at equal distances along the longer side, the first and the last at its ends, centred on the other side.

    Args:
        frames: `(..., height, width)`.
        crop_size: Height and width of a crop, not larger than the frames.
        num_crops: At least 2.

    Returns:
        `(num_crops, ..., *crop_size)`.

    Raises:
        ValueError: The frames are smaller than the crops.
    """
    room = (frames.shape[-2] - crop_size[0], frames.shape[-1] - crop_size[1])
    if min(room) < 0:
        raise ValueError(
            f"`num_crops` = {num_crops} needs frames of at least `crop_size` {crop_size}, got "
            f"{tuple(frames.shape[-2:])}. Raise `size` or lower `crop_size`."
        )
    landscape = frames.shape[-1] > frames.shape[-2]
    crops = []
    for i in range(num_crops):
        along = int(i * room[landscape] / (num_crops - 1))
        top, left = (round(room[0] / 2), along) if landscape else (along, round(room[1] / 2))
        crops.append(frames[..., top : top + crop_size[0], left : left + crop_size[1]])
    return torch.stack(crops)


__all__ = ["crop_views", "dense_indices", "uniform_indices"]
