# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What else is different when a run goes on with another recipe, beside its plan and its optimizer."""

import json
from typing import Any

from .recipe import Recipe
from .recipe_parsing import leaves


# Changes that `plan_changes` and `optimizer_changes` tell, and what has no part in the result.
_TOLD = (
    "schedule.", "batch_size", "total_batch_size", "accumulation", "data.views", "optimizer.base_lr",
    "optimizer.weight_decay", "optimizer.layer_decay", "optimizer.betas", "optimizer.eps",
)  # fmt: skip
_WITHOUT_EFFECT = (
    "output_dir", "tracking.", "checkpoint.", "eval.", "data.workers", "data.prefetch", "data.cache_gib",
    "gradient_checkpointing", "device", "compile",
)  # fmt: skip
LONGEST_VALUE = 100


def recipe_changes(old: dict[str, Any], recipe: Recipe) -> list[str]:
    """In words, which further keys of the recipe have other values than when a checkpoint was written.

    Args:
        old: The recipe that the checkpoint was written under, as a dict.
        recipe: That from here on.

    Returns:
        Lines for the log; none if nothing changed.
    """
    before, now = leaves(old), leaves(json.loads(json.dumps(recipe.as_dict())))
    lines = []
    for key in sorted(before.keys() | now.keys()):
        was, is_now = before.get(key), now.get(key)
        of_other_code = key not in before.keys() & now.keys() and not key.startswith("model.config.")
        if was == is_now or of_other_code or key.startswith((*_TOLD, *_WITHOUT_EFFECT)):
            continue
        if key == "model.init_from":
            lines.append(
                f"model.init_from ({is_now}) changes nothing: the weights are those of this run, which began from "
                f"{was or 'random ones'}. To start from others, choose another output_dir."
            )
        else:
            lines.append(f"{key}: {_shown(before, key)} -> {_shown(now, key)} from here on.")
    return lines


def _shown(values: dict[str, Any], key: str) -> str:
    text = json.dumps(values[key], ensure_ascii=False) if key in values else "not set"
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
