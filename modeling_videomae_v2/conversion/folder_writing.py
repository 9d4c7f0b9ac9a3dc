# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Writes converted checkpoints: weights one part after the other, the rest beside them, all of it or nothing."""

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file
from transformers import PreTrainedConfig
from transformers.dynamic_module_utils import custom_object_save

from ..convert_videomae_v2 import Recipes, StateDict
from ..folders import make_folder, refuse_address
from ..model_files import INDEXES
from ..modeling_videomae_v2 import AUTO_MAP, VideoMAEv2PreTrainedModel
from ..writing import naming, written_aside
from .weight_sources import CONFIG_FILE, WeightSource


INDEX_FILE = INDEXES[0]
SHARD_PATTERN = "model{suffix}.safetensors"


@contextlib.contextmanager
def new_folder(destination: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `destination` when the context ends well, and is gone when it does not.

    Raises:
        FileExistsError: `destination` exists and is not an empty folder.
        OSError: It cannot be made or written to.
    """
    check_free(destination)
    is_there = destination.is_dir()
    place = destination if is_there else destination.parent
    make_folder(place)
    folder = place / f".{destination.name}.{secrets.token_hex(4)}.part"  # in a container, many a process is number 1
    folder.mkdir()
    try:
        yield folder
        if is_there:  # it may be a link, a mount or the current folder, in whose place none can be put: it is filled
            for entry in list(folder.iterdir()):
                entry.rename(destination / entry.name)
            folder.rmdir()
        else:
            folder.rename(destination)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno is not None:  # that of a full disk names no file, or one aside
            raise OSError(f"{destination} cannot be written: {error.strerror}.") from error
        raise


@contextlib.contextmanager
def new_file(destination: Path) -> Iterator[Path]:
    """The same for a single file.

    Raises:
        FileExistsError: `destination` exists.
        OSError: It could not be written.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists. Name another file, or remove it first.")
    with written_aside(destination) as path:
        yield path


def check_free(destination: Path) -> None:
    """Refuse a destination with something in it (`FileExistsError`), and one that is an address (`ValueError`)."""
    refuse_address(destination, "The destination")
    if destination.is_dir() and not any(destination.iterdir()):
        return
    if destination.exists() or destination.is_symlink():
        what = "is not empty" if destination.is_dir() else "is a file" if destination.exists() else "is a broken link"
        raise FileExistsError(f"{destination} {what}. Name another folder, or remove it first.")


def write_weights(
    folder: Path, recipes: Recipes, shapes: StateDict, source: WeightSource, shard_size: str
) -> list[str]:
    """Write weights as safetensors, in as many files as `shard_size` makes of them, holding one file's at a time.

    Args:
        folder: Where to; `config.json` is there already.
        recipes: How to make each weight out of those of `source`.
        shapes: The same weights on the meta device.
        source: Where from. It is opened anew for each file, so that what was read of it does not pile up.
        shard_size: Largest size of a file, such as `"1GB"`.

    Returns:
        Names of the files.

    Raises:
        ValueError: `shard_size` is no size.
        OSError: A file could not be written.
    """
    try:
        if not shard_size.strip()[:1].isdecimal():  # below 0 or infinite
            raise ValueError
        plan = split_torch_state_dict_into_shards(shapes, filename_pattern=SHARD_PATTERN, max_shard_size=shard_size)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`--shard-size` must be a size such as 500MB or 1GB, got {shard_size!r}.") from error
    for file, names in plan.filename_to_tensors.items():
        with source.open() as tensors:
            part = {name: recipes[name](tensors).contiguous() for name in names}
            with naming(folder / file):
                save_file(part, folder / file, metadata={"format": "pt"})
            del part
        (folder / file).chmod((folder / CONFIG_FILE).stat().st_mode)  # safetensors makes files for the user alone
    files = list(plan.filename_to_tensors)
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": dict(sorted(plan.tensor_to_filename.items()))}
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        files.append(INDEX_FILE)
    return files


def write_our_config(folder: Path, model: VideoMAEv2PreTrainedModel, dtype: torch.dtype) -> None:
    """Write `config.json` and the code, as `save_pretrained` of a model does it, without its weights."""
    config = model.config
    name_config(config, type(model), dtype)
    config.auto_map = dict(AUTO_MAP)
    custom_object_save(model, folder, config=config)
    config.save_pretrained(folder)


def name_config(config: PreTrainedConfig, model_class: type, dtype: torch.dtype) -> None:
    """Set what transformers writes into the configuration of a model that it saves."""
    config.architectures = [model_class.__name__]
    config.dtype = dtype
