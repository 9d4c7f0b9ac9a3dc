# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of a model folder, opened so that one which is damaged is named."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; `ValueError` names the file where it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON or of UTF-8
        raise ValueError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, not {type(content).__name__}.")
    return content


def open_weights(path: Path) -> Any:
    """A safetensors file, opened; `ValueError` names it where it is damaged."""
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(f"{path} is no whole safetensors file ({error}). Copy or save it again.") from error


__all__ = ["open_weights", "read_json"]
