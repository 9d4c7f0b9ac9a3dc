# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A window that slides over a video of any length: one pass over the file, and memory for one window at a time."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torchvision.transforms.v2.functional import resize

from ..video_decoding_videomae_v2 import FramesRecounted, VideoReader


# RGB frames decoded in one go, in bytes: enough that starting costs nothing, little enough for 4K frames.
MAX_CHUNK_BYTES = 64 * 1024**2
# Seconds or frames of a window, more than any video has: numbers of frames stay far below 2**63.
MAX_LENGTH = 1e9


@dataclass(frozen=True)
class Length:
    """A stretch of a video: `value` seconds, or frames where `in_frames`."""

    value: float
    in_frames: bool = False

    @classmethod
    def parse(cls, text: str, name: str) -> "Length":
        """Read `"4"` or `"4s"` (seconds) or `"64f"` (frames).

        Args:
            text: What the user wrote.
            name: What it is the value of, for the message.

        Raises:
            ValueError: It is neither, not above 0 or above `MAX_LENGTH`.
        """
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(s|f)?", text.strip().lower())
        value = float(match[1]) if match else 0.0
        in_frames = bool(match) and match[2] == "f"
        if not 0 < value <= MAX_LENGTH or (in_frames and value != int(value)):
            raise ValueError(
                f"`{name}` must be seconds, such as 2.5 or 2.5s, or whole frames, such as 64f, up to "
                f"{MAX_LENGTH:,.0f}, got {text!r}."
            )
        return cls(value, in_frames)

    def frames(self, fps: float) -> int:
        """Its length in frames of a video, at least 1."""
        return max(1, int(self.value) if self.in_frames else round(self.value * fps))

    def __str__(self) -> str:
        value = int(self.value) if self.value == int(self.value) else self.value  # with all of its digits
        return f"{value}{'f' if self.in_frames else 's'}"


class Window(NamedTuple):
    """One place of the sliding window.

    Attributes:
        number: Which window of the video this is, from 0.
        count: Windows of the video, as far as its length is known.
        start: Time of its first frame, in seconds from the first frame of the video.
        end: Time at which its last frame is over.
        frames: What the caller's `prepare` made of its frames, `(num_frames, ...)`.
    """

    number: int
    count: int
    start: float
    end: float
    frames: torch.Tensor


def window_indices(start: int, span: int, num_frames: int, total: int) -> np.ndarray:
    """Frames of one window: `num_frames` at equal distances over `span` frames from `start` on.

    Args:
        start: First frame.
        span: Frames that the window stretches over; `num_frames * sampling_rate` gives a dense clip.
        num_frames: Frames to take.
        total: Frames in the video. The last frame that fits is repeated where the window is longer.

    Returns:
        int64 array `(num_frames,)`, ascending.
    """
    indices = start + np.arange(num_frames) * span // num_frames
    return np.minimum(indices, indices[np.searchsorted(indices, total) - 1])


def window_starts(total: int, span: int, stride: int, num_frames: int) -> list[int]:
    """First frames of the windows of a video: every `stride` frames as long as they fit, one at least.

    If they leave the end of the video uncovered, one more window is added that ends exactly there, provided that the
    next regular window would still start inside the video.

    Args:
        total: Frames in the video.
        span: Frames that a window stretches over.
        stride: Frames from the start of a window to the start of the next one.
        num_frames: Frames taken from a window; it fits if the last of them is in the video.
    """
    last_start = total - 1 - (num_frames - 1) * span // num_frames
    starts = list(range(0, last_start + 1, stride)) or [0]
    if starts[-1] + span < total and starts[-1] + stride < total:
        starts.append(total - span)
    return starts


