# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of a model folder, opened so that one which is damaged is named."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from .wording_videomae_v2 import shortened


# What makes a folder one of a model, or of an adapter of one.
CONFIGURATIONS = ("config.json", "adapter_config.json")
# What may hold the weights of a model, in the order in which transformers looks for them.
INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
WEIGHTS = ("model.safetensors", INDEXES[0], "pytorch_model.bin", INDEXES[1])
# What may hold a video processor.
PROCESSOR_FILES = ("video_preprocessor_config.json", "processor_config.json", "preprocessor_config.json")
# Where a training run leaves its models: the last one, and the best one.
RESULTS = ("model", "best")


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; `ValueError` names the file where it holds none."""
    content = parse_json(path.read_bytes(), path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, not {type(content).__name__}.")
    return content


def parse_json(content: bytes, name: str | Path) -> Any:
    """What JSON in UTF-8 holds; `ValueError` names the file, `name`, where it is none."""
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not valid JSON: {error}.") from error


def files_of_index(index: Path, needs_metadata: bool = True, beside: bool = True) -> list[str]:
    """The names of the files with weights that an index lists, sorted. They are all there.

    Args:
        index: One of `INDEXES`, in its folder.
        needs_metadata: As for `read_index`.
        beside: Whether the files must lie beside the index; transformers loads others from wherever they are.

    Raises:
        ValueError: As `read_index`, or it names files elsewhere.
        FileNotFoundError: A file that it names is not there.
    """
    names = sorted(set(read_index(index, needs_metadata).values()))
    elsewhere = next((name for name in names if Path(name).name != name), None)
    if beside and elsewhere is not None:
        raise ValueError(
            f"{index} names files that are not in its own folder, such as {elsewhere!r}. Save the model again with "
            "`save_pretrained`."
        )
    missing = [name for name in names if not (index.parent / name).is_file()]
    if missing:
        listed = shortened(missing, 1)
        raise FileNotFoundError(f"{index.parent} lacks {listed}, which {index.name} names. Copy it again.")
    return names


def read_index(index: Path, needs_metadata: bool = True) -> dict[str, str]:
    """For each weight the name of the file that holds it, seen from the folder of the index. It need not be there.

    Args:
        index: One of `INDEXES`, in its folder.
        needs_metadata: Whether the index must have `metadata`; transformers cannot load the folder without.

    Raises:
        ValueError: The index is damaged, or names no files; it is named.
    """
    content = read_json(index)
    files = content.get("weight_map")
    if not isinstance(files, dict) or not files or not all(isinstance(name, str) for name in files.values()):
        raise ValueError(
            f"{index} is no valid index of weight files: it has no `weight_map`, or none that names a file "
            "for each weight. Save the model again with `save_pretrained`."
        )
    if needs_metadata and not isinstance(content.get("metadata"), dict):
        raise ValueError(
            f"{index} has no `metadata`, without which transformers does not load the weights. Save the model again "
            "with `save_pretrained`."
        )
    return files


def open_weights(path: Path) -> Any:
    """A safetensors file, opened; `ValueError` names it where it is damaged."""
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(
            f"{path} is no whole safetensors file ({error}): it is damaged or cut off. Copy or save it again."
        ) from error


def advise_model_folder(folder: Path) -> str:
    """What to name instead of a folder that holds no model: that of a training run has them in folders of their own."""
    for inside in (folder / name for name in RESULTS):
        if any((inside / file).is_file() for file in CONFIGURATIONS):
            return f"The training run left its model in {inside}: name that folder."
    return "Give a folder that `save_pretrained` wrote."


__all__ = [
    "CONFIGURATIONS",
    "INDEXES",
    "PROCESSOR_FILES",
    "WEIGHTS",
    "advise_model_folder",
    "files_of_index",
    "open_weights",
    "parse_json",
    "read_index",
    "read_json",
]
