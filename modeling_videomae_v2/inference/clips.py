# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which clips the commands take of a video, and their pixels: cropped, but not yet normalised."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.video_utils import VideoMetadata

from ..video_processing_videomae_v2 import VideoMAEv2VideoProcessor
from .windows import Length, WindowReader


# Stop short of the model: what is left to do costs little there, and a byte a value is quick to hand over.
UNFINISHED = {
    "do_rescale": False, "do_normalize": False, "input_data_format": "channels_first", "return_tensors": "pt",
}  # fmt: skip
# The views of a video that are averaged are in memory together; more than this are refused.
MAX_BYTES = 4 * 1024**3
MAX_FRAMES = 10_000_000  # wanted of one video


@dataclass(frozen=True)
class Sampling:
    """What to take of every video.

    Attributes:
        window: Length of a sliding window; None takes the processor's clips, spread over the video.
        stride: From window to window. Default: the length of a window.
        by_clip: Without a window, every clip on its own; otherwise all of them are views of one.
    """

    window: Length | None = None
    stride: Length | None = None
    by_clip: bool = False

    def describe(self) -> dict[str, Any]:
        """As plain values."""
        return {"window": str(self.window) if self.window else None, "stride": str(self.stride or self.window or "")}


@dataclass
class Clip:
    """A clip of a video, in as many views as are averaged.

    Attributes:
        number: Which clip of the video, from 0.
        count: Clips of the video, as far as its length is known.
        start: Seconds from the start of the video.
        end: Seconds from the start of the video to where its last frame is over.
        duration: Seconds that the video lasts.
        fps: Frames per second of the video, on average.
        views: uint8 `(views, frames, channels, height, width)`; empty once the model has seen them.
    """

    number: int
    count: int
    start: float
    end: float
    duration: float
    fps: float
    views: torch.Tensor


def choose_sampling(
    processor: VideoMAEv2VideoProcessor,
    window: str | None,
    stride: str | None,
    clips: int | None,
    *,
    slides: bool,
    by_clip: bool,
) -> Sampling:
    """The sampling that a user asks for.

    Args:
        processor: Gives the length of a clip.
        window: "clip" (a clip of the processor), seconds ("2.5") or frames ("64f").
        stride: Seconds or frames.
        clips: Clips over the length of each video, in place of a window.
        slides: Whether a window of one clip slides where nothing is asked for.
        by_clip: See `Sampling`.

    Raises:
        ValueError: The wishes exclude each other, are not valid or take too much memory.
    """
    if clips is not None and (window or stride):
        raise ValueError(
            f"`--clips` {clips} spreads clips over the video; `--window` and `--stride` slide over it. Leave out one."
        )
    if clips is not None or not (window or stride or slides):
        if by_clip:
            _refuse_endless(processor, processor.num_clips)
        else:
            refuse_too_many(processor, processor.num_clips, processor.num_crops)
        return Sampling(by_clip=by_clip)
    length = _clip_length(processor) if window in (None, "clip") else Length.parse(window, "--window")
    return Sampling(length, Length.parse(stride, "--stride") if stride else length)


def refuse_too_many(processor: VideoMAEv2VideoProcessor, num_clips: int, num_crops: int) -> None:
    """`ValueError` if the views of one video are too many for the memory."""
    _refuse_endless(processor, num_clips)
    sides = processor.crop_size if processor.do_center_crop else None  # whole frames may have any size
    view = processor.num_frames * 3 * sides.height * sides.width if sides else 0
    if num_clips * num_crops * view > MAX_BYTES:
        most = MAX_BYTES // view
        raise ValueError(
            f"`num_clips` ({num_clips}) x `num_crops` ({num_crops}) views of {processor.num_frames} frames would take "
            f"{num_clips * num_crops * view / 1024**3:.1f} GiB of memory for each video. "
            + (f"Ask for at most {most} views." if most else "Ask for fewer frames or a smaller picture.")
        )


def _refuse_endless(processor: VideoMAEv2VideoProcessor, num_clips: int) -> None:
    """`ValueError` if the list of the frames of all clips, each as often as it is wanted, would be without end."""
    if num_clips * processor.num_frames > MAX_FRAMES:
        raise ValueError(
            f"`num_clips` ({num_clips}) x `num_frames` ({processor.num_frames}) are more frames than a video has. "
            f"Lower one of them, to {MAX_FRAMES:,} at most together."
        )


def _clip_length(processor: VideoMAEv2VideoProcessor) -> Length:
    if processor.sampling != "dense" or processor.fps:
        raise ValueError(
            "The processor of this model spreads its frames over the whole video, so that a clip has no length of its "
            "own. Say how long a window shall be: `--window 4` (seconds) or `--window 64f` (frames); or `--clips 1`."
        )
    return Length(processor.num_frames * processor.sampling_rate, in_frames=True)


def clips_of(source: Any, processor: VideoMAEv2VideoProcessor, sampling: Sampling) -> Iterator[Clip]:
    """Decode the clips of a video, in order.

    Raises:
        FileNotFoundError, VideoDecodingError: As `VideoReader`; the clips before the fault have been yielded.
    """
    return (
        _spread_clips(source, processor, sampling) if sampling.window is None else _slide(source, processor, sampling)
    )


def _spread_clips(source: Any, processor: VideoMAEv2VideoProcessor, sampling: Sampling) -> Iterator[Clip]:
    """As the processor gives them, with no more than a few whole frames in memory at a time."""

    def choose(total: int) -> np.ndarray:
        if not processor.do_sample_frames:
            return np.arange(total)[None]
        about = VideoMetadata(total_num_frames=total, fps=reader.fps)
        return processor.sample_frames(about).reshape(processor.num_clips, -1)

    def prepare(frames: torch.Tensor) -> torch.Tensor:
        """`(n, crops, channels, height, width)`."""
        crops = processor(frames, do_sample_frames=False, **UNFINISHED)["pixel_values"][0]
        return crops[:, None] if processor.num_crops == 1 else crops.transpose(0, 1)

    with WindowReader(source) as reader:
        clips, kept = reader.chosen(choose, prepare)
        groups = clips[:, None] if sampling.by_clip else clips[None]
        times = [(reader.time_of(int(group.min())), reader.time_of(int(group.max()) + 1)) for group in groups]
    for number, group in enumerate(groups):
        frames = torch.stack([kept[i] for i in group.ravel().tolist()]).unflatten(0, group.shape)
        views = frames.transpose(1, 2).flatten(0, 1)  # all crops of one clip before those of the next
        yield Clip(number, len(groups), *times[number], reader.duration, reader.fps, views)


def _slide(source: Any, processor: VideoMAEv2VideoProcessor, sampling: Sampling) -> Iterator[Clip]:
    crops_late = processor.num_crops > 1  # several crops of a clip share its resized frames

    def prepare(frames: torch.Tensor) -> torch.Tensor:
        late = {"do_center_crop": False} if crops_late else {}
        return processor(frames, do_sample_frames=False, num_crops=1, **late, **UNFINISHED)["pixel_values"][0]

    def finish(frames: torch.Tensor) -> torch.Tensor:
        if not crops_late:
            return frames[None]
        return processor(frames, do_sample_frames=False, do_resize=False, **UNFINISHED)["pixel_values"][0]

    with WindowReader(source) as reader:
        for window in reader.windows(
            processor.num_frames, sampling.window, sampling.stride or sampling.window, prepare
        ):
            number, count, start, end, frames = window
            yield Clip(number, count, start, end, reader.duration, reader.fps, finish(frames))


__all__ = ["Clip", "Sampling", "choose_sampling", "clips_of", "refuse_too_many"]
