# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of adapters (PEFT) in the place of a model: which model they belong to, and what became of its weights."""

import json
import os
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedModel
from transformers.utils import ADAPTER_CONFIG_NAME, CONFIG_NAME, find_adapter_config_file, is_peft_available

from .configuration_videomae_v2 import where_from
from .loading_videomae_v2 import refuse_unfit_adapter


def adapter_and_base(source: str, settings: Mapping[str, Any]) -> tuple[str, str] | None:
    """Names of an adapter and of the model that it was trained on, if `source` is one that lies by itself.

    Args:
        source: What `from_pretrained` was given. The Auto classes give the model, and the adapter in `adapter_kwargs`.
        settings: Keywords of that call.

    Raises:
        OSError: The adapter does not say which model that is.
    """
    if not is_peft_available():
        return None
    options = dict(settings.get("adapter_kwargs") or {})
    adapter = options.pop("_adapter_model_path", None)
    if adapter is not None:
        return (str(adapter), source) if str(adapter) != source else None
    if os.path.isfile(os.path.join(source, settings.get("subfolder") or "", CONFIG_NAME)):
        return None
    file = find_adapter_config_file(source, **{**where_from(settings), **options})
    if file is None:
        return None
    with open(file, encoding="utf-8") as content:
        found = json.load(content)
    base = found.get("base_model_name_or_path") if isinstance(found, dict) else None
    if not base or is_adapter(base):
        what = f"an adapter, {base}," if base else "no model"
        raise OSError(
            f"{source} is an adapter whose adapter_config.json names {what} (`base_model_name_or_path`). Load the "
            "model, and then the adapter with `load_adapter`."
        )
    return source, base


def is_adapter(folder: str | os.PathLike) -> bool:
    """Whether a folder holds an adapter by itself."""
    return not os.path.isfile(os.path.join(folder, CONFIG_NAME)) and os.path.isfile(
        os.path.join(folder, ADAPTER_CONFIG_NAME)
    )


def add_adapter(
    model: PreTrainedModel,
    info: Mapping[str, Any],
    adapter: str,
    allow_mismatch: bool,
    place: Mapping[str, Any],
    adapter_name: str = "default",
    adapter_kwargs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Load an adapter into its model, and refuse it where it does not fit.

    Args:
        model: A model of this package, loaded.
        info: What `from_pretrained(..., output_loading_info=True)` gave of the model.
        adapter: Folder or Hub name of the adapter.
        allow_mismatch: Whether the caller asked for weights of another shape to be drawn anew.
        place: Keywords that say where to load from.
        adapter_name: Name that the adapter gets in the model.
        adapter_kwargs: More about where it is, as in transformers.

    Returns:
        `info` of both: a head that the model lacked and the adapter brought is not missing.

    Raises:
        UnfitWeightsError: Weights of the adapter are missing, left over, or of another shape.
    """
    options = {**place, **(adapter_kwargs or {})}
    options.pop("_adapter_model_path", None)
    loaded = model.load_adapter(
        adapter, adapter_name, adapter_kwargs=options, ignore_mismatched_sizes=True, dtype=model.dtype
    ).to_dict()
    refuse_unfit_adapter(model, loaded, adapter, allow_mismatch)
    whole = f".modules_to_save.{adapter_name}."
    brought = {key.replace(whole, ".") for key in model.state_dict() if whole in key}
    missing = {key for key in info["missing_keys"] if key not in brought}
    both = {key: {*info.get(key, ()), *loaded.get(key, ())} for key in ("unexpected_keys", "mismatched_keys")}
    return {**info, **both, "missing_keys": missing | set(loaded["missing_keys"])}
