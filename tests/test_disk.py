# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders that are forced to the disk, replaced and removed as a whole, and claimed."""

import errno
import gc
import os
import shutil
import stat
import sys
import warnings
from contextlib import nullcontext
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from full_disk import full_disk

from modeling_videomae_v2.writing import written_aside
from training.disk import FolderInUse, claim, force_to_disk, local_path, remove_whole, replace_folder


pytestmark = [  # no file is left open
    pytest.mark.usefixtures("no_files_of_others"),
    pytest.mark.filterwarnings("error::ResourceWarning"),
    pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def no_files_of_others() -> None:
    """What earlier tests have left open is closed before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def test_a_place_may_begin_with_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # of Windows
    assert local_path("~/demo") == tmp_path / "demo"
    assert local_path("runs/~/demo") == Path("runs/~/demo")


def folder_with(path: Path, content: str) -> Path:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_text(content)
    return path


@pytest.mark.parametrize(
    ("system", "options", "expected"),
    [
        ("posix", {}, ["file", "inner", "a"]),
        ("posix", {"recurse": False}, ["a"]),
        ("nt", {}, ["file"]),
        ("nt", {"recurse": False}, []),
    ],
)
def test_what_is_forced_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, options: dict[str, bool], expected: list[str]
) -> None:
    """Windows opens no folders."""
    if os.name == "nt" and system == "posix":
        pytest.skip("its folders cannot be opened")
    folder = folder_with(tmp_path / "a", "")
    names = {path.stat().st_ino: path.name for path in [folder, *folder.rglob("*")]}
    forced: list[str] = []
    with monkeypatch.context() as there:
        there.setattr(os, "fsync", lambda handle: forced.append(names[os.fstat(handle).st_ino]))
        there.setattr(os, "name", system)
        force_to_disk(folder, **options)
    assert sorted(forced) == sorted(expected)
    assert forced[-1:] == expected[-1:]


@pytest.mark.parametrize("error", [None, OSError(errno.EIO, "Input/output error")])
def test_what_is_forced_is_not_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError | None
) -> None:
    """A long training would run out of handles."""
    handles: set[int] = set()

    def force(handle: int) -> None:
        handles.add(handle)
        if error is not None:
            raise error

    monkeypatch.setattr(os, "fsync", force)
    with nullcontext() if error is None else pytest.raises(OSError, match="Input/output"):
        force_to_disk(folder_with(tmp_path / "a", ""))
    assert handles
    for handle in handles:
        with pytest.raises(OSError) as gone:
            os.fstat(handle)
        assert gone.value.errno == errno.EBADF


def test_files_are_forced_by_handles_that_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows takes no others."""
    fcntl = pytest.importorskip("fcntl", reason="Windows itself takes no others")

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


@pytest.mark.parametrize("system", ["posix", "nt"])
def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    """Or a power cut might leave one that is empty; and its name is there before anything else is said to be done."""
    if os.name == "nt" and system == "posix":
        pytest.skip("its folders cannot be opened")
    path, forced = tmp_path / "a.json", []
    with monkeypatch.context() as there:
        there.setattr(os, "fsync", lambda handle: forced.append((os.fstat(handle).st_ino, path.exists())))
        there.setattr(os, "name", system)
        with written_aside(path) as aside:
            aside.write_text("{}")
    names = [(tmp_path.stat().st_ino, True)] if system == "posix" else []
    assert forced == [(path.stat().st_ino, False), *names]


def test_a_folder_that_cannot_be_forced_takes_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems refuse it."""
    force = os.fsync

    def only_files(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        force(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    with written_aside(tmp_path / "file") as aside:
        aside.write_text("content")
    assert (tmp_path / "file").read_text() == "content"


def test_a_folder_in_the_place_of_another(tmp_path: Path) -> None:
    """Whether or not an earlier replacement, cut short, has left something beside it."""
    folder = tmp_path / "model"
    for content in ("first", "second", "third"):
        replace_folder(folder, folder_with(tmp_path / "writing", content))
        assert (folder / "inner" / "file").read_text() == content
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
        if content == "first":
            folder_with(tmp_path / ".removing-model", "left over")


def test_a_folder_is_never_seen_half_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one that has just been put in its place lost where the old one cannot be removed."""
    old, remove, meanwhile = folder_with(tmp_path / "old", "old"), shutil.rmtree, []

    def held(path: Path, ignore_errors: bool = False) -> None:
        if path.exists() and not ignore_errors:
            raise OSError(errno.EBUSY, "busy")
        if path.exists():
            meanwhile.append((old / "inner" / "file").read_text())

    monkeypatch.setattr(shutil, "rmtree", held)
    with pytest.raises(OSError, match="busy"):
        remove_whole(old)
    assert [path.name for path in tmp_path.iterdir()] == [".removing-old"]
    remove(tmp_path / ".removing-old")
    replace_folder(folder_with(old, "old"), folder_with(tmp_path / "new", "new"))
    assert meanwhile == ["new"]  # it is in its place before the old one, which may take long, is removed
    assert (old / "inner" / "file").read_text() == "new"


def test_a_system_without_locks_claims_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("fcntl", "msvcrt"):
        monkeypatch.setitem(sys.modules, module, None)
    assert claim(tmp_path, "a training") is None


def test_a_disk_without_locks_claims_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("training.disk._lock", refuse)
    assert claim(tmp_path, "a training") is None


def test_windows_locks_a_byte_that_no_reader_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps others from reading what is locked, also who holds the lock."""
    locked: list[tuple[int, int, int]] = []

    def lock(handle: int, mode: int, count: int) -> None:
        locked.append((os.lseek(handle, 0, os.SEEK_CUR), mode, count))
        if len(locked) > 1:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=lock))
    with claim(tmp_path, "a training"), pytest.raises(FolderInUse, match=r"^belongs to a training that still runs"):
        claim(tmp_path, "an evaluation")
    assert locked == [(2**30, 2, 1)] * 2


def test_who_claims_a_folder_is_who_claimed_it_last(tmp_path: Path) -> None:
    for kind in ("a training of long standing", "an evaluation"):
        with claim(tmp_path, kind):
            said = (tmp_path / ".in-use").read_text()  # to read it here gives the claim up, so that comes last
    assert said.startswith("an evaluation that still runs (process ")
    assert said.count("process") == 1


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])  # POSIX allows both
@pytest.mark.parametrize(
    ("content", "owner"), [(b"", "another process"), (b"a training on \xff\n", "a training on \ufffd")]
)
def test_a_claimed_folder_names_its_owner_as_far_as_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, content: bytes, owner: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    (tmp_path / ".in-use").write_bytes(content)
    monkeypatch.setattr("training.disk._lock", refuse)
    with pytest.raises(FolderInUse, match=f"^belongs to {owner}: wait until"):
        claim(tmp_path, "an evaluation")
    assert (tmp_path / ".in-use").read_bytes() == content


def test_who_claims_a_folder_may_not_be_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, on a disk that another system has locked the whole file of."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    class Locked(FileIO):
        read = refuse

    monkeypatch.setattr("training.disk._lock", refuse)
    monkeypatch.setattr(Path, "open", lambda path, *_, **__: Locked(path, "a+"))
    with pytest.raises(FolderInUse, match=r"^belongs to another process: wait until"):
        claim(tmp_path, "a training")


def test_a_claim_that_cannot_be_noted_is_given_up(tmp_path: Path) -> None:
    with full_disk(0), pytest.raises(OSError, match="File too large"):
        claim(tmp_path, "a training")
    with claim(tmp_path, "a training"):
        pass
