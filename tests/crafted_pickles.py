# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoint files made to do harm: to run code, to exhaust the memory, to confuse the reader."""

import builtins
import io
import os
import pickle
import struct
import subprocess
import tarfile
import time
import timeit
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch


HUGE = 1 << 42
# What a file in the format before PyTorch 1.6 begins with.
OLD_HEAD = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}})


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Callable, *args: Any) -> None:
        self.reduced = (function, args)

    def __reduce__(self) -> tuple:
        return self.reduced


def write_zip(
    path: Path, pickled: bytes, storages: tuple[bytes, ...] = (), compression: int = zipfile.ZIP_STORED
) -> None:
    """A file as `torch.save` writes it, around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled, compress_type=compression)
        archive.writestr("archive/byteorder", "little")
        for i, data in enumerate(storages):
            archive.writestr(f"archive/data/{i}", data)
        archive.writestr("archive/version", "3\n")


def write_old(path: Path, pickled: bytes, keys: list[str] | None = None, data: bytes = b"") -> None:
    """The same in the format before PyTorch 1.6: five pickles, then the data."""
    parts = [pickle.dumps(part, protocol=2) for part in OLD_HEAD]
    path.write_bytes(b"".join([*parts, pickled, pickle.dumps(keys or [], protocol=2), data]))


def dumped(value: Any, protocol: int = 2) -> bytes:
    return pickle.dumps({"model": value}, protocol=protocol)


def tensor_pickle(numel: int, size: tuple[int, ...], stride: tuple[int, ...], *, old: bool = False) -> bytes:
    """`{"model": {"head.bias": tensor}}` of a storage "0" with `numel` floats."""

    class Pickler(pickle._Pickler):  # the C one refuses classes that are no picklers' own
        def persistent_id(self, obj: Any) -> tuple | None:
            if obj is not storage:
                return None
            return ("storage", torch.FloatStorage, "0", "cpu", numel, *((None,) if old else ()))

    storage = object()
    rebuild = Call(torch._utils._rebuild_tensor_v2, storage, 0, size, stride, False, OrderedDict())
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump({"model": {"head.bias": rebuild}})
    return buffer.getvalue()


def _write_sentinel(sentinel: Path) -> str:
    return f"open({str(sentinel)!r}, 'w').close()"


def _shell(sentinel: Path) -> str:
    return f"touch '{sentinel}'"


def _by_opcodes(code: bytes) -> Callable[[Path, Path], None]:
    def write(path: Path, sentinel: Path) -> None:
        command = _shell(sentinel).encode()
        write_old(path, code.replace(b"LENGTH", struct.pack("<I", len(command))).replace(b"SHELL", command))

    return write


def _in_zip(payload: Callable[[Path], Any], protocol: int = 2) -> Callable[[Path, Path], None]:
    return lambda path, sentinel: write_zip(path, dumped(payload(sentinel), protocol))


def _in_old(payload: Callable[[Path], Any]) -> Callable[[Path, Path], None]:
    return lambda path, sentinel: write_old(path, dumped(payload(sentinel)))


def _numpy_array_of_objects(sentinel: Path) -> Any:
    array = np.empty(1, dtype=object)
    array[0] = Call(os.system, _shell(sentinel))
    return array


def _with_state(sentinel: Path) -> Any:
    """An argument namespace, whose state is the result of a call."""

    class State(Call):
        def __reduce__(self) -> tuple:
            import argparse

            return (argparse.Namespace, (), {"lr": Call(builtins.eval, _write_sentinel(sentinel))})

    return State(print)


# Each runs something where it is unpickled without care: `pickle.loads` of its pickle makes the sentinel.
EXECUTING: dict[str, Callable[[Path, Path], None]] = {
    "os.system": _in_zip(lambda s: Call(os.system, _shell(s))),
    "os.system in the old format": _in_old(lambda s: Call(os.system, _shell(s))),
    "os.system, protocol 4": _in_zip(lambda s: Call(os.system, _shell(s)), protocol=4),
    "os.system by INST": _by_opcodes(b"\x80\x02(S'SHELL'\nios\nsystem\n."),
    "os.system by OBJ": _by_opcodes(b"\x80\x02(cos\nsystem\nS'SHELL'\no."),
    "builtins.eval": _in_zip(lambda s: Call(builtins.eval, _write_sentinel(s))),
    "builtins.exec": _in_zip(lambda s: Call(builtins.exec, _write_sentinel(s))),
    "subprocess": _in_zip(lambda s: Call(subprocess.check_call, ["touch", str(s)])),
    "functions of functions": _in_zip(lambda s: Call(list, Call(map, os.system, [_shell(s)]))),
    "library that runs code": _in_zip(lambda s: Call(timeit.timeit, _write_sentinel(s), "pass", time.perf_counter, 1)),
    "eval inside containers": _in_zip(
        lambda s: Call(OrderedDict, [("a", Call(OrderedDict, [("b", Call(builtins.eval, _write_sentinel(s)))]))])
    ),
    "eval as state of a namespace": _in_zip(_with_state),
    "numpy array of objects": _in_zip(_numpy_array_of_objects),
    "pickle inside a pickle": _in_zip(lambda s: Call(pickle.loads, dumped(Call(os.system, _shell(s))))),
    "attribute of an allowed module": _by_opcodes(b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93XLENGTHSHELL\x85R."),
    "magic number that calls": lambda path, s: path.write_bytes(dumped(Call(os.system, _shell(s)))),
}


def _huge_bytearray(path: Path, _: Path) -> None:
    write_zip(path, dumped(Call(bytearray, HUGE)))


def _huge_tensor_call(path: Path, _: Path) -> None:
    write_zip(path, b"\x80\x02ctorch\nFloatTensor\n\x8a\x06\x00\x00\x00\x00\x00\x04\x85R.")


def _growing_bytes(path: Path, _: Path) -> None:
    write_zip(path, dumped(Call(__import__("_codecs").encode, b"a", "hex")))


def _huge_string(path: Path, _: Path) -> None:
    write_zip(path, b"\x80\x02X\xff\xff\xff\xffabc.")


def _huge_storage(path: Path, _: Path) -> None:
    write_zip(path, tensor_pickle(HUGE, (4,), (1,)), (bytes(16),))


def _huge_storage_old(path: Path, _: Path) -> None:
    write_old(path, tensor_pickle(HUGE, (4,), (1,), old=True), ["0"], struct.pack("<q", HUGE) + bytes(16))


def _negative_storage(path: Path, _: Path) -> None:
    write_zip(path, tensor_pickle(-4, (4,), (1,)), (bytes(16),))


def _repeated_value(path: Path, _: Path) -> None:
    """A terabyte out of one number: every stride is zero."""
    write_zip(path, tensor_pickle(4, (1 << 20, 1 << 20), (0, 0)), (bytes(16),))


def _beyond_the_storage(path: Path, _: Path) -> None:
    write_zip(path, tensor_pickle(4, (1 << 20,), (1,)), (bytes(16),))


def _beyond_the_storage_old(path: Path, _: Path) -> None:
    pickled = tensor_pickle(4, (HUGE,), (1,), old=True)
    write_old(path, pickled, ["0"], struct.pack("<q", 4) + bytes(16))


def _zip_bomb(path: Path, _: Path) -> None:
    write_zip(path, b"\x80\x02" + b"N0" * (1 << 20) + b"N.", compression=zipfile.ZIP_DEFLATED)


def _two_pickles(path: Path, _: Path) -> None:
    write_zip(path, dumped({}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data.pkl/../data.pkl", b"")
        archive.writestr("other/data.pkl", dumped({}))


def _torchscript(path: Path, _: Path) -> None:
    write_zip(path, dumped({}))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/constants.pkl", dumped({}))


def _tar(path: Path, _: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())


def _torch_file(path: Path, cut: int | None, *, new: bool) -> None:
    weights = {"model": {"head.weight": torch.zeros(64, 64), "head.bias": torch.zeros(64)}}
    torch.save(weights, path, _use_new_zipfile_serialization=new)
    path.write_bytes(path.read_bytes()[:cut])


def _itself(path: Path, _: Path) -> None:
    weights: dict[str, Any] = {}
    weights["model"] = weights
    write_zip(path, pickle.dumps(weights, protocol=2))


# Each is damaged, or made to take time or memory.
DAMAGED: dict[str, Callable[[Path, Path], None]] = {
    "empty": lambda path, _: path.write_bytes(b""),
    "text": lambda path, _: path.write_text("<html>404</html>"),
    "bytes": lambda path, _: path.write_bytes(bytes(range(256))),
    "truncated zip": lambda path, _: _torch_file(path, -200, new=True),
    "start of a zip": lambda path, _: _torch_file(path, 100, new=True),
    "truncated data, old": lambda path, _: _torch_file(path, -200, new=False),
    "truncated pickle, old": lambda path, _: _torch_file(path, 150, new=False),
    "pickle without an end": lambda path, _: write_zip(path, b"\x80\x02}q\x00"),
    "pickle of a number": lambda path, _: write_zip(path, pickle.dumps(3, protocol=2)),
    "unknown memory": lambda path, _: write_zip(path, b"\x80\x02h\x05."),
    "nothing on the stack": lambda path, _: write_zip(path, b"\x80\x02R."),
    "bytearray of a huge size": _huge_bytearray,
    "tensor of a huge size": _huge_tensor_call,
    "bytes that double": _growing_bytes,
    "string of a huge size": _huge_string,
    "storage of a huge size": _huge_storage,
    "storage of a huge size, old": _huge_storage_old,
    "storage of a negative size": _negative_storage,
    "tensor beyond its storage": _beyond_the_storage,
    "tensor beyond its storage, old": _beyond_the_storage_old,
    "one value a million million times": _repeated_value,
    "zip bomb": _zip_bomb,
    "two pickles": _two_pickles,
    "TorchScript": _torchscript,
    "tar": _tar,
    "dict that contains itself": _itself,
}
