# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that time lines are written to: chosen before anything is computed or made, and never over a video."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..folders import check_folder, refuse_address
from ..wording_videomae_v2 import shortened
from .sources import VIDEO_SUFFIXES, Source


def choose_targets(
    option: str, path: Path | None, sources: Sequence[Source], suffix: str, overwrite: bool = False
) -> list[Path]:
    """File of each video: `path` itself for one video, unless it is a folder; else one in the folder `path`.

    Args:
        option: What `path` is the value of, for messages.
        path: What the user named; None gives no files.
        sources: The videos.
        suffix: Put behind the names of videos in a folder.
        overwrite: Replace files that are there; videos are never replaced.

    Raises:
        ValueError: A file would replace a video, or is named for several videos; `path` is an address.
        FileExistsError: A file is there, and `overwrite` is not given.
        OSError: The folder cannot be made or written to.
    """
    if path is None:
        return []
    refuse_address(path, f"`{option}`")
    is_file = len(sources) == 1 and (path.suffix or path.is_file()) and not path.is_dir()
    if not is_file and path.is_file():
        raise ValueError(f"{path} is a file, and there are {len(sources)} videos. Name a folder for their time lines.")
    targets = [path] if is_file else [path / f"{source.name}{suffix}" for source in sources]
    _keep_videos(option, targets, sources)
    for place in (path, *targets):
        if place.exists() and not (place.is_file() or (place == path and place.is_dir())):  # such as /dev/stdout
            raise ValueError(f"`{option}`: {place} is no file that can be replaced. Name another place.")
    taken = [str(target) for target in targets if target.exists()]
    if taken and not overwrite:
        raise FileExistsError(
            f"`{option}`: there is already {shortened(taken, 1)}. Name another place, or pass --overwrite."
        )
    check_folder(path.parent if is_file else path)
    return targets


def _keep_videos(option: str, targets: Sequence[Path], sources: Sequence[Source]) -> None:
    """Refuse a target that is one of the videos, or is called like one."""
    videos = {os.path.realpath(source.address) for source in sources}
    for target in targets:
        if os.path.realpath(target) in videos:
            raise ValueError(f"`{option}` {target} is one of the videos, which would be lost. Name another file.")
        if target.suffix.lower() in VIDEO_SUFFIXES:
            raise ValueError(
                f"`{option}` {target} has the name of a video ({target.suffix}). Name another file, or a folder."
            )


__all__ = ["choose_targets"]
