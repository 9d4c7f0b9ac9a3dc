# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Looks whether the videos of a list are there, or can be decoded."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError
from modeling_videomae_v2.writing import written_aside

from ..data.faults import Fault
from ..data.files import ListSource
from ..data.frames import read_frames
from ..data.sources import Video
from ..list_lines import find_layout, read_videos
from ..thread_pool import in_order


@dataclass
class CheckResult:
    """What was found.

    Attributes:
        listed: Videos in the list.
        checked: Those that were looked at.
        bad: Why, by the number of the video in the list.
        paths: Path of each of them.
    """

    listed: int
    checked: int = 0
    bad: dict[int, str] = field(default_factory=dict)
    paths: dict[int, str] = field(default_factory=dict)

    def text(self) -> str:
        """One line for each bad video: path and reason."""
        lines = (f"{self.paths[number]}\t{' '.join(self.bad[number].split())}\n" for number in sorted(self.bad))
        return "".join(lines)


def check_list(
    path: str,
    root: str = "",
    *,
    sample: int | None = None,
    decode: bool = False,
    workers: int = 8,
    seed: int = 0,
    pattern: str = "img_{:05}.jpg",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CheckResult:
    """Look at the videos of a list.

    Args:
        path: A list as `training.data` reads it.
        root: Folder that relative paths start from; default: the folder of the list.
        sample: How many to look at, drawn by the seed; None: all.
        decode: Decode the first and the last frame, which tells truncated files too; otherwise look whether the file
            is there and not empty.
        workers: Videos that are looked at a time.
        seed: Seed of the sample.
        pattern: Names of the pictures where a video is a folder of pictures.
        progress: Gets the numbers of videos that are done and of all.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: A line of it is wrong.
    """
    source = ListSource(path, root, pattern=pattern)
    numbers = np.arange(source.length)
    if sample is not None and sample < len(numbers):
        numbers = np.sort(np.random.default_rng(seed).choice(source.length, sample, replace=False))
    result = CheckResult(source.length)
    look = _decode if decode else _find

    def check(number: int) -> tuple[int, Video, str | None]:
        video = source.get(number, 0)
        return number, video, look(video)

    for number, video, reason in in_order(check, numbers.tolist(), workers):
        result.checked += 1
        if reason is not None:
            result.bad[number], result.paths[number] = reason, str(video.content)
        progress(result.checked, len(numbers))
    return result


def write_good(path: str, result: CheckResult, target: str) -> None:
    """Write a list again without the bad videos; all other lines stay as they are.

    Args:
        path: The list.
        result: From `check_list`, of the same list.
        target: The file to write.
    """

    layout = find_layout(path, labelled=False)
    videos = () if layout is None else chain.from_iterable(places for places, _ in read_videos(path, layout))
    bad = {place for number, place in enumerate(videos) if number in result.bad}
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        write_aside(target, (line for place, line in enumerate(lines, start=1) if place not in bad))


def write_aside(target: str, texts: Iterable[str]) -> None:
    """Write a file under another name, and rename it when it is whole."""
    with (
        written_aside(Path(target)) as aside,
        open(aside, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file,
    ):
        file.writelines(texts)


def _find(video: Video) -> str | None:
    """Why the file or folder of a video is not there; None if it is."""
    if "://" in video.content:
        return "an address, which only decoding (--decode) can tell about"
    try:
        if os.path.isdir(video.content):
            with os.scandir(video.content) as entries:
                return None if any(entries) else "the folder is empty"
        return None if os.path.getsize(video.content) else "the file is empty"
    except OSError as error:
        return error.strerror or str(error)


def _decode(video: Video) -> str | None:
    """Why the first and the last frame of a video cannot be decoded; None if they can."""
    from av.error import FFmpegError

    try:
        read_frames(video, lambda total: np.array([0, total - 1]))
    except (VideoDecodingError, FFmpegError, OSError) as error:
        return Fault.of(video.name, error).reason.removeprefix(f"{video.content}: ")
    return None
