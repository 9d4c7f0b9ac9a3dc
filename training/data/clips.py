# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips: which frames of a video, decoded once, cut into views. A pure function of `(seed, epoch, video)`."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset
from transformers.video_utils import VideoMetadata

from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError, read_video

from .chance import Purpose, generator
from .faults import Fault, TooManyBadVideosError, listing
from .mixture import Mixture
from .sampler import Key
from .sources import PICTURE_SUFFIXES, Source, Video


# Videos that are tried for one sample, the first included. For a stream these are the ones that follow.
MAX_TRIES = 16


@dataclass(frozen=True)
class FrameSampler:
    """Chooses the frames of a clip.

    Attributes:
        num_frames: Frames in a clip.
        sampling_rate: Distance between the frames of a dense clip.
        sampling: "dense": `sampling_rate` apart. "uniform": one frame of each of `num_frames` equal segments.
        random: Random start, and random places in the segments; otherwise the middle.
    """

    num_frames: int = 16
    sampling_rate: int = 4
    sampling: Literal["dense", "uniform"] = "dense"
    random: bool = True

    def __call__(self, total: int, sampling_rate: int | None, rng: np.random.Generator) -> np.ndarray:
        """Choose frames.

        Args:
            total: Frames in the video, at least 1. Where a dense clip does not fit, its last frame repeats.
            sampling_rate: Distance between frames, in place of the attribute.
            rng: Where chance comes from.

        Returns:
            int64 array `(num_frames,)`, ascending.
        """
        steps = np.arange(self.num_frames)
        if self.sampling == "uniform":
            places = rng.random(self.num_frames) if self.random else 0.5
            return np.minimum((total / self.num_frames * (steps + places)).astype(np.int64), total - 1)
        rate = sampling_rate or self.sampling_rate
        room = max(total - (self.num_frames - 1) * rate - 1, 0)
        start = int(rng.integers(room + 1)) if self.random else room // 2
        last = start + (total - 1 - start) // rate * rate
        return np.minimum(start + rate * steps, last)


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
    if isinstance(video.content, str) and os.path.isdir(video.content):
        return _read_pictures(video, choose)

    def choose_in_part(metadata: VideoMetadata) -> list[int]:
        total = metadata.total_num_frames - video.start
        if total < 1:
            reason = f"it has {metadata.total_num_frames} frames, and its part begins with frame {video.start}"
            raise VideoDecodingError(video.name, reason, "Correct the list.")
        return (video.start + choose(min(total, video.total or total))).tolist()

    return read_video(_openable(video), choose_in_part, num_threads=1)[0]


def _openable(video: Video) -> Any:
    """What the decoder takes; addresses that it does not know (`hf://`, `zip://`) are opened by fsspec."""
    content = video.content
    if content is None:
        raise VideoDecodingError(video.name, "there is neither a path nor data", "Drop the row.")
    if not isinstance(content, str) or "://" not in content:
        return content
    if "::" not in content and content.partition("://")[0].lower() in ("http", "https", "file"):
        return content
    import fsspec

    try:
        with fsspec.open(content, "rb") as file:
            return file.read()
    except Exception as error:  # each kind of storage has its own
        raise VideoDecodingError(video.name, f"{type(error).__name__}: {error}", "Check the address.") from error


def _read_pictures(video: Video, choose: Callable[[int], np.ndarray]) -> torch.Tensor:
    """Frames of a folder of pictures, numbered from 1."""
    total = video.total
    if total is None:
        with os.scandir(video.content) as entries:
            total = sum(entry.name.rpartition(".")[2].lower() in PICTURE_SUFFIXES for entry in entries) - video.start
    if total < 1:
        reason = f"the folder has no pictures from number {video.start + 1} on"
        raise VideoDecodingError(video.name, reason, "Correct the list, or extract its frames again.")
    positions = choose(total) + video.start
    pictures: dict[int, np.ndarray] = {}
    for position in positions.tolist():
        if position not in pictures:
            path = os.path.join(video.content, video.pattern.format(position + 1))
            with Image.open(path) as picture:
                pictures[position] = np.asarray(picture.convert("RGB"))
    sizes = {picture.shape for picture in pictures.values()}
    if len(sizes) > 1:
        raise VideoDecodingError(
            video.name, f"its pictures have different sizes, {sorted(sizes)}", "Extract them anew."
        )
    return torch.from_numpy(np.stack([pictures[i] for i in positions.tolist()])).permute(0, 3, 1, 2)


def unreadable_errors() -> tuple[type[Exception], ...]:
    """What an unreadable video raises; anything else is a fault of the program and is not caught."""
    kinds: list[type[Exception]] = [VideoDecodingError, OSError, Image.DecompressionBombError]
    try:
        from av.error import FFmpegError
    except ImportError:
        return tuple(kinds)
    return (*kinds, FFmpegError)


@dataclass
class ClipDataset(Dataset):
    """Clips of a mixture of sources, by key `(epoch, video)`.

    An item is a dict: `pixel_values` uint8 `(views, T, C, H, W)`, `labels` int (absent where the sources have none),
    `bad` 1 where the video could not be read and another one stands in its place, and `faults`, the list of videos that
    could not be read. The video that stands in is drawn from the same source and depends on the key alone.

    Attributes:
        mixture: The sources.
        choose: Chooses the frames.
        make_views: Cuts the views: gets uint8 frames `(T, C, H, W)` and a generator, returns uint8
            `(views, T, C, H, W)`.
        seed: Not negative.
    """

    mixture: Mixture
    choose: Callable[[int, int | None, np.random.Generator], np.ndarray]
    make_views: Callable[[torch.Tensor, np.random.Generator], torch.Tensor]
    seed: int = 0
    _unreadable: tuple[type[Exception], ...] = field(default_factory=unreadable_errors, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, key: Key) -> dict[str, Any]:
        epoch, index = key
        source, number = self.mixture.locate(index)
        faults: list[Fault] = []
        for attempt in range(MAX_TRIES):
            rng = generator(self.seed, Purpose.CLIP, epoch, index, attempt)
            name = f"{source.name}[{number}]"
            try:
                video = source.get(number, epoch)
                name = video.name
                frames = read_frames(video, lambda total: self.choose(total, source.sampling_rate, rng))  # noqa: B023
            except self._unreadable as error:
                faults.append(Fault.of(name, error))
                number = self._replacement(source, number, epoch, index, attempt)
                continue
            item = {"pixel_values": self.make_views(frames, rng), "bad": int(attempt > 0), "faults": faults}
            return item if video.label is None else {**item, "labels": video.label}
        raise TooManyBadVideosError(
            f"{MAX_TRIES} videos of {source.name} were tried for one sample and none can be read. Check that the data "
            f"is where the recipe says:\n{listing(faults)}"
        )

    def _replacement(self, source: Source, number: int, epoch: int, index: int, attempt: int) -> int:
        """The video that is tried next, in place of one that cannot be read."""
        if source.sequential or source.length is None:
            return number + 1
        return int(generator(self.seed, Purpose.REPLACEMENT, epoch, index, attempt).integers(source.length))
