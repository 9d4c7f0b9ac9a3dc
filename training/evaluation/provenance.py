# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What predictions depend on, in a form that can be compared: a run goes on only with predictions of the same."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..data.identity import describe_sources, digest_of
from ..data.sources import Source
from .classes import ClassMap
from .recipe import EvaluationRecipe
from .views import ViewMaker


FORMAT = 1
_PROCESSOR = (
    "num_frames", "sampling", "sampling_rate", "do_resize", "size", "resample", "do_center_crop", "crop_size",
    "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std",
)  # fmt: skip


def describe_run(
    recipe: EvaluationRecipe,
    model: nn.Module,
    sources: Sequence[Source],
    views: ViewMaker,
    classes: ClassMap,
    precision: str,
) -> dict[str, Any]:
    """All that decides the predictions but for their last bits, as JSON has it.

    Where the files of a checkpoint lie, how many processes and workers there are and how large the batches are does not
    count, so that all of these may change in the middle.
    """
    settings = {name: getattr(views.processor, name) for name in _PROCESSOR}
    about = {
        "format": FORMAT,
        "model": _digest_of_weights(model),
        "videos": describe_sources(sources, recipe.data.sources),
        "classes": digest_of(repr((classes.names, classes.columns, classes.targets))),
        "views": {"tests": views.tests, "keep_views": recipe.keep_views, **settings},
        "precision": precision + (" tf32" if recipe.tf32 else ""),
    }
    return json.loads(json.dumps(about, default=_plain))


def _plain(value: Any) -> Any:
    """What JSON does not know."""
    if dataclasses.is_dataclass(value):
        return {name: side for name, side in vars(value).items() if side is not None}
    return str(value)


def _digest_of_weights(model: nn.Module) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(model.config.to_diff_dict(), sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
