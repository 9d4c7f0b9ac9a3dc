# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that survive a power cut, and that nobody sees half written or half removed."""

import argparse
import os
import shutil
import socket
from contextlib import suppress
from io import FileIO
from pathlib import Path


REMOVING = ".removing"  # names of folders that are on their way out begin with it
IN_USE = ".in-use"
LOCKED_BYTE = 2**30  # far behind what the file says: Windows keeps what is locked from readers


def given_path(text: str) -> Path:
    """As that of `modeling_videomae_v2.folders`, without waiting for PyTorch."""
    return Path(os.path.expanduser(text))


def local_path(text: str) -> Path:
    """A place to write to, as a type for argparse: no address, of which a folder `s3:` would become here."""
    if "://" in text:
        raise argparse.ArgumentTypeError(f"{text} is an address; name a place on this machine, and copy it afterwards")
    return given_path(text)


class FolderInUse(OSError):
    """Another process works in a folder that only one may write to; the message says which, and the way out."""


def claim(folder: Path, kind: str) -> FileIO | None:
    """Keep other processes out of a folder, on all machines that share it.

    The system gives the claim up as soon as the process ends, however it ends.

    Args:
        folder: The folder.
        kind: What claims it, for the others: "a training".

    Returns:
        What holds the claim until it is closed; None where the system, or the disk, has no locks.

    Raises:
        FolderInUse: Another process has claimed it, or, on Windows, this one has.
        OSError: The folder cannot be written to.
    """
    path = folder / IN_USE
    file = path.open("a+b", buffering=0)
    try:
        _lock(file)
    except (BlockingIOError, PermissionError) as error:
        owner = ""
        with file, suppress(OSError):  # on Windows, what another system has locked cannot be read
            file.seek(0)
            owner = file.read().decode(errors="replace").strip()
        raise FolderInUse(
            f"belongs to {owner or 'another process'}: wait until it has ended, or choose another output_dir. "
            f"If its machine has gone, remove {path}."
        ) from error
    except (ImportError, OSError):
        file.close()
        return None
    try:
        file.truncate(0)
        file.write(f"{kind} that still runs (process {os.getpid()} on {socket.gethostname()})\n".encode())
    except OSError:
        file.close()
        raise
    return file


def _lock(file: FileIO) -> None:
    """Lock a file until it is closed, or its process ends.

    Raises:
        BlockingIOError, PermissionError: Another process has locked it; on Windows, also another handle of this one.
        ImportError, OSError: The system or the disk has no locks.
    """
    try:
        import fcntl
    except ImportError:
        import msvcrt  # of Windows

        file.seek(LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike `flock`, no forked process inherits it


def force_to_disk(folder: Path, recurse: bool = True) -> None:
    """Wait until a folder, and all that it holds, or a file, would survive a power cut."""
    for path in [*folder.rglob("*"), folder] if recurse else [folder]:
        if os.name == "nt" and path.is_dir():  # Windows opens none
            continue
        handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # it forces what may be written to
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
