# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a command is given as videos (files, folders, URLs) as a list of single videos with names of their own."""

import hashlib
import os
import re
import urllib.parse
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..folders import walk_folders


VIDEO_SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".f4v", ".flv", ".gif", ".m2ts", ".m2v", ".m4v", ".mj2", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
})  # fmt: skip
# Longest file name in bytes that common file systems take (255), less what is put before and behind it.
MAX_NAME = 220


class Source(NamedTuple):
    """One video.

    Attributes:
        address: Path or URL, as it is opened and reported.
        name: Relative path, with forward slashes, for what is made of the video: below a folder that was given, the
            path in it; else the name of the file; a very long one is cut. Two sources never share one.
    """

    address: str
    name: str


def printable(text: str) -> str:
    """A file name that is not valid UTF-8 cannot be printed or written as text; what is wrong in it becomes `?`."""
    return text.encode("utf-8", "replace").decode("utf-8")


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts `clip2` before `clip10`."""
    parts = re.split(r"(\d+)", text.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part] + [(2, 0, text)]


def find_sources(addresses: Sequence[str], unique_names: bool = True) -> list[Source]:
    """List the videos that a user names.

    Args:
        addresses: Files, folders (every video file in them, at any depth, in natural order) and URLs. What does not
            exist is kept, for the error to come when it is opened, so that the others go on.
        unique_names: Whether something is going to be written under the names of the videos.

    Raises:
        ValueError: There is none, a folder holds no video, or two videos have the same name.
    """
    sources: list[Source] = []
    for address in addresses:
        if os.path.isdir(address):
            sources += _in_folder(Path(address))
        else:
            sources.append(Source(address, _name_of(address)))
    if not sources:
        raise ValueError("No video is given. Pass files, folders or URLs.")
    sources = list(dict.fromkeys(sources))
    by_name: dict[str, str] = {}
    for source in sources if unique_names else ():
        other = by_name.setdefault(source.name, source.address)
        if other != source.address:
            raise ValueError(
                f"{other} and {source.address} have the same name, {source.name}, so that the results would "
                "be mixed up. Pass the folder that holds both, or run the command once for each."
            )
    return sources


def refuse_missing(sources: Sequence[Source]) -> list[str]:
    """Files that do not exist; `FileNotFoundError` if no other videos are given."""
    missing = [s.address for s in sources if "://" not in s.address and not os.path.exists(s.address)]
    if len(missing) == len(sources):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise FileNotFoundError(
            f"There is no video {missing[0] or chr(39) * 2}{more}: the file does not exist. Check the path."
        )
    return missing


def _in_folder(folder: Path) -> list[Source]:
    found, others = [], set()
    for place, names in walk_folders(str(folder)):
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in VIDEO_SUFFIXES:
                found.append(Path(place, name))
            else:
                others.add(suffix)
    if not found:
        raise ValueError(
            f"The folder {folder} holds no video file ({', '.join(sorted(VIDEO_SUFFIXES))}). {_way_out(others)}"
        )
    sources = [Source(str(path), _cut(path.relative_to(folder).as_posix())) for path in found]
    return sorted(sources, key=lambda source: natural_key(source.name))


def _name_of(address: str) -> str:
    if "://" not in address:
        return _cut(Path(address).name)
    try:
        name = urllib.parse.unquote(PurePosixPath(urllib.parse.urlparse(address).path).name)
    except ValueError as error:
        raise ValueError(f"{address} is no address ({error}). Correct it.") from error
    name = re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "video"
    if address.lower().startswith("file:"):
        return _cut(name)
    # many servers call every file the same
    return f"{hashlib.sha256(address.encode()).hexdigest()[:8]}-{_cut(name, 9)}"


def _cut(name: str, less: int = 0) -> str:
    """`name`, or its start and a hash of it where its last part leaves no room for what is put behind."""
    folder, slash, last = name.rpartition("/")
    if len(os.fsencode(last)) <= MAX_NAME - less:
        return name
    stem, suffix = os.path.splitext(last)
    if suffix.lower() not in VIDEO_SUFFIXES:  # it may be as long as a name
        stem, suffix = last, ""
    behind = f"-{hashlib.sha256(os.fsencode(last)).hexdigest()[:8]}{suffix}"
    room = MAX_NAME - less - len(behind)
    return folder + slash + os.fsencode(stem)[:room].decode(errors="ignore") + behind


def _way_out(suffixes: set[str]) -> str:
    """What to do about a folder without videos, but with files of these suffixes."""
    from ..indexed_videos_videomae_v2 import PICTURE_SUFFIXES  # which takes time to import

    if suffixes & set(PICTURE_SUFFIXES):
        return "Of pictures, write a video, or give the video processor the list of their paths in Python."
    return "Check the path, or pass the files by name."


__all__ = ["Source", "find_sources", "natural_key", "printable", "refuse_missing"]