class WindowReader(VideoReader):
    """A video, read from its start to its end in windows. Arguments and errors are those of `VideoReader`.

    Where frames change their size on the way, those of the first ones count for all of them.
    """

    _size: torch.Size | None = None

    def time_of(self, position: int) -> float:
        """Seconds from the first frame to the one at `position`; `num_frames` stands for the end of the last one."""
        if position >= self.num_frames:
            return self.time_of(self.num_frames - 1) + 1 / self.fps
        times = self._index.timestamps
        if not self._index.ordered or position >= len(times):
            return position / self.fps
        return float((times[position] - times[0]) * self._stream.time_base)

    def windows(
        self,
        num_frames: int,
        window: Length,
        stride: Length,
        prepare: Callable[[torch.Tensor], torch.Tensor],
    ) -> Iterator[Window]:
        """Slide over the video. Every frame is decoded once and prepared once, however many windows hold it.

        Args:
            num_frames: Frames to take from a window.
            window: Length of a window.
            stride: From the start of a window to the start of the next one.
            prepare: Gets uint8 RGB frames `(n, 3, height, width)`, at least one, and returns `(n, ...)`: what is kept
                of them while a window may need them. To resize them here keeps little.

        Yields:
            The windows in order, at least one; a video shorter than a window repeats its last frame.

        Raises:
            VideoDecodingError: A frame is damaged or missing. The windows before it have been yielded.
        """
        done = -1
        while True:
            span = window.frames(self.fps)
            starts = window_starts(self.num_frames, span, stride.frames(self.fps), num_frames)
            rest = [start for start in starts if start > done]
            try:
                for number, (start, frames) in enumerate(
                    self._slide(rest, span, num_frames, prepare), len(starts) - len(rest)
                ):
                    end = min(start + span, self.num_frames)
                    yield Window(number, len(starts), self.time_of(start), self.time_of(end), frames)
                    done = start
                return
            except FramesRecounted:  # three times at most: a slower, surer index takes the place of the one before
                continue

    def chosen(
        self, choose: Callable[[int], np.ndarray], prepare: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[np.ndarray, dict[int, torch.Tensor]]:
        """Frames here and there, each decoded and prepared once.

        Args:
            choose: Gets the number of frames in the video and returns positions, in any order and number.
            prepare: As for `windows`; what it returns is kept of all of them.

        Returns:
            The positions, and what was made of the frame at each.

        Raises:
            VideoDecodingError: A frame is damaged or missing.
        """
        while True:
            positions, kept = choose(self.num_frames), {}
            try:
                self._keep(kept, np.unique(positions).tolist(), prepare)
                return positions, kept
            except FramesRecounted:  # as above
                continue

    def _slide(
        self, starts: list[int], span: int, num_frames: int, prepare: Callable[[torch.Tensor], torch.Tensor]
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Start and frames of each window."""
        kept: dict[int, torch.Tensor] = {}
        ahead, wanted = 0, np.empty(0, dtype=np.int64)
        for start in starts:
            indices = window_indices(start, span, num_frames, self.num_frames)
            kept = {position: frame for position, frame in kept.items() if position >= start}
            # windows that begin before this one ends want frames that lie between those of this one
            while ahead < len(starts) and starts[ahead] <= indices[-1]:
                more = window_indices(starts[ahead], span, num_frames, self.num_frames)
                wanted = np.union1d(wanted, more)
                ahead += 1
            now, wanted = wanted[wanted <= indices[-1]], wanted[wanted > indices[-1]]
            self._keep(kept, now.tolist(), prepare)
            yield start, torch.stack([kept[i] for i in indices.tolist()])

    def _keep(
        self, kept: dict[int, torch.Tensor], positions: list[int], prepare: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        """Decode frames, a few at a time, and put what `prepare` makes of them into `kept`."""
        context = self._stream.codec_context
        at_once = max(MAX_CHUNK_BYTES // max(context.width * context.height * 3, 1), 4)
        for i in range(0, len(positions), at_once):
            some = positions[i : i + at_once]
            frames = self.get_frames(some)
            self._size = self._size or frames.shape[-2:]
            if frames.shape[-2:] != self._size:
                frames = resize(frames, list(self._size), antialias=True)
            kept.update(zip(some, prepare(frames), strict=True))


__all__ = ["Length", "Window", "WindowReader", "window_indices", "window_starts"]
