# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The objectives: pre-training, classification and distillation, each with the recipe that describes it."""

from .base import Batch, Task
from .classification import ClassificationTask, FineTuningRecipe
from .distillation import DistillationRecipe, DistillationTask
from .pretraining import PreTrainingRecipe, PreTrainingTask


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
