# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Multi-view evaluation of a classifier: `evaluate(recipe)`; from the shell `python -m training.evaluate`."""

import importlib
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .classes import ClassMap, match_classes
    from .recipe import EvaluationDataRecipe, EvaluationRecipe
    from .run import evaluate
    from .views import ViewMaker

_HOMES = {
    "ClassMap": "classes",
    "EvaluationDataRecipe": "recipe",
    "EvaluationRecipe": "recipe",
    "ViewMaker": "views",
    "evaluate": "run",
    "match_classes": "classes",
}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for, so that the command can read its arguments without PyTorch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


__all__ = ["ClassMap", "EvaluationDataRecipe", "EvaluationRecipe", "ViewMaker", "evaluate", "match_classes"]
