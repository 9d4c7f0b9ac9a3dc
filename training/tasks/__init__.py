# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The objectives: pre-training, classification and distillation, and the recipes that describe them."""

from ..recipe_stages import DistillationRecipe, FineTuningRecipe, PreTrainingRecipe
from .base import Batch, Task
from .classification import ClassificationTask
from .distillation import DistillationTask
from .pretraining import PreTrainingTask


__all__ = [
    "Batch",
    "ClassificationTask",
    "DistillationRecipe",
    "DistillationTask",
    "FineTuningRecipe",
    "PreTrainingRecipe",
    "PreTrainingTask",
    "Task",
]
