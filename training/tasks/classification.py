# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Supervised training of a classifier: its recipe and its loss (paper, D.2 and D.3.1)."""

# ruff: noqa: RUF009 (`knob` is `dataclasses.field` with a text)
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification

from ..recipe import Recipe
from ..recipe_parsing import knob
from .base import Batch, Task


@dataclass
class FineTuningRecipe(Recipe):
    """A run of `training.finetune`."""

    num_labels: int = knob(0, "number of classes")
    labels: list[str] | None = knob(None, "names of the classes, in the order of their numbers")
    label_smoothing: float = knob(0.0, "share of the target that is spread over all classes")

    def problems(self) -> list[str]:
        found = super().problems()
        if self.num_labels < 1:
            found.append(f"num_labels must be at least 1, got {self.num_labels}")
        if self.labels is not None and len(self.labels) != self.num_labels:
            found.append(f"labels names {len(self.labels)} classes, num_labels says {self.num_labels}")
        if not 0.0 <= self.label_smoothing < 1.0:
            found.append(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        return found

    def model_config(self, **more: Any) -> VideoMAEv2Config:
        names = self.labels or [f"LABEL_{i}" for i in range(self.num_labels)]
        labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
        return super().model_config(**labels, **more)


class ClassificationTask(Task):
    """Supervised training of a classifier."""

    model_class = VideoMAEv2ForVideoClassification
    labelled = True
    recipe: FineTuningRecipe

    def prepare(self, batch: Batch, first_clip: int, device: torch.device) -> Batch:
        return {
            "pixel_values": self.normalise(batch["pixel_values"], device),
            "labels": batch["labels"].to(device, non_blocking=True),
        }

    def loss(self, model: nn.Module, inputs: Batch) -> Batch:
        labels, smoothing = inputs["labels"], self.recipe.label_smoothing
        targets = labels
        if smoothing:
            one_hot = nn.functional.one_hot(labels, self.config.num_labels).float()
            targets = one_hot * (1.0 - smoothing) + smoothing / self.config.num_labels
        outputs = model(pixel_values=inputs["pixel_values"], labels=targets)
        accuracy = (outputs.logits.detach().argmax(dim=-1) == labels).float().mean()
        return {"loss": outputs.loss, "accuracy": accuracy}
