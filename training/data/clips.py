# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips: which frames of a video, decoded once, cut into views. A pure function of seed and `Key`."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from modeling_videomae_v2.video_views_videomae_v2 import dense_indices, uniform_indices

from .chance import Purpose, generator
from .faults import DataError, Fault, TooManyBadVideosError, listing
from .frame_cache import FrameCache
from .frames import unreadable_errors
from .mixture import Mixture
from .sampler import Key
from .sources import Source, Video


# Videos that are tried for one sample, the first included. For a stream these are the ones that follow.
MAX_TRIES = 16


@dataclass(frozen=True)
class FrameSampler:
    """Chooses the frames of a clip.

    Attributes:
        num_frames: Frames in a clip.
        sampling_rate: Distance between the frames of a dense clip.
        sampling: "dense": `sampling_rate` apart. "uniform": one frame of each of `num_frames` equal segments.
        random: Random start, and random places in the segments; otherwise the frames of the one view that the video
            processor takes: the middle clip, or the starts of the segments.
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
        steps, rate = np.arange(self.num_frames), sampling_rate or self.sampling_rate
        uniform = self.sampling == "uniform"
        if not self.random:
            views = uniform_indices(total, len(steps)) if uniform else dense_indices(total, len(steps), rate)
            return views[0]
        if uniform:
            segments = steps + rng.random(self.num_frames)
            return np.minimum((total / self.num_frames * segments).astype(np.int64), total - 1)
        start = int(rng.integers(max(total - (self.num_frames - 1) * rate - 1, 0) + 1))
        last = start + (total - 1 - start) // rate * rate
        return np.minimum(start + rate * steps, last)


@dataclass
class ClipDataset(Dataset):
    """Clips of a mixture of sources, by key `(epoch, video)` or `(epoch, video, take)`.

    An item is a dict: `pixel_values` uint8 `(views, T, C, H, W)`, `labels` int (absent where the sources have none),
    `bad` 1 where the video could not be read and another one stands in its place, and `faults`, the list of videos that
    could not be read. The video that stands in is drawn from the same source and depends on the key alone.

    Attributes:
        mixture: The sources.
        choose: Chooses the frames.
        make_views: Cuts the views: gets uint8 frames `(T, C, H, W)` and a generator, returns uint8
            `(views, T, C, H, W)`.
        seed: Not negative.
        cache: Reads the frames; it may keep videos in memory, which changes no clip.
        num_labels: Classes that there are; a video with another label is a `DataError`. None: any.
    """

    mixture: Mixture
    choose: Callable[[int, int | None, np.random.Generator], np.ndarray]
    make_views: Callable[[torch.Tensor, np.random.Generator], torch.Tensor]
    seed: int = 0
    cache: FrameCache = field(default_factory=FrameCache)
    num_labels: int | None = None
    _unreadable: tuple[type[Exception], ...] = field(default_factory=unreadable_errors, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, key: Key | tuple[int, int]) -> dict[str, Any]:
        key = Key(*key)
        source, number = self.mixture.locate(key.video)
        number = number * source.lanes + key.lane
        faults: list[Fault] = []
        for attempt in range(MAX_TRIES):
            rng = self._generator(Purpose.CLIP, key, attempt)
            name, video = f"{source.name}[{number}]", None
            try:
                place = None if source.sequential else (id(source), number)
                video = self.cache.kept(place) or source.get(number, key.turn if source.sequential else key.epoch)
                name = video.name
                self._check_label(video)
                frames = self.cache.read(place, video, partial(self._choose, source, rng))
            except self._unreadable as error:
                fault = Fault.of(name, error)
                faults.append(replace(fault, name=video.lasting_name) if source.sequential and video else fault)
                number = self._replacement(source, number, key, attempt)
                continue
            item = {"pixel_values": self.make_views(frames, rng), "bad": int(attempt > 0), "faults": faults}
            return item if video.label is None else {**item, "labels": video.label}
        raise TooManyBadVideosError(
            f"{MAX_TRIES} videos of {source.name} were tried for one sample and none can be read. Check that the data "
            f"is where the recipe says:\n{listing(list(dict.fromkeys(faults)))}"
        )

    def _check_label(self, video: Video) -> None:
        """Here the label is still a number: on a GPU, the loss could not say which video it is of."""
        label, count = video.label, self.num_labels
        if label is not None and count is not None and not 0 <= label < count:
            raise DataError(
                f"{video.name} has the label {label}, but there are {count} classes, 0 to {count - 1}. Correct the "
                "label or leave the video out, or correct num_labels, labels or labels_file."
            )

    def _choose(self, source: Source, rng: np.random.Generator, total: int) -> np.ndarray:
        return self.choose(total, source.sampling_rate, rng)

    def _generator(self, purpose: Purpose, key: Key, attempt: int) -> np.random.Generator:
        more = [key.take, key.lane]
        while more and not more[-1]:  # so that clips are what they were before takes and lanes were counted
            more.pop()
        return generator(self.seed, purpose, key.epoch, key.video, attempt, *more)

    def _replacement(self, source: Source, number: int, key: Key, attempt: int) -> int:
        """The video that is tried next, in place of one that cannot be read."""
        if source.sequential or source.length is None:
            return number + source.lanes
        return int(self._generator(Purpose.REPLACEMENT, key, attempt).integers(source.length))
