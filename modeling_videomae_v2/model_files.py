# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of a model folder, opened so that one which is damaged is named."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open


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


def open_weights(path: Path) -> Any:
    """A safetensors file, opened; `ValueError` names it where it is damaged."""
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(f"{path} is no whole safetensors file ({error}). Copy or save it again.") from error


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
    "open_weights",
    "parse_json",
    "read_json",
]
