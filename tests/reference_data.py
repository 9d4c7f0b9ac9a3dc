"""Loads what the public reference implementation computed; every parity test takes its data from here."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open


FIXTURES = Path(__file__).parent / "fixtures"
# Files too large for the repository lie in a folder beside some checkouts only.
EXTRA = Path(__file__).parents[2] / "shared" / "reference"


def load_reference(name: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Read one reference file; the calling test is skipped where this machine does not have it.

    Args:
        name: File name without `.safetensors`, such as `"pretrain_tiny"`.

    Returns:
        The tensors by name, and the architecture from the metadata (empty where there is none).
    """
    candidates = [folder / f"{name}.safetensors" for folder in (FIXTURES, EXTRA)]
    path = next((path for path in candidates if path.is_file()), None)
    if path is None:
        pytest.skip(f"reference data `{name}` is not on this machine")
    with safe_open(path, framework="pt") as file:
        names = file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
        config = json.loads((file.metadata() or {}).get("config", "{}"))
    return tensors, config


def group(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The tensors whose name starts with `prefix` and a dot, under what follows it."""
    return {key.removeprefix(f"{prefix}."): value for key, value in tensors.items() if key.startswith(f"{prefix}.")}
