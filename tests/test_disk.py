# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that are forced to the disk, replaced and removed as a whole, and claimed."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from modeling_videomae_v2.writing import written_aside
from training.disk import claim, force_to_disk, remove_whole, replace_folder


fcntl = pytest.importorskip("fcntl")  # what claims are made of


def folder_with(path: Path, content: str) -> Path:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_text(content)
    return path


@pytest.mark.parametrize(
    ("system", "recurse", "expected"),
    [("posix", True, ["file", "inner", "a"]), ("posix", False, ["a"]), ("nt", True, ["file"]), ("nt", False, [])],
)
def test_what_is_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, recurse: bool, expected: list[str]
) -> None:
    """Windows opens no folders."""
    folder = folder_with(tmp_path / "a", "")
    names = {path.stat().st_ino: path.name for path in [folder, *folder.rglob("*")]}
    forced: list[str] = []
    with monkeypatch.context() as there:
        there.setattr(os, "fsync", lambda handle: forced.append(names[os.fstat(handle).st_ino]))
        there.setattr(os, "name", system)
        force_to_disk(folder, recurse)
    assert sorted(forced) == sorted(expected)
    assert forced[-1:] == expected[-1:]


def test_files_are_forced_by_handles_that_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows takes no others."""

    def force(handle: int) -> None:
        if not fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_RDWR:
            raise OSError(errno.EBADF, "Bad file descriptor")

    folder = folder_with(tmp_path / "a", "")
    with monkeypatch.context() as there:
        there.setattr(os, "fsync", force)
        there.setattr(os, "name", "nt")
        force_to_disk(folder)
        with written_aside(tmp_path / "file") as aside:
            aside.write_text("content")
    assert (tmp_path / "file").read_text() == "content"


def test_a_folder_in_the_place_of_another(tmp_path: Path) -> None:
    """Whatever an earlier replacement, cut short, has left beside it."""
    folder = tmp_path / "model"
    for content in ("first", "second", "third"):
        replace_folder(folder, folder_with(tmp_path / "writing", content))
        assert (folder / "inner" / "file").read_text() == content
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
        folder_with(tmp_path / ".removing-model", "left over")


def test_a_folder_is_never_seen_half_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one that has just been put in its place lost where the old one cannot be removed."""
    old, remove = folder_with(tmp_path / "old", "old"), shutil.rmtree

    def held(path: Path, ignore_errors: bool = False) -> None:
        if path.exists() and not ignore_errors:
            raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(shutil, "rmtree", held)
    with pytest.raises(OSError, match="busy"):
        remove_whole(old)
    assert [path.name for path in tmp_path.iterdir()] == [".removing-old"]
    remove(tmp_path / ".removing-old")
    replace_folder(folder_with(old, "old"), folder_with(tmp_path / "new", "new"))
    assert (old / "inner" / "file").read_text() == "new"


def test_a_disk_without_locks_claims_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert claim(tmp_path, "a training") is None


def test_who_claims_a_folder_is_who_claimed_it_last(tmp_path: Path) -> None:
    for kind in ("a training of long standing", "an evaluation"):
        with claim(tmp_path, kind):
            said = (tmp_path / ".in-use").read_text()  # to read it here gives the claim up, so that comes last
    assert said.startswith("an evaluation that still runs (process ")
    assert said.count("process") == 1
