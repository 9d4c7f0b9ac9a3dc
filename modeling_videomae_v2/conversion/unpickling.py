# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads `.pth` files, which are pickles and may hold programs, without running any.

Three things stand in the way of a malicious file. The archive must be what `torch.save` writes: complete, nothing
packed or doubled. The pickle is then read as a list of instructions, none of them executed: it may name tensors,
containers and the argument namespace of the research code, and no storage larger than the file. Only after that does
`torch.load(weights_only=True)` read it, which knows no other names either, and leaves the data on the disk where the
format allows it.
"""

import argparse
import contextlib
import io
import os
import pickletools
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch


# Names that a pickle may ask for, "module name" as the instruction has them.
_CONTAINERS = {"collections OrderedDict", "argparse Namespace", "torch Size", "torch device"}
_SETS = {"builtins set", "__builtin__ set"}
_REBUILDING = {"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}
_STORAGES = {
    f"torch {kind}Storage"
    for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
} | {"torch.storage UntypedStorage", "torch.storage TypedStorage"}
_DTYPES = {
    f"torch {name}"
    for name in ("float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
}
ALLOWED_NAMES = frozenset(_CONTAINERS | _SETS | _REBUILDING | _STORAGES | _DTYPES)

# Instructions that `torch.save` needs; those that name things in another way, or make large things, are not among them.
_ALLOWED_INSTRUCTIONS = frozenset({
    "PROTO", "STOP", "GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID", "MARK", "NONE", "NEWTRUE", "NEWFALSE",
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINSTRING", "TUPLE", "TUPLE1",
    "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "APPEND", "APPENDS", "SETITEM",
    "SETITEMS", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT",
})  # fmt: skip
_INTEGERS = frozenset({"BININT", "BININT1", "BININT2", "LONG1"})
_BETWEEN_SIZE_AND_STORAGE = frozenset({"NONE", "TUPLE", "BINPUT", "LONG_BINPUT"})
_LONGEST_LINE = 1024
_PICKLES_OF_OLD_FORMAT = ("magic number", "protocol", "system", "contents", "storage keys")
_ADVICE = "If you trust where it comes from, load it where it was made and save the weights alone with `torch.save`."


class UnsafeCheckpointError(ValueError):
    """A pickled file that is refused: it asks for more than tensors and containers, or it is damaged."""


def load_pickled(path: str | os.PathLike) -> Any:
    """What `torch.save` wrote to a file, tensors on the CPU; in the current format they stay on the disk until used.

    Args:
        path: File in the zip format of PyTorch 1.6 and later, or in the one before.

    Returns:
        The saved object: containers, numbers, strings, tensors and `argparse.Namespace`.

    Raises:
        FileNotFoundError: There is no such file.
        UnsafeCheckpointError: The file is damaged, of another kind, or asks for anything else; nothing of it was run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint file {path}.")
    is_archive = _check_kind(path)
    if is_archive:
        _check_archive(path)
    else:
        _check_old_format(path)
    try:
        with _nothing_but_namespaces():
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_archive)
    except Exception as error:  # a crafted pickle can make the reader stumble in any way
        raise UnsafeCheckpointError(f"{path} is damaged: {_first_line(error)}.") from error


def _check_kind(path: Path) -> bool:
    """Whether the file is a zip archive; refuse what is neither that nor a bare pickle."""
    with path.open("rb") as file:
        start = file.read(8)
    if not start:
        raise UnsafeCheckpointError(f"{path} is empty.")
    if start.startswith(b"PK\x03\x04"):
        return True
    if tarfile.is_tarfile(path):
        raise UnsafeCheckpointError(
            f"{path} is a tar archive. Unpack it if it holds a checkpoint; if it is one of PyTorch before 0.4, save it "
            "again with a newer one."
        )
    if start[:1] != b"\x80":
        raise UnsafeCheckpointError(f"{path} is no checkpoint of PyTorch: it begins with {start!r}.")
    return False


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_entries(path, entries, size)
            contents = [entry for entry in entries if entry.filename.split("/")[1:] == ["data.pkl"]]
            if len(contents) != 1 or any(entry.filename.endswith("/constants.pkl") for entry in entries):
                raise UnsafeCheckpointError(
                    f"{path} is a zip archive, but not one of `torch.save` (a TorchScript file is none): {_ADVICE}"
                )
            pickled = archive.read(contents[0])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError) as error:
        raise UnsafeCheckpointError(
            f"{path} is damaged or not complete: {_first_line(error)}. Compare its size with the origin's."
        ) from error
    _check_pickle(path, io.BytesIO(pickled), len(pickled), size)


