# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos that stay decoded in memory: for small data sets that are gone through many times."""

from collections.abc import Callable, Hashable

import numpy as np
import torch
from transformers.video_utils import VideoMetadata

from .frames import read_chosen_frames, read_frames, unreadable_errors
from .sources import Video


COLOURS = 3
Choose = Callable[[int], np.ndarray]


class FrameCache:
    """Reads frames, and keeps whole videos while there is room. Nothing is dropped again: every video is read as often
    as any other. What comes out does not depend on what is kept.

    Args:
        room: Bytes for decoded videos; 0 keeps none.
    """

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self._kept: dict[Hashable, torch.Tensor] = {}
        self._refused: set[Hashable] = set()

    def read(self, key: Hashable, video: Video, choose: Choose) -> torch.Tensor:
        """Some frames of a video.

        Args:
            key: What names the video for as long as the cache lives; None: it is not going to be read again.
            video: Where it is, and which part of it counts.
            choose: Gets the number of frames, returns positions among them. It is called once, unless the container of
                the video announces a wrong number.

        Returns:
            uint8 `(len(positions), C, H, W)`.

        Raises:
            VideoDecodingError, OSError: It cannot be read.
        """
        whole = self._kept.get(key)
        if whole is not None:
            return whole[torch.from_numpy(choose(len(whole)))]
        if key is None or not self.room or key in self._refused:
            return read_frames(video, choose)
        return self._first_read(key, video, choose)

    def _first_read(self, key: Hashable, video: Video, choose: Choose) -> torch.Tensor:
        chosen: list[np.ndarray] = []
        fits = False

        def choose_all(metadata: VideoMetadata) -> np.ndarray:
            nonlocal fits
            total = metadata.total_num_frames
            chosen.append(choose(total))
            size = total * (metadata.height or 0) * (metadata.width or 0) * COLOURS
            fits = 0 < size <= self.room and len(chosen) == 1
            return np.arange(total) if fits else chosen[-1]

        try:
            frames = read_chosen_frames(video, choose_all)
        except unreadable_errors():
            self._refused.add(key)
            if not fits:
                raise
            return read_frames(video, lambda total: chosen[0])  # the damage may lie in frames that nobody wants
        if not fits:
            self._refused.add(key)
            return frames
        self._kept[key] = frames
        self.room -= frames.nbytes
        return frames[torch.from_numpy(chosen[0])]
