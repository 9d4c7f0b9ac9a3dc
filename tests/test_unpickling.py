# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading `.pth` files runs nothing, whatever is in them, and says in words what is wrong."""

import argparse
import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from crafted_pickles import DAMAGED, EXECUTING, OLD_HEAD, tensor_pickle, write_zip

from modeling_videomae_v2.conversion.unpickling import UnsafeCheckpointError, load_pickled
from modeling_videomae_v2.conversion.weight_sources import find_pickled_weights


MiB = 1 << 20


def most_memory() -> int:
    """What this process has held at once so far, in bytes; 0 where only the rest of a test can be done."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def crafted(files: dict[str, Callable[[Path, Path], None]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("write", list(files.values()), ids=list(files))


def unpickle_without_care(path: Path) -> None:
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            data = archive.read("archive/data.pkl")
    else:
        file = io.BytesIO(data)
        while pickle.load(file) in OLD_HEAD:
            pass
        return
    pickle.loads(data)


@crafted(EXECUTING)
def test_nothing_is_run(write: Callable[[Path, Path], None], tmp_path: Path) -> None:
    path, sentinel = tmp_path / "model.pth", tmp_path / "sentinel"
    write(path, sentinel)
    with pytest.raises(UnsafeCheckpointError, match=r"model\.pth.*nothing of it was run"):
        load_pickled(path)
    assert not sentinel.exists()
    # the file is not harmless: without care it does what it was made for
    unpickle_without_care(path)
    assert sentinel.exists()


@crafted(DAMAGED)
def test_damage_is_said_and_takes_no_memory(write: Callable[[Path, Path], None], tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    write(path, tmp_path / "sentinel")
    before = most_memory()
    with pytest.raises(ValueError, match=r"model\.pth") as caught:
        find_pickled_weights(path)
    assert most_memory() - before < 64 * MiB
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "is empty"),
        ("text", "begins with b'<html>40'"),
        ("tar", "is a tar archive"),
        ("two pickles", "not one of `torch.save`"),
        ("TorchScript", "not one of `torch.save`"),
        ("zip bomb", r"'archive/data\.pkl' is packed"),
        ("string of a huge size", "where 4294967295 more bytes should be"),
        ("pickle without an end", "it ends too early"),
        ("storage of a negative size", "a tensor storage with -4 values"),
    ],
)
def test_what_is_wrong_is_said(name: str, said: str, tmp_path: Path) -> None:
    DAMAGED[name](tmp_path / "model.pth", tmp_path / "sentinel")
    with pytest.raises(UnsafeCheckpointError, match=said):
        load_pickled(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("pickled", "said"),
    [
        (b"\x80\x02NQ.", "a tensor storage with no size"),
        (b"\x80\x02K\x01}QN.", "a tensor storage with no size"),  # the number is another's
        (b"\x80\x02c" + 2000 * b"a" + b"\nb\n.", "a name in it has no end"),
    ],
)
def test_instructions_that_are_wrong_are_said(pickled: bytes, said: str, tmp_path: Path) -> None:
    write_zip(tmp_path / "model.pth", pickled)
    with pytest.raises(UnsafeCheckpointError, match=said):
        load_pickled(tmp_path / "model.pth")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_doubled_entry_is_said(tmp_path: Path) -> None:
    write_zip(tmp_path / "model.pth", tensor_pickle(4, (4,), (1,)), (bytes(16),))
    with zipfile.ZipFile(tmp_path / "model.pth", "a") as archive:
        archive.writestr("archive/data/0", bytes(16))
    with pytest.raises(UnsafeCheckpointError, match=r"'archive/data/0' is there twice"):
        load_pickled(tmp_path / "model.pth")


def test_the_refused_name_is_said(tmp_path: Path) -> None:
    EXECUTING["builtins.eval"](tmp_path / "model.pth", tmp_path / "sentinel")
    with pytest.raises(UnsafeCheckpointError, match=r"`__builtin__\.eval`|`builtins\.eval`"):
        load_pickled(tmp_path / "model.pth")


def test_what_other_libraries_allow_is_not_allowed_here(tmp_path: Path) -> None:
    """Accelerate adds functions of NumPy to what `torch.load` may call."""
    torch.save({"model": np.arange(3)}, tmp_path / "model.pth")
    before = torch.serialization.get_safe_globals()
    with torch.serialization.safe_globals([np.ndarray, np.dtype, np.arange(3).__reduce__()[0]]):
        within = set(torch.serialization.get_safe_globals())
        with pytest.raises(UnsafeCheckpointError, match="numpy"):
            load_pickled(tmp_path / "model.pth")
        assert set(torch.serialization.get_safe_globals()) == within
    assert set(torch.serialization.get_safe_globals()) == set(before)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
def test_what_training_saves_is_read(new: bool, tmp_path: Path) -> None:
    layer = torch.nn.Linear(3, 4)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(3)).sum().backward()
    optimizer.step()
    saved = {
        "model": layer.state_dict(),
        "parameter": layer.weight,
        "half": torch.ones(3, dtype=torch.bfloat16),
        "optimizer": optimizer.state_dict(),
        "scaler": {},
        "epoch": 3,
        "args": argparse.Namespace(lr=1e-3, betas=(0.9, 0.95), resume=None, tags={"a", "b"}, big=1 << 40),
        "param_shapes": [OrderedDict(weight=torch.Size([4, 3]))],
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "log": 2 * [f"line {i}" for i in range(300)],  # more than a byte counts, and each twice
    }
    torch.save(saved, tmp_path / "model.pth", _use_new_zipfile_serialization=new)
    read = load_pickled(tmp_path / "model.pth")
    assert read["args"] == saved["args"]
    assert read["param_shapes"] == saved["param_shapes"]
    assert torch.equal(read["model"]["weight"], layer.weight)
    assert torch.equal(read["half"], saved["half"])
    state = optimizer.state_dict()["state"][0]
    assert torch.equal(read["optimizer"]["state"][0]["exp_avg"], state["exp_avg"])


def test_crafting_by_hand_makes_readable_files(tmp_path: Path) -> None:
    """So the crafted files are refused for what is wrong with them."""
    values = torch.arange(4, dtype=torch.float32)
    write_zip(tmp_path / "model.pth", tensor_pickle(4, (4,), (1,)), (values.numpy().tobytes(),))
    assert torch.equal(find_pickled_weights(tmp_path / "model.pth")["head.bias"], values)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load_pickled(tmp_path / "nowhere.pth")


def test_data_stay_on_the_disk(tmp_path: Path) -> None:
    torch.save({"model": {"head.weight": torch.zeros(64, 1 << 18)}}, tmp_path / "model.pth")  # 64 MiB
    before = most_memory()
    weights = find_pickled_weights(tmp_path / "model.pth")
    assert weights["head.weight"].shape == (64, 1 << 18)
    assert most_memory() - before < 32 * MiB
