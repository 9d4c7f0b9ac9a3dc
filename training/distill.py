# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Distillation of a large classifier into a smaller one (paper, section E).

    accelerate launch -m training.distill --config FILE.yaml --teacher.path runs/giant/model --output_dir runs/distilled

`--help` lists every key. The same command goes on from the newest checkpoint in `output_dir`.
"""

from typing import TYPE_CHECKING

from .cli import leave, run_stage
from .recipe_stages import DistillationRecipe


if TYPE_CHECKING:
    from .tasks import DistillationTask


def make_task(recipe: DistillationRecipe) -> "DistillationTask":
    """What the recipe trains for."""
    from .tasks import DistillationTask  # imports PyTorch: after the arguments have been read

    return DistillationTask(recipe)


if __name__ == "__main__":
    leave(run_stage(DistillationRecipe, make_task))
