# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Multi-view evaluation of a classifier: `evaluate(recipe)`; from the shell `python -m training.evaluate`."""

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .run import evaluate


def __getattr__(name: str) -> Any:
    """`evaluate`, imported when it is asked for, so that the command can read its arguments without PyTorch."""
    if name != "evaluate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .run import evaluate

    return evaluate


__all__ = ["evaluate"]