def _check_entries(path: Path, entries: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse packed entries, which may grow without bound, doubled ones, and sizes that the file does not have."""
    seen = set()
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise UnsafeCheckpointError(
                f"{path}: the entry {entry.filename!r} is packed, which `torch.save` never does."
            )
        if entry.header_offset + entry.file_size > size:
            raise UnsafeCheckpointError(
                f"{path}: the entry {entry.filename!r} declares {entry.file_size} bytes, more than the file has."
            )
        if entry.filename in seen:
            raise UnsafeCheckpointError(f"{path}: the entry {entry.filename!r} is there twice.")
        seen.add(entry.filename)


def _check_old_format(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        for _ in _PICKLES_OF_OLD_FORMAT:
            _check_pickle(path, file, size, size)


def _check_pickle(path: Path, file: BinaryIO, end: int, file_size: int) -> None:
    """Read one pickle as instructions, up to its end; refuse those that `torch.save` does not write."""
    last_integer: int | None = None
    try:
        for instruction, argument, _ in pickletools.genops(_BoundedReader(file, end)):
            name = instruction.name
            if name == "GLOBAL" and argument not in ALLOWED_NAMES:
                raise UnsafeCheckpointError(
                    f"{path} asks for `{argument.replace(' ', '.')}`, which is neither a tensor, a container nor an "
                    f"argument namespace. It is refused, and nothing of it was run. {_ADVICE}"
                )
            if name not in _ALLOWED_INSTRUCTIONS:
                raise UnsafeCheckpointError(
                    f"{path} has the pickle instruction {name}, which `torch.save` does not write. It is refused, and "
                    f"nothing of it was run. {_ADVICE}"
                )
            if name in _INTEGERS:
                last_integer = argument
            elif name == "BINPERSID":
                _check_storage_size(path, last_integer, file_size)
            elif name not in _BETWEEN_SIZE_AND_STORAGE:
                last_integer = None
    except UnsafeCheckpointError:
        raise
    except Exception as error:  # the pickle's grammar is wrong somewhere
        raise UnsafeCheckpointError(f"{path} is damaged or not complete: {_first_line(error)}.") from error


def _check_storage_size(path: Path, numel: int | None, file_size: int) -> None:
    if numel is None or not 0 <= numel <= file_size:
        declared = "no size" if numel is None else f"{numel} values"
        raise UnsafeCheckpointError(
            f"{path} declares a tensor storage with {declared}, and has {file_size} bytes in all: it is damaged, or "
            "made to exhaust the memory."
        )


class _BoundedReader:
    """The bytes of a file up to an end; asks for no more than there are, however long a string is said to be."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self.file = file
        self.end = end

    def tell(self) -> int:
        return self.file.tell()

    def read(self, count: int) -> bytes:
        left = self.end - self.file.tell()
        if count > left:
            raise EOFError(f"it ends where {count} more bytes should be" if left > 0 else "it ends too early")
        return self.file.read(count)

    def readline(self) -> bytes:
        line = self.file.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise EOFError("a name in it has no end")
        return line


@contextlib.contextmanager
def _nothing_but_namespaces() -> Iterator[None]:
    """Within, `torch.load` knows the argument namespace beside its own names, whatever other libraries allowed."""
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")


__all__ = ["ALLOWED_NAMES", "UnsafeCheckpointError", "load_pickled"]
