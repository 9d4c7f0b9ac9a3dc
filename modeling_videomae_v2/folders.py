# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Walking through folders that may hold links, and telling addresses from them. Does not travel to the Hub."""

import os
import re
from collections.abc import Iterator
from pathlib import Path


FolderId = tuple[int, int]


def folder_id(folder: str) -> FolderId:
    """Device and inode: the same whatever links lead there."""
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def walk_folders(folder: str, above: tuple[FolderId, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """Folders at any depth, and the names of the files in each; what is hidden is left out.

    Args:
        folder: Where to begin.
        above: Folders that were gone through on the way. Links are followed, but not those that lead back to one.

    Raises:
        OSError: A folder cannot be read.
    """
    files, folders = [], []
    place = folder_id(folder)
    if place in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                (folders if _is_folder(entry) else files).append(entry.name)
    yield folder, files
    for name in folders:
        yield from walk_folders(os.path.join(folder, name), (*above, place))


def given_path(text: str) -> Path:
    """A path as a user gives it to a command: no shell replaces `~` in `--out=~/features`, or in quotes.

    Options of text, which may be names of the Hub and addresses, take `os.path.expanduser` itself.
    """
    return Path(os.path.expanduser(text))  # before `Path`, which takes `./` away from the name of a folder `~`


def refuse_address(place: Path, option: str) -> None:
    """Refuse to write to an address (`ValueError`), of which a folder `s3:` would become here.

    Args:
        place: Where to write.
        option: What it is the value of, for the message.
    """
    if re.match(r"[A-Za-z][\w+.-]+:/", place.as_posix()):  # `Path` makes one slash of two; a drive has one letter
        raise ValueError(f"{option} ({place}) is an address. Name a place on this machine, and copy it afterwards.")


def check_folder(folder: Path) -> None:
    """Check, before any work, that a folder is there or can be created, and that it can be written to.

    Raises:
        OSError: It cannot be made, or nothing can be written to it.
    """
    above = next((place for place in (folder, *folder.absolute().parents) if os.path.lexists(place)), folder)
    if not above.is_dir():
        raise OSError(f"The folder {folder} cannot be made: {above} is no folder. Name another place.")
    _demand_writable(above)


def make_folder(folder: Path) -> None:
    """Make a folder to write to, and those above it, where they are not there.

    Raises:
        OSError: It cannot be made, or nothing can be written to it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"The folder {folder} cannot be made: {error.strerror}. Name another place.") from error
    _demand_writable(folder)


def _demand_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"Nothing can be written to {folder}. Name another place.")


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()  # asks the file system for links alone
    except OSError:  # a link to itself
        return False


__all__ = ["check_folder", "folder_id", "given_path", "make_folder", "refuse_address", "walk_folders"]
