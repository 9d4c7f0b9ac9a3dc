# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Multi-view evaluation of a classifier: `evaluate(recipe)`; from the shell `python -m training.evaluate`."""

from .classes import ClassMap, match_classes
from .recipe import EvaluationDataRecipe, EvaluationRecipe
from .run import evaluate
from .views import ViewMaker


__all__ = ["ClassMap", "EvaluationDataRecipe", "EvaluationRecipe", "ViewMaker", "evaluate", "match_classes"]
