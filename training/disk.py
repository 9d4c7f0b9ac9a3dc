# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that survive a power cut, and that nobody sees half written or half removed."""

import os
import shutil
from pathlib import Path


REMOVING = ".removing"  # names of folders that are on their way out begin with it


def force_to_disk(folder: Path, recurse: bool = True) -> None:
    """Wait until a folder, and all that it holds, or a file, would survive a power cut."""
    for path in [*folder.rglob("*"), folder] if recurse else [folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_whole(path: Path) -> None:
    """Remove a folder such that it is never seen half removed."""
    shutil.rmtree(_set_aside(path))


def replace_folder(folder: Path, writing: Path) -> None:
    """Put the folder `writing` in the place of `folder`, which need not be there."""
    aside = _set_aside(folder) if folder.exists() else None
    writing.rename(folder)
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)  # someone may read in it, over NFS


def _set_aside(path: Path) -> Path:
    """Rename a folder that is going to be removed."""
    aside = path.with_name(f"{REMOVING}-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    return aside
