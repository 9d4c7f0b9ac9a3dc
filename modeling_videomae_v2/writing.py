# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there, also where the disk is full. Does not travel to the Hub."""

import contextlib
import io
import os
import secrets
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from safetensors import SafetensorError


LONGEST_NAME = 200  # bytes that leave room for what is put before and behind it
_ASIDE = ".writing"


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an error of writing name `path`; those of the system and of safetensors name no file.

    Raises:
        OSError: What is within could not be written.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{path} cannot be written: {reason}.") from error


@contextlib.contextmanager
def written_aside(path: Path, first_stays: bool = False) -> Iterator[Path]:
    """A name beside `path` for a file that becomes `path` when it is on the disk.

    Args:
        path: The file.
        first_stays: Of several writers the first one's file stays, and not the last one's. (Where the file system has
            no hard links, the last one's stays all the same.)

    Raises:
        OSError: It could not be written; there is nothing of it then.
    """
    name = path.name if len(os.fsencode(path.name)) <= LONGEST_NAME else sha256(os.fsencode(path.name)).hexdigest()
    aside = path.with_name(f".{name}.{secrets.token_hex(4)}{_ASIDE}")  # in a container, many a process is number 1
    try:
        with naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            with open(aside, "r+b" if os.name == "nt" else "rb") as file:  # Windows forces what may be written to
                os.fsync(file.fileno())
            if first_stays:
                _link_or_replace(aside, path)
            else:
                os.replace(aside, path)
            _force_names(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def _link_or_replace(aside: Path, path: Path) -> None:
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        os.replace(aside, path)


def _force_names(folder: Path) -> None:
    """Wait until the names in a folder would survive a power cut, where the system and the file system have that."""
    if os.name == "nt":  # Windows opens no folders
        return
    with contextlib.suppress(OSError):  # the file is there, whole, even in a folder that nobody may list
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove what processes that were killed within `written_aside` have left in a folder; none may be at it now."""
    for aside in filter(Path.is_file, folder.glob(f".*.*{_ASIDE}")):
        aside.unlink()


@contextlib.contextmanager
def file_for_torch(path: Path) -> Iterator[io.FileIO]:
    """A file for `torch.save` and `torch.export.save`: an error of writing within them ends the process.

    Raises:
        OSError: It could not be written.
    """
    with _ErrorsLater(path, "wb") as file:
        try:
            yield file
        finally:
            if file.error is not None:
                raise file.error


class _ErrorsLater(io.FileIO):
    """Takes whatever is written, and keeps the first error."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self.error is None and rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        return size


__all__ = ["file_for_torch", "naming", "remove_leftovers", "written_aside"]
