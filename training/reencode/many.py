# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The videos of a list or a folder, and the work on all of them."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from modeling_videomae_v2.folders import refuse_address
from modeling_videomae_v2.inference.settings import keep_settings
from modeling_videomae_v2.video_decoding_videomae_v2 import VideoDecodingError

from ..data.faults import Fault
from ..data.files import FolderSource, ListSource
from ..data.sources import IndexedSource
from ..thread_pool import in_order
from .video import bytes_of_source, demand_encoder, reencode


SETTINGS = "reencode.json"


@dataclass(frozen=True)
class Videos:
    """What is to be written again.

    Attributes:
        source: Where the videos are.
        root: Folder that holds them.
        numbers: Number of each video in the source, once, by its path in `root`.
        absolute: How many paths of a list are absolute.
    """

    source: IndexedSource
    root: str
    numbers: dict[str, int]
    absolute: int

    @classmethod
    def of(cls, path: str, root: str) -> "Videos":
        """Those of a folder or, with the folder `root`, of a list.

        Raises:
            FileNotFoundError, ValueError: As the sources; or a video lies outside of `root`.
        """
        if not os.path.isdir(path):
            source, root = ListSource(path, root), root or os.path.dirname(path) or os.curdir
        elif root:
            raise ValueError(f"--root is for lists, and {path} is a folder. Leave it out.")
        else:
            source, root = FolderSource(path), path
        numbers: dict[str, int] = {}
        folder, absolute = os.path.abspath(root), 0
        for number, name in enumerate(source.paths):
            is_absolute = os.path.isabs(name)
            absolute += is_absolute
            inside = os.path.relpath(name, folder) if is_absolute else os.path.normpath(name)
            if inside.partition(os.sep)[0] == os.pardir:
                raise ValueError(f"{path}: {name} lies outside of {root}. Set --root to the folder that holds all.")
            numbers.setdefault(name if "://" in name else inside, number)
        return cls(source, root, numbers, absolute)

    def demand_other_folder(self, output: Path) -> None:
        """Refuse a folder whose files may be those of the source, and what is none (`ValueError`)."""
        refuse_address(output, "OUTPUT")
        place, own = (os.path.join(os.path.realpath(folder), "") for folder in (output, self.root))
        found_again = isinstance(self.source, FolderSource) and place.startswith(own)
        if own.startswith(place) or found_again:
            raise ValueError(f"The videos lie in {self.root}, and so would the new ones. Name a folder elsewhere.")


@dataclass
class Result:
    """What became of the videos.

    Attributes:
        there: How many were there already.
        written: How many were written.
        bytes_before, bytes_after: Sizes of those.
        bad: Why others were not, by path.
    """

    there: int = 0
    written: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    bad: dict[str, str] = field(default_factory=dict)


def write_all(
    videos: Videos, paths: Sequence[str], output: Path, *, size: int, crf: int, workers: int,
    done: Callable[[], None] = lambda: None,
) -> Result:  # fmt: skip
    """Write those of the videos that are not there yet.

    A file that is there was made with the same settings, for the folder keeps them, and of a video of the same size in
    bytes, which it says itself; a folder or file of an older version, which says nothing, is taken for such a one.

    Args:
        videos: What there is.
        paths: Which of them.
        output: Where to; each keeps its path.
        size: Shorter side, in pixels, of what is larger.
        crf: Quality.
        workers: Videos at a time.
        done: Called after each.

    Raises:
        ImportError: PyAV is not installed, or cannot encode.
        OSError: Nothing can be written.
        ValueError: The folder was begun with other settings.
    """
    demand_encoder()
    keep_settings(output / SETTINGS, {"size": size, "crf": crf}, what="videos", option="OUTPUT")
    stopped, result = Event(), Result()

    def write(inside: str) -> tuple[str, str | int]:
        """Path, and why it was not written, or the size that it had."""
        video, target = videos.source.get(videos.numbers[inside], 0).content, output / inside
        if "://" in video:
            return inside, "an address. Download it first."
        if os.path.isdir(video):
            return inside, "a folder of pictures, which is left as it is."
        if target.exists():
            return inside, _say_another(video, target) or 0
        try:
            reencode(video, target, size=size, crf=crf, stopped=stopped.is_set)
        except (FileNotFoundError, VideoDecodingError) as error:
            return inside, Fault.of(video, error).reason
        return inside, os.path.getsize(video)

    with closing(in_order(write, paths, workers, stopped.set)) as results:
        for inside, found in results:
            if isinstance(found, str):
                result.bad[inside] = found
            elif found:
                result.written, result.bytes_before = result.written + 1, result.bytes_before + found
                result.bytes_after += os.path.getsize(output / inside)
            else:
                result.there += 1
            done()
    return result


def _say_another(video: str, target: Path) -> str | None:
    """In words, that a file which is there was made of another video; None if it was not, or nobody knows."""
    before, now = bytes_of_source(target), os.path.getsize(video) if os.path.exists(video) else None
    if None in (before, now) or before == now:
        return None
    return (
        f"{target} is there and was made of another video, of {before:,} bytes; this one has {now:,}. Name another "
        "OUTPUT, or delete that file to have it written anew."
    )
