# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos that stay decoded in memory: for small data sets that are gone through many times."""

from collections.abc import Callable, Hashable
from dataclasses import replace

import numpy as np
import torch
from transformers.video_utils import VideoMetadata

from .frames import read_chosen_frames, read_frames, unreadable_errors
from .sources import Video


COLOURS = 3
Choose = Callable[[int], np.ndarray]


class _CountWasWrongError(Exception):
    """The container announced more frames than there are, of which all were asked for."""


class FrameCache:
    """Reads frames, and keeps whole videos while there is room. Nothing is dropped again: every video is read as often
    as any other. What comes out is what `read_frames` gives (but in a video whose frames change their size: they take
    that of the first one that is decoded). Folders of pictures are not kept.

    Args:
        room: Bytes for decoded videos; 0 keeps none.
    """

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self._kept: dict[Hashable, tuple[Video, torch.Tensor]] = {}
        self._unfit: set[Hashable] = set()  # damaged, or with a wrong number of frames

    def kept(self, key: Hashable) -> Video | None:
        """A video that is kept, without its content, which need not be fetched any more; None: it is not kept."""
        return self._kept[key][0] if key in self._kept else None

    def read(self, key: Hashable, video: Video, choose: Choose) -> torch.Tensor:
        """Some frames of a video.

        Args:
            key: What names the video for as long as the cache lives; None: it is not going to be read again.
            video: Where it is, and which part of it counts.
            choose: Gets the number of frames, returns positions among them. It is called as often as `read_frames`
                calls it, so it may draw them at random.

        Returns:
            uint8 `(len(positions), C, H, W)`.

        Raises:
            VideoDecodingError, OSError: It cannot be read.
        """
        if key in self._kept:
            whole = self._kept[key][1]
            return whole[torch.from_numpy(choose(len(whole)))]
        if key is None or not self.room or key in self._unfit:
            return read_frames(video, choose)
        return self._first_read(key, video, choose)

    def _first_read(self, key: Hashable, video: Video, choose: Choose) -> torch.Tensor:
        """Read all of a video if it fits, keep it, and return what was chosen."""
        chosen: list[np.ndarray] = []
        fits = False

        def choose_all(metadata: VideoMetadata) -> np.ndarray:
            nonlocal fits
            if fits:
                raise _CountWasWrongError
            total = metadata.total_num_frames
            chosen.append(choose(total))
            size = total * (metadata.height or 0) * (metadata.width or 0) * COLOURS
            fits = 0 < size <= self.room and len(chosen) == 1
            return np.arange(total) if fits else chosen[-1]

        def choose_again(total: int) -> np.ndarray:
            return chosen.pop() if chosen else choose(total)

        try:
            frames = read_chosen_frames(video, choose_all)
        except (_CountWasWrongError, *unreadable_errors()):
            self._unfit.add(key)
            if not fits:
                raise
            return read_frames(video, choose_again)  # what is wrong may lie in frames that nobody wants
        if not fits:
            return frames
        self._kept[key] = (replace(video, content=None), frames)
        self.room -= frames.nbytes
        return frames[torch.from_numpy(chosen[0])]
